//! `gatewright schema`: the JSON Schema of the configuration, with the plugins of this program.

use crate::cli::output::{write, write_json};
use crate::config::schema::{ConfigSchema, Published, keys};
use crate::engine::registry::Registry;
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

#[derive(Args)]
pub struct Schema {
    /// Print the schema of included files, in which no section is required.
    #[arg(long)]
    fragment: bool,
    /// Print the reference of all keys, as Markdown.
    #[arg(long, conflicts_with = "fragment")]
    markdown: bool,
}

impl Schema {
    pub fn print(&self, registry: &Registry) -> ExitCode {
        let schema = ConfigSchema::new(registry.kinds());
        match self {
            Self { markdown: true, .. } => write(&keys::markdown(&schema)),
            Self { fragment: true, .. } => write_json(&schema.published(Published::Fragment)),
            Self { .. } => write_json(&published(registry)),
        }
    }
}

/// The schema of a whole configuration, as editors read it.
pub fn published(registry: &Registry) -> Value {
    ConfigSchema::new(registry.kinds()).published(Published::Document)
}
