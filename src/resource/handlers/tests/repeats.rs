//! Rows C23 to C27: creates that are repeated with an `Idempotency-Key`.

use super::*;
use crate::resource::contract::Found;
use crate::resource::store::{Sql, Statement};
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;

const ANN: &str = r#"{"email":"ann@x.com","name":"Ann","password":"password123"}"#;
const LONG: Duration = Duration::from_secs(20);

impl Api {
    async fn repeat(&self, key: &str, body: &str) -> Answer {
        self.ask(Method::POST, "").json(body).header("idempotency-key", key).send().await
    }
}

#[tokio::test]
async fn c23_a_repeated_create_makes_one_item_and_gets_the_same_response() {
    let api = users().await;
    let first = api.repeat("\"k1\"", ANN).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, String::new()));
    // Bare or quoted, and with other spaces, it is the same request.
    for (key, body) in [("\"k1\"", ANN.to_owned()), ("k1", ANN.replace(':', " : "))] {
        let again = api.repeat(key, &body).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        for name in ["location", "etag", "content-type", "cache-control", "content-length"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
    assert_eq!(api.get("").await.rows().len(), 1);
    // What was made is an item as any other.
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(api.get(&format!("/{id}")).await.header("etag"), first.header("etag"));
    assert_eq!(api.put(&id, r#"{"name":"Anna"}"#).await.status, 200);
    assert_eq!(api.repeat("k1", ANN).await.body, first.body, "the response of then");
}

#[tokio::test]
async fn c24_a_key_is_about_one_request() {
    let api = notes().await;
    let (title, other) = (r#"{"title":"a"}"#, r#"{"title":"b"}"#);
    api.repeat("k", title).await;
    let answer = api.repeat("k", other).await;
    assert_eq!(answer.status, 422);
    assert_eq!(
        answer.body,
        r#"{"error":"idempotency_mismatch","message":"Idempotency-Key was used with a different request"}"#
    );
    assert_eq!(api.repeat("k2", other).await.status, 201);
    assert_eq!(api.get("").await.rows().len(), 2);
}

#[tokio::test]
async fn c25_of_many_requests_at_once_one_makes_the_item() {
    let yaml = "store: main\nid: { type: integer }\naccess: { default: public }\nfields: { n: { type: integer } }";
    let api = serve("counted", yaml).await;
    api.made("{}").await;
    for round in 0..20 {
        let (key, body) = (format!("key-{round}"), format!(r#"{{"n":{round}}}"#));
        let answers = join_all((0..16).map(|_| api.repeat(&key, &body))).await;
        for answer in &answers {
            assert_eq!((answer.status.as_u16(), &answer.body), (201, &answers[0].body), "{}", answer.reason);
        }
        assert_eq!(answers.iter().filter(|answer| answer.header("idempotency-replayed").is_empty()).count(), 1);
        // The response has the number that the store counted up, not another one.
        let id = answers[0].json()["id"].clone();
        assert_eq!(api.get(&format!("/{id}")).await.json()["n"], json!(round));
        assert!(answers.iter().all(|answer| answer.header("location") == format!("/api/counted/{id}")));
    }
    assert_eq!(api.get("?per_page=100").await.rows().len(), 21);
}

#[tokio::test]
async fn c26_a_key_has_1_to_255_visible_characters() {
    let api = notes().await;
    let long = "k".repeat(256);
    for bad in ["", "\"\"", "a b", "\"a", "a\tb", "\"a\\\"b\"", &long, "\"k\", \"l\""] {
        let answer = api.repeat(bad, r#"{"title":"a"}"#).await;
        assert_eq!(answer.status, 400, "{bad}");
        assert_eq!(answer.message(), "Idempotency-Key: must be 1-255 visible characters", "{bad}");
    }
    let twice = api.ask(Method::POST, "").json(r#"{"title":"a"}"#).header("idempotency-key", "a");
    let twice = twice.header("idempotency-key", "b").send().await;
    assert_eq!((twice.status.as_u16(), &*twice.message()), (400, "Idempotency-Key: must be sent once"));
    assert_eq!(api.repeat(&long[..255], r#"{"title":"a"}"#).await.status, 201);
    let strict = serve("strict", &format!("{NOTES}idempotency: {{ required: true }}\n")).await;
    let answer = strict.post(r#"{"title":"a"}"#).await;
    assert_eq!((answer.status.as_u16(), &*answer.message()), (400, "Idempotency-Key: is required"));
    assert_eq!(strict.repeat("k", r#"{"title":"a"}"#).await.status, 201);
}

#[tokio::test]
async fn c27_callers_do_not_share_keys() {
    let api = notes().await;
    let ask = async |claims: Value| {
        let ask = api.ask(Method::POST, "").json(r#"{"title":"a"}"#).header("idempotency-key", "k");
        ask.with(claims).send().await.json()["id"].clone()
    };
    let ann = ask(json!({"sub": "ann"})).await;
    assert_eq!(ask(json!({"sub": "ann"})).await, ann);
    assert_ne!(ask(json!({"sub": "eve"})).await, ann);
    assert_ne!(ask(json!({"sub": "ann", "iss": "other"})).await, ann);
    assert_ne!(api.repeat("k", r#"{"title":"a"}"#).await.json()["id"], ann);
    assert_eq!(api.get("").await.rows().len(), 4);
}

#[tokio::test]
async fn what_failed_is_not_remembered() {
    let api = users().await;
    assert_eq!(api.repeat("k", r#"{"email":"x","name":"Ann","password":"password123"}"#).await.status, 400);
    api.user("ann@x.com").await;
    for _ in 0..2 {
        assert_eq!(api.repeat("k", ANN).await.status, 409);
    }
    let (id, _) = api.user("eve@x.com").await;
    assert_eq!(api.ask(Method::DELETE, &format!("/{id}")).send().await.status, 204);
    assert_eq!(api.repeat("k", &ANN.replace("ann@", "eve@")).await.status, 201);
}

#[tokio::test]
async fn a_record_ends_with_its_time_and_holds_no_password() {
    let api = users().await;
    api.repeat("k", ANN).await;
    // A repeated request with another password is still the same request: passwords are not compared.
    assert_eq!(api.repeat("k", &ANN.replace("password123", "password124")).await.status, 201);
    let text = "SELECT * FROM \"_gw_idempotency\"".into();
    let all = Statement { sql: text, parameters: Vec::new(), deadline: LONG };
    let record = api.store.query(all, |rows| Ok(rows.next()?.map(Found::of))).await.unwrap().unwrap();
    let kept = format!("{record:?}");
    assert!(kept.contains("ann@x.com") && !kept.contains("password123") && !kept.contains("argon2"), "{kept}");
    let expire = Sql::new("UPDATE \"_gw_idempotency\" SET \"expires\" = 1", []);
    api.store.execute(LONG, expire).await.unwrap();
    assert_eq!(api.repeat("k", ANN).await.status, 409, "the item is there, and its key is forgotten");
    let other = api.repeat("k", &ANN.replace("ann@", "eve@")).await;
    assert_eq!((other.status.as_u16(), other.header("idempotency-replayed")), (201, String::new()));
}

#[tokio::test]
async fn a_repeated_create_is_not_in_conflict_with_itself() {
    let api =
        serve("mails", "store: main\naccess: { default: public }\nfields: { mail: { type: email, unique: true } }")
            .await;
    for round in 0..20 {
        let (key, body) = (format!("key-{round}"), format!(r#"{{"mail":"u{round}@x.com"}}"#));
        let answers = join_all((0..8).map(|_| api.repeat(&key, &body))).await;
        for answer in answers {
            assert_eq!(answer.status, 201, "{}", answer.body);
        }
    }
    assert_eq!(api.repeat("other", r#"{"mail":"u1@x.com"}"#).await.status, 409);
}

#[tokio::test]
async fn keys_that_expire_while_they_are_used_hurt_no_request() {
    let api = notes().await;
    api.repeat("k", r#"{"title":"a"}"#).await;
    for _ in 0..20 {
        api.store.execute(LONG, Sql::new("UPDATE \"_gw_idempotency\" SET \"expires\" = 1", [])).await.unwrap();
        let answers = join_all((0..8).map(|_| api.repeat("k", r#"{"title":"a"}"#))).await;
        let bodies: std::collections::HashSet<_> = answers.iter().map(|answer| &answer.body).collect();
        assert!(bodies.len() == 1 && answers.iter().all(|answer| answer.status == 201), "{bodies:?}");
    }
}

const TASKS: &str = r#"
lists:
  store: main
  id: { type: string }
  access: { create: authenticated, default: { where: { org: $claims.org } } }
  fields: { org: { type: string, set: $claims.org } }
tasks:
  store: main
  access: { preset: tenant, field: org, claim: org, except: { role: support } }
  bulk: { create: true }
  fields: { org: { type: string, set: $claims.org }, title: { type: string } }
marks:
  store: main
  access: { default: authenticated }
  fields: { list: { type: ref, to: lists }, plan: { type: string, default: $claims.plan } }
drafts:
  store: main
  access: { create: { any: [ { scope: all }, { where: { kind: { in: $claims.kinds } } } ] }, default: public }
  fields: { kind: { type: string } }
"#;

/// The same subject may act for several tenants, and with several rights.
#[tokio::test]
async fn c27_a_key_belongs_to_what_the_rules_read_from_the_caller() {
    let world = world::world(TASKS).await;
    let send = |api: &'static str, claims: Value, body: &'static str| {
        let ask = world.of(api).ask(Method::POST, "").json(body).header("idempotency-key", "k");
        ask.with(claims).send()
    };
    let org = |org: &str| json!({"sub": "ann", "org": org});
    for body in [r#"{"title":"a"}"#, r#"[{"title":"a"},{"title":"b"}]"#] {
        world.run("DELETE FROM _gw_idempotency").await;
        let (one, two) = (send("tasks", org("one"), body).await, send("tasks", org("two"), body).await);
        assert_eq!((one.status.as_u16(), two.status.as_u16()), (201, 201));
        assert_eq!(two.header("idempotency-replayed"), "", "{}", two.body);
        assert!(two.body.contains(r#""org":"two""#) && !two.body.contains(r#""org":"one""#), "{}", two.body);
        let again = send("tasks", json!({"sub": "ann", "org": "one", "iat": 7, "exp": 9}), body).await;
        assert_eq!((&again.body, again.header("idempotency-replayed")), (&one.body, "true".to_owned()));
        let other = send("tasks", json!({"sub": "ann", "org": "one", "roles": ["support"]}), body).await;
        assert_eq!(other.header("idempotency-replayed"), "true", "with other rights");
    }
    // The rules of what an item refers to, the values of its fields, and conditions with lists.
    let list = world.of("lists").ask(Method::POST, "").with(org("one")).json(r#"{"id":"l"}"#).send().await;
    assert_eq!(list.status, 201);
    assert_eq!(send("marks", org("one"), r#"{"list":"l"}"#).await.status, 201);
    assert_eq!(send("marks", org("two"), r#"{"list":"l"}"#).await.status, 400);
    let plan = |plan: &str| json!({"sub": "bob", "org": "one", "plan": plan});
    assert_eq!(send("marks", plan("free"), r#"{"list":"l"}"#).await.json()["plan"], "free");
    assert_eq!(send("marks", plan("paid"), r#"{"list":"l"}"#).await.json()["plan"], "paid");
    let kinds = |kinds: &[&str]| json!({"sub": "ann", "kinds": kinds});
    assert_eq!(send("drafts", kinds(&["a", "b"]), r#"{"kind":"a"}"#).await.status, 201);
    let same = send("drafts", kinds(&["b", "a"]), r#"{"kind":"a"}"#).await;
    assert_eq!(same.header("idempotency-replayed"), "true", "in another order");
    assert_eq!(send("drafts", kinds(&["b"]), r#"{"kind":"a"}"#).await.status, 403);
}
