//! `gatewright openapi`: the description of what a listener serves, from the file alone.

use crate::cli::configuration::ConfigurationFile;
use crate::cli::output::{fail, write_json};
use crate::engine::registry::Registry;
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
pub struct OpenApi {
    #[command(flatten)]
    file: ConfigurationFile,
    /// Listener to describe [default: the first].
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
}

impl OpenApi {
    pub fn print(&self, registry: Registry) -> ExitCode {
        let compiled = match self.file.valid(registry) {
            Ok(compiled) => compiled,
            Err(code) => return code,
        };
        let Some(snapshot) = &compiled.snapshot else { return ExitCode::FAILURE };
        let names: Vec<&str> = snapshot.plan.listeners.iter().map(|listener| listener.name.as_str()).collect();
        let listener = self.listener.as_deref().or(names.first().copied()).unwrap_or_default();
        match snapshot.openapi(listener) {
            Some(document) => write_json(&document),
            None => {
                let listener = listener.escape_debug();
                fail(&format!("there is no listener `{listener}`, only {}", names.join(", ")))
            }
        }
    }
}
