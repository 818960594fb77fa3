//! Rows M1 to M4, and HEAD.

use super::*;
use crate::resource::store::Sql;

#[tokio::test]
async fn m1_other_methods_are_405_with_allow() {
    let api = users().await;
    let (id, _) = api.user("a@x.com").await;
    let item = format!("/{id}");
    for (method, target) in [(Method::POST, &*item), (Method::TRACE, &*item)] {
        let answer = api.ask(method, target).json("{}").send().await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("allow"), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
        assert_eq!(answer.json()["error"], "method_not_allowed");
    }
    let answer = api.ask(Method::DELETE, "").send().await;
    assert_eq!((answer.status.as_u16(), &*answer.header("allow")), (405, "GET, HEAD, POST, OPTIONS"));
}

#[tokio::test]
async fn m1_operations_that_are_left_out_are_405() {
    let api = serve("notes", &NOTES.replace("store: main", "store: main\noperations: [list]\nput: none")).await;
    for (method, target, allow) in [
        (Method::POST, "", "GET, HEAD, OPTIONS"),
        (Method::PUT, "/00000000-0000-7000-8000-000000000000", "OPTIONS"),
        (Method::GET, "/00000000-0000-7000-8000-000000000000", "OPTIONS"),
    ] {
        let answer = api.ask(method, target).json("{}").send().await;
        assert_eq!((answer.status.as_u16(), &*answer.header("allow")), (405, allow));
    }
}

#[tokio::test]
async fn m2_options_says_what_there_is() {
    let api = users().await;
    let collection = api.ask(Method::OPTIONS, "").send().await;
    assert_eq!((collection.status.as_u16(), &*collection.header("accept-post")), (204, "application/json"));
    assert_eq!(collection.header("allow"), "GET, HEAD, POST, OPTIONS");
    let item = api.ask(Method::OPTIONS, "/abc").send().await;
    assert_eq!((item.status.as_u16(), &*item.header("accept-patch")), (204, "application/merge-patch+json"));
    assert!(super::super::exposed_headers().contains(&"ETag"));
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let api = users().await;
    let (id, _) = api.user("a@x.com").await;
    for target in [format!("/{id}"), String::new(), "/00000000-0000-7000-8000-000000000000".to_owned()] {
        let get = api.get(&target).await;
        let head = api.ask(Method::HEAD, &target).send().await;
        assert_eq!((head.status, &head.headers), (get.status, &get.headers));
        assert!(head.body.is_empty() && !get.body.is_empty());
    }
}

#[tokio::test]
async fn m4_a_store_that_is_gone_is_503_with_retry_after() {
    let api = users().await;
    api.store.close();
    for answer in [api.get("").await, api.post(r#"{"email":"a@x.com","name":"A","password":"password123"}"#).await] {
        assert_eq!((answer.status.as_u16(), &*answer.header("retry-after")), (503, "1"));
        assert_eq!(answer.body, r#"{"error":"unavailable","message":"Service temporarily unavailable"}"#);
    }
}

#[tokio::test]
async fn a_column_that_is_missing_is_500_without_a_word_of_sql() {
    let api = notes().await;
    let rename = Sql::new("ALTER TABLE notes RENAME TO gone", []);
    api.store.execute(std::time::Duration::from_secs(5), rename).await.unwrap();
    let answer = api.get("").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.body, r#"{"error":"internal_error","message":"An internal error occurred"}"#);
}
