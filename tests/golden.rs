//! Compares the output of the program with the files in `tests/golden`: a refactoring leaves them unchanged.
//!
//! With `UPDATE_GOLDEN=1` in the environment the files are written again; their diff shows what the change does to
//! users.

mod edits;
mod mutations;

use crate::faults;
use crate::harness::{ADMIN_TOKEN, Gateway, command};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The documents written for this test, in `tests/golden/documents`. Other files there belong to them.
const DOCUMENTS: [&str; 3] = ["matching", "chains", "shop"];

/// Every secret in those documents and every value from the environment begins with this.
const HUSH: &str = "hush-hush";

/// Overrides for the test, so that a gateway uses free ports and can be queried.
const OVERLAY: [(&str, &str); 4] = [
    ("GATEWRIGHT__LISTENERS__WEB__ADDRESS", "127.0.0.1:0"),
    ("GATEWRIGHT__ADMIN__ADDRESS", "127.0.0.1:0"),
    ("GATEWRIGHT__ADMIN__TOKEN", ADMIN_TOKEN),
    ("GATEWRIGHT__TELEMETRY__LOGS__FORMAT", "json"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents that can be served, relative to [`root`].
fn good() -> Vec<PathBuf> {
    let examples = std::fs::read_dir(root().join("config/examples")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut examples: Vec<_> = examples.map(|name| Path::new("config/examples").join(name)).collect();
    examples.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    examples.sort();
    let own = DOCUMENTS.map(|name| PathBuf::from(format!("tests/golden/documents/{name}.yaml")));
    [vec!["config/gateway.yaml".into()], examples, own.to_vec()].concat()
}

fn program(folder: &Path) -> Command {
    let mut program = command(folder);
    program.env("HUSH", format!("{HUSH}-0"));
    program
}

/// Runs `said` for each of `subjects` in parallel, since starting processes takes most of the time.
fn each<T: Sync>(subjects: &[T], said: impl Fn(&T) -> String + Sync) -> String {
    const THREADS: usize = 4;
    let share = subjects.len().div_ceil(THREADS);
    std::thread::scope(|scope| {
        let said = &said;
        let shares =
            subjects.chunks(share).map(|share| scope.spawn(move || share.iter().map(said).collect::<String>()));
        let running: Vec<_> = shares.collect();
        running.into_iter().map(|share| share.join().unwrap()).collect()
    })
}

/// Compares `text` with the golden file of this name.
fn compare(name: &str, text: &str) {
    assert!(!text.contains(HUSH) && !text.contains(ADMIN_TOKEN), "{name} shows a secret:\n{text}");
    let file = root().join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, text).unwrap();
        return;
    }
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    let (was, is): (Vec<_>, Vec<_>) = (known.lines().collect(), text.lines().collect());
    let same = was.iter().zip(&is).take_while(|(was, is)| was == is).count();
    let after = was[same..].iter().rev().zip(is[same..].iter().rev()).take_while(|(was, is)| was == is).count();
    let shown = |lines: &[&str], sign: &str| -> String {
        lines[same..lines.len() - after].iter().take(40).fold(String::new(), |text, line| text + sign + line + "\n")
    };
    assert!(
        known == text,
        "tests/golden/{name} differs from line {} on; if that is meant, run UPDATE_GOLDEN=1 cargo test golden\n{}{}",
        same + 1,
        shown(&was, "-"),
        shown(&is, "+")
    );
}

#[test]
fn the_routes_of_a_document_are_shown_as_before() {
    let routes = |document: &PathBuf| {
        let output = program(root()).arg("routes").arg(document).output().unwrap();
        assert!(output.status.success(), "{}: {}", document.display(), String::from_utf8_lossy(&output.stderr));
        format!("# {}\n{}\n", document.display(), String::from_utf8(output.stdout).unwrap())
    };
    compare("routes.txt", &each(&good(), routes));
}

/// A document as JSON, with each entry of a section on its own line.
fn entries(document: &Value) -> String {
    let mut text = String::new();
    for (section, value) in document.as_object().unwrap() {
        match value.as_object() {
            Some(entries) => entries.iter().for_each(|(name, entry)| text += &format!("{section}.{name}: {entry}\n")),
            None => text += &format!("{section}: {value}\n"),
        }
    }
    text
}

#[test]
fn the_running_configuration_is_shown_as_before() {
    let running = |document: &PathBuf| {
        // In a separate folder, where tables may be created.
        let prepare = |folder: &Path| {
            for entry in std::fs::read_dir(root().join(document).parent().unwrap()).unwrap().map(Result::unwrap) {
                if entry.path().is_file() {
                    std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
                }
            }
            let mut program = program(folder);
            program.envs(OVERLAY).env("INTERNAL", "127.0.0.1:0");
            program
        };
        let gateway = Gateway::start_as(&std::fs::read_to_string(root().join(document)).unwrap(), prepare);
        format!("# {}\n{}\n", document.display(), entries(&gateway.admin("GET", "/config").json()))
    };
    compare("config.txt", &each(&good(), running));
}

/// A diagnostic as written by `check --format json`. Unknown keys fail, so that new ones are pinned too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Diagnostic {
    severity: String,
    code: String,
    path: String,
    message: String,
    help: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    end_line: Option<u32>,
    end_column: Option<u32>,
    related: Vec<Related>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Related {
    file: String,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    message: String,
}

/// `gateway.yaml:3:5-9` from the fifth character to before the ninth.
fn place(file: &str, (line, column): (u32, u32), (end_line, end): (u32, u32)) -> String {
    let end = if end_line == line { end.to_string() } else { format!("{end_line}:{end}") };
    format!("{file}:{line}:{column}-{end}")
}

/// The output of `check --format json`, in a form that people can compare.
fn diagnostics(output: &Output) -> String {
    let found: Vec<Diagnostic> = serde_json::from_slice(&output.stdout).unwrap();
    let mut text = format!("exit code {}\n", output.status.code().unwrap());
    for Diagnostic { severity, code, path, message, help, file, line, column, end_line, end_column, related } in found {
        let at = match (file, line, column, end_line, end_column) {
            (Some(file), Some(line), Some(column), Some(to), Some(end)) => place(&file, (line, column), (to, end)),
            nowhere => format!("{nowhere:?}"),
        };
        let _ = writeln!(text, "{at}: {severity}[{code}]: {message}\n    at `{path}`");
        // A help may name the file that was looked for.
        let here = root().display().to_string();
        help.iter().for_each(|help| text += &format!("    help: {}\n", help.replace(&here, "…")));
        for Related { file, line, column, end_line, end_column, message } in related {
            let at = place(&file, (line, column), (end_line, end_column));
            let _ = writeln!(text, "    {at}: {message}");
        }
    }
    text
}

#[test]
fn the_diagnostics_of_documents_are_unchanged() {
    let check = |document: &PathBuf| {
        let output = program(root()).args(["check", "--format", "json"]).arg(document).output().unwrap();
        format!("# {}\n{}\n", document.display(), diagnostics(&output))
    };
    compare("good.txt", &each(&good(), check));
}

#[test]
fn the_diagnostics_of_broken_documents_are_unchanged() {
    let check = |document: &PathBuf| {
        let document = document.strip_prefix(root()).unwrap();
        format!("# {}\n{}\n", document.display(), diagnostics(&faults::check(document, "json")))
    };
    compare("faults.txt", &each(&faults::files(), check));
}
