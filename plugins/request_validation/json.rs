//! Bodies and schemas in JSON are read as strictly as descriptions.

pub use gatewright_openapi::json::read;
