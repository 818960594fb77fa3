//! OpenAPI 3.1 documents: their parts, whatever is described.

mod added;
pub mod components;
mod joined;
pub mod names;
pub mod operation;
mod problems;
pub mod spec;
pub mod viewer;

pub use components::Components;
pub use operation::{Body, Operation};
pub use spec::Spec;

use serde_json::{Map, Value};

/// An object with these members.
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
