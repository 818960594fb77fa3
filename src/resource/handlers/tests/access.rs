//! Rows A1 to A6, and who may cache responses.

use super::*;
use serde_json::json;

const POSTS: &str = r#"
store: main
access:
  list: { any: [ { where: { status: published } }, { where: { author: $claims.sub } }, { role: admin } ] }
  read: { any: [ { role: admin }, { where: { author: $claims.sub } } ] }
  create: authenticated
  update: { where: { author: $claims.sub } }
  delete: { role: [admin, moderator] }
fields:
  author: { type: string, set: $claims.sub, required: true }
  status: { type: enum, values: [draft, published], default: draft, filter: [eq] }
  title: { type: string, required: true }
"#;

async fn posts() -> Api {
    serve("posts", POSTS).await
}

async fn post(api: &Api, who: &str, body: &str) -> String {
    let answer = api.ask(Method::POST, "").json(body).with(json!({"sub": who})).send().await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.json()["author"], who);
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn read(api: &Api, id: &str, claims: Value) -> Answer {
    api.ask(Method::GET, &format!("/{id}")).with(claims).send().await
}

#[tokio::test]
async fn a1_nobody_is_401_with_a_challenge() {
    let api = posts().await;
    for answer in [
        api.post(r#"{"title":"a"}"#).await,
        api.get("/00000000-0000-7000-8000-000000000000").await,
        api.get("/abc").await,
    ] {
        assert_eq!((answer.status.as_u16(), &*answer.header("www-authenticate")), (401, "Bearer"));
        assert_eq!(answer.body, r#"{"error":"unauthorized","message":"Unauthorized"}"#);
    }
    let sent = api.ask(Method::POST, "").header("authorization", "Bearer x").json("{}").send().await;
    assert_eq!((sent.status.as_u16(), &*sent.header("www-authenticate")), (401, "Bearer error=\"invalid_token\""));
}

#[tokio::test]
async fn a2_the_wrong_role_is_403() {
    let api = posts().await;
    let id = post(&api, "ann", r#"{"title":"a"}"#).await;
    let delete = |claims: Value| api.ask(Method::DELETE, &format!("/{id}")).with(claims).send();
    let answer = delete(json!({"sub": "ann", "role": "user"})).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (403, r#"{"error":"forbidden","message":"Forbidden"}"#));
    assert_eq!(delete(json!({"sub": "eve", "roles": ["moderator"]})).await.status, 204);
}

#[tokio::test]
async fn a3_r11_rows_of_others_are_404() {
    let api = posts().await;
    let id = post(&api, "ann", r#"{"title":"a"}"#).await;
    assert_eq!(read(&api, &id, json!({"sub": "ann"})).await.status, 200);
    assert_eq!(read(&api, &id, json!({"sub": "x", "role": "admin"})).await.status, 200);
    let hidden = read(&api, &id, json!({"sub": "eve"})).await;
    let absent = read(&api, "00000000-0000-7000-8000-000000000000", json!({"sub": "eve"})).await;
    assert_eq!((hidden.status.as_u16(), &hidden.body, &hidden.headers), (404, &absent.body, &absent.headers));
    let patch = api.ask(Method::PATCH, &format!("/{id}")).json(r#"{"title":"b"}"#);
    assert_eq!(patch.with(json!({"sub": "eve"})).send().await.status, 404);
}

#[tokio::test]
async fn a3_a_new_row_must_fulfil_the_rule_too() {
    let yaml = NOTES.replace(
        "{ default: public }",
        "{ default: public, create: { where: { title: $claims.sub, rank: { gte: 5 } } } }",
    );
    let api = serve("notes", &yaml).await;
    let create = |body: &'static str| api.ask(Method::POST, "").json(body).with(json!({"sub": "ann"})).send();
    assert_eq!(create(r#"{"title":"ann","rank":5}"#).await.status, 201);
    for other in [r#"{"title":"eve","rank":5}"#, r#"{"title":"ann","rank":4}"#, r#"{"title":"ann"}"#] {
        assert_eq!(create(other).await.status, 403);
    }
}

#[tokio::test]
async fn a4_lists_are_filtered_with_count_and_cursor() {
    let api = posts().await;
    for at in 0..6 {
        let status = if at % 2 == 0 { "draft" } else { "published" };
        post(&api, if at < 3 { "ann" } else { "bob" }, &format!(r#"{{"title":"{at}","status":"{status}"}}"#)).await;
    }
    let list = async |target: &str, claims: Value| api.ask(Method::GET, target).with(claims).send().await;
    let anonymous = api.get("").await;
    assert_eq!((anonymous.rows().len(), &*anonymous.header("x-total-count")), (3, "3"));
    let ann = list("?per_page=2", json!({"sub": "ann"})).await;
    assert_eq!((ann.rows().len(), &*ann.header("x-total-count")), (2, "5"));
    let rest = list(&ann.link("next").unwrap(), json!({"sub": "ann"})).await;
    assert_eq!(rest.rows().len(), 2);
    assert_eq!(list("", json!({"sub": "x", "role": "admin"})).await.rows().len(), 6);
    assert_eq!(list("?filter[status]=draft", json!({"sub": "ann"})).await.rows().len(), 2);
}

#[tokio::test]
async fn a5_an_absent_claim_matches_nothing() {
    let yaml = NOTES.replace("{ default: public }", "{ default: public, read: { where: { title: $claims.team } } }");
    let api = serve("notes", &yaml).await;
    let (id, _) = api.made(r#"{"title":"a"}"#).await;
    for claims in [json!({"sub": "a"}), json!({"sub": "a", "team": null}), json!({"sub": "a", "team": 5})] {
        assert_eq!(read(&api, &id, claims).await.status, 403);
    }
    assert_eq!(read(&api, &id, json!({"sub": "a", "team": "a"})).await.status, 200);
}

#[tokio::test]
async fn a6_a_claim_is_a_value_and_never_text_of_sql() {
    let api = posts().await;
    let id = post(&api, "ann", r#"{"title":"a"}"#).await;
    for sub in ["' OR 1=1 --", "\" OR \"\"=\"", "ann' --", &"x".repeat(100_000), "ann\0"] {
        let answer = read(&api, &id, json!({"sub": sub})).await;
        assert!([403, 404].contains(&answer.status.as_u16()), "{}", answer.status);
        let created = api.ask(Method::POST, "").json(r#"{"title":"b"}"#).with(json!({"sub": sub})).send().await;
        assert!([201, 403].contains(&created.status.as_u16()), "{}", created.status);
    }
}

#[tokio::test]
async fn answers_behind_a_token_are_not_kept() {
    let api = posts().await;
    let id = post(&api, "ann", r#"{"title":"a"}"#).await;
    let answer = read(&api, &id, json!({"sub": "ann"})).await;
    assert_eq!((&*answer.header("cache-control"), &*answer.header("vary")), ("no-store", "authorization"));
    assert_eq!(api.get("").await.header("cache-control"), "no-store");
    let open = notes().await;
    assert_eq!(open.get("").await.header("vary"), "");
}

#[tokio::test]
async fn claims_scopes_and_all_have_to_hold() {
    let rule = "{ all: [ { scope: write }, { claims: { tenant: 7 } } ] }";
    let api = serve(
        "notes",
        &NOTES.replace("{ default: public }", &format!("{{ default: public, read: {rule}, delete: none }}")),
    )
    .await;
    let (id, _) = api.made(r#"{"title":"a"}"#).await;
    assert_eq!(read(&api, &id, json!({"scope": "read write", "tenant": 7})).await.status, 200);
    assert_eq!(read(&api, &id, json!({"scope": "read write", "tenant": 8})).await.status, 403);
    assert_eq!(read(&api, &id, json!({"scope": "read", "tenant": 7})).await.status, 403);
    let delete = api.ask(Method::DELETE, &format!("/{id}")).with(json!({"role": "admin"})).send().await;
    assert_eq!(delete.status, 403, "none is nobody");
}
