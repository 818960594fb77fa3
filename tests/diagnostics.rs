//! Every code of a diagnostic has a page, and every page is true: its wrong example yields the code, its right one is valid.

use crate::harness::command;
use gatewright_sdk::Code;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Codes without examples, because their cause is outside the file.
const OUTSIDE: [(Code, &str); 19] = [
    (Code::NESTED_EXPANSION, "the value of an environment variable"),
    (Code::OVERRIDE, "the name of an environment variable"),
    (Code::PLUGIN_PANICKED, "a bug in a plugin"),
    (Code::TABLE_CHANGE, "the tables of a database"),
    (Code::FOREIGN_TABLE, "the tables of a database"),
    (Code::STORE_MOVED, "the running configuration"),
    (Code::HIDDEN_VALUES, "the tables of a database"),
    (Code::STORE_PLACE, "the working directory"),
    (Code::UNEVEN_VALUES, "the tables of a database"),
    (Code::ACTING_KEY, "the tables of a database"),
    (Code::KEPT_DUPLICATES, "the tables of a database"),
    (Code::ADDRESS_IN_USE, "other programs"),
    (Code::ADDRESS_UNUSABLE, "the addresses of this machine"),
    (Code::TLS_FILE, "the content of files"),
    (Code::CERTIFICATE_DATES, "the date"),
    (Code::PROTECTION_LOST, "the running configuration"),
    (Code::STORE_UNAVAILABLE, "the state of a file"),
    (Code::SHARED_FILE, "links in the file system"),
    (Code::INTERNAL, "a bug in the gateway"),
];

/// The files that the right examples refer to.
const FILES: [(&str, &str); 3] = [
    ("secrets/admin-token", "4f0c2a9be1d87356a0c4b8e2f1d93a67\n"),
    (
        "specs/orders.yaml",
        "openapi: 3.1.0\npaths: { /orders: { get: { responses: { 200: { description: All orders. } } } } }\n",
    ),
    ("routes.d/orders.yaml", "routes: { orders: { path: /orders, respond: { text: orders } } }\n"),
];

/// The headings of the index, each with the beginning of its codes.
const SUBJECTS: [(&str, &str); 8] = [
    ("GW01", "Files, YAML and `${…}`"),
    ("GW02", "Types, keys and values"),
    ("GW03", "Names and references"),
    ("GW04", "Plugins, and their order in chains"),
    ("GW05", "Routes, upstreams and listeners"),
    ("GW06", "Resources and stores"),
    ("GW07", "Administration, telemetry and the process"),
    ("GW08", "Starting and reloading"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics")
}

fn page(code: Code) -> String {
    fs::read_to_string(folder().join(format!("{code}.md"))).unwrap_or_else(|_| panic!("{code} has no page"))
}

/// The examples of a page that are marked with `mark`.
fn examples<'a>(page: &'a str, mark: &str) -> Vec<&'a str> {
    page.split(&format!("\n```yaml {mark}\n")).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

