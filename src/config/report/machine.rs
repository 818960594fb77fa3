//! Diagnostics for programs: a JSON array, or SARIF 2.1.0.

use crate::config::diagnostic::{Diagnostic, Diagnostics, Location, Severity};
use serde_json::{Value, json};

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// `place` with a word about it.
fn with(mut place: Value, message: Value) -> Value {
    if let Value::Object(place) = &mut place {
        place.insert("message".to_owned(), message);
    }
    place
}

/// A JSON array of objects with `severity`, `path`, `message`, `help`, `file`, `line`, `column`, `related`.
pub fn json(diagnostics: &Diagnostics) -> String {
    let place = |at: &Location| json!({ "file": at.file.display().to_string(), "line": at.line, "column": at.column });
    let one = |diagnostic: &Diagnostic| {
        let related = diagnostic.related.iter().map(|(at, word)| with(place(at), word.as_str().into()));
        json!({
            "severity": word(diagnostic.severity),
            "path": diagnostic.path,
            "message": diagnostic.message,
            "help": diagnostic.help,
            "file": diagnostic.at.as_ref().map(|at| at.file.display().to_string()),
            "line": diagnostic.at.as_ref().map(|at| at.line),
            "column": diagnostic.at.as_ref().map(|at| at.column),
            "related": related.collect::<Vec<_>>(),
        })
    };
    format!("{:#}", diagnostics.iter().map(one).collect::<Value>())
}

/// SARIF 2.1.0 with one run.
pub fn sarif(diagnostics: &Diagnostics) -> String {
    let place = |at: &Location| {
        json!({
            "physicalLocation": {
                "artifactLocation": { "uri": at.file.display().to_string() },
                "region": { "startLine": at.line, "startColumn": at.column }
            }
        })
    };
    let one = |diagnostic: &Diagnostic| {
        let text = match &diagnostic.help {
            Some(help) => format!("{}; {help}", diagnostic.message),
            None => diagnostic.message.clone(),
        };
        let related = diagnostic.related.iter().map(|(at, word)| with(place(at), json!({ "text": word })));
        json!({
            "ruleId": "configuration",
            "level": word(diagnostic.severity),
            "message": { "text": text },
            "locations": diagnostic.at.iter().map(place).collect::<Vec<_>>(),
            "relatedLocations": related.collect::<Vec<_>>(),
        })
    };
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": [{ "id": "configuration", "shortDescription": { "text": "what is wrong with the configuration" } }]
            } },
            "results": diagnostics.iter().map(one).collect::<Vec<_>>(),
        }]
    });
    format!("{sarif:#}")
}
