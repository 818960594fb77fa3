//! The command line as a person uses it.

use crate::harness::command;
use std::path::Path;
use std::process::Output;

fn run(arguments: &[&str]) -> Output {
    command(Path::new(env!("CARGO_MANIFEST_DIR"))).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn help_names_every_command() {
    let help = out(&run(&["--help"]));
    for word in ["run", "check", "schema", "routes", "token", "healthcheck"] {
        assert!(help.contains(word), "{help}");
    }
}

#[test]
fn check_reports_the_place_and_the_fix_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    std::fs::write(&file, "version: 1\nlistners: {}\nroutes: { a: { path: b, respond: {} } }\n").unwrap();
    let file = file.to_str().unwrap();
    let human = run(&["check", file]);
    let report = String::from_utf8(human.stderr).unwrap();
    assert_eq!(human.status.code(), Some(1));
    assert!(report.contains("bad.yaml:2:1") && report.contains("listeners"), "{report}");
    assert!(report.contains("bad.yaml:3:"), "{report}");
    let json: serde_json::Value = serde_json::from_slice(&run(&["check", file, "--format", "json"]).stdout).unwrap();
    assert!(json.as_array().unwrap().iter().any(|diagnostic| diagnostic["line"] == 2), "{json}");
    let sarif: serde_json::Value = serde_json::from_slice(&run(&["check", file, "--format", "sarif"]).stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
}

#[test]
fn run_refuses_a_bad_file_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.yaml"), "version: 2\n").unwrap();
    let output = command(folder.path()).args(["run", "bad.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("version"));
}

#[test]
fn routes_are_a_table() {
    let table = out(&run(&["routes", "config/examples/jwt.yaml"]));
    let row = table.lines().find(|line| line.starts_with("admin")).unwrap();
    assert!(row.contains("/admin") && row.contains("login, only-admin") && row.contains("respond 200"), "{table}");
}

#[test]
fn a_token_is_refused_in_production() {
    let file = "config/examples/jwt.yaml";
    let good = run(&["token", "--config", file, "--sub", "ada"]);
    assert_eq!(out(&good).trim().split('.').count(), 3);
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    std::fs::write(folder.path().join("p.yaml"), format!("{text}\nenvironment: production\n")).unwrap();
    let refused = command(folder.path()).args(["token", "--config", "p.yaml", "--sub", "ada"]).output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("production"));
}

#[test]
fn a_closed_output_does_not_panic() {
    for arguments in [&["schema"][..], &["routes", "config/gateway.yaml"], &["check", "config/gateway.yaml"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(Path::new(env!("CARGO_MANIFEST_DIR")));
        let status = command.args(arguments).stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_default_of_a_secret_is_not_shown() {
    let mut command = command(Path::new(env!("CARGO_MANIFEST_DIR")));
    let output = command.env_remove("JWT_SECRET").args(["check", "config/gateway.yaml"]).output().unwrap();
    let report = String::from_utf8(output.stderr).unwrap();
    assert!(report.contains("\"${env.JWT_SECRET:-***") && report.contains("*}\""), "{report}");
    assert!(!report.contains("change-me"), "{report}");
}
