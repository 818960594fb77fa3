//! House rules, checked against the source: the direction of imports, the length of files, and their first lines.

mod cycles;

use std::fs;
use std::path::{Path, PathBuf};

const LONGEST_FILE: usize = 400;

/// From left to right: no module imports one to its right, or one in the same row.
const ROWS: [&[&str]; 12] = [
    &["worker", "path", "field_list", "concurrency", "etag", "grpc", "tunnel"],
    &["config"],
    &["tls", "net"],
    &["terms"],
    &["admission", "telemetry"],
    &["services", "counters"],
    &["openapi"],
    &["upstream", "resource"],
    &["engine"],
    &["server", "admin"],
    &["gateway"],
    &["cli"],
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no source in {folder}");
    found
}

fn all_files() -> Vec<PathBuf> {
    ["src", "plugins", "tests", "benches"].into_iter().flat_map(rust_files).collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[test]
fn the_page_about_the_architecture_has_the_same_rows() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let shown: Vec<String> = cells.map(|cell| cell.replace('`', "")).collect();
    assert_eq!(shown, ROWS.map(|row| row.join(", ")));
}

/// Otherwise its tests would not run, and nothing would say so.
#[test]
fn each_file_is_compiled() {
    let mut forgotten = Vec::new();
    for path in ["src", "plugins", "tests"].into_iter().flat_map(rust_files) {
        let (folder, name) = (path.parent().unwrap(), path.file_stem().unwrap().to_str().unwrap());
        // The template is a workspace of its own, which `.ci/template` builds.
        if name == "main" || name == "lib" || path.starts_with(root().join("plugins/template")) {
            continue;
        }
        let parents = [folder.join("main.rs"), folder.join("lib.rs"), folder.with_extension("rs")];
        let text: String = parents.iter().filter_map(|parent| fs::read_to_string(parent).ok()).collect();
        let declared = |line: &str| {
            let word = line.strip_suffix(&format!("mod {name};"));
            word.is_some_and(|word| ["", "pub ", "pub(crate) ", "pub(super) "].contains(&word))
        };
        if !text.lines().any(declared) {
            forgotten.push(shown(&path));
        }
    }
    assert!(forgotten.is_empty(), "no module names {forgotten:?}");
}

#[test]
fn each_file_opens_with_a_sentence() {
    let silent: Vec<_> = (all_files().iter())
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//! "))
        .map(|path| shown(path))
        .collect();
    assert!(silent.is_empty(), "these files do not open with a `//!` sentence: {silent:?}");
}

#[test]
fn no_file_is_too_long() {
    let lines = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().count();
    let long: Vec<_> = (all_files().iter())
        .map(|path| (lines(path), shown(path)))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .collect();
    assert!(long.is_empty(), "these files have more than {LONGEST_FILE} lines: {long:?}");
}

/// The top-level module that a file of `src/` belongs to: `config` for `src/config/load.rs`.
fn module(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|modules| modules.contains(&module))
}

/// The modules that a file names through `crate::`.
fn named_modules(source: &str) -> Vec<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut modules = Vec::new();
    for piece in code.split("crate::").skip(1) {
        let word: String = piece.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if word.is_empty() {
            // `use crate::{a, b}`: the first name of every list item counts.
            let list: String = piece.trim_start_matches('{').chars().take_while(|c| *c != ';').collect();
            modules.extend(list.split(',').map(|item| item.trim().split("::").next().unwrap_or("").to_owned()));
        } else {
            modules.push(word);
        }
    }
    modules
}

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for path in rust_files("src") {
        let here = module(&path);
        let Some(here_row) = row(&here) else { continue };
        for named in named_modules(&fs::read_to_string(&path).unwrap()) {
            if row(&named).is_some_and(|there| there > here_row || (there == here_row && named != here)) {
                wrong.push(format!("{} names crate::{named}", shown(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "imports in the wrong direction: {wrong:#?}");
}

#[test]
fn every_module_has_its_row() {
    let unknown: Vec<_> = (rust_files("src").iter())
        .map(|path| module(path))
        .filter(|module| row(module).is_none() && module != "main" && module != "lib")
        .collect();
    assert!(unknown.is_empty(), "give these modules a row in this file: {unknown:?}");
}

#[test]
fn plugins_depend_on_the_contract_and_not_on_the_engine() {
    let manifest = fs::read_to_string(root().join("plugins/Cargo.toml")).unwrap();
    assert!(!manifest.lines().any(|line| line.starts_with("gatewright ") || line.starts_with("gatewright=")));
    // The template has a `main` of its own, which uses the engine.
    let template = root().join("plugins/template");
    let wrong: Vec<_> = (rust_files("plugins").iter())
        .filter(|path| !path.starts_with(&template))
        .filter(|path| fs::read_to_string(path).unwrap().contains("use gatewright::"))
        .map(|path| shown(path))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Each event has a `target`, where it comes from. A second one would be the same key twice in a line of JSON.
#[test]
fn no_event_has_a_field_with_the_name_of_its_target() {
    let is_field = |line: &str| line.trim_start().starts_with("target = ") && line.ends_with(',');
    assert!(is_field("    target = &**address,") && !is_field("    target: \"gatewright::upstream\","));
    let found: Vec<_> = (all_files().iter())
        .filter(|path| fs::read_to_string(path).unwrap().lines().any(is_field))
        .map(|path| shown(path))
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn nothing_is_left_unfinished() {
    let marks =
        [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["to", "do!("].concat(), ["unimple", "mented!("].concat()];
    let left: Vec<_> = (all_files().iter())
        .filter(|path| marks.iter().any(|mark| fs::read_to_string(path).unwrap().contains(mark)))
        .map(|path| shown(path))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn there_is_no_mod_rs() {
    let found: Vec<_> = all_files().iter().filter(|path| path.ends_with("mod.rs")).map(|path| shown(path)).collect();
    assert!(found.is_empty(), "{found:?}");
}
