//! Broken configurations say what is wrong with them, at the line it belongs to.
//!
//! Each file in `tests/faults` carries, on every line with a fault, a comment `# error: part of the message or help`
//! (or `# warning: …`). All of them must be said, and nothing else.

use gatewright::config::diagnostic::{Diagnostic, Diagnostics, Severity};
use gatewright::config::load;
use gatewright::config::report::Format;
use gatewright::config::schema::ConfigSchema;
use gatewright::engine::live::Workshop;
use gatewright::engine::registry::Registry;
use gatewright_sdk::{Context, Fault, HttpService, Kind, Plugin, Secret, builtin};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Says hello.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Greet {
    /// Whom.
    #[allow(dead_code)]
    name: String,
}

impl Plugin for Greet {
    const NAME: &'static str = "greet";
    fn install(&self, _: &Context<'_>, next: HttpService) -> Result<HttpService, Fault> {
        Ok(next)
    }
}

/// Has a secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Shout {
    /// What nobody should see.
    #[serde(default)]
    #[allow(dead_code)]
    secret: Option<Secret>,
}

impl Plugin for Shout {
    const NAME: &'static str = "shout";
    fn install(&self, _: &Context<'_>, next: HttpService) -> Result<HttpService, Fault> {
        Ok(next)
    }
}

fn schema() -> ConfigSchema {
    let (greet, shout) = (builtin::<Greet>(), builtin::<Shout>());
    let kinds: [&dyn Kind; 2] = [&greet, &shout];
    ConfigSchema::new(&kinds)
}

fn environment() -> HashMap<String, String> {
    let variables = [("NUMBER", "hush-hush-7"), ("RECURSIVE", "${env.RECURSIVE}")];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The files of `tests/faults` or of a folder in it. What is no good YAML ends in `.broken`, for other tools' sake.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults").join(folder);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let known = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "broken");
    let mut files: Vec<_> = entries.filter(known).collect();
    files.sort();
    files
}

/// The line, severity and text of each comment.
fn expected(text: &str) -> Vec<(u32, Severity, &str)> {
    let mut expected = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        for (word, severity) in [("# error: ", Severity::Error), ("# warning: ", Severity::Warning)] {
            expected.extend(text.split(word).nth(1).map(|part| (line, severity, part)));
        }
    }
    expected
}

fn is(diagnostic: &Diagnostic, (line, severity, part): (u32, Severity, &str)) -> bool {
    let text = format!("{}\n{}", diagnostic.message, diagnostic.help.as_deref().unwrap_or_default());
    diagnostic.severity == severity && diagnostic.at.as_ref().is_some_and(|at| at.line == line) && text.contains(part)
}

/// What is said and should not be, and what should be and is not.
fn wrong(file: &Path, diagnostics: &Diagnostics) -> Vec<String> {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file).unwrap();
    let expected = expected(&text);
    let mut wrong = Vec::new();
    if expected.is_empty() {
        wrong.push(format!("{name} expects nothing"));
    }
    let unsaid = expected.iter().filter(|expected| !diagnostics.iter().any(|found| is(found, **expected)));
    wrong.extend(unsaid.map(|(line, _, part)| format!("{name}:{line} not said: {part}")));
    let unexpected = diagnostics.iter().filter(|found| !expected.iter().any(|expected| is(found, *expected)));
    wrong.extend(unexpected.map(|found| {
        let line = found.at.as_ref().map(|at| at.line);
        format!("{name}:{line:?} not expected: {} ({:?})", found.message, found.help)
    }));
    wrong
}

#[test]
fn each_fault_is_said_at_its_line_and_nothing_else_is() {
    let (schema, environment) = (schema(), environment());
    let wrong: Vec<_> =
        files("").iter().flat_map(|file| wrong(file, &load(file, &environment, &schema).diagnostics)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Those of `tests/faults/built` come from plugins and targets, when the configuration is built.
#[test]
fn each_fault_of_building_is_said_at_its_line_and_nothing_else_is() {
    let mut all = Vec::new();
    for file in files("built") {
        let judged = Workshop::new(&file, Registry::new(gatewright_plugins::ALL)).judge(1);
        assert!(judged.snapshot.is_none(), "{}", file.display());
        all.extend(wrong(&file, &judged.diagnostics));
        let lines: Vec<_> = judged.diagnostics.iter().filter_map(|found| found.at.as_ref()).map(|at| at.line).collect();
        assert!(lines.is_sorted(), "{}: {lines:?}", file.display());
        for format in [Format::Human { colour: false }, Format::Json, Format::Sarif] {
            let report = judged.sources.render(&judged.diagnostics, format);
            assert!(!report.contains("hush-hush-7"), "{report}");
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn no_report_shows_a_secret() {
    let (schema, environment) = (schema(), environment());
    for file in files("") {
        let loaded = load(&file, &environment, &schema);
        for format in [Format::Human { colour: false }, Format::Json, Format::Sarif] {
            let report = loaded.sources.render(&loaded.diagnostics, format).to_lowercase();
            for secret in ["hush-hush-7", "0123456789", "12345678", "hunter2"] {
                assert!(!report.contains(secret), "{}: {report}", file.display());
            }
        }
    }
}
