//! API keys in files and in resources.

use super::{Gateway, echo, jwt, new_key, token, values};
use crate::harness::{Answer, HEAD};
use serde_json::json;

const FORWARD: &str =
    r#"forward: { headers: { request: { set: { x-user: "{auth.subject}", x-roles: "{auth.roles}" } } } }"#;

fn get(gateway: &Gateway, key: &str) -> Answer {
    gateway.send("GET", "/app", &[("x-api-key", key), ("x-user", "root")], "")
}

#[test]
fn keys_of_a_file_can_be_replaced_by_an_edit() {
    let ((first, first_hash), (second, second_hash)) = (new_key(), new_key());
    assert!(first.starts_with("gw_") && first.len() > 40 && first != second && first_hash.len() == 71);
    let yaml = format!(
        r#"{HEAD}listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
plugins:
  partners: {{ api_key: {{ keys: {{ file: keys.yaml }} }} }}
  {FORWARD}
upstreams: {{ app: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
routes: {{ app: {{ path: /app, plugins: [partners, forward], upstream: app }} }}
"#,
        upstream = echo(),
    );
    let keys = format!("- {{ owner: acme, hash: \"{first_hash}\", roles: [partner] }}\n");
    let gateway = Gateway::start_in(&[("gateway.yaml", &yaml), ("keys.yaml", &keys)]);
    let answer = get(&gateway, &first);
    assert_eq!((answer.status, values(&answer, "x-user")), (200, vec!["acme"]), "{answer:?}");
    assert_eq!(values(&answer, "x-roles"), ["partner"]);
    assert!(values(&answer, "x-api-key").is_empty(), "upstreams do not see the key");
    assert_eq!(get(&gateway, &second).status, 401);

    let edited = json!([{ "owner": "acme", "hash": second_hash }]).to_string();
    std::fs::write(gateway.folder().join("keys.yaml"), edited).unwrap();
    assert_eq!(gateway.admin("POST", "/reload").status, 200);
    assert_eq!((get(&gateway, &first).status, get(&gateway, &second).status), (401, 200));

    std::fs::write(gateway.folder().join("keys.yaml"), format!("- {{ owner: acme, hash: {first} }}")).unwrap();
    let refused = gateway.admin("POST", "/reload");
    assert!(refused.status >= 400 && refused.body.contains("GW0438") && !refused.body.contains(&first), "{refused:?}");
    assert_eq!((get(&gateway, &first).status, get(&gateway, &second).status), (401, 200));
}

fn with_resource() -> Gateway {
    Gateway::start(&format!(
        r#"listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
stores: {{ main: {{ url: "sqlite://data/keys.db" }} }}
resources:
  api_keys:
    store: main
    access: {{ default: {{ role: admin }} }}
    fields:
      key_hash:     {{ type: string, required: true, unique: true, write_only: true }}
      owner:        {{ type: string, required: true }}
      roles:        {{ type: json }}
      expires_at:   {{ type: datetime }}
      last_used_at: {{ type: datetime, read_only: true }}
plugins:
  {jwt}
  partners:
    api_key:
      keys: {{ resource: api_keys, field: key_hash, owner: owner, roles: roles, expires: expires_at, last_used: last_used_at }}
  {FORWARD}
upstreams: {{ app: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
routes:
  keys: {{ path: /api-keys, plugins: [login], resource: api_keys }}
  app:  {{ path: /app, plugins: [partners, forward], upstream: app }}
"#,
        jwt = jwt(),
        upstream = echo(),
    ))
}

#[test]
fn keys_of_a_resource_are_made_used_and_revoked_through_its_api() {
    let gateway = with_resource();
    let admin = format!("Bearer {}", token(&gateway, &["--sub", "root", "--role", "admin"]));
    let headers = [("authorization", admin.as_str()), ("content-type", "application/json")];
    let send = |method: &str, path: &str, body: serde_json::Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        gateway.send(method, path, if body.is_empty() { &headers[..1] } else { &headers }, &body)
    };
    let (key, hash) = new_key();
    assert_eq!(get(&gateway, &key).status, 401);
    let made = send("POST", "/api-keys", json!({ "key_hash": hash, "owner": "acme", "roles": ["partner"] }));
    assert_eq!(made.status, 201, "{made:?}");
    let path = made.header("location").unwrap().to_owned();
    assert!(!made.body.contains(&hash[7..]), "the hash is not shown");
    for _ in 0..2 {
        let answer = get(&gateway, &key);
        assert_eq!((answer.status, values(&answer, "x-user")), (200, vec!["acme"]), "{answer:?}");
        assert_eq!(values(&answer, "x-roles"), ["partner"]);
    }
    // The use is written in the background.
    let begun = std::time::Instant::now();
    let used = loop {
        let item = send("GET", &path, json!(null)).json();
        if !item["last_used_at"].is_null() || begun.elapsed() > crate::harness::PATIENCE {
            break item["last_used_at"].clone();
        }
        std::thread::yield_now();
    };
    assert!(used.as_str().is_some_and(|used| used.starts_with("20")), "{used}");

    let patched = send("PATCH", &path, json!({ "expires_at": "2020-01-01T00:00:00Z" }));
    assert_eq!((patched.status, get(&gateway, &key).status), (200, 401), "an expired key ends at once: {patched:?}");
    let patched = send("PATCH", &path, json!({ "expires_at": "2999-01-01T00:00:00Z" }));
    assert_eq!((patched.status, get(&gateway, &key).status), (200, 200));
    assert_eq!((send("DELETE", &path, json!(null)).status, get(&gateway, &key).status), (204, 401));
}

#[test]
fn changes_of_keys_are_in_the_audit_log_and_failed_ones_are_not() {
    let mut gateway = with_resource();
    let admin = format!("Bearer {}", token(&gateway, &["--sub", "root", "--role", "admin"]));
    let headers = [("authorization", admin.as_str()), ("content-type", "application/json")];
    let (_, hash) = new_key();
    let body = json!({ "key_hash": hash, "owner": "acme" }).to_string();
    assert_eq!(gateway.send("POST", "/api-keys", &headers[1..], &body).status, 401);
    let made = gateway.send("POST", "/api-keys", &headers, &body);
    assert_eq!(gateway.send("POST", "/api-keys", &headers, &body).status, 409);
    let (path, id) = (made.header("location").unwrap(), made.json()["id"].clone());
    assert_eq!(gateway.send("GET", path, &headers[..1], "").status, 200);
    assert_eq!(gateway.send("PATCH", path, &headers, r#"{ "owner": "other" }"#).status, 200);
    assert_eq!(gateway.send("PATCH", path, &headers, r#"{ "owner": 7 }"#).status, 400);
    assert_eq!(gateway.send("DELETE", path, &headers[..1], "").status, 204);
    assert_eq!(gateway.send("DELETE", path, &headers[..1], "").status, 404);
    let deleted = gateway.wait_for_log(|line| line["event"] == "api_key_deleted");
    assert_eq!((&deleted["target"], &deleted["client_ip"]), (&json!("gatewright::audit"), &json!("127.0.0.1")));
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    let log = gateway.whole_log();
    assert!(!log.contains(&hash[7..]), "no record has the hash");
    let records = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let records = records.filter(|line| line["event"].as_str().is_some_and(|event| event.starts_with("api_key_")));
    let seen: Vec<_> = records.map(|line| [&line["event"], &line["key_id"], &line["by"]].map(Clone::clone)).collect();
    let expected = ["api_key_created", "api_key_changed", "api_key_deleted"];
    assert_eq!(seen, expected.map(|event| [json!(event), id.clone(), json!("root")]));
}

#[test]
fn a_store_that_fails_lets_no_key_in() {
    let gateway = with_resource();
    let admin = format!("Bearer {}", token(&gateway, &["--sub", "root", "--role", "admin"]));
    let (key, hash) = new_key();
    let body = json!({ "key_hash": hash, "owner": "acme" }).to_string();
    let headers = [("authorization", admin.as_str()), ("content-type", "application/json")];
    assert_eq!(gateway.send("POST", "/api-keys", &headers, &body).status, 201);
    assert_eq!(get(&gateway, &key).status, 200);
    // The table is gone, as if someone else had dropped it.
    let file = gateway.folder().join("data/keys.db");
    let database = rusqlite::Connection::open(&file);
    let dropped = database.and_then(|database| database.execute_batch("DROP TABLE api_keys"));
    if dropped.is_ok() {
        for key in [&key, &"unknown".to_owned()] {
            let status = get(&gateway, key).status;
            assert!(status == 503 || status == 500, "{status}");
        }
    } else {
        panic!("the file is locked: {dropped:?}");
    }
}
