//! `gatewright healthcheck` queries the running process, and checks no file.

use crate::harness::{Gateway, HEAD, command};
use std::process::Output;

const ROUTES: &str = "routes: { root: { path: /, respond: { text: hello } } }\n";

fn listening(address: &str) -> String {
    format!("listeners: {{ web: {{ address: \"{address}\" }} }}\n{ROUTES}")
}

fn with_runtime_file(rest: &str) -> Gateway {
    let yaml = format!("{HEAD}{rest}");
    let mut gateway = Gateway::start_with(&[("gateway.yaml", &yaml)], &["--runtime-file", "state/runtime.json"]);
    // The addresses are logged before the file is written.
    gateway.wait_for_log(|line| line["message"] == "serving");
    gateway
}

fn ask(gateway: &Gateway, arguments: &[&str]) -> Output {
    command(gateway.folder()).arg("healthcheck").args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const FILE: [&str; 2] = ["--runtime-file", "state/runtime.json"];

#[test]
fn a_broken_file_on_disk_does_not_make_a_healthy_process_unhealthy() {
    let gateway = with_runtime_file(&listening("127.0.0.1:0"));
    for broken in ["version: 7\nlisteners: [", "", "listeners: { web: { address: \"127.0.0.1:1\" } }\n"] {
        std::fs::write(gateway.file(), broken).unwrap();
        let output = ask(&gateway, &FILE);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    std::fs::remove_file(gateway.file()).unwrap();
    assert_eq!(ask(&gateway, &FILE).status.code(), Some(0));
    assert_eq!(ask(&gateway, &["--address", &gateway.address.to_string()]).status.code(), Some(0));
}

#[test]
fn the_address_comes_from_a_flag_or_the_environment() {
    let gateway = Gateway::start(&format!("health: {{ ready: /ok }}\n{}", listening("127.0.0.1:0")));
    let port = gateway.address.port();
    for (address, live, code) in [
        (format!("127.0.0.1:{port}"), true, 0),
        (format!("http://127.0.0.1:{port}"), true, 0),
        (format!("0.0.0.0:{port}"), true, 0),
        (format!("localhost:{port}"), true, 0),
        (format!("127.0.0.1:{port}"), false, 1),
        (format!("http://127.0.0.1:{port}/ok"), false, 0),
        (format!("http://127.0.0.1:{port}/ok"), true, 2),
        (format!("https://127.0.0.1:{port}"), true, 1),
        ("not an address".to_owned(), true, 2),
        (String::from("127.0.0.1"), true, 2),
    ] {
        let live: &[&str] = if live { &["--live"] } else { &[] };
        let by_flag = ask(&gateway, &[&["--address", &address], live].concat());
        assert_eq!(by_flag.status.code(), Some(code), "{address} {live:?}: {}", said(&by_flag));
        assert_eq!(said(&by_flag).is_empty(), code == 0);
        let mut by_environment = command(gateway.folder());
        by_environment.arg("healthcheck").args(live).env("GATEWRIGHT_HEALTHCHECK_ADDRESS", &address);
        assert_eq!(by_environment.output().unwrap().status.code(), Some(code), "{address} {live:?}");
    }
}

#[test]
fn the_runtime_file_follows_reloads_and_is_removed_with_the_process() {
    let mut gateway = with_runtime_file(&listening("127.0.0.1:0"));
    let port = gateway.address.port();
    let edit = format!("health: {{ live: /alive, ready: /able }}\n{}", listening(&format!("0.0.0.0:{port}")));
    assert_eq!(gateway.reload(&edit).status, 200);
    for arguments in [&FILE[..], &["--live", FILE[0], FILE[1]]] {
        let output = ask(&gateway, arguments);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    let http2 = format!("listeners: {{ web: {{ address: \"[::]:{port}\", protocols: [http2] }} }}\n{ROUTES}");
    assert_eq!(gateway.reload(&http2).status, 200);
    let output = ask(&gateway, &FILE);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    let output = ask(&gateway, &FILE);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("state/runtime.json does not exist: no gateway is running with"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_process_that_is_gone_or_drains_is_not_ready() {
    let head = HEAD.replace("shutdown: { drain: 5s }", "shutdown: { grace: 60s, drain: 5s }");
    let yaml = format!("{head}{}", listening("127.0.0.1:0"));
    let mut gateway = Gateway::start_with(&[("gateway.yaml", &yaml)], &FILE);
    gateway.signal("TERM");
    gateway.wait_for_log(|line| line["message"] == "shutting down");
    assert_eq!(ask(&gateway, &FILE).status.code(), Some(1));
    assert_eq!(ask(&gateway, &["--live", FILE[0], FILE[1]]).status.code(), Some(0));
    gateway.signal("KILL");
    gateway.wait();
    let output = ask(&gateway, &FILE);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("did not respond"), "{}", said(&output));
}

#[test]
fn an_unwritable_runtime_file_aborts_the_start_before_anything_changes() {
    let folder = tempfile::tempdir().unwrap();
    let stored = "stores: { main: { url: \"sqlite://notes.db\" } }
resources: { notes: { store: main, fields: { text: { type: string } }, access: { default: authenticated } } }
listeners: { web: { address: \"127.0.0.1:0\" } }
routes: { notes: { path: /notes, resource: notes } }
";
    std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{stored}")).unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.path().join("link")).unwrap();
    for file in ["gateway.yaml/runtime.json", "folder", "gateway.yaml", "notes.txt", "link", "/dev/null"] {
        let output = command(folder.path()).args(["run", "gateway.yaml", "--runtime-file", file]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "as for any other start that is refused");
        assert!(
            said(&output).starts_with(&format!("error: cannot write the runtime file {file}: ")),
            "{}",
            said(&output)
        );
        assert_eq!(output.stdout, b"", "nothing listened");
        assert!(!folder.path().join("notes.db").exists(), "no store was touched");
    }
    let notes = std::fs::read_to_string(folder.path().join("notes.txt")).unwrap();
    assert_eq!(notes, "mine", "only a runtime file is replaced");
}

#[test]
fn a_missing_runtime_folder_does_not_end_a_process() {
    let mut gateway = with_runtime_file(&listening("127.0.0.1:0"));
    let state = gateway.folder().join("state");
    std::fs::remove_dir_all(&state).unwrap();
    assert_eq!(gateway.reload(&format!("health: {{ live: /a }}\n{}", listening("127.0.0.1:0"))).status, 200);
    assert_eq!(ask(&gateway, &FILE).status.code(), Some(0), "the folder is made again");
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::write(&state, "no folder").unwrap();
    assert_eq!(gateway.reload(&format!("health: {{ live: /b }}\n{}", listening("127.0.0.1:0"))).status, 200);
    gateway
        .wait_for_log(|line| line["message"].as_str().is_some_and(|m| m.starts_with("cannot write the runtime file")));
    assert_eq!(gateway.get("/").status, 200);
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
}
