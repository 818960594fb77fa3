//! `gatewright status` and `gatewright reload`.

use super::{err, out};
use crate::harness::{ADMIN_TOKEN, Gateway, HEAD, PATIENCE, command};
use serde_json::Value;
use std::process::Output;
use std::time::Instant;

const ROUTES: &str = "listeners: { web: { address: \"127.0.0.1:0\" } }\n\
                      routes: { root: { path: /, respond: { text: hello } } }\n";

/// Runs the program in the folder of the gateway, where the configuration has its token and port 0.
fn ask(gateway: &Gateway, arguments: &[&str]) -> Output {
    let mut command = command(gateway.folder());
    command.args(arguments).env("GATEWRIGHT_ADMIN_ADDRESS", gateway.admin.to_string());
    command.output().unwrap()
}

#[test]
fn the_status_is_readable_and_json_for_programs() {
    let gateway = Gateway::start(ROUTES);
    let status = ask(&gateway, &["status"]);
    let shown = out(&status);
    assert_eq!(status.status.code(), Some(0), "{}", err(&status));
    for part in [
        "generation   1, since 2",
        "started      2",
        &format!("listeners    web on {}", gateway.address),
        "traces       not exported",
        "rejected     no edit since then",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let json: Value = serde_json::from_slice(&ask(&gateway, &["status", "--format", "json"]).stdout).unwrap();
    assert_eq!(json["generation"], 1);
    assert_eq!(json["listeners"][0]["name"], "web");
    assert!(!shown.contains("maintenance") && !shown.contains("unhealthy"), "{shown}");
}

#[test]
fn the_status_lists_what_needs_attention() {
    let mut gateway = Gateway::start(
        r#"
listeners: { web: { address: "127.0.0.1:0" } }
maintenance: { enabled: true, except: [/down] }
upstreams:
  down:
    targets: [{ url: "http://127.0.0.1:1" }, { url: "http://127.0.0.1:2" }]
    health_checks:
      active: { tcp: true, interval: 50ms, unhealthy_after: 1 }
      passive: { consecutive_failures: 1, ejection_time: 1h }
routes: { down: { path: /down, upstream: down } }
"#,
    );
    gateway.wait_for_log(|line| line["message"] == "target is unhealthy" && line["upstream_target"] == "127.0.0.1:1");
    let shown = out(&ask(&gateway, &["status"]));
    assert!(shown.contains("\nmaintenance  on: requests get 503"), "{shown}");
    assert!(shown.contains("\nunhealthy    down 127.0.0.1:1 ("), "{shown}");
    assert!(!shown.contains("circuit open"), "{shown}");
}

#[test]
fn a_reload_prints_its_outcome() {
    let gateway = Gateway::start(ROUTES);
    let same = ask(&gateway, &["reload"]);
    assert_eq!(
        (out(&same).as_str(), same.status.code()),
        ("reloaded, though no file has changed: generation 2 is serving\n", Some(0))
    );
    std::fs::write(gateway.file(), format!("{HEAD}{}", ROUTES.replace("hello", "bye"))).unwrap();
    let changed = ask(&gateway, &["reload", "gateway.yaml"]);
    assert_eq!(out(&changed), "reloaded: generation 3 is serving\n", "{}", err(&changed));
    std::fs::write(gateway.file(), format!("{HEAD}{}", ROUTES.replace("path:", "pathh:"))).unwrap();
    let broken = ask(&gateway, &["reload"]);
    assert_eq!((out(&broken).as_str(), broken.status.code()), ("", Some(1)));
    let report = err(&broken);
    assert!(report.contains("--> ") && report.contains("`pathh`") && report.contains("= help:"), "{report}");
    assert!(report.ends_with("keeps serving the previous configuration\n"), "{report}");
    let status = out(&ask(&gateway, &["status"]));
    assert!(status.contains("generation   3") && status.contains("`pathh`"), "{status}");
    let json = ask(&gateway, &["reload", "--format", "json"]);
    assert_eq!(json.status.code(), Some(1));
    assert!(serde_json::from_slice::<Value>(&json.stdout).unwrap()["diagnostics"].is_array());
}

/// The edit was seen before the command ran: a second reload for it would change nothing.
#[test]
fn a_reload_for_an_edit_that_was_seen_makes_no_second_generation() {
    let head = HEAD.replace("watch: false", "watch: true, debounce: 20ms, poll: 200ms");
    let gateway = Gateway::start_whole(&format!("{head}{ROUTES}"));
    std::fs::write(gateway.file(), format!("{head}{}", ROUTES.replace("hello", "bye"))).unwrap();
    let until = Instant::now() + PATIENCE;
    while gateway.generation() < 2 {
        assert!(Instant::now() < until, "the edit was not seen");
    }
    assert_eq!(out(&ask(&gateway, &["reload"])), "reloaded: generation 2 is serving\n");
    assert_eq!(out(&ask(&gateway, &["reload"])), "reloaded, though no file has changed: generation 3 is serving\n");
}

#[test]
fn the_address_and_the_token_come_from_options_the_environment_the_file_or_the_running_gateway() {
    let gateway = Gateway::start(ROUTES);
    let address = gateway.admin.to_string();
    let elsewhere = tempfile::tempdir().unwrap();
    let status = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = command(elsewhere.path());
        command.arg("status").args(arguments).envs(environment.iter().copied()).output().unwrap()
    };
    let by_option = status(&["--address", &address, "--token", ADMIN_TOKEN], &[]);
    assert_eq!(by_option.status.code(), Some(0), "{}", err(&by_option));
    let url = format!("http://{address}/");
    let variables = [("GATEWRIGHT_ADMIN_ADDRESS", url.as_str()), ("GATEWRIGHT_ADMIN_TOKEN", ADMIN_TOKEN)];
    assert_eq!(status(&[], &variables).status.code(), Some(0));
    let wrong = status(&["--address", &address, "--token", "nonsense"], &[]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(err(&wrong).contains("rejected the admin token from --token"), "{}", err(&wrong));
    // The file gives both, and it is read even where the rest of it is broken.
    let file = format!(
        "version: 1\nadmin: {{ address: \"{address}\", token: \"${{file.token}}\" }}\nlisteners: {{}}\nroutes: {{ a: {{ }} }}\n"
    );
    std::fs::write(elsewhere.path().join("gateway.yaml"), file).unwrap();
    std::fs::write(elsewhere.path().join("token"), ADMIN_TOKEN).unwrap();
    let by_file = status(&[], &[]);
    assert_eq!(by_file.status.code(), Some(0), "{}", err(&by_file));
    // The gateway has rejected an edit of the address or the token.
    let edited = |address: &str, token: &str| {
        let file = format!("version: 1\nadmin: {{ address: \"{address}\", token: {token} }}\n");
        std::fs::write(elsewhere.path().join("gateway.yaml"), file).unwrap();
        err(&status(&[], &[]))
    };
    let moved = edited("127.0.0.1:9", ADMIN_TOKEN);
    assert!(moved.contains("still has the previous `admin.address`"), "{moved}");
    let replaced = edited(&address, &ADMIN_TOKEN.replace(|_| true, "x"));
    assert!(replaced.contains("still has the previous `admin.token`"), "{replaced}");
    std::fs::write(elsewhere.path().join("gateway.yaml"), "version: 1\n").unwrap();
    let none = err(&status(&[], &[]));
    assert!(none.contains("has no `admin` section, so"), "{none}");
    let without = format!("version: 1\nadmin: {{ address: \"{address}\" }}\n");
    std::fs::write(elsewhere.path().join("gateway.yaml"), without).unwrap();
    let state = elsewhere.path().join("state");
    std::fs::create_dir_all(state.join("gatewright")).unwrap();
    let token_file = state.join(format!("gatewright/admin-{}.token", gateway.admin.port()));
    std::fs::write(&token_file, format!("{ADMIN_TOKEN}\n")).unwrap();
    let variables = [("XDG_STATE_HOME", state.to_str().unwrap())];
    let by_running = status(&[], &variables);
    assert_eq!(by_running.status.code(), Some(0), "{}", err(&by_running));
    std::fs::remove_file(&token_file).unwrap();
    let missing = err(&status(&[], &variables));
    assert!(missing.contains("is running at the admin address") && missing.contains("help:"));
}

#[test]
fn a_gateway_that_does_not_respond_can_be_waited_for() {
    let gateway = Gateway::start(ROUTES);
    let nowhere = "127.0.0.1:9";
    let silent = ask(&gateway, &["status", "--address", nowhere]);
    assert_eq!(silent.status.code(), Some(1));
    assert!(err(&silent).contains("http://127.0.0.1:9/status did not respond"), "{}", err(&silent));
    let waited = ask(&gateway, &["reload", "--address", nowhere, "--wait=300ms"]);
    assert!(waited.status.code() == Some(1) && err(&waited).contains("did not respond"), "{}", err(&waited));
    assert_eq!(ask(&gateway, &["reload", "--wait"]).status.code(), Some(0));
    assert_eq!(ask(&gateway, &["status", "--address", "nonsense"]).status.code(), Some(2));
    let other = ask(&gateway, &["status", "--address", &gateway.address.to_string()]);
    assert!(err(&other).contains("is it the admin address of a gateway?"), "{}", err(&other));
}
