//! Items with equal values that were kept when a unique rule came back.

use super::migrations::{empty, fields, serve_on};
use super::*;
use serde_json::json;

const RULE: &str = ", unique: { ignore_case: true }";

/// Two items `a`, one `b`, and the rule, which came back.
async fn kept(head: &str) -> Api {
    let store = empty().await;
    let strict = format!("{head}{}", fields(&format!("  n: {{ type: string{RULE} }}\n  v: {{ type: integer }}\n")));
    let loose = format!("put: merge\n{}", fields("  n: { type: string }\n  v: { type: integer }\n"));
    serve_on(&store, &strict).await.unwrap().made(r#"{"n":"a","v":1}"#).await;
    let api = serve_on(&store, &loose).await.unwrap();
    api.made(r#"{"n":"A","v":2}"#).await;
    api.made(r#"{"n":"b","v":3}"#).await;
    serve_on(&store, &strict).await.unwrap()
}

async fn values(api: &Api) -> Vec<Value> {
    api.get("?sort=id").await.rows().iter().map(|row| row["v"].clone()).collect()
}

#[tokio::test]
async fn an_upsert_of_a_value_that_several_items_have_changes_none() {
    let api = kept("put: merge\nbulk: { create: true, upsert: n }\n").await;
    for name in ["a", "A"] {
        let list = json!([{ "n": "b", "v": 30 }, { "n": name, "v": 10 }]).to_string();
        let answer = api.ask(Method::PUT, "").json(&list).send().await;
        assert_eq!(answer.status, 409, "{}", answer.body);
        let detail =
            json!({ "index": 1, "field": "n", "code": "duplicate", "message": "several stored items have this value" });
        assert_eq!(answer.json()["details"], json!([detail]));
        assert_eq!(values(&api).await, [1, 2, 3]);
    }
    let list = json!([{ "n": "a", "v": 10 }, { "n": "b", "v": 30 }]).to_string();
    let answer = api.ask(Method::PUT, "").header("prefer", "handling=lenient").json(&list).send().await;
    assert_eq!(answer.status, 207);
    assert_eq!(values(&api).await, [1, 2, 30], "each by itself");
}
