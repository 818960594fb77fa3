//! `gatewright db backup`: a copy of a SQLite database that is in use.

use super::{Chosen, file_of, quoted_path};
use crate::cli::output::{fail, write};
use crate::engine::registry::Registry;
use crate::resource::backup::backup;
use clap::{Args, ValueHint};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct Backup {
    #[command(flatten)]
    chosen: Chosen,
    /// File to write.
    #[arg(value_name = "TO", value_hint = ValueHint::FilePath)]
    to: PathBuf,
    /// Replace TO if it is a database or empty.
    #[arg(long)]
    force: bool,
}

impl Backup {
    pub fn run(&self, registry: Registry) -> ExitCode {
        let compiled = match self.chosen.file().valid(registry) {
            Ok(compiled) => compiled,
            Err(code) => return code,
        };
        let Some(snapshot) = &compiled.snapshot else { return ExitCode::FAILURE };
        let used = match self.chosen.of(snapshot) {
            Ok(used) => used,
            Err(message) => return fail(&message),
        };
        let in_postgres =
            |url: &str| format!("pg_dump --format=custom --no-owner --file={} {url}", quoted_path(&self.to));
        let done = file_of(used, snapshot, in_postgres).and_then(|file| backup(&file, &self.to, self.force));
        match done {
            Ok(contents) => {
                write(&format!("backed up the store `{}` to {}: {contents}\n", used.name, self.to.display()))
            }
            Err(message) => fail(&message),
        }
    }
}
