//! `gatewright resource`: the YAML of a resource for a table that exists.

use crate::cli::configuration::ConfigurationFile;
use crate::cli::db::copy::url;
use crate::cli::output::{fail, write};
use crate::engine::registry::Registry;
use crate::resource::existing::describe;
use clap::{Args, ValueHint};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct Resource {
    /// Configuration file, if FROM is a name [default: $GATEWRIGHT_CONFIG, or else config/gateway.yaml, or else
    /// gateway.yaml].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Database: a URL, or the name of a store.
    #[arg(long, value_name = "FROM")]
    from: String,
    /// Table of that database.
    #[arg(long, value_name = "TABLE")]
    table: String,
}

impl Resource {
    pub fn print(&self, registry: Registry) -> ExitCode {
        if let Err(message) = super::db::copy::not_a_path(&self.from) {
            return fail(&message);
        }
        let compiled = if super::db::copy::is_name(&self.from) {
            match ConfigurationFile::new(self.config.clone()).valid(registry) {
                Ok(compiled) => Some(compiled),
                Err(code) => return code,
            }
        } else {
            None
        };
        let from = match url(&self.from, compiled.as_ref()) {
            Ok(from) => from,
            Err(message) => return fail(&message),
        };
        let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&format!("cannot start: {error}")),
        };
        match describe(&from, &self.table, runtime.handle()) {
            Ok(text) => write(&text),
            Err(message) => fail(&message),
        }
    }
}
