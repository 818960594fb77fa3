//! Diagnostics for programs: a JSON array, or SARIF 2.1.0.

use crate::config::diagnostic::{Diagnostic, Diagnostics, Location, Severity};
use crate::config::pages;
use gatewright_sdk::Code;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// `place` with a message.
fn with(mut place: Value, message: Value) -> Value {
    if let Value::Object(place) = &mut place {
        place.insert("message".to_owned(), message);
    }
    place
}

/// A JSON array of objects with `severity`, `code`, `path`, `message`, `help`, `file`, `line`, `column`, `end_line`,
/// `end_column`, `related`. The end is exclusive.
pub fn json(diagnostics: &Diagnostics) -> String {
    let place = |at: &Location| {
        json!({
            "file": at.file.display().to_string(), "line": at.line, "column": at.column,
            "end_line": at.end_line, "end_column": at.end_column,
        })
    };
    let one = |diagnostic: &Diagnostic| {
        let related = diagnostic.related.iter().map(|(at, word)| with(place(at), word.as_str().into()));
        // A file as a whole has no line.
        let place = diagnostic.at.as_ref().filter(|at| at.line > 0);
        json!({
            "severity": word(diagnostic.severity),
            "code": diagnostic.code.id(),
            "path": diagnostic.path,
            "message": diagnostic.message,
            "help": diagnostic.help,
            "file": diagnostic.at.as_ref().map(|at| at.file.display().to_string()),
            "line": place.map(|at| at.line),
            "column": place.map(|at| at.column),
            "end_line": place.map(|at| at.end_line),
            "end_column": place.map(|at| at.end_column),
            "related": related.collect::<Vec<_>>(),
        })
    };
    format!("{:#}", diagnostics.iter().map(one).collect::<Value>())
}

/// A rule of SARIF, with the description from its page. A plugin's own code has no page.
fn rule(code: Code) -> Value {
    let mut rule = json!({ "id": code.id(), "name": code.name(), "shortDescription": { "text": code.title() } });
    if let (Some(page), Value::Object(rule)) = (pages::page(code.id()), &mut rule) {
        rule.insert("fullDescription".to_owned(), json!({ "text": page.meaning() }));
        rule.insert("help".to_owned(), json!({ "text": page.text, "markdown": page.text }));
    }
    rule
}

/// SARIF 2.1.0 with one run, whose rules are the codes that occur.
pub fn sarif(diagnostics: &Diagnostics) -> String {
    let place = |at: &Location| {
        let file = json!({ "uri": at.file.display().to_string() });
        if at.line == 0 {
            return json!({ "physicalLocation": { "artifactLocation": file } });
        }
        json!({
            "physicalLocation": {
                "artifactLocation": file,
                "region": {
                    "startLine": at.line, "startColumn": at.column,
                    "endLine": at.end_line, "endColumn": at.end_column,
                }
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
            "ruleId": diagnostic.code.id(),
            "level": word(diagnostic.severity),
            "message": { "text": text },
            "locations": diagnostic.at.iter().map(place).collect::<Vec<_>>(),
            "relatedLocations": related.collect::<Vec<_>>(),
        })
    };
    let codes: BTreeSet<Code> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "columnKind": "unicodeCodePoints",
            "tool": { "driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.into_iter().map(rule).collect::<Vec<_>>(),
            } },
            "results": diagnostics.iter().map(one).collect::<Vec<_>>(),
        }]
    });
    format!("{sarif:#}")
}
