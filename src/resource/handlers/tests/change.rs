//! Rows U1 to U18.

use super::*;

#[tokio::test]
async fn u1_put_merges_and_raises_the_version() {
    let api = users().await;
    let (id, tag) = api.user("a@x.com").await;
    let answer = api.put(&id, r#"{"name":"New"}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_ne!(answer.header("etag"), tag);
    let json = answer.json();
    assert_eq!((json["name"].as_str(), json["email"].as_str()), (Some("New"), Some("a@x.com")));
    assert_eq!(json.as_object().unwrap().len(), 4);
    assert_eq!(api.get(&format!("/{id}")).await.body, answer.body);
}

#[tokio::test]
async fn u2_u3_without_a_change_there_is_no_new_version() {
    let api = users().await;
    let (id, tag) = api.user("a@x.com").await;
    for body in ["{}", r#"{"name":"Test"}"#, r#"{"name":"Test","email":"a@x.com"}"#] {
        let answer = api.put(&id, body).await;
        assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, tag.clone()));
    }
}

#[tokio::test]
async fn u4_u5_fields_are_judged_as_on_create() {
    let api = users().await;
    let (id, _) = api.user("a@x.com").await;
    let answer = api.put(&id, r#"{"password":"x"}"#).await;
    refused(&answer, "password: cannot be changed by this operation");
    assert_eq!(answer.code(), "not_allowed");
    refused(&api.put(&id, r#"{"name":""}"#).await, "name: Name must be 1-100 characters");
    refused(&api.patch(&id, r#"{"created_at":"2026-01-01T00:00:00Z"}"#).await, "created_at: is set by the server");
}

#[tokio::test]
async fn u6_u7_an_email_is_taken_by_others_only() {
    let api = users().await;
    let (id, _) = api.user("a@x.com").await;
    api.user("b@x.com").await;
    let answer = api.put(&id, r#"{"email":"B@x.com"}"#).await;
    assert_eq!((answer.status.as_u16(), &*answer.message()), (409, "Email already registered"));
    let answer = api.put(&id, r#"{"email":"A@X.com"}"#).await;
    assert_eq!((answer.status.as_u16(), answer.json()["email"].as_str()), (200, Some("A@x.com")));
}

#[tokio::test]
async fn u8_an_unknown_id_is_never_created() {
    let api = users().await;
    let answer = api.put("00000000-0000-7000-8000-000000000000", r#"{"name":"A"}"#).await;
    assert_eq!((answer.status.as_u16(), &*answer.message()), (404, "Resource not found"));
    assert_eq!(api.get("").await.body, "[]");
}

async fn put_if(api: &Api, id: &str, tag: &str, body: &str) -> Answer {
    api.ask(Method::PUT, &format!("/{id}")).header("if-match", tag).json(body).send().await
}

#[tokio::test]
async fn u9_if_match_decides() {
    let api = users().await;
    let (id, tag) = api.user("a@x.com").await;
    let changed = put_if(&api, &id, &tag, r#"{"name":"One"}"#).await;
    assert_eq!(changed.status, 200);
    let stale = put_if(&api, &id, &tag, r#"{"name":"Two"}"#).await;
    assert_eq!(stale.status, 412);
    assert_eq!(stale.header("etag"), changed.header("etag"), "the tag there is now");
    assert_eq!(stale.body, r#"{"error":"precondition_failed","message":"The resource was changed by someone else"}"#);
    let third = put_if(&api, &id, "*", r#"{"name":"Three"}"#).await;
    assert_eq!(third.status, 200);
    assert_eq!(put_if(&api, "00000000-0000-7000-8000-000000000000", "*", r#"{"name":"A"}"#).await.status, 404);
    let list = format!("{tag}, {}", third.header("etag"));
    assert_eq!(put_if(&api, &id, &list, r#"{"name":"Four"}"#).await.status, 200, "one of a list is enough");
}

#[tokio::test]
async fn u10_the_form_a_tag_was_taken_from_does_not_matter() {
    let api = users().await;
    let (id, tag) = api.user("a@x.com").await;
    let of_name = api.get(&format!("/{id}?fields=name")).await.header("etag");
    assert_ne!(of_name, tag);
    let changed = put_if(&api, &id, &of_name, r#"{"name":"One"}"#).await;
    assert_eq!(changed.status, 200);
    let gzip = changed.header("etag").trim_end_matches('"').to_owned() + "+gzip\"";
    assert_eq!(put_if(&api, &id, &gzip, r#"{"name":"Two"}"#).await.status, 200);
}

#[tokio::test]
async fn u11_a_weak_tag_is_not_strong_enough() {
    let api = users().await;
    let (id, tag) = api.user("a@x.com").await;
    let answer = put_if(&api, &id, &format!("W/{tag}"), r#"{"name":"One"}"#).await;
    assert_eq!(answer.status, 412);
    assert!(answer.message().contains("a proxy weakened the ETag"));
}

#[tokio::test]
async fn u12_a_malformed_tag_is_400() {
    let api = users().await;
    let (id, _) = api.user("a@x.com").await;
    for bad in ["abc", "\"a", "1.abc", "\"a\",,b"] {
        refused(&put_if(&api, &id, bad, r#"{"name":"One"}"#).await, "If-Match: malformed entity-tag");
    }
}

#[tokio::test]
async fn u13_of_parallel_changes_with_one_tag_one_wins() {
    let api = users().await;
    let (id, tag) = api.user("a@x.com").await;
    let bodies: Vec<String> = (0..50).map(|at| format!(r#"{{"name":"N{at}"}}"#)).collect();
    let tries = bodies.iter().map(|body| put_if(&api, &id, &tag, body));
    let answers = futures_util::future::join_all(tries).await;
    let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(200), of(412)), (1, 49));
}

#[tokio::test]
async fn u14_a_tag_can_be_demanded() {
    let api = serve("notes", &NOTES.replace("store: main", "store: main\nconcurrency: required")).await;
    let (id, tag) = api.made(r#"{"title":"a"}"#).await;
    let answer = api.patch(&id, r#"{"title":"b"}"#).await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str()), (428, Some("precondition_required")));
    let ask = api.ask(Method::PATCH, &format!("/{id}")).header("if-match", &tag);
    assert_eq!(ask.json(r#"{"title":"b"}"#).send().await.status, 200);
}

#[tokio::test]
async fn concurrency_none_does_not_look_at_if_match() {
    let api = serve("notes", &NOTES.replace("store: main", "store: main\nconcurrency: none")).await;
    let (id, _) = api.made(r#"{"title":"a"}"#).await;
    let ask = api.ask(Method::PATCH, &format!("/{id}")).header("if-match", "\"9.x\"");
    assert_eq!(ask.json(r#"{"title":"b"}"#).send().await.status, 200);
}

#[tokio::test]
async fn u15_patch_merges_and_null_removes() {
    let api = notes().await;
    let (id, _) = api.made(r#"{"title":"a","rank":1,"body":"b"}"#).await;
    let ask = api.ask(Method::PATCH, &format!("/{id}")).header("content-type", "application/merge-patch+json");
    let answer = ask.body(Body::from(r#"{"rank":null}"#)).send().await;
    assert_eq!(answer.body, format!(r#"{{"id":"{id}","title":"a","rank":null,"body":"b"}}"#));
    refused(&api.patch(&id, r#"{"title":null}"#).await, "title: must not be null");
}

#[tokio::test]
async fn u16_other_patches_are_415() {
    let api = notes().await;
    let (id, _) = api.made(r#"{"title":"a"}"#).await;
    for other in ["text/plain", "application/json-patch+json"] {
        let ask = api.ask(Method::PATCH, &format!("/{id}")).header("content-type", other);
        let answer = ask.body(Body::from("[]")).send().await;
        assert_eq!((answer.status.as_u16(), &*answer.header("accept-patch")), (415, "application/merge-patch+json"));
    }
}

#[tokio::test]
async fn u17_put_replaces_by_default() {
    let yaml = NOTES.replace(
        "body: { type: text }",
        "body: { type: text, default: none }\n  key: { type: string, write_only: true }",
    );
    let api = serve("notes", &yaml).await;
    let (id, _) = api.made(r#"{"title":"a","rank":1,"body":"b","key":"k"}"#).await;
    refused(&api.put(&id, r#"{"rank":2}"#).await, "title: is required");
    let answer = api.put(&id, r#"{"title":"c"}"#).await;
    assert_eq!(answer.body, format!(r#"{{"id":"{id}","title":"c","rank":null,"body":"none"}}"#));
    let kept = api.store.query(
        crate::resource::store::Statement {
            sql: "SELECT key FROM notes".into(),
            parameters: vec![],
            deadline: std::time::Duration::from_secs(5),
        },
        |rows| Ok(rows.next()?.unwrap().cell(0).owned()),
    );
    assert_eq!(
        kept.await.unwrap(),
        crate::resource::store::Param::Text("k".into()),
        "who cannot see it need not send it"
    );
}

#[tokio::test]
async fn u18_if_none_match_refuses_what_exists() {
    let api = users().await;
    let (id, _) = api.user("a@x.com").await;
    let ask = api.ask(Method::PUT, &format!("/{id}")).header("if-none-match", "*");
    assert_eq!(ask.json(r#"{"name":"New"}"#).send().await.status, 412);
}

#[tokio::test]
async fn moments_of_change_move_with_changes_only() {
    let yaml = NOTES.replace("body: { type: text }", "changed: { type: datetime, set: on_write }");
    let api = serve("notes", &yaml).await;
    let (id, _) = api.made(r#"{"title":"a"}"#).await;
    let before = api.get(&format!("/{id}")).await.json()["changed"].clone();
    assert!(before.is_string());
    assert_eq!(api.patch(&id, r#"{"title":"a"}"#).await.json()["changed"], before);
    let after = api.patch(&id, r#"{"title":"b"}"#).await.json()["changed"].clone();
    assert!(after.as_str() > before.as_str());
}
