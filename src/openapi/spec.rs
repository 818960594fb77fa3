//! A file that describes the API of an upstream becomes part of the description of the gateway.

mod import;
mod security;
#[cfg(test)]
mod tests;

pub use gatewright_openapi::{Flaw, METHODS, Spec};
pub use import::Import;
