//! `gatewright check`.

use super::{err, out, root, run, run_in, run_with};
use crate::harness::command;

const GOOD: &str = "version: 1\nlisteners: { web: { address: \"127.0.0.1:0\" } }\n\
                    routes: { root: { path: /, respond: { body_file: page.html } } }\n";

/// What `GOOD` gives a warning for.
const UNUSED: &str = "chains: { spare: [] }\n";

#[test]
fn check_says_where_and_what_to_do_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    std::fs::write(&file, "version: 1\nlistners: {}\nroutes: { a: { path: b, respond: {} } }\n").unwrap();
    let file = file.to_str().unwrap();
    let human = run(&["check", file]);
    let report = err(&human);
    assert_eq!(human.status.code(), Some(1));
    assert!(report.contains("bad.yaml:2:1") && report.contains("listeners"), "{report}");
    assert!(report.contains("bad.yaml:3:"), "{report}");
    let json: serde_json::Value = serde_json::from_slice(&run(&["check", file, "--format", "json"]).stdout).unwrap();
    assert!(json.as_array().unwrap().iter().any(|diagnostic| diagnostic["line"] == 2), "{json}");
    let sarif: serde_json::Value = serde_json::from_slice(&run(&["check", file, "--format", "sarif"]).stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
}

#[test]
fn check_prints_ok_and_how_many_warnings_there_are() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("page.html"), "hello").unwrap();
    for (more, line, strict) in [
        ("", "gateway.yaml: OK\n", 0),
        (UNUSED, "gateway.yaml: OK, 1 warning\n", 1),
        ("chains: { spare: [], more: [] }\n", "gateway.yaml: OK, 2 warnings\n", 1),
    ] {
        std::fs::write(folder.path().join("gateway.yaml"), format!("{GOOD}{more}")).unwrap();
        let checked = run_in(folder.path(), &["check", "gateway.yaml"]);
        assert_eq!((out(&checked).as_str(), checked.status.code()), (line, Some(0)), "{}", err(&checked));
        for word in ["--strict", "--deny-warnings"] {
            assert_eq!(run_in(folder.path(), &["check", word]).status.code(), Some(strict), "{more}{word}");
        }
    }
}

#[test]
fn a_report_is_safe_for_terminals_names_every_place_and_does_not_claim_to_count_all() {
    let folder = tempfile::tempdir().unwrap();
    let report = |yaml: &str| {
        std::fs::write(folder.path().join("gateway.yaml"), yaml).unwrap();
        err(&run_in(folder.path(), &["check"]))
    };
    let start = "version: 1\nlisteners: { web: { address: \"127.0.0.1:0\" } }\n";
    let keys = report(&format!("{start}\"a\\e[31mb\\nc\\u202e\": {{}}\nroutes: {{ \"d\\e[1m\": {{}} }}\n"));
    assert!(keys.contains("a\\u{1b}[31mb\\nc\\u{202e}") && keys.contains("d\\u{1b}[1m"), "{keys}");
    assert!(keys.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{keys:?}");
    // A line that is too long to be shown, as in a JSON file.
    let long =
        report(&format!("{start}routes: {{ a: {{ path: 1, respond: {{ text: \"{}\" }} }} }}\n", "x".repeat(3000)));
    assert!(long.contains("routes.a.path: ") && long.contains("gateway.yaml:3:22"), "{long}");
    let routes: String = (0..1100).map(|number| format!("  r{number}: {{ path: 1 }}\n")).collect();
    let many = report(&format!("{start}routes:\n{routes}"));
    assert!(many.contains("and at least 900 more") && many.contains("at least 1000 errors"), "{many}");
}

#[test]
fn values_of_queries_in_urls_are_masked() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "version: 1\nlisteners: { web: { address: \"127.0.0.1:0\" } }\n\
                upstreams: { a: { targets: [{ url: \"${env.UP}\" }] } }\n\
                plugins: { f: { forward_auth: { url: \"${env.FA}\" } } }\n\
                telemetry: { traces: { otlp: { endpoint: \"${env.OT}\" } } }\n\
                routes: { a: { path_prefix: /, plugins: [f], upstream: a } }\n";
    std::fs::write(folder.path().join("gateway.yaml"), yaml).unwrap();
    let mut check = command(folder.path());
    check.arg("check").env("UP", "http://h/?token=HUSH").env("FA", "ftp://h/x?key=HUSH");
    let report = err(&check.env("OT", "https://h:4318/?api-key=HUSH").output().unwrap());
    assert!(report.contains("https://h:4318/?api-key=***") && !report.contains("HUSH"), "{report}");
}

