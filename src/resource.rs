//! REST resources: a YAML declaration compiled into an API over a table.

pub mod store;
pub mod table;
