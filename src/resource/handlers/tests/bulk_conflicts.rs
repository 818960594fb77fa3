//! Values that are taken, of items in a list: each conflict names the place of the item.

use super::*;
use serde_json::json;

const SHELVES: &str = r#"
store: main
id: { type: string }
put: merge
bulk: { create: true, upsert: id }
access: { default: public, update: { where: { open: true } }, update_check: public }
fields:
  shelf: { type: string, default: a }
  slot: { type: string, unique: { with: [shelf], ignore_case: true, message: "Slot is taken" } }
  open: { type: boolean, default: true }
"#;

async fn total(api: &Api) -> usize {
    api.get("").await.rows().len()
}

async fn send(api: &Api, method: Method, items: &Value) -> Answer {
    api.ask(method, "").json(&items.to_string()).send().await
}

/// Status, index, field and code of the only fault.
fn conflict(answer: &Answer) -> (u16, u64, String, String) {
    let details = answer.json()["details"].as_array().unwrap_or_else(|| panic!("{}", answer.body)).clone();
    assert_eq!(details.len(), 1, "{}", answer.body);
    let text = |key: &str| details[0][key].as_str().unwrap().to_owned();
    let index = details[0]["index"].as_u64().unwrap_or_else(|| panic!("no index: {}", answer.body));
    (answer.status.as_u16(), index, text("field"), text("code"))
}

fn slot(index: u64) -> (u16, u64, String, String) {
    (409, index, "slot".to_owned(), "unique".to_owned())
}

async fn shelves() -> Api {
    let api = serve("things", SHELVES).await;
    assert_eq!(api.post(r#"{"id":"1","slot":"x"}"#).await.status, 201);
    api
}

#[tokio::test]
async fn values_that_are_unique_together_name_the_item() {
    let api = shelves().await;
    for method in [Method::POST, Method::PUT] {
        let taken = send(&api, method.clone(), &json!([{ "id": "b", "slot": "y" }, { "id": "a", "slot": "X" }])).await;
        assert_eq!(conflict(&taken), slot(1), "{method}");
        assert_eq!(taken.message(), "[1].slot: Slot is taken");
        // With each other: the shelf that one leaves out is the default.
        let twice = json!([{ "id": "b", "slot": "y" }, { "id": "c" }, { "id": "a", "slot": "Y", "shelf": "a" }]);
        assert_eq!(conflict(&send(&api, method.clone(), &twice).await), slot(2), "{method}");
        assert_eq!(total(&api).await, 1, "all or none");
        let other = json!([{ "id": format!("{method}1"), "slot": "x", "shelf": method.as_str() }]);
        assert!(send(&api, method.clone(), &other).await.status.is_success(), "another shelf");
        let none = json!([{ "id": format!("{method}2") }, { "id": format!("{method}3") }]);
        assert!(send(&api, method.clone(), &none).await.status.is_success(), "no slot is no value");
        api.ask(Method::DELETE, &format!("/{method}1")).send().await;
        for id in [2, 3] {
            assert_eq!(api.ask(Method::DELETE, &format!("/{method}{id}")).send().await.status, 204);
        }
    }
}

#[tokio::test]
async fn a_change_by_a_list_conflicts_with_what_the_item_keeps() {
    let api = shelves().await;
    let made = json!([{ "id": "2", "slot": "x", "shelf": "b" }, { "id": "3", "slot": "y", "shelf": "b" }]);
    assert_eq!(send(&api, Method::POST, &made).await.status, 201);
    // Item 2 keeps its slot, and comes to the shelf of item 1.
    let moved = json!([{ "id": "9" }, { "id": "2", "shelf": "a" }]);
    assert_eq!(conflict(&send(&api, Method::PUT, &moved).await), slot(1));
    // Item 3 keeps its shelf.
    assert_eq!(conflict(&send(&api, Method::PUT, &json!([{ "id": "3", "slot": "X" }])).await), slot(0));
    assert_eq!(send(&api, Method::PUT, &json!([{ "id": "3", "slot": "X", "shelf": "c" }])).await.status, 200);
}

#[tokio::test]
async fn an_id_that_the_caller_may_not_change_names_the_item() {
    let api = shelves().await;
    assert_eq!(api.patch("1", r#"{"open":false}"#).await.status, 200);
    let closed = send(&api, Method::PUT, &json!([{ "id": "9" }, { "id": "1", "slot": "n" }])).await;
    assert_eq!(conflict(&closed), (409, 1, "id".to_owned(), "unique".to_owned()));
    let each = api.ask(Method::PUT, "").header("prefer", "handling=lenient");
    let each = each.json(r#"[{"id":"9"},{"id":"1","slot":"n"}]"#).send().await.json();
    assert_eq!((&each[0]["status"], &each[1]["status"]), (&json!(201), &json!(409)));
    assert!(each[1]["details"][0].get("index").is_none(), "each has its own outcome");
}

#[tokio::test]
async fn each_item_is_named_whichever_rule_it_breaks() {
    let yaml = "store: main\nbulk: { create: true }\naccess: { default: public }\nfields:\n  \
                a: { type: string, unique: { ignore_case: true } }\n  b: { type: string, unique: { with: [c] } }\n  c: { type: string, default: x }\n";
    let with_password = format!("{yaml}  secret: {{ type: password }}\n");
    for yaml in [yaml, &with_password] {
        let api = serve("things", yaml).await;
        assert_eq!(api.post(r#"{"a":"1","b":"1"}"#).await.status, 201);
        let secret = if yaml == with_password { json!("correct horse") } else { Value::Null };
        let item = |a: &str, b: &str| match &secret {
            Value::Null => json!({ "a": a, "b": b }),
            secret => json!({ "a": a, "b": b, "secret": secret }),
        };
        // The first is taken by `a`; the second has its `b`; the fourth is taken by `b`.
        let list = json!([item("1", "9"), item("2", "9"), item("3", "3"), item("4", "1")]);
        let refused = send(&api, Method::POST, &list).await;
        let details = refused.json()["details"].as_array().unwrap_or_else(|| panic!("{}", refused.body)).clone();
        let named: Vec<_> = details.iter().map(|detail| (detail["index"].clone(), detail["field"].clone())).collect();
        let wanted = [(0, "a"), (1, "b"), (3, "b")].map(|(index, field)| (json!(index), json!(field)));
        assert_eq!((refused.status.as_u16(), named), (409, wanted.to_vec()), "{}", refused.body);
    }
}
