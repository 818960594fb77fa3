//! What was written: the document, where each of its parts stands, and what is wrong with it.

pub mod diagnostic;
pub mod document;
pub mod named;
