//! `gatewright routes`: which requests go where, through which plugins.

use crate::cli::output::write;
use crate::config::document::route::Route;
use crate::engine::chain::of_route;
use crate::engine::compiler::Compilation;
use std::fmt::Write as _;
use std::process::ExitCode;

const HEADINGS: [&str; 6] = ["ROUTE", "HOSTS", "PATH", "METHODS", "PLUGINS", "TARGET"];

pub fn print(compiled: &Compilation) -> ExitCode {
    let Some(snapshot) = &compiled.snapshot else { return ExitCode::FAILURE };
    let document = &snapshot.document;
    let mut table = String::new();
    for listener in &snapshot.listeners {
        let plugins = list(&listener.plugins, "no plugins");
        let _ = writeln!(table, "listener {} on {}: {plugins}", listener.name, listener.settings.address);
    }
    table.push('\n');
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    for (name, route) in document.routes.iter() {
        let steps: Vec<_> = of_route(document, name, route).into_iter().map(|step| step.plugin).collect();
        rows.push([
            name.to_owned(),
            list(&route.hosts, "*"),
            path(route),
            list(&route.methods, "*"),
            list(&steps, "-"),
            target(route),
        ]);
    }
    let widths = HEADINGS.iter().enumerate().map(|(column, _)| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    });
    let widths: Vec<usize> = widths.collect();
    for row in &rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        table.push_str(cells.join("  ").trim_end());
        table.push('\n');
    }
    write(&table)
}

fn list(words: &[String], none: &str) -> String {
    if words.is_empty() { none.to_owned() } else { words.join(", ") }
}

fn path(route: &Route) -> String {
    match (&route.path, &route.path_prefix) {
        (Some(path), _) if route.resource.is_some() => format!("{path}[/{{id}}]"),
        (Some(path), _) => path.to_string(),
        (None, Some(prefix)) => format!("{}/**", prefix.trim_end_matches('/')),
        (None, None) => String::new(),
    }
}

fn target(route: &Route) -> String {
    if let Some(resource) = &route.resource {
        format!("resource {resource}")
    } else if let Some(upstream) = &route.upstream {
        format!("upstream {upstream}")
    } else if let Some(redirect) = &route.redirect {
        format!("redirect {} to {}", redirect.status, redirect.to)
    } else {
        route.respond.as_ref().map(|respond| format!("respond {}", respond.status)).unwrap_or_default()
    }
}