#[test]
fn a_pipe_is_read_and_its_paths_start_at_the_current_directory() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("page.html"), "hello").unwrap();
    for name in ["-", "/dev/stdin"] {
        let checked = run_with(folder.path(), &["check", name], GOOD);
        assert_eq!((out(&checked).as_str(), checked.status.code()), ("<stdin>: OK\n", Some(0)), "{}", err(&checked));
        let broken = run_with(folder.path(), &["check", name], &GOOD.replace("page", "nope"));
        let report = err(&broken);
        assert!(report.contains("<stdin>:3:") && report.contains("nope.html"), "{report}");
        assert_eq!(broken.status.code(), Some(1));
        let routes = run_with(folder.path(), &["routes", name], GOOD);
        assert!(out(&routes).contains("respond 200"), "{}", err(&routes));
        let explained = run_with(folder.path(), &["explain", "GET", "/", name], GOOD);
        assert!(out(&explained).contains("root"), "{}", err(&explained));
    }
    let nothing = run_with(folder.path(), &["check", "-"], "");
    assert!(err(&nothing).contains("the file is empty"), "{}", err(&nothing));
    let text = run_with(folder.path(), &["check", "-"], "a: \u{0}");
    assert!(err(&text).contains("NUL"), "{}", err(&text));
}

#[test]
fn the_output_of_a_command_is_read_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("page.html"), "hello").unwrap();
    std::fs::write(folder.path().join("template"), GOOD).unwrap();
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", "\"$0\" check <(cat template)", env!("CARGO_BIN_EXE_gatewright")]).current_dir(folder.path());
    let checked = shell.output().unwrap();
    assert!(out(&checked).starts_with("/dev/fd/") && out(&checked).ends_with(": OK\n"), "{checked:?}");
}

#[test]
fn what_a_pipe_includes_lies_below_the_current_directory() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(inside.join("page.html"), "hello").unwrap();
    std::fs::write(inside.join("more.yaml"), "routes: { more: { path: /more, respond: {} } }\n").unwrap();
    let included = run_with(&inside, &["routes", "-"], &format!("{GOOD}include: [more.yaml]\n"));
    assert!(out(&included).contains("/more"), "{}", err(&included));
    std::fs::rename(inside.join("more.yaml"), folder.path().join("more.yaml")).unwrap();
    std::os::unix::fs::symlink("../more.yaml", inside.join("more.yaml")).unwrap();
    let outside = run_with(&inside, &["check", "-"], &format!("{GOOD}include: [more.yaml]\n"));
    assert!(err(&outside).contains("is a symlink that points outside"), "{}", err(&outside));
}

#[test]
fn run_reads_no_pipe_and_gives_the_reason() {
    for name in ["-", "/dev/stdin"] {
        let refused = run_with(root(), &["run", name], GOOD);
        assert_eq!(refused.status.code(), Some(2));
        assert!(err(&refused).contains("a pipe can be read only once"), "{}", err(&refused));
    }
}

#[test]
fn a_default_of_a_secret_is_not_shown() {
    let mut command = command(root());
    let output = command.env_remove("JWT_SECRET").args(["check", "config/gateway.yaml"]).output().unwrap();
    let report = err(&output);
    assert!(report.contains("\"${env.JWT_SECRET:-***") && report.contains("*}\""), "{report}");
    assert!(!report.contains("change-me"), "{report}");
}

#[test]
fn a_file_without_a_place_is_shown_without_one_and_json_is_json_without_a_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wide.yaml"), b"\xff\xfev\0e\0").unwrap();
    for (file, message) in [("wide.yaml", "is UTF-16"), ("gone.yaml", "does not exist")] {
        let human = err(&run_in(folder.path(), &["check", file]));
        assert!(human.contains(message) && human.contains(&format!("--> {file}\n")), "{human}");
        let json = run_in(folder.path(), &["check", "--format", "json", file]);
        let found: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!((&found[0]["file"], &found[0]["line"]), (&file.into(), &serde_json::Value::Null), "{found}");
    }
    for format in ["json", "sarif"] {
        let nothing = run_in(folder.path(), &["check", "--format", format]);
        let report: serde_json::Value = serde_json::from_slice(&nothing.stdout).unwrap();
        assert!(report.to_string().contains("no configuration: neither"), "{report}");
        assert_eq!(nothing.status.code(), Some(1));
    }
}
