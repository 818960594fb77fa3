//! REST resources: a YAML declaration compiled into an API over a table.

mod access;
mod body;
mod claim;
mod contract;
mod cursor;
mod decimal;
mod digest;
mod email;
mod etag;
mod field;
mod field_type;
mod form;
mod handlers;
mod json;
mod measure;
mod media;
mod migrate;
pub mod model;
mod moment;
mod operator;
mod order;
pub mod password;
mod predicate;
mod query;
mod queue;
mod refusal;
mod reply;
mod sql;
mod sqlite;
pub mod store;
pub mod table;
mod validate;
mod version;
mod watch;

pub use handlers::{exposed_headers, service};
pub use measure::Statements;
