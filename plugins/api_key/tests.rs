//! `api_key`: who gets in, and which files are refused.

use super::*;
use gatewright_sdk::items::{Finding, Items, ItemsError, Resources};
use gatewright_sdk::testing::{Nothing, answers, bytes, compile, header, install, request};
use gatewright_sdk::{Facts, HttpService, Keep, Needs, Place, Refusal, Request, Services};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

fn hash(key: &str) -> String {
    check::written(&Sha256::digest(key.as_bytes()).into())
}

struct File(PathBuf);

impl File {
    fn new(content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("api-keys-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn settings(&self) -> Value {
        json!({ "keys": { "file": self.0 } })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn echo() -> HttpService {
    answers(|request: Request| {
        let identity = Facts::of(&request).identity.clone();
        let sent = request.headers().contains_key("x-api-key");
        identity.map_or(format!("no one {sent}"), |id| {
            let (roles, scopes): (Vec<_>, Vec<_>) = (id.roles().collect(), id.scopes().collect());
            let extra = ["sub", "key_id", "plan"].map(|claim| id.claims.get(claim).cloned().unwrap_or_default());
            format!("{} {} {roles:?} {scopes:?} {} {sent}", id.method, id.subject, Value::from(extra.to_vec()))
        })
    })
}

async fn ask(service: &HttpService, keys: &[&str]) -> (u16, String) {
    let headers: Vec<_> = keys.iter().map(|key| ("x-api-key", *key)).collect();
    let response = service.call(request("GET", &headers)).await;
    let status = response.status().as_u16();
    if status == 401 {
        assert_eq!(header(&response, "www-authenticate"), "ApiKey header=\"x-api-key\"");
    }
    let reason = response.extensions().get::<Refusal>().map(|refusal| refusal.reason.to_string());
    (status, reason.unwrap_or(String::from_utf8(bytes(response).await).unwrap()))
}

#[tokio::test]
async fn keys_of_a_file_prove_their_owner() {
    let file = File::new(&format!(
        r#"
- {{ id: k1, owner: acme, hash: "{}", scopes: [read, write], roles: [partner], claims: {{ plan: pro }} }}
- {{ owner: old, hash: "{}", expires: 2020-01-01 }}
- {{ owner: new, hash: "{}", expires: "2999-12-31T23:59:59+01:00" }}
- {{ owner: day, hash: "{}", expires: 9999-12-31 }}
- {{ owner: end, hash: "{}", expires: "9999-12-31T23:59:59.999999Z" }}
"#,
        hash("first"),
        hash("second"),
        hash("third").to_uppercase().replace("SHA256", "sha256"),
        hash("fourth"),
        hash("fifth"),
    ));
    let service = install::<ApiKey>(file.settings(), echo());
    let long = "x".repeat(600);
    for (keys, status, outcome) in [
        (&["first"][..], 200, r#"api_key acme ["partner"] ["read", "write"] ["acme","k1","pro"] false"#),
        (&["third"], 200, r#"api_key new [] [] ["new",null,null] false"#),
        (&["fourth"], 200, r#"api_key day [] [] ["day",null,null] false"#),
        (&["fifth"], 200, r#"api_key end [] [] ["end",null,null] false"#),
        (&["second"], 401, "expired"),
        (&["First"], 401, "unknown_key"),
        (&["first "], 401, "unknown_key"),
        (&[""], 401, "malformed"),
        (&[&long], 401, "malformed"),
        (&[], 401, "missing"),
        (&["first", "first"], 400, "several_credentials"),
    ] {
        assert_eq!(ask(&service, keys).await, (status, outcome.to_owned()), "{keys:?}");
    }
    let mut settings = file.settings();
    settings["on_missing"] = "continue".into();
    settings["forward"] = true.into();
    let service = install::<ApiKey>(settings, echo());
    assert_eq!(ask(&service, &[]).await, (200, "no one false".to_owned()));
    assert!(ask(&service, &["first"]).await.1.ends_with("true"));
    assert_eq!(ask(&service, &["no"]).await.0, 401);
}

#[test]
fn files_that_cannot_be_used_are_reported_without_their_content() {
    let good = hash("first");
    for (content, message) in [
        ("- { owner: acme, hash: \"S3CRET\" }".to_owned(), "key 1 (`acme`): `hash` is not"),
        ("- { owner: acme, hash: \"sha256:S3CRET\" }".to_owned(), "key 1 (`acme`): `hash` is not"),
        (format!("- {{ owner: \" \", hash: \"{good}\" }}"), "`owner` is empty"),
        (format!("- {{ owner: a, hash: \"{good}\", expires: soon }}"), "`expires` is not a date or time"),
        (format!("- {{ owner: a, hash: \"{good}\", expires: 9999-12-32 }}"), "`expires` is not a date or time"),
        (
            format!("- {{ owner: a, hash: \"{good}\" }}\n- {{ id: b, owner: b, hash: \"{good}\" }}"),
            "key 2 (`b`): the same key",
        ),
        (
            format!("- {{ id: x, owner: a, hash: \"{good}\" }}\n- {{ id: x, owner: b, hash: \"{}\" }}", hash("second")),
            "key 2 (`x`): key 1 has the same `id`",
        ),
        (format!("- {{ owner: a, hash: \"{good}\", key: S3CRET }}"), "line 1: unknown field `key`"),
        ("- { owner: a }".to_owned(), "missing field `hash`"),
        ("S3CRET".to_owned(), "not a list of keys"),
        ("- [S3CRET".to_owned(), "not a list of keys"),
    ] {
        let file = File::new(&content);
        let found = compile::<ApiKey>(file.settings(), false).faults;
        assert_eq!(found.len(), 1, "{content}: {found:?}");
        assert!(found[0].message.contains(message) && found[0].path == "keys.file", "{content}: {}", found[0].message);
        assert!(!format!("{found:?}").contains("S3CRET"), "{found:?}");
    }
    for (keys, messages) in [
        (json!({}), &["no keys"][..]),
        (json!({ "file": "missing" }), &["cannot read missing: it"]),
        (json!({ "file": "missing", "resource": "keys" }), &["`file` and `resource` are both set", "cannot read"]),
        (json!({ "resource": "keys" }), &["`field` is required", "`owner` is required"]),
        (json!({ "file": "missing", "owner": "o" }), &["`owner` applies only to a `resource`", "cannot read"]),
    ] {
        let found = compile::<ApiKey>(json!({ "keys": keys }), false).faults;
        let matches = found.iter().zip(messages).all(|(fault, message)| fault.message.starts_with(message));
        assert!(found.len() == messages.len() && matches, "{keys}: {found:?}");
    }
}

#[test]
fn a_file_without_keys_is_a_warning_and_an_empty_file_an_error() {
    for (content, faults, warnings) in [("[]", 0, 1), ("# none yet\n[]\n", 0, 1), ("", 1, 0), (" \n", 1, 0)] {
        let file = File::new(content);
        let compiled = compile::<ApiKey>(file.settings(), false);
        assert_eq!((compiled.faults.len(), compiled.warnings.len()), (faults, warnings), "{content:?}");
    }
}

/// One table of keys.
#[derive(Default)]
struct Table {
    items: Mutex<Map<String, Value>>,
    touched: Mutex<Vec<String>>,
    broken: Mutex<bool>,
    later: bool,
}

impl Items for Table {
    fn find(&self, key: &str) -> Finding {
        let item = self.items.lock().get(key).and_then(Value::as_object).cloned();
        let found = if *self.broken.lock() { Err(ItemsError("disk full".to_owned())) } else { Ok(item) };
        if self.later { Finding::Pending(Box::pin(async move { found })) } else { Finding::Ready(found) }
    }

    fn touch(&self, key: &str) {
        self.touched.lock().push(key.to_owned());
    }
}

struct Tables(Arc<Table>);

impl Resources for Tables {
    fn items(&self, lookup: &Lookup) -> Option<Arc<dyn Items>> {
        assert_eq!((lookup.resource.name.as_str(), lookup.key.setting.name.as_str()), ("api_keys", "key_hash"));
        Some(Arc::clone(&self.0) as Arc<dyn Items>)
    }
}

#[tokio::test]
async fn keys_of_a_resource_prove_their_owner_and_fail_closed() {
    let settings = json!({ "keys": {
        "resource": "api_keys", "field": "key_hash", "owner": "owner", "scopes": "scopes", "roles": "roles",
        "expires": "expires_at", "last_used": "last_used_at", "claims": ["plan"],
    } });
    for later in [false, true] {
        let table = Arc::new(Table { later, ..Table::default() });
        let item = |key: &str, item: Value| drop(table.items.lock().insert(hash(key), item));
        item("first", json!({ "id": "k1", "owner": "acme", "scopes": "read write", "roles": ["a"], "plan": "pro" }));
        item("second", json!({ "id": "k2", "owner": "old", "expires_at": "2020-01-01T00:00:00.000000Z" }));
        item("third", json!({ "id": "k3", "owner": "new", "expires_at": "2999-01-01T00:00:00.000000Z" }));
        item("fourth", json!({ "id": "k4" }));
        item("last", json!({ "id": "k5", "owner": "end", "expires_at": "9999-12-31T00:00:00.000000Z" }));
        let compiled = compile::<ApiKey>(settings.clone(), false);
        let (keep, needs, tables) = (Keep::default(), Needs::default(), Tables(Arc::clone(&table)));
        let services: Arc<dyn Services> = Arc::new(Nothing);
        let (exposed, resources) = ([], &tables);
        let place = Place {
            name: "a/keys",
            plugin: "keys",
            keep: &keep,
            exposed: &exposed,
            services: &services,
            resources,
            needs: &needs,
            stores: &gatewright_sdk::Stores::default(),
            usages: &gatewright_sdk::Usages::default(),
        };
        let service = compiled.act.unwrap().install(&place, |_| Vec::new(), false, echo());
        let acme = r#"api_key acme ["a"] ["read", "write"] ["acme","k1","pro"] false"#;
        for (key, status, outcome) in [
            ("first", 200, acme),
            ("first", 200, acme),
            ("third", 200, r#"api_key new [] [] ["new","k3",null] false"#),
            ("last", 200, r#"api_key end [] [] ["end","k5",null] false"#),
            ("second", 401, "expired"),
            ("fourth", 401, "no_owner"),
            ("fifth", 401, "unknown_key"),
        ] {
            assert_eq!(ask(&service, &[key]).await, (status, outcome.to_owned()), "{key}");
        }
        assert_eq!(
            *table.touched.lock(),
            [hash("first"), hash("third"), hash("last")],
            "once a minute, and only valid keys"
        );
        *table.broken.lock() = true;
        assert_eq!(ask(&service, &["first"]).await, (503, "keys_unavailable".to_owned()));
        *table.broken.lock() = false;
        table.items.lock().remove(&hash("first"));
        assert_eq!(ask(&service, &["first"]).await, (401, "unknown_key".to_owned()), "a deleted key ends at once");
    }
}
