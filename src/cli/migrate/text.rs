//! Plans and their outcomes as text.

use super::Outcome;
use crate::config::sources::Sources;
use crate::engine::migration::{Duplicates, StorePlan};
use std::fmt::Write as _;

/// The plans for people. What is only recorded is left out, unless there is nothing else.
pub fn plan(plans: &[StorePlan<'_>], more: &str, sources: &Sources) -> String {
    let mut text = String::new();
    let mut changes = 0;
    for plan in plans.iter().filter(|plan| !plan.steps.is_empty()) {
        let place = plan.file().map(|file| format!(" ({})", file.display())).unwrap_or_default();
        let _ = writeln!(text, "store {}{place}:", plan.store());
        let only_records = plan.steps.iter().all(|step| step.kind == "record");
        if plan.steps.iter().any(|step| step.kind == "own") {
            changes += 1;
            text.push_str("  create the tables of gatewright itself\n");
        }
        for step in plan.steps.iter().filter(|step| step.kind != "own" && (only_records || step.kind != "record")) {
            changes += 1;
            let _ = writeln!(text, "  {}{}", step.text, if step.destructive { " (loses values)" } else { "" });
            if let Some(warning) = &step.warning {
                let _ = writeln!(text, "    warning: {warning}");
            }
        }
    }
    let file = sources.root().display();
    match changes {
        0 => return "the tables are as the configuration needs them\n".to_owned(),
        1 => text.push_str("1 change"),
        many => {
            let _ = write!(text, "{many} changes");
        }
    }
    let lost = if plans.iter().any(StorePlan::is_destructive) { " --allow-destructive" } else { "" };
    if plans.iter().any(StorePlan::is_left_to_others) {
        let _ = writeln!(text, "; to print the SQL: gatewright migrate --format sql{more} {file}");
    } else {
        let _ = writeln!(text, "; to apply: gatewright migrate --apply{more}{lost} {file}");
    }
    text
}

/// The statements of the plans.
pub fn sql(plans: &[StorePlan<'_>]) -> String {
    let mut text = String::new();
    for plan in plans.iter().filter(|plan| !plan.steps.is_empty()) {
        let _ = writeln!(text, "-- store {}", plan.store());
        // What is not part of a transaction comes first.
        for live in [true, false] {
            if !live {
                text.push_str("BEGIN;\n");
            }
            for step in plan.steps.iter().filter(|step| step.live == live) {
                let _ = writeln!(text, "-- {}", step.text);
                step.sql.iter().for_each(|statement| {
                    let _ = writeln!(text, "{statement}");
                });
            }
        }
        text.push_str("COMMIT;\n");
    }
    text
}

/// What was done, and what is left to do.
pub fn done(outcomes: &[Outcome], in_use: bool, sources: &Sources) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let _ = writeln!(text, "store {}:", outcome.store);
        outcome.done.iter().for_each(|step| {
            let _ = writeln!(text, "  {step}");
        });
        if outcome.done.is_empty() {
            text.push_str("  saved the schema\n");
        }
    }
    if outcomes.is_empty() {
        return "the tables are as the configuration needs them\n".to_owned();
    }
    if in_use {
        let file = sources.root().display();
        let _ = writeln!(text, "gateways that run must load this configuration now: gatewright reload {file}");
    }
    text
}

/// Values that are not unique.
pub fn duplicates(Duplicates { path, found }: &Duplicates) -> String {
    let mut text = format!("duplicates of `{path}`:\n");
    for duplicate in found {
        let values = match &duplicate.values {
            Some(values) => values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", "),
            None => "(hidden)".to_owned(),
        };
        let _ = writeln!(text, "  {values}: {} items", duplicate.items);
    }
    text
}
