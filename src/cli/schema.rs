//! `gatewright schema`: the JSON Schema of the configuration, with the plugins of this program.

use crate::cli::output::write_json;
use crate::config::schema::ConfigSchema;
use crate::engine::registry::Registry;
use serde_json::Value;
use std::process::ExitCode;

pub fn print(registry: &Registry) -> ExitCode {
    write_json(&published(registry))
}

/// The schema as editors read it.
pub fn published(registry: &Registry) -> Value {
    ConfigSchema::new(registry.kinds()).published()
}
