//! A gateway with its own `main`: additional plugins and services work like the built-in ones.

use crate::harness::Gateway;
use std::path::{Path, PathBuf};
use std::process::Command;

const YAML: &str = "
listeners: { web: { address: \"127.0.0.1:0\", chain: edge } }
plugins:
  request-id: { request_id: {} }
  small: { body_limit: { max: 10B } }
  closed: { maintenance: { retry_after: 7 } }
chains: { edge: [request-id] }
routes:
  billing: { path_prefix: /billing, methods: [GET, POST], plugins: [small], service: billing }
  closed: { path: /closed, plugins: [closed], service: billing }
";

fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().and_then(Path::parent).unwrap().join("examples/own-gateway")
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(program());
    command.current_dir(folder).env_clear();
    command
}

#[test]
fn a_compiled_in_router_serves_a_route_behind_its_chain() {
    let yaml = crate::harness::HEAD.to_owned() + YAML;
    let gateway = Gateway::start_as(&yaml, command);
    let answer = gateway.get("/billing/7");
    assert_eq!(answer.json(), serde_json::json!({ "number": 7, "route": "billing", "subject": null }));
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(gateway.get("/billing/seven").status, 400, "an extractor refuses it");
    assert_eq!(gateway.get("/billing/a/b").status, 404, "the router has the last word");
    assert_eq!(gateway.send("POST", "/billing/7", &[], "more than ten").status, 413);
    assert_eq!(gateway.send("PUT", "/billing/7", &[], "").status, 405);
    let closed = gateway.get("/closed");
    assert_eq!((closed.status, closed.header("retry-after")), (503, Some("7")));
    assert_eq!(gateway.get("/billing/broken").status, 500, "a panic is caught");
    assert_eq!(gateway.get("/billing/8").status, 200);
    let refused = gateway.reload(&YAML.replace("service: billing }\n  closed", "service: biling }\n  closed"));
    assert!(refused.body.contains("service `biling` is not registered"), "{}", refused.body);
    assert!(refused.body.contains("did you mean `billing`"), "{}", refused.body);
    let reloaded = gateway.reload(&YAML.replace("/billing,", "/billing/8,"));
    assert_eq!(reloaded.status, 200, "{}", reloaded.body);
    assert_eq!([gateway.get("/billing/7").status, gateway.get("/billing/8").status], [404, 200]);
}

const FRAGILE: &str = "
listeners: { web: { address: \"127.0.0.1:0\" } }
plugins: { guard: { fragile: { panics_in: NOTHING } } }
routes: { guarded: { path: /guarded, plugins: [guard], service: billing } }
";

#[test]
fn a_plugin_that_panics_opens_nothing() {
    let with = |place: &str| FRAGILE.replace("NOTHING", place).replace("path: /guarded", "path_prefix: /billing");
    let gateway = Gateway::start_as(&(crate::harness::HEAD.to_owned() + &with("nothing")), command);
    let ask = |headers: &[(&str, &str)]| gateway.send("GET", "/billing/7", headers, "").status;
    let pass = [("x-pass", "me")];
    assert_eq!([ask(&pass), ask(&[])], [200, 403]);
    for place in ["compile", "install"] {
        let refused = gateway.reload(&with(place));
        assert!(refused.status >= 400, "{place}: {refused:?}");
        assert_eq!([ask(&pass), ask(&[])], [200, 403], "the plugin that worked is still there: {place}");
    }
    assert_eq!(gateway.reload(&with("decide")).status, 200);
    assert_eq!([ask(&pass), ask(&[])], [500, 500]);
    assert_eq!(gateway.reload(&with("nothing")).status, 200);
    assert_eq!([ask(&pass), ask(&[])], [200, 403]);
}

#[test]
fn the_schema_contains_compiled_in_plugins() {
    let output = command(Path::new(".")).arg("schema").output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema.pointer("/definitions/Plugin/properties/maintenance").is_some());
}
