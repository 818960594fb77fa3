//! `gatewright db copy`: a whole store, from one database to another.

use super::progress::Lines;
use crate::cli::configuration::ConfigurationFile;
use crate::cli::output::{Format, fail, write, write_json};
use crate::config::document::store_url::{StoreKind, StoreUrl};
use crate::engine::compiler::Compilation;
use crate::engine::registry::Registry;
use crate::resource::place::Place;
use crate::resource::store::Count;
use crate::resource::transfer::{Copied, copy};
use clap::{Args, ValueHint};
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit code if the copy is not equal.
const DIFFERENT: u8 = 3;

#[derive(Args)]
pub struct Copy {
    /// Configuration file, if FROM or TO is a name [default: $GATEWRIGHT_CONFIG, or else config/gateway.yaml, or else
    /// gateway.yaml].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Store to copy: a name or a URL.
    #[arg(long, value_name = "FROM")]
    from: String,
    /// Database to copy to: the name of a store, or a URL.
    #[arg(long, value_name = "TO")]
    to: String,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

impl Copy {
    pub fn run(&self, registry: Registry) -> ExitCode {
        let compiled = if is_name(&self.from) || is_name(&self.to) {
            match ConfigurationFile::new(self.config.clone()).valid(registry) {
                Ok(compiled) => Some(compiled),
                Err(code) => return code,
            }
        } else {
            None
        };
        let url = |text: &str| url(text, compiled.as_ref());
        let (from, to) = match url(&self.from).and_then(|from| Ok((from, url(&self.to)?))) {
            Ok(both) => both,
            Err(message) => return fail(&message),
        };
        let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&format!("cannot start: {error}")),
        };
        let mut lines = Lines::new();
        let copied = copy(&from, &to, runtime.handle(), &mut lines);
        lines.end();
        match copied {
            Ok(copied) => self.print(&copied),
            Err(message) => fail(&message),
        }
    }

    fn print(&self, copied: &[Copied]) -> ExitCode {
        let equal = copied.iter().all(Copied::is_equal);
        let written = match self.format {
            Format::Human => write(&table(copied)),
            Format::Json => write_json(&as_json(copied, equal)),
        };
        if equal { written } else { ExitCode::from(DIFFERENT) }
    }
}

pub fn is_name(text: &str) -> bool {
    !text.contains(':')
}

/// A store by its name or URL.
pub fn url(text: &str, compiled: Option<&Compilation>) -> Result<StoreUrl, String> {
    let url = match compiled.filter(|_| is_name(text)) {
        Some(compiled) => {
            let Some(snapshot) = &compiled.snapshot else { return Err("the configuration is not valid".to_owned()) };
            let stores = &snapshot.plan.document.stores;
            let spec = stores.get(text).ok_or_else(|| {
                let names = stores.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                format!(
                    "the store `{}` does not exist\n  help: the stores are {names}; or write a URL",
                    text.escape_debug()
                )
            })?;
            Place::of(&spec.url, compiled.sources.folder()).url
        }
        None => text.parse::<StoreUrl>().map_err(|fault| {
            let help = fault.help.map(|help| format!("\n  help: {help}")).unwrap_or_default();
            format!("{}{help}", fault.message.replacen("`url`", "the URL", 1))
        })?,
    };
    match url.store {
        StoreKind::SqliteMemory => Err("no other process can read a database in memory".to_owned()),
        StoreKind::Redis => Err("a Redis store holds limits, and no tables".to_owned()),
        StoreKind::SqliteFile(_) | StoreKind::Postgres => Ok(url),
    }
}

fn table(copied: &[Copied]) -> String {
    let number = |found| Count { found, complete: true }.to_string();
    let width = copied.iter().map(|table| table.table.len()).max().unwrap_or(0).max(5);
    let mut text =
        format!("{:width$}  {:>12}  {:>12}  {:>12}  CHECKSUM OF ALL ROWS\n", "TABLE", "ROWS", "INSERTED", "DELETED");
    for table in copied {
        let cells = [table.source.rows, table.inserted, table.deleted].map(number);
        let [rows, inserted, deleted] = &cells;
        let _ = write!(text, "{:width$}  {rows:>12}  {inserted:>12}  {deleted:>12}  ", table.table);
        let _ = if table.is_equal() {
            writeln!(text, "{:032x} on both sides", table.source.checksum)
        } else {
            let (source, target) = (table.source, table.target);
            writeln!(
                text,
                "{:032x}, but the target has {} with {:032x}",
                source.checksum,
                Count { found: target.rows, complete: true }.of("row"),
                target.checksum
            )
        };
    }
    let different: Vec<_> = copied.iter().filter(|table| !table.is_equal()).map(|table| table.table.as_str()).collect();
    if different.is_empty() {
        text.push_str("both sides are equal\n");
    } else {
        let _ = writeln!(
            text,
            "these tables differ: {}. Either something else writes to the target, or they have values that the target stores in \
             another form. No gateway can use the copy.",
            different.join(", ")
        );
    }
    text
}

fn as_json(copied: &[Copied], equal: bool) -> serde_json::Value {
    let tables = copied.iter().map(|table| {
        let side = |sum: crate::resource::transfer::Sum| json!({ "rows": sum.rows, "checksum": format!("{:032x}", sum.checksum) });
        json!({
            "table": table.table, "inserted": table.inserted, "deleted": table.deleted, "equal": table.is_equal(),
            "source": side(table.source), "target": side(table.target),
        })
    });
    json!({ "equal": equal, "tables": tables.collect::<Vec<_>>() })
}
