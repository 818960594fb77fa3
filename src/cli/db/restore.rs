//! `gatewright db restore`: a backup in the place of a SQLite database.

use super::{Chosen, file_of, quoted_path};
use crate::engine::registry::Registry;
use crate::resource::backup::restore;
use clap::{Args, ValueHint};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct Restore {
    #[command(flatten)]
    chosen: Chosen,
    /// Backup to restore.
    #[arg(value_name = "FROM", value_hint = ValueHint::FilePath)]
    from: PathBuf,
}

impl Restore {
    pub fn run(&self, registry: Registry) -> ExitCode {
        self.chosen.run(registry, |used, snapshot| {
            let in_postgres = |url: &str| {
                let from = quoted_path(&self.from);
                format!("stop the gateways, then: pg_restore --clean --if-exists --no-owner --dbname={url} {from}")
            };
            let tables: Vec<_> = used.tables.iter().map(|(_, table)| table.clone()).collect();
            let done = restore(&self.from, &file_of(used, snapshot, in_postgres)?, &tables)?;
            let (name, from, contents) = (&used.name, self.from.display(), done.contents);
            let mut text = format!("restored the store `{name}` from {from}: {contents}\n");
            if let Some(kept) = &done.kept {
                let _ = writeln!(text, "the replaced database is kept as {}", kept.display());
            }
            Ok(text)
        })
    }
}
