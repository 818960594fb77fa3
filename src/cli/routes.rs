//! `gatewright routes`: which requests go where, through which plugins.

use crate::cli::output::write;
use crate::engine::compiler::Compilation;
use crate::engine::plan::PlannedStep;
use std::fmt::Write as _;
use std::process::ExitCode;

const HEADINGS: [&str; 7] = ["ROUTE", "LISTENERS", "HOSTS", "PATH", "METHODS", "PLUGINS", "TARGET"];

/// The column that is shown only where a route names its listeners.
const LISTENERS: usize = 1;

pub fn print(compiled: &Compilation) -> ExitCode {
    let Some(snapshot) = &compiled.snapshot else { return ExitCode::FAILURE };
    let plan = &snapshot.plan;
    let mut table = String::new();
    for listener in &plan.listeners {
        let _ = writeln!(
            table,
            "listener {} on {}: {}",
            listener.name,
            listener.address,
            names(&listener.steps, "no plugins")
        );
    }
    table.push('\n');
    let named = plan.routes.iter().any(|route| !route.listeners.is_empty());
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    for route in &plan.routes {
        rows.push([
            route.name.clone(),
            list(&route.listeners, "*"),
            list(&route.hosts, "*"),
            route.path.to_string(),
            list(&route.methods, "*"),
            names(&route.steps, "-"),
            route.target.to_string(),
        ]);
    }
    let widths = HEADINGS.iter().enumerate().map(|(column, _)| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    });
    let widths: Vec<usize> = widths.collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().filter(|(column, _)| *column != LISTENERS || named);
        let cells: Vec<_> = cells.map(|(_, (cell, width))| format!("{cell:width$}")).collect();
        table.push_str(cells.join("  ").trim_end());
        table.push('\n');
    }
    write(&table)
}

fn list(words: &[String], none: &str) -> String {
    if words.is_empty() { none.to_owned() } else { words.join(", ") }
}

fn names(steps: &[PlannedStep], none: &str) -> String {
    list(&steps.iter().map(|step| step.plugin.clone()).collect::<Vec<_>>(), none)
}
