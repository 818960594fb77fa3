//! The rule of update holds for the row as it is and for the row as it will be.

use super::*;
use serde_json::json;

const DOCS: &str = r#"
store: main
access: { default: { where: { owner: $claims.sub } } }
fields:
  owner: { type: string, default: $claims.sub, nullable: true }
  name: { type: string, required: true }
  status: { type: enum, values: [draft, published], default: draft }
"#;

async fn docs(change: (&str, &str)) -> Api {
    serve("docs", &DOCS.replace(change.0, change.1)).await
}

async fn ask(api: &Api, who: &str, method: Method, target: &str, body: &str) -> Answer {
    api.ask(method, target).json(body).with(json!({"sub": who})).send().await
}

async fn made(api: &Api, who: &str) -> String {
    let answer = ask(api, who, Method::POST, "", r#"{"name":"a"}"#).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    format!("/{}", answer.json()["id"].as_str().unwrap())
}

#[tokio::test]
async fn an_item_cannot_be_given_away_by_an_update() {
    let api = docs(("", "")).await;
    let item = made(&api, "ann").await;
    for (method, body) in [
        (Method::PATCH, r#"{"owner":"eve"}"#),
        (Method::PATCH, r#"{"owner":"eve","name":"b"}"#),
        (Method::PATCH, r#"{"owner":null}"#),
        (Method::PUT, r#"{"owner":"eve","name":"a"}"#),
        (Method::PUT, r#"{"owner":null,"name":"a"}"#),
    ] {
        let answer = ask(&api, "ann", method, &item, body).await;
        assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str()), (403, Some("forbidden")), "{body}");
    }
    assert_eq!(ask(&api, "eve", Method::GET, &item, "").await.status, 404);
    let kept = ask(&api, "ann", Method::GET, &item, "").await.json();
    assert_eq!((&kept["owner"], &kept["name"]), (&json!("ann"), &json!("a")), "nothing of a refused change is written");
    for (method, body) in [
        (Method::PATCH, r#"{"owner":"ann","name":"c"}"#),
        (Method::PUT, r#"{"name":"d"}"#),
        (Method::PUT, r#"{"name":"e","owner":"ann"}"#),
    ] {
        assert_eq!(ask(&api, "ann", method, &item, body).await.status, 200, "{body}");
    }
}

#[tokio::test]
async fn what_put_falls_back_to_is_held_to_the_rule_too() {
    let api = docs(("default: $claims.sub, nullable: true", "nullable: true")).await;
    let answer = ask(&api, "ann", Method::POST, "", r#"{"name":"a","owner":"ann"}"#).await;
    let item = format!("/{}", answer.json()["id"].as_str().unwrap());
    assert_eq!(ask(&api, "ann", Method::PUT, &item, r#"{"name":"b"}"#).await.status, 403, "its owner would be null");
    assert_eq!(ask(&api, "ann", Method::GET, &item, "").await.json()["name"], "a");
}

#[tokio::test]
async fn a_merging_put_is_held_to_the_rule() {
    let api = docs(("store: main", "store: main\nput: merge")).await;
    let item = made(&api, "ann").await;
    assert_eq!(ask(&api, "ann", Method::PUT, &item, r#"{"owner":"eve"}"#).await.status, 403);
    assert_eq!(ask(&api, "ann", Method::PUT, &item, r#"{"name":"b"}"#).await.status, 200);
}

#[tokio::test]
async fn a_put_that_creates_is_held_to_the_rule_of_create() {
    let api = docs(("store: main", "store: main\nid: { type: string }")).await;
    assert_eq!(ask(&api, "ann", Method::PUT, "/a", r#"{"name":"a","owner":"eve"}"#).await.status, 403);
    assert_eq!(ask(&api, "ann", Method::GET, "/a", "").await.status, 404);
    assert_eq!(ask(&api, "ann", Method::PUT, "/a", r#"{"name":"a"}"#).await.status, 201);
    assert_eq!(ask(&api, "ann", Method::PUT, "/a", r#"{"name":"a","owner":"eve"}"#).await.status, 403);
    assert_eq!(ask(&api, "eve", Method::PUT, "/a", r#"{"name":"a"}"#).await.status, 409, "the id is taken");
}

#[tokio::test]
async fn every_part_of_a_rule_holds_afterwards() {
    let rule = "{ any: [ { role: admin }, { where: { owner: $claims.sub, status: { ne: published } } } ] }";
    let api = docs(("default: {", &format!("update: {rule}, default: {{"))).await;
    let item = made(&api, "ann").await;
    assert_eq!(ask(&api, "ann", Method::PATCH, &item, r#"{"status":"published"}"#).await.status, 403);
    let admin = api.ask(Method::PATCH, &item).json(r#"{"status":"published","owner":"eve"}"#);
    assert_eq!(admin.with(json!({"sub": "root", "role": "admin"})).send().await.status, 200, "no rule on rows");
}

#[tokio::test]
async fn update_check_says_what_an_update_may_leave() {
    let update = "update: { where: { owner: $claims.sub, status: draft } }";
    let check = "update_check: { where: { owner: $claims.sub } }";
    let api = docs(("default: {", &format!("{update}, {check}, default: {{"))).await;
    let item = made(&api, "ann").await;
    assert_eq!(ask(&api, "ann", Method::PATCH, &item, r#"{"owner":"eve"}"#).await.status, 403);
    assert_eq!(ask(&api, "ann", Method::PATCH, &item, r#"{"status":"published"}"#).await.status, 200);
    assert_eq!(ask(&api, "ann", Method::PATCH, &item, r#"{"name":"b"}"#).await.status, 404, "it is not a draft now");

    let api = docs(("default: {", "update_check: public, default: {")).await;
    let item = made(&api, "ann").await;
    assert_eq!(ask(&api, "ann", Method::PATCH, &item, r#"{"owner":"eve"}"#).await.status, 200);
    assert_eq!(ask(&api, "ann", Method::GET, &item, "").await.status, 404, "handed over");
}

#[tokio::test]
async fn what_the_server_sets_is_held_to_the_rule() {
    let yaml = DOCS
        .replace(
            "default: {",
            "update: { where: { changed: { lt: \"2000-01-01T00:00:00Z\" } } }, create: authenticated, default: {",
        )
        .replace("status:", "changed: { type: datetime, set: on_write }\n  status:");
    let api = serve("docs", &yaml).await;
    let item = made(&api, "ann").await;
    assert_eq!(ask(&api, "ann", Method::PATCH, &item, r#"{"name":"b"}"#).await.status, 404);
    let yaml = yaml.replace("changed: { lt:", "changed: { gt:");
    let api = serve("docs", &yaml).await;
    let item = made(&api, "ann").await;
    assert_eq!(ask(&api, "ann", Method::PATCH, &item, r#"{"name":"b"}"#).await.status, 200);
}
