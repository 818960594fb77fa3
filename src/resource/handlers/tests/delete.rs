//! Rows D1 to D5.

use super::*;

#[tokio::test]
async fn d1_d2_an_item_is_deleted_once() {
    let api = notes().await;
    let (id, _) = api.made(r#"{"title":"a"}"#).await;
    let first = api.ask(Method::DELETE, &format!("/{id}")).send().await;
    assert_eq!(first.status, 204);
    assert!(first.body.is_empty() && first.header("content-type").is_empty());
    for _ in 0..2 {
        let again = api.ask(Method::DELETE, &format!("/{id}")).send().await;
        assert_eq!((again.status.as_u16(), &*again.message()), (404, "Resource not found"));
    }
}

#[tokio::test]
async fn d3_preconditions_hold_for_delete() {
    let api = serve("notes", &NOTES.replace("store: main", "store: main\nconcurrency: required")).await;
    let (id, tag) = api.made(r#"{"title":"a"}"#).await;
    let delete = |tag: Option<&str>| {
        let ask = api.ask(Method::DELETE, &format!("/{id}"));
        match tag {
            Some(tag) => ask.header("if-match", tag),
            None => ask,
        }
        .send()
    };
    assert_eq!(delete(None).await.status, 428);
    let stale = delete(Some("\"7.abcdef\"")).await;
    assert_eq!((stale.status.as_u16(), stale.header("etag")), (412, tag.clone()));
    assert_eq!(delete(Some(&tag)).await.status, 204);
}

#[tokio::test]
async fn d5_a_body_is_ignored() {
    let api = notes().await;
    let (id, _) = api.made(r#"{"title":"a"}"#).await;
    let answer = api.ask(Method::DELETE, &format!("/{id}")).json("{{{").send().await;
    assert_eq!(answer.status, 204);
}
