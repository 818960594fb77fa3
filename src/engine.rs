//! What a document means: chains and routes, compiled into a snapshot and swapped in one step.

pub mod build;
pub mod chain;
pub mod compiler;
pub mod exchange;
mod faults;
mod gaps;
mod guarded;
pub mod live;
mod measure;
pub mod outcome;
mod prepare;
mod reach;
pub mod registry;
pub mod router;
pub mod snapshot;
pub mod sockets;
pub mod stores;
pub mod target;
