//! gatewright: a gateway assembled by one YAML file.

pub mod config;
pub mod resource;
