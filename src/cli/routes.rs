//! `gatewright routes`: which requests go where, through which plugins.

use crate::cli::configuration::ConfigurationFile;
use crate::cli::output::{Format, write, write_json};
use crate::config::sources::Sources;
use crate::engine::plan::{Plan, PlannedRoute, PlannedStep, PlannedTarget};
use crate::engine::registry::Registry;
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

/// How many targets of an upstream the table shows.
const MOST_TARGETS: usize = 3;

#[derive(Args)]
pub struct Routes {
    #[command(flatten)]
    file: ConfigurationFile,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

impl Routes {
    pub fn print(&self, registry: Registry) -> ExitCode {
        let compiled = match self.file.valid(registry) {
            Ok(compiled) => compiled,
            Err(code) => return code,
        };
        let Some(snapshot) = &compiled.snapshot else { return ExitCode::FAILURE };
        match self.format {
            Format::Human => write(&table(&snapshot.plan, &compiled.sources)),
            Format::Json => write_json(&as_json(&snapshot.plan, &compiled.sources)),
        }
    }
}

/// A column: its heading, whether it is shown when no route says anything there, and its cell.
struct Column {
    heading: &'static str,
    always: bool,
    cell: fn(&PlannedRoute, &Servers<'_>) -> String,
}

const COLUMNS: [Column; 8] = [
    Column { heading: "ROUTE", always: true, cell: |route, _| route.name.clone() },
    Column { heading: "LISTENERS", always: false, cell: |route, _| list(&route.listeners, "*") },
    Column { heading: "HOSTS", always: false, cell: |route, _| list(&route.hosts, "*") },
    Column { heading: "PATH", always: true, cell: |route, _| route.path.to_string() },
    Column { heading: "METHODS", always: true, cell: |route, _| list(&route.methods, "*") },
    Column { heading: "HEADERS", always: false, cell: |route, _| list(&route.headers, "*") },
    Column { heading: "PLUGINS", always: true, cell: |route, _| names(&route.steps, "-") },
    Column { heading: "TARGET", always: true, cell: |route, servers| target(&route.target, servers) },
];

fn table(plan: &Plan, sources: &Sources) -> String {
    let servers = Servers { plan, sources };
    let mut text = String::new();
    for listener in &plan.listeners {
        let plugins = names(&listener.steps, "no plugins");
        let _ = writeln!(text, "listener {} on {}: {plugins}", listener.name, listener.address);
    }
    text.push('\n');
    let columns = COLUMNS.iter().map(|column| {
        let cells: Vec<String> = plan.routes.iter().map(|route| (column.cell)(route, &servers)).collect();
        (column, cells)
    });
    let columns: Vec<_> =
        columns.filter(|(column, cells)| column.always || cells.iter().any(|cell| cell != "*")).collect();
    let width = |cells: &[String], heading: &str| {
        cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0).max(heading.chars().count())
    };
    let widths: Vec<usize> = columns.iter().map(|(column, cells)| width(cells, column.heading)).collect();
    let mut row = |cells: Vec<&str>| {
        let padded: Vec<_> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    };
    row(columns.iter().map(|(column, _)| column.heading).collect());
    for index in 0..plan.routes.len() {
        row(columns.iter().filter_map(|(_, cells)| cells.get(index)).map(String::as_str).collect());
    }
    text
}

fn as_json(plan: &Plan, sources: &Sources) -> Value {
    let servers = Servers { plan, sources };
    let routes = plan.routes.iter().map(|route| {
        let (mut shown, targets) = (json!(route), servers.of(&route.target));
        if let Some(target) = shown.get_mut("target").and_then(Value::as_object_mut).filter(|_| !targets.is_empty()) {
            target.insert("targets".to_owned(), json!(targets));
        }
        shown
    });
    json!({ "listeners": plan.listeners, "routes": routes.collect::<Vec<_>>() })
}

/// The servers of the upstreams.
struct Servers<'a> {
    plan: &'a Plan,
    sources: &'a Sources,
}

impl Servers<'_> {
    /// The URLs that a target leads to. One that comes from outside the file may be a secret: only its origin is shown.
    fn of(&self, target: &PlannedTarget) -> Vec<String> {
        let name = target.name.as_deref().filter(|_| target.kind == "upstream").unwrap_or_default();
        let Some(upstream) = self.plan.document.upstreams.get(name) else { return Vec::new() };
        let urls = upstream.targets.iter().enumerate().map(|(index, server)| {
            let (_, node) = self.sources.tree().locate(&format!("upstreams.{name}.targets[{index}].url"));
            node.origin.outside().map_or_else(|| server.url.to_string(), |origin| origin.replace('`', ""))
        });
        urls.collect()
    }
}

fn target(target: &PlannedTarget, servers: &Servers<'_>) -> String {
    let urls = servers.of(target);
    let shown = urls.iter().take(MOST_TARGETS).cloned().collect::<Vec<_>>().join(", ");
    match urls.len() {
        0 => target.to_string(),
        1..=MOST_TARGETS => format!("{target} ({shown})"),
        many => format!("{target} ({shown} and {} more)", many - MOST_TARGETS),
    }
}

fn list(words: &[String], none: &str) -> String {
    if words.is_empty() { none.to_owned() } else { words.join(", ") }
}

fn names(steps: &[PlannedStep], none: &str) -> String {
    list(&steps.iter().map(|step| step.plugin.clone()).collect::<Vec<_>>(), none)
}
