//! An entity tag is never given twice for different content.

use super::described::Described;
use super::*;
use crate::resource::store::{Param, Sql, Statement};
use std::time::Duration;

pub const KEYS: &str = r#"
store: main
id: { type: string }
access: { default: public }
fields: { v: { type: string } }
"#;

/// The keys in the store at `url`.
pub async fn keys(url: &str) -> Api {
    let model = compile_for("kv", KEYS, url);
    let store = Arc::new(Store::new(&url.parse().unwrap()).unwrap());
    store.prepare(std::slice::from_ref(&model.table)).await.unwrap();
    let (statements, described) = (Arc::new(Statements::new(&store, "main", &model.table.name)), Described::of(&model));
    let service = super::super::items(&super::super::api(
        Arc::new(model),
        Arc::clone(&store),
        Arc::new(Hasher::new()),
        statements,
        &[],
    ));
    Api { service, store, path: "/kv".into(), fixed: Vec::new(), described }
}

pub async fn put(api: &Api, value: &str) -> String {
    let answer = api.put("a", &format!(r#"{{"v":"{value}"}}"#)).await;
    assert!([200, 201].contains(&answer.status.as_u16()), "{}", answer.body);
    answer.header("etag")
}

async fn delete(api: &Api) {
    assert_eq!(api.ask(Method::DELETE, "/a").send().await.status, 204);
}

async fn by_hand(api: &Api, sql: &'static str) {
    let done = api.store.execute(Duration::from_secs(5), Sql::new(sql, [])).await;
    assert_eq!(done.unwrap().changed, 1);
}

pub async fn get(api: &Api, header: &'static str, tag: &str) -> Answer {
    api.ask(Method::GET, "/a").header(header, tag).send().await
}

#[tokio::test]
async fn a_tag_does_not_come_back_with_an_item_that_was_deleted() {
    let api = keys(&url().await).await;
    let old = put(&api, "one").await;
    delete(&api).await;
    let new = put(&api, "two").await;
    assert_ne!(old, new);
    assert_eq!(get(&api, "if-none-match", &old).await.status, 200);
    let blind = api.ask(Method::PUT, "/a").header("if-match", &old).json(r#"{"v":"three"}"#).send().await;
    assert_eq!(blind.status, 412);
    assert_eq!(get(&api, "if-none-match", &new).await.status, 304);
}

#[tokio::test]
async fn a_tag_does_not_come_back_with_a_new_store_in_memory() {
    let before = put(&keys(&url().await).await, "one").await;
    let after = put(&keys(&url().await).await, "two").await;
    assert_ne!(before, after);
}

#[tokio::test]
async fn a_tag_does_not_come_back_with_a_file_from_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let (file, backup) = (folder.path().join("kv.db"), folder.path().join("kv.backup"));
    let url = format!("sqlite://{}", file.display());
    let open = async || keys(&url).await;
    let api = open().await;
    let first = put(&api, "one").await;
    // Folds the log into the file.
    api.store.close();
    std::fs::copy(&file, &backup).unwrap();
    let api = open().await;
    assert_eq!(api.get("/a").await.header("etag"), first, "a restart changes no tag");
    let lost = put(&api, "two").await;
    // Folds the log into the file.
    api.store.close();
    std::fs::copy(&backup, &file).unwrap();
    let api = open().await;
    assert_eq!(api.get("/a").await.header("etag"), first, "the content it was for is there again");
    let other = put(&api, "three").await;
    assert_ne!(lost, other);
    assert_eq!(get(&api, "if-none-match", &lost).await.status, 200);
    drop(api);
}

#[tokio::test]
async fn a_tag_does_not_come_back_with_a_row_made_by_hand() {
    let api = keys(&url().await).await;
    let mut tags = vec![put(&api, "one").await];
    for _ in 0..3 {
        delete(&api).await;
        by_hand(&api, "INSERT INTO kv (id, v) VALUES ('a', 'by hand')").await;
        tags.push(api.get("/a").await.header("etag"));
    }
    let different: std::collections::HashSet<_> = tags.iter().collect();
    assert_eq!(different.len(), 4, "{tags:?}");
}

#[tokio::test]
async fn tags_from_before_are_good_until_the_next_write() {
    let api = keys(&url().await).await;
    put(&api, "one").await;
    by_hand(&api, "UPDATE kv SET _version = 1").await;
    let tag = api.get("/a").await.header("etag");
    assert!(tag.starts_with("\"1."), "{tag}");
    assert_eq!(get(&api, "if-none-match", &tag).await.status, 304);
    let changed = api.ask(Method::PATCH, "/a").header("if-match", &tag).json(r#"{"v":"two"}"#).send().await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), tag);
}

#[tokio::test]
async fn the_version_of_a_write_is_the_one_that_is_stored() {
    let api = keys(&url().await).await;
    for value in ["one", "two"] {
        let tag = put(&api, value).await;
        let statement = Statement {
            sql: "SELECT _version FROM kv".into(),
            parameters: Vec::new(),
            deadline: Duration::from_secs(5),
        };
        let stored = api.store.query(statement, |rows| Ok(rows.next()?.unwrap().cell(0).owned()));
        let Param::Integer(version) = stored.await.unwrap() else { panic!("a number") };
        assert!(tag.starts_with(&format!("\"{version}.")), "{tag} {version}");
    }
}
