//! `gatewright init`: what it writes is valid, and serves what it says.

use super::{err, out, run_in, run_with};
use crate::harness::{ADMIN_TOKEN, Gateway, command, head_of};
use serde_json::json;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// The template of a kind.
fn template(kind: &str) -> String {
    out(&run_in(Path::new("."), &["init", kind, "-"]))
}

/// A gateway that runs the template of a kind, on free ports.
fn started(kind: &str, upstream: &str) -> Gateway {
    let upstream = upstream.to_owned();
    let program = move |folder: &Path| -> Command {
        let mut program = command(folder);
        program.env("PORT", "0").env("UPSTREAM", &upstream).env("GATEWRIGHT__ADMIN__ADDRESS", "127.0.0.1:0");
        program.env("GATEWRIGHT__ADMIN__TOKEN", ADMIN_TOKEN).env("GATEWRIGHT__TELEMETRY__LOGS__FORMAT", "json");
        program
    };
    Gateway::start_as(&template(kind), program)
}

#[test]
fn each_kind_is_valid_and_has_no_warning() {
    for kind in ["api", "proxy", "both"] {
        let checked = run_with(Path::new("."), &["check", "--strict", "-"], &template(kind));
        assert_eq!((out(&checked).as_str(), err(&checked).as_str()), ("<stdin>: OK\n", ""), "{kind}");
        assert!(template(kind).starts_with("# yaml-language-server: $schema=./gateway.schema.json\n"));
    }
}

#[test]
fn the_api_serves_notes() {
    let gateway = started("api", "");
    assert_eq!(gateway.json("POST", "/api/notes", &json!({ "title": "hello" })).status, 201);
    let notes = gateway.get("/api/notes?filter[title]=hello");
    assert!(notes.body.contains("hello") && notes.body.contains("created_at"), "{notes:?}");
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn the_proxy_and_both_lead_to_the_upstream() {
    for (kind, own) in [("proxy", "/ping"), ("both", "/api/notes")] {
        let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", upstream.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = upstream.accept().unwrap();
            let head = head_of(&mut stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\napp").unwrap();
            head
        });
        let gateway = started(kind, &url);
        assert_eq!(gateway.get(own).status, 200, "{kind}");
        assert_eq!(gateway.get("/some/page").body, "app", "{kind}");
        assert!(serving.join().unwrap().starts_with("get /some/page "), "{kind}");
    }
}

#[test]
fn init_writes_the_file_and_its_schema_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let first = run_in(folder, &["init"]);
    assert_eq!(first.status.code(), Some(0), "{}", err(&first));
    let printed = out(&first);
    assert!(printed.starts_with("wrote gateway.yaml and gateway.schema.json\n\n  gatewright  "), "{printed}");
    assert_eq!(printed.lines().count(), 5, "{printed}");
    let text = || std::fs::read_to_string(folder.join("gateway.yaml")).unwrap();
    assert_eq!(text(), template("both"));
    let schema = std::fs::read_to_string(folder.join("gateway.schema.json")).unwrap();
    assert_eq!(schema, out(&run_in(folder, &["schema"])));
    let again = run_in(folder, &["init", "proxy"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("gateway.yaml already exists; choose another name or use --force"), "{}", err(&again));
    assert_eq!(text(), template("both"));
    assert_eq!(run_in(folder, &["init", "proxy", "--force"]).status.code(), Some(0));
    assert_eq!(text(), template("proxy"));
    let other = run_in(folder, &["init", "deep/other.yaml", "--no-schema"]);
    assert!(out(&other).contains("gatewright run deep/other.yaml"), "{}", out(&other));
    assert!(!folder.join("deep/gateway.schema.json").exists());
    let without = std::fs::read_to_string(folder.join("deep/other.yaml")).unwrap();
    assert!(without.starts_with("# An API") && !without.contains("$schema"), "{without}");
    for name in ["new/", "there"] {
        std::fs::create_dir_all(folder.join("there")).unwrap();
        let within = run_in(folder, &["init", "api", name]);
        let name = name.trim_end_matches('/');
        let wrote = format!("wrote {name}/gateway.yaml and {name}/gateway.schema.json\n");
        assert!(out(&within).starts_with(&wrote), "{}{}", out(&within), err(&within));
        // The path in the modeline starts at the file.
        assert!(folder.join(name).join("./gateway.schema.json").exists());
    }
    assert_eq!(run_in(folder, &["init", "apy"]).status.code(), Some(2));
    assert_eq!(run_in(folder, &["init", "a.yaml", "b.yaml"]).status.code(), Some(2));
}
