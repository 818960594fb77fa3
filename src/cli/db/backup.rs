//! `gatewright db backup`: a copy of a SQLite database that is in use.

use super::{Chosen, file_of, quoted_path};
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
        self.chosen.run(registry, |used, snapshot| {
            let to = quoted_path(&self.to);
            let in_postgres = |url: &str| format!("pg_dump --format=custom --no-owner --file={to} {url}");
            let file = file_of(used, snapshot, in_postgres)?;
            let contents = backup(&file, &self.to, self.force)?;
            let (name, to, file) = (&used.name, self.to.display(), file.display());
            Ok(format!("backed up the store `{name}` to {to}: {contents}\nit is a copy of {file}\n"))
        })
    }
}
