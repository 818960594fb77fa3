//! `gatewright db copy`: a whole store, from one database to another.

use super::progress::Lines;
use crate::cli::configuration::ConfigurationFile;
use crate::cli::output::{Format, fail, say, write, write_json};
use crate::config::document::store_url::{StoreKind, StoreUrl};
use crate::engine::compiler::Compilation;
use crate::engine::registry::Registry;
use crate::resource::place::Place;
use crate::resource::store::Count;
use crate::resource::transfer::{Copied, LeftOut, Outcome, Stopped, copy};
use clap::{Args, ValueHint};
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The exit code if the copy is not equal.
const DIFFERENT: u8 = 3;
/// The exit code if something would be left out.
const LEAVES_OUT: u8 = 4;

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
    /// Copy although tables, views and columns that gatewright does not know stay behind.
    #[arg(long)]
    leave_out_unknown: bool,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

impl Copy {
    pub fn run(&self, registry: Registry) -> ExitCode {
        if let Err(message) = not_a_path(&self.from).and_then(|()| not_a_path(&self.to)) {
            return fail(&message);
        }
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
        let copied = copy(&from, &to, self.leave_out_unknown, runtime.handle(), &mut lines);
        lines.end();
        match copied {
            Ok(outcome) => self.print(&outcome),
            Err(Stopped::LeavesOut(left_out)) => self.refuse(&left_out),
            Err(Stopped::Failed(message)) => fail(&message),
        }
    }

    fn refuse(&self, left_out: &LeftOut) -> ExitCode {
        say(&format!(
            "error: gatewright does not know these, so the copy would not have them, and nothing was copied:\n{left_out}  help: \
             add `--leave-out-unknown` to copy without them, and copy them with another program if they are needed\n"
        ));
        let written = match self.format {
            Format::Human => ExitCode::SUCCESS,
            Format::Json => write_json(&json!({ "equal": false, "tables": [], "left_out": left_out })),
        };
        if written == ExitCode::SUCCESS { ExitCode::from(LEAVES_OUT) } else { written }
    }

    fn print(&self, Outcome { tables: copied, left_out }: &Outcome) -> ExitCode {
        let equal = copied.iter().all(Copied::is_equal);
        let written = match self.format {
            Format::Human => write(&table(copied, left_out)),
            Format::Json => write_json(&as_json(copied, left_out, equal)),
        };
        if equal { written } else { ExitCode::from(DIFFERENT) }
    }
}

pub fn is_name(text: &str) -> bool {
    !text.contains(':')
}

/// What to write instead of the path of a file.
pub fn not_a_path(text: &str) -> Result<(), String> {
    let ends = [".db", ".sqlite", ".sqlite3"].iter().any(|end| text.ends_with(end));
    if is_name(text) && (ends || text.contains('/') || Path::new(text).is_file()) {
        let text = text.escape_debug();
        return Err(format!("`{text}` is not the name of a store\n  help: for a SQLite file, write `sqlite://{text}`"));
    }
    Ok(())
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

fn table(copied: &[Copied], left_out: &LeftOut) -> String {
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
    if !left_out.is_empty() {
        let _ = write!(text, "left out:\n{left_out}");
    }
    if different.is_empty() {
        let but = if left_out.is_empty() { "" } else { ", but for what was left out" };
        let _ = writeln!(text, "both sides are equal{but}");
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

fn as_json(copied: &[Copied], left_out: &LeftOut, equal: bool) -> serde_json::Value {
    let tables = copied.iter().map(|table| {
        let side = |sum: crate::resource::transfer::Sum| json!({ "rows": sum.rows, "checksum": format!("{:032x}", sum.checksum) });
        json!({
            "table": table.table, "inserted": table.inserted, "deleted": table.deleted, "equal": table.is_equal(),
            "source": side(table.source), "target": side(table.target),
        })
    });
    json!({ "equal": equal, "tables": tables.collect::<Vec<_>>(), "left_out": left_out })
}
