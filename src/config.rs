//! Configuration: the document, where each of its parts is written, and its diagnostics.

pub mod changes;
pub mod diagnostic;
pub mod document;
mod expand;
mod format;
pub mod lint;
pub mod load;
pub mod location;
pub mod named;
mod overlay;
pub mod pages;
mod pending;
mod renamed;
pub mod report;
pub mod rewriting;
pub mod schema;
mod shape;
pub mod show;
pub mod sources;
pub mod stand_in;
pub mod tree;
pub mod watch;
pub mod words;
pub mod yaml;

pub use load::{environment, load};
