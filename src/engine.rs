//! Compiles a document's chains and routes into a snapshot, and swaps it in atomically.

#![deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]

pub mod certificates;
pub mod chain;
pub mod compile;
#[expect(clippy::disallowed_methods, reason = "it compiles on a thread of its own")]
pub mod compiler;
mod deciding;
pub mod exchange;
pub mod explain;
mod faults;
mod gaps;
mod guarded;
mod install;
mod limited;
pub mod live;
mod lookups;
mod measure;
pub mod migration;
mod open;
pub mod openapi;
pub mod outcome;
mod placeholders;
pub mod plan;
mod prepare;
mod reach;
mod recounted;
pub mod registry;
pub mod router;
pub mod snapshot;
pub mod sockets;
pub mod specs;
pub mod stores;
mod targets;
mod warnings;
