//! Log events about configurations. Each has a sentence for terminals, in the field `human`.

use crate::cli::for_people;
use crate::cli::output::say;
use crate::config::diagnostic::{Diagnostic, Diagnostics, Severity, printable};
use crate::engine::outcome::RefusedConfiguration;
use crate::engine::snapshot::Origin;
use crate::telemetry::Telemetry;
use gatewright_sdk::Code;
use std::time::Duration;

/// How many changed keys are listed. The rest is counted.
const KEYS: usize = 5;

/// The digits of a hash that are shown.
const DIGITS: usize = 12;

/// One event per warning. People also get the help of a warning that `check` does not print.
pub fn warnings(diagnostics: &Diagnostics, telemetry: &Telemetry) {
    for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning) {
        let Diagnostic { path, message: detail, .. } = diagnostic;
        let (at, help, human) = (at(diagnostic), diagnostic.help.as_deref().unwrap_or_default(), brief(diagnostic));
        tracing::warn!(code = diagnostic.code.id(), at, path, help, detail, human, "configuration warning");
        if telemetry.is_human() && is_beyond_the_file(diagnostic) {
            telemetry.append(&help_lines(diagnostic, "  "));
        }
    }
}

/// Whether a diagnostic is about stored data, or about what was served before. `check` does not report it, because it opens no database,
/// and asks no gateway.
pub fn is_beyond_the_file(diagnostic: &Diagnostic) -> bool {
    let beyond = [Code::ACTING_KEY, Code::HIDDEN_VALUES, Code::STORE_PLACE, Code::UNEVEN_VALUES, Code::PROTECTION_LOST];
    beyond.contains(&diagnostic.code)
}

/// The help of a diagnostic, indented. Lines are not cut, so that a statement can be copied.
pub fn help_lines(diagnostic: &Diagnostic, indent: &str) -> String {
    let help = diagnostic.help.as_deref().unwrap_or_default();
    let clean: String = help.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.is_empty() { clean } else { format!("{indent}help: {clean}\n") }
}

/// A new configuration serves. `changed` are the keys that differ from the one before.
pub fn reloaded(origin: &Origin, changed: &[String], took: Duration) {
    let (generation, hash) = (origin.generation, origin.hash.get(..DIGITS).unwrap_or_default());
    let changed = if changed.is_empty() { "nothing".to_owned() } else { listed(changed) };
    let duration_ms = (took.as_secs_f64() * 1e4).round() / 10.0;
    let human = format!("reloaded: {changed} changed (generation {generation}, {duration_ms:.1} ms)");
    tracing::info!(generation, changed, duration_ms, hash, human, "configuration reloaded");
}

/// A rejected edit was undone.
pub fn restored(generation: u64) {
    let human = format!("the configuration on disk matches the running one again (generation {generation})");
    tracing::info!(generation, human, "configuration on disk matches the running one again");
}

/// A configuration was rejected, and `generation` keeps serving. Its warnings are left out: the errors come first. People
/// get excerpts of the files, programs one event per error.
pub fn rejected(refused: &RefusedConfiguration, generation: u64, human: bool) {
    let file = refused.sources.root();
    if !file.exists() {
        let file = file.display();
        let human = format!("{file} no longer exists; generation {generation} keeps serving until it is back");
        tracing::error!(%file, generation, human, "configuration file does not exist; keeping the running configuration");
        return;
    }
    let errors = refused.diagnostics.without_warnings();
    if human {
        say(&refused.sources.render(&errors, for_people()));
    } else {
        for diagnostic in errors.iter() {
            let Diagnostic { path, message: detail, .. } = diagnostic;
            let (at, help) = (at(diagnostic), diagnostic.help.as_deref().unwrap_or_default());
            tracing::error!(code = diagnostic.code.id(), at, path, help, detail, "configuration error");
        }
    }
    let errors = refused.diagnostics.errors();
    let count = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
    let human = format!("configuration rejected: {count}; generation {generation} keeps serving");
    tracing::error!(errors, generation, human, "configuration rejected; keeping the running configuration");
}

fn at(diagnostic: &Diagnostic) -> String {
    diagnostic.at.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// A diagnostic on one line: `file:1:2: routes.a: message`.
fn brief(diagnostic: &Diagnostic) -> String {
    let (at, path) = (at(diagnostic), printable(&diagnostic.path).into_owned());
    [at, path, diagnostic.message.clone()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

/// The first few keys, and how many more there are.
fn listed(keys: &[String]) -> String {
    let named = keys.iter().take(KEYS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match keys.len().saturating_sub(KEYS) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn a_few_keys_are_named_and_the_rest_is_counted() {
        let keys = |count: usize| (0..count).map(|number| format!("routes.r{number}")).collect::<Vec<_>>();
        assert_eq!(listed(&keys(2)), "routes.r0, routes.r1");
        assert_eq!(listed(&keys(7)), "routes.r0, routes.r1, routes.r2, routes.r3, routes.r4 and 2 more");
        assert_eq!(listed(&[]), "");
    }
}