/// The codes that `check` reports.
fn codes(document: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in FILES {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    if document.contains("certs/") {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        fs::create_dir_all(folder.path().join("certs")).unwrap();
        for (name, pem) in [("tls.crt", &certificate), ("tls.key", &key.serialize_pem()), ("clients.crt", &certificate)]
        {
            fs::write(folder.path().join("certs").join(name), pem).unwrap();
        }
    }
    fs::write(folder.path().join("gateway.yaml"), document).unwrap();
    let output = command(folder.path()).args(["check", "--format", "json", "gateway.yaml"]).output().unwrap();
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    found.iter().map(|found| found["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages: BTreeSet<String> = entries.filter(|name| name != "README.md").collect();
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
    assert_eq!(pages, codes);
    for code in Code::ALL {
        let page = page(*code);
        assert!(page.starts_with(&format!("# {code}: {}\n\n", code.title())), "{code}: {page}");
        let outside = OUTSIDE.iter().any(|(other, _)| other == code);
        assert_eq!(examples(&page, "wrong").is_empty(), outside, "{code} has no example");
        assert_eq!(examples(&page, "right").is_empty(), outside, "{code} has no example");
    }
}

#[test]
fn a_wrong_example_yields_its_code_and_a_right_one_nothing() {
    let mut untrue = Vec::new();
    for code in Code::ALL {
        let page = page(*code);
        for wrong in examples(&page, "wrong") {
            let found = codes(wrong);
            if !found.contains(&code.to_string()) {
                untrue.push(format!("the wrong example of {code} yields {found:?}"));
            }
        }
        for right in examples(&page, "right") {
            let found = codes(right);
            if !found.is_empty() {
                untrue.push(format!("the right example of {code} yields {found:?}"));
            }
        }
    }
    assert!(untrue.is_empty(), "{}", untrue.join("\n"));
}

#[test]
fn the_index_lists_every_code() {
    let mut text = "# Diagnostics\n\n".to_owned()
        + "Every error and warning about a configuration has a code. Codes are stable: you can search for them and filter\n"
        + "by them. `gatewright check --explain GW0201` prints its page.\n";
    for (start, subject) in SUBJECTS {
        let _ = write!(text, "\n## {start}xx: {subject}\n\n| Code | Meaning |\n|---|---|\n");
        for code in Code::ALL.iter().filter(|code| code.id().starts_with(start)) {
            let _ = writeln!(text, "| [{code}]({code}.md) | {} |", code.title());
        }
    }
    let file = folder().join("README.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(file).unwrap_or_default(), text, "UPDATE_GOLDEN=1 writes the index");
}

#[test]
fn a_code_is_explained_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let explain = |code: &str| command(folder.path()).args(["check", "--explain", code]).output().unwrap();
    let page = explain("GW0201");
    let text = String::from_utf8(page.stdout).unwrap();
    assert!(page.status.success() && text.starts_with("GW0201: unknown key\n\n"), "{text}");
    assert!(
        text.contains("\nWrong:\n    version: 1\n") && text.contains("\nRight:\n") && !text.contains("```"),
        "{text}"
    );
    assert!(!String::from_utf8(explain("GW0803").stdout).unwrap().contains("<!--"));
    for written in ["gw0201", "0201", "201"] {
        assert_eq!(String::from_utf8(explain(written).stdout).unwrap(), text, "{written}");
    }
    let unknown = explain("GW0291");
    let message = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{message}");
    assert!(message.starts_with("error: there is no code `GW0291`; similar codes:\n"), "{message}");
    assert!(message.contains("  GW0201  unknown key\n"), "{message}");
}

#[test]
fn sarif_has_a_rule_for_each_code_that_occurs() {
    let folder = tempfile::tempdir().unwrap();
    let document = "version: 1\nlisteners: { web: { adress: \"127.0.0.1:3000\" } }\nchains: { api: [nothing] }\n";
    fs::write(folder.path().join("gateway.yaml"), document).unwrap();
    let output = command(folder.path()).args(["check", "--format", "sarif", "gateway.yaml"]).output().unwrap();
    let sarif: Value = serde_json::from_slice(&output.stdout).unwrap();
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let ids: Vec<_> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["GW0201", "GW0301"]);
    assert_eq!(
        (&rules[0]["name"], &rules[0]["shortDescription"]["text"]),
        (&"UnknownKey".into(), &"unknown key".into())
    );
    let meaning = rules[0]["fullDescription"]["text"].as_str().unwrap();
    assert!(meaning.starts_with("The key is not valid here.") && meaning.ends_with('.'), "{meaning}");
    let result = &run["results"][0];
    assert_eq!(result["ruleId"], "GW0201");
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!((&region["startLine"], &region["startColumn"]), (&2.into(), &21.into()));
    assert_eq!((&region["endLine"], &region["endColumn"]), (&2.into(), &27.into()));
}
