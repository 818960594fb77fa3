//! Presets of access rules, through the real program.

use crate::harness::{Gateway, command};
use serde_json::{Value, json};
use std::process::Command;

const NOTES: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
stores: { main: { url: "sqlite::memory:" } }
resources:
  notes:
    store: main
    access: { preset: owner, field: author_id, except: { role: admin }, delete: { scope: "notes:delete" } }
    bulk: { upsert: title }
    fields:
      author_id: { type: string, set: $claims.sub }
      title: { type: string, required: true, unique: true }
plugins:
  login: { jwt: { issuer: shop, audiences: [shop], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
chains: { api: [login] }
routes:
  notes: { path: /notes, chain: api, resource: notes }
"#;

fn output(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn an_owner_is_the_account_of_the_token() {
    let gateway = Gateway::start(NOTES);
    let token = |subject: &str| {
        let mut command = command(gateway.folder());
        command.args(["token", "gateway.yaml", "--sub", subject]);
        format!("Bearer {}", output(command))
    };
    let (ann, bob) = (token("ann"), token("bob"));
    let send = |who: &str, method: &str, path: &str, body: &Value| {
        let headers = [("authorization", who), ("content-type", "application/json")];
        gateway.send(method, path, &headers, &if body.is_null() { String::new() } else { body.to_string() })
    };
    let made = send(&ann, "POST", "/notes", &json!({ "title": "x" }));
    assert_eq!((made.status, &made.json()["author_id"]), (201, &json!("ann")));
    let path = format!("/notes/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(send(&bob, "GET", &path, &Value::Null).status, 404);
    assert_eq!(send(&bob, "GET", "/notes", &Value::Null).json(), json!([]));
    assert_eq!(send(&ann, "GET", &path, &Value::Null).status, 200);
    assert_eq!(send(&ann, "DELETE", &path, &Value::Null).status, 403, "its own rule holds too");
    assert_eq!(gateway.get("/notes").status, 401);
}

#[test]
fn an_edit_of_rights_or_optional_fields_forgets_no_idempotency_key() {
    let gateway = Gateway::start(NOTES);
    let mut token = command(gateway.folder());
    token.args(["token", "gateway.yaml", "--sub", "ann"]);
    let ann = format!("Bearer {}", output(token));
    let send = || {
        let headers = [("authorization", &*ann), ("content-type", "application/json"), ("idempotency-key", "pay")];
        gateway.send("POST", "/notes", &headers, r#"{"title":"x"}"#)
    };
    let first = send();
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None));
    for (from, to) in [
        ("except: { role: admin }", "except: { role: support }"),
        ("delete: { scope: \"notes:delete\" }", "delete: { role: admin }"),
        (
            "author_id: { type: string, set: $claims.sub }",
            "extra: { type: string }\n      author_id: { type: string, set: $claims.sub }",
        ),
    ] {
        assert_eq!(gateway.reload(&NOTES.replace(from, to)).status, 200);
        let again = send();
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")), "{to}: {again:?}");
        assert_eq!(again.json()["id"], first.json()["id"]);
    }
}

#[test]
fn explain_shows_the_rule_as_it_is_applied() {
    let gateway = Gateway::start(NOTES);
    let explain = |arguments: &[&str]| {
        let mut command = command(gateway.folder());
        command.arg("explain").args(arguments).arg("gateway.yaml");
        output(command)
    };
    let own = "role admin or author_id = $claims.sub";
    for (method, path, line) in [
        ("GET", "/notes", format!("list: {own}, from `resources.notes.access.preset`")),
        ("PATCH", "/notes/7", format!("update: {own}, from `resources.notes.access.preset`")),
        ("DELETE", "/notes/7", format!("delete: scope notes:delete and ({own}), from `resources.notes.access.delete`")),
    ] {
        let text = explain(&[method, path]);
        assert!(text.contains(&line), "{text}");
    }
    let explained: Value = serde_json::from_str(&explain(&["PUT", "/notes", "--json"])).unwrap();
    let operations: Vec<_> = explained["access"].as_array().unwrap().iter().map(|one| &one["operation"]).collect();
    assert_eq!(operations, ["create", "update"]);
}
