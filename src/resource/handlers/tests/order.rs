//! The order of the checks: the first of several faults determines the response.

use super::*;
use serde_json::json;

const GUARDED: &str = r#"
store: main
body_limit: 100B
access: { default: { role: editor } }
fields:
  title: { type: string, required: true, unique: true }
"#;

#[tokio::test]
async fn the_first_fault_in_order_answers() {
    let api = serve("notes", GUARDED).await;
    let editor = || json!({"sub": "e", "role": "editor"});
    let made = async |title: &str| {
        let body = format!(r#"{{"title":"{title}"}}"#);
        let answer = api.ask(Method::POST, "").json(&body).with(editor()).send().await;
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let (_, second) = (made("first").await, made("second").await);
    let (long, absent) = ("x".repeat(101), "00000000-0000-7000-8000-000000000000");
    let taken = r#"{"title":"first"}"#;

    let wrong = |target: &str, body: &str| {
        let ask = api.ask(Method::PUT, target).body(Body::from(body.to_owned()));
        ask.header("content-type", "text/plain").header("accept", "text/html").header("if-match", "\"7.x\"")
    };
    assert_eq!(api.ask(Method::TRACE, "/abc?x=1").json(&long).send().await.status, 405);
    assert_eq!(wrong("/abc?x=1", &long).send().await.status, 413);
    assert_eq!(wrong("/abc?x=1", "{").send().await.status, 401);
    assert_eq!(wrong("/abc?x=1", "{").with(json!({"sub": "x"})).send().await.status, 403);
    assert_eq!(wrong("/abc?x=1", "{").with(editor()).send().await.status, 415);
    let ask =
        |target: &str, body: &str| api.ask(Method::PUT, target).json(body).with(editor()).header("if-match", "\"7.x\"");
    assert_eq!(ask("/abc?x=1", "{").header("accept", "text/html").send().await.status, 406);
    refused(&ask("/abc?x=1", "{").send().await, "id: must be a UUID");
    refused(&ask(&format!("/{absent}?x=1"), "{").send().await, "x: unknown parameter");
    refused(&ask(&format!("/{absent}"), "{").send().await, "body: invalid JSON at line 1 column 2");
    refused(&ask(&format!("/{absent}"), "{}").send().await, "title: is required");
    assert_eq!(ask(&format!("/{absent}"), taken).send().await.status, 404);
    assert_eq!(ask(&format!("/{second}"), taken).send().await.status, 412);
    let now = api.ask(Method::PUT, &format!("/{second}")).json(taken).with(editor());
    assert_eq!(now.send().await.status, 409);
}
