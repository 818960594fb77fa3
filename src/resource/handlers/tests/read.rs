//! Rows R1 to R11.

use super::*;

#[tokio::test]
async fn r1_an_item_is_read_with_its_tag() {
    let api = users().await;
    let (id, tag) = api.user("a@x.com").await;
    let answer = api.get(&format!("/{id}")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("etag"), tag);
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert_eq!(answer.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "email", "name", "created_at"]);
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
}

#[tokio::test]
async fn r2_an_unknown_id_is_404() {
    let answer = users().await.get("/00000000-0000-7000-8000-000000000000").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.body, r#"{"error":"not_found","message":"Resource not found"}"#);
}

#[tokio::test]
async fn r3_an_id_has_one_spelling() {
    let api = users().await;
    for id in [
        "abc",
        "1",
        "00000000000070008000000000000000",
        "%7B00000000-0000-7000-8000-000000000000%7D",
        "00000000-0000-7000-8000-0000000000000",
    ] {
        let answer = api.get(&format!("/{id}")).await;
        refused(&answer, "id: must be a UUID");
        assert_eq!(answer.json()["details"][0]["field"], "id");
    }
}

#[tokio::test]
async fn r4_an_upper_case_uuid_is_the_same_item() {
    let api = users().await;
    let (id, _) = api.user("a@x.com").await;
    let answer = api.get(&format!("/{}", id.to_uppercase())).await;
    assert_eq!(answer.json()["id"], id);
}

#[tokio::test]
async fn r5_a_known_tag_is_304_without_a_body() {
    let api = users().await;
    let (id, tag) = api.user("a@x.com").await;
    let gzip = format!("{}+gzip\"", tag.trim_end_matches('"'));
    for known in [tag.clone(), format!("W/{tag}"), "*".to_owned(), format!("\"0.x\", {tag}"), gzip] {
        let answer = api.ask(Method::GET, &format!("/{id}")).header("if-none-match", &known).send().await;
        assert_eq!(answer.status, 304, "{known}");
        assert_eq!(answer.header("etag"), tag);
        assert!(answer.body.is_empty() && answer.header("content-type").is_empty());
    }
}

#[tokio::test]
async fn r6_an_unknown_tag_is_200() {
    let api = users().await;
    let (id, _) = api.user("a@x.com").await;
    for known in ["\"0.x\"", "\"1.aaaaaa\"", "nonsense"] {
        let answer = api.ask(Method::GET, &format!("/{id}")).header("if-none-match", known).send().await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn r7_fields_select_and_change_the_form_of_the_tag() {
    let api = users().await;
    let (id, tag) = api.user("a@x.com").await;
    let answer = api.get(&format!("/{id}?fields=name,id")).await;
    assert_eq!(answer.body, format!(r#"{{"id":"{id}","name":"Test"}}"#), "in declared order");
    let other = answer.header("etag");
    let version = |tag: &str| tag.split_once('.').unwrap().0.to_owned();
    assert!(other != tag && version(&other) == version(&tag));
    let whole = api.get(&format!("/{id}?fields=id,email,name,created_at")).await;
    assert_eq!(whole.header("etag"), tag, "all fields are the whole");
}

#[tokio::test]
async fn r8_unknown_fields_and_parameters_are_refused() {
    let api = users().await;
    let (id, _) = api.user("a@x.com").await;
    refused(&api.get(&format!("/{id}?fields=password")).await, "fields: unknown field \"password\"");
    refused(&api.get(&format!("/{id}?fields=nope")).await, "fields: unknown field \"nope\"");
    refused(&api.get(&format!("/{id}?x=1")).await, "x: unknown parameter");
    refused(&api.get(&format!("/{id}?fields=id&fields=id")).await, "fields: given more than once");
}

#[tokio::test]
async fn r9_who_takes_no_json_is_told_406() {
    let api = users().await;
    let (id, _) = api.user("a@x.com").await;
    let ask = |accept: &'static str| api.ask(Method::GET, &format!("/{id}")).header("accept", accept).send();
    let answer = ask("text/html").await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str().unwrap()), (406, "not_acceptable"));
    for accept in ["*/*", "application/*", "application/json", "application/problem+json"] {
        assert_eq!(ask(accept).await.status, 200);
    }
}
