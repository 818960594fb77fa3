//! Broken configurations produce the expected diagnostics at the right lines.
//!
//! In each file in `tests/faults`, every line with a fault has a comment `# error: part of the message or help` (or `#
//! warning: …`). `check` must report all of them, and nothing else. Some warnings are given only for files without
//! errors, so there are also files with nothing but warnings.

use crate::harness::command;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;

pub fn check(file: &Path, format: &str) -> Output {
    let mut check = command(Path::new(env!("CARGO_MANIFEST_DIR")));
    check.env("NUMBER", "seven").env("HUSH", "hush-hush-7").env("RECURSIVE", "${env.RECURSIVE}");
    check.args(["check", "--deny-warnings", "--format", format]).arg(file).output().unwrap()
}

fn diagnostics(file: &Path) -> Vec<Value> {
    let output = check(file, "json");
    assert_eq!(output.status.code(), Some(1), "{}", file.display());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Files that are not valid YAML end in `.broken`, for the sake of other tools.
pub fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let known = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "broken");
    let mut files: Vec<_> = entries.filter(known).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The line, severity and text of each comment.
fn expected(text: &str) -> Vec<(u64, &str, &str)> {
    let mut expected = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        for (word, severity) in [("# error: ", "error"), ("# warning: ", "warning")] {
            expected.extend(text.split(word).nth(1).map(|part| (line, severity, part)));
        }
    }
    expected
}

fn is(diagnostic: &Value, (line, severity, part): (u64, &str, &str)) -> bool {
    let says = |key: &str| diagnostic[key].as_str().is_some_and(|text| text.contains(part));
    diagnostic["severity"] == severity && diagnostic["line"] == line && (says("message") || says("help"))
}

/// Unexpected and missing diagnostics.
fn wrong(file: &Path) -> Vec<String> {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file).unwrap();
    let (expected, found) = (expected(&text), diagnostics(file));
    let mut wrong = Vec::new();
    if expected.is_empty() {
        wrong.push(format!("{name} expects nothing"));
    }
    let missing = expected.iter().filter(|expected| !found.iter().any(|found| is(found, **expected)));
    wrong.extend(missing.map(|(line, _, part)| format!("{name}:{line} not reported: {part}")));
    let unexpected = found.iter().filter(|found| !expected.iter().any(|expected| is(found, *expected)));
    wrong.extend(unexpected.map(|found| format!("{name}: not expected: {found}")));
    let lines: Vec<_> = found.iter().filter_map(|found| found["line"].as_u64()).collect();
    if !lines.is_sorted() {
        wrong.push(format!("{name}: not in the order of the lines: {lines:?}"));
    }
    wrong
}

#[test]
fn each_fault_is_reported_at_its_line_and_nothing_else_is() {
    let wrong: Vec<_> = files().iter().flat_map(|file| wrong(file)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_report_shows_a_secret() {
    for file in files() {
        for format in ["human", "json", "sarif"] {
            let output = check(&file, format);
            let report = [output.stdout, output.stderr].concat();
            let report = String::from_utf8(report).unwrap().to_lowercase();
            assert!(!report.is_empty(), "{}", file.display());
            for secret in ["hush-hush-7", "0123456789", "12345678", "hunter2"] {
                assert!(!report.contains(secret), "{}: {report}", file.display());
            }
        }
    }
}
