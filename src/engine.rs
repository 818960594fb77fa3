//! What a document means: chains and routes, compiled into a snapshot and swapped in one step.

#[deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]
pub mod chain;
#[deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]
pub mod compile;
pub mod compiler;
pub mod exchange;
#[deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]
pub mod explain;
#[deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]
mod faults;
#[deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]
mod gaps;
#[deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]
mod guarded;
mod install;
pub mod live;
mod measure;
pub mod outcome;
#[deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]
pub mod plan;
mod prepare;
#[deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]
mod reach;
#[deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]
pub mod registry;
#[deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]
pub mod router;
pub mod snapshot;
pub mod sockets;
pub mod stores;
#[deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]
mod targets;
#[deny(clippy::disallowed_methods, reason = "what a document comes to depends on the document alone")]
mod warnings;
