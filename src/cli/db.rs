//! `gatewright db`: backs up, restores and copies the databases of stores.

mod backup;
pub mod copy;
mod progress;
mod restore;

use crate::cli::configuration::ConfigurationFile;
use crate::cli::help;
use crate::cli::output::{fail, write};
use crate::config::document::store_url::StoreKind;
use crate::engine::registry::Registry;
use crate::engine::snapshot::Snapshot;
use crate::engine::stores::Used;
use clap::{Args, Subcommand, ValueHint};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct Db {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Back up the SQLite database of a store to a file.
    ///
    /// A gateway may use the database meanwhile, and requests do not wait. The backup holds the state of one moment. It is
    /// checked before it gets its name, so there is never half of one.
    #[command(after_help = help::DB_BACKUP)]
    Backup(backup::Backup),
    /// Replace the SQLite database of a store by a backup.
    ///
    /// The gateway must be stopped. The backup is checked first, and the replaced database is kept next to the new one.
    #[command(after_help = help::DB_RESTORE)]
    Restore(restore::Restore),
    /// Copy the database of a store to another one, such as from SQLite to PostgreSQL.
    ///
    /// A gateway may use the source meanwhile. Run it again to copy what has changed since; a run that was killed goes on
    /// with the next one. Both sides are compared at the end.
    #[command(after_help = help::DB_COPY)]
    Copy(copy::Copy),
}

impl Db {
    pub fn run(&self, registry: Registry) -> ExitCode {
        match &self.command {
            Command::Backup(backup) => backup.run(registry),
            Command::Restore(restore) => restore.run(registry),
            Command::Copy(copy) => copy.run(registry),
        }
    }
}

/// Which store of which configuration a command is about.
#[derive(Args)]
struct Chosen {
    /// Configuration file [default: $GATEWRIGHT_CONFIG, or else config/gateway.yaml, or else gateway.yaml].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Store, if the configuration has several for resources.
    #[arg(long, alias = "database", value_name = "NAME")]
    store: Option<String>,
}

impl Chosen {
    /// Prints the text that `work` with the store returns, or its error.
    fn run(&self, registry: Registry, work: impl FnOnce(&Used, &Snapshot) -> Result<String, String>) -> ExitCode {
        let compiled = match ConfigurationFile::new(self.config.clone()).valid(registry) {
            Ok(compiled) => compiled,
            Err(code) => return code,
        };
        let Some(snapshot) = &compiled.snapshot else { return ExitCode::FAILURE };
        match self.of(snapshot).and_then(|used| work(used, snapshot)) {
            Ok(text) => write(&text),
            Err(message) => fail(&message),
        }
    }

    /// The store that is named, or the only one.
    fn of<'a>(&self, snapshot: &'a Snapshot) -> Result<&'a Used, String> {
        let stores = &snapshot.stores;
        let names: Vec<_> = stores.iter().map(|used| format!("`{}`", used.name)).collect();
        let list = names.join(", ");
        match (&self.store, stores.as_slice()) {
            (None, [only]) => Ok(only),
            (None, []) => Err("the configuration has no store for resources".to_owned()),
            (None, _) => {
                Err(format!("the configuration has several stores\n  help: add `--store NAME` with one of {list}"))
            }
            (Some(name), _) => stores.iter().find(|used| *used.name == **name).ok_or_else(|| {
                let known = snapshot.plan.document.stores.contains(name);
                let (name, why) =
                    (name.escape_debug(), if known { "does not keep resources" } else { "does not exist" });
                format!("the store `{name}` {why}\n  help: the stores for resources are {list}")
            }),
        }
    }
}

/// The file of a store, or a message: `in_postgres` is the command of PostgreSQL for a URL without its password.
fn file_of(used: &Used, snapshot: &Snapshot, in_postgres: impl Fn(&str) -> String) -> Result<PathBuf, String> {
    if let Some(file) = used.store.file() {
        return Ok(file);
    }
    let url = snapshot.plan.document.stores.get(&used.name).map(|spec| &spec.url);
    match url.filter(|url| url.store == StoreKind::Postgres) {
        Some(url) => Err(format!(
            "the store `{}` is a PostgreSQL database: use the tools of PostgreSQL\n  help: {}\n  help: if the server wants a \
             password, put it into the variable PGPASSWORD or into ~/.pgpass",
            used.name,
            in_postgres(&quoted(&url.without_password()))
        )),
        None => Err(format!("the store `{}` is in memory and has no file", used.name)),
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn quoted_path(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./_-".contains(&byte));
    if plain { text } else { quoted(&text) }
}
