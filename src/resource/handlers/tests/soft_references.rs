//! Deleted items that are kept, and the items that refer to them.

use super::world::*;
use super::*;
use futures_util::future::{join, join_all};

const SHOP: &str = r#"
lists:
  store: main
  id: { type: string }
  access: { default: public }
  soft_delete: true
  fields: { name: { type: string, unique: true } }
items:
  store: main
  id: { type: string }
  access: { default: public }
  soft_delete: true
  fields:
    list: { type: ref, to: lists, required: true, on_delete: cascade, filter: [eq], expand: true }
    title: { type: string, unique: true }
notes:
  store: main
  id: { type: string }
  access: { default: public }
  soft_delete: true
  fields:
    item: { type: ref, to: items, on_delete: cascade }
    reply_to: { type: ref, to: notes, on_delete: cascade }
    list: { type: ref, to: lists, on_delete: set_null }
    changed: { type: datetime, set: on_write }
marks:
  store: main
  access: { default: public }
  fields:
    item: { type: ref, to: items }
"#;

async fn delete(api: &Api, id: &str) -> u16 {
    api.ask(Method::DELETE, &format!("/{id}")).send().await.status.as_u16()
}

async fn restore(api: &Api, id: &str) -> Answer {
    api.ask(Method::POST, &format!("/{id}/restore")).send().await
}

async fn ids(api: &Api, target: &str) -> Vec<String> {
    api.get(target).await.rows().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

async fn make(api: &Api, body: &str) {
    assert_eq!(api.post(body).await.status, 201, "{body}");
}

async fn shop() -> World {
    let world = world(SHOP).await;
    let (lists, items, notes) = (world.of("lists"), world.of("items"), world.of("notes"));
    for list in ["a", "b"] {
        make(lists, &format!(r#"{{"id":"{list}","name":"{list}"}}"#)).await;
    }
    for list in ["a", "b"] {
        for item in ["1", "2"] {
            make(items, &format!(r#"{{"id":"{list}{item}","list":"{list}","title":"{list}{item}"}}"#)).await;
            make(notes, &format!(r#"{{"id":"{list}{item}n","item":"{list}{item}","list":"b"}}"#)).await;
            make(notes, &format!(r#"{{"id":"{list}{item}r","reply_to":"{list}{item}n"}}"#)).await;
        }
    }
    world
}

#[tokio::test]
async fn what_refers_to_a_deleted_item_refers_to_nothing() {
    let world = shop().await;
    let (lists, items) = (world.of("lists"), world.of("items"));
    assert_eq!(delete(lists, "a").await, 204);
    let refused = items.post(r#"{"id":"x","list":"a"}"#).await;
    let absent = items.post(r#"{"id":"x","list":"z"}"#).await;
    assert_eq!((refused.status.as_u16(), &refused.body), (400, &absent.body));
    assert_eq!(items.patch("b1", r#"{"list":"a"}"#).await.body, absent.body);
    assert_eq!(ids(items, "?filter[list]=a").await, [""; 0]);
    let below = world.under("lists", "a", "items", "list");
    assert_eq!(below.get("").await.status, 404);
    assert_eq!(below.get("?deleted=only").await.status, 404);
    assert_eq!(below.post(r#"{"id":"x"}"#).await.status, 404);
    let expanded = items.get("?deleted=only&expand=list&filter[list]=a").await.rows();
    assert!(expanded.len() == 2 && expanded.iter().all(|row| row["expand"]["list"].is_null()), "{expanded:?}");
}

#[tokio::test]
async fn a_restore_brings_back_what_the_same_delete_took() {
    let world = shop().await;
    let (lists, items, notes) = (world.of("lists"), world.of("items"), world.of("notes"));
    assert_eq!(delete(notes, "a1r").await, 204);
    assert_eq!(delete(items, "a2").await, 204, "with its notes");
    assert_eq!(ids(notes, "").await, ["a1n", "b1n", "b1r", "b2n", "b2r"]);
    let tag = notes.get("/a1n").await.header("etag");
    assert_eq!(delete(lists, "a").await, 204);
    assert_eq!(ids(items, "").await, ["b1", "b2"]);
    assert_eq!(ids(notes, "?deleted=only").await, ["a1n", "a1r", "a2n", "a2r"]);
    let parent = restore(items, "a1").await;
    assert_eq!(parent.fault(), (409, "list".into(), "reference".into()), "{}", parent.body);
    assert_eq!(parent.message(), "list: refers to an item that was deleted");
    assert_eq!(restore(lists, "a").await.status, 200);
    assert_eq!(ids(items, "").await, ["a1", "b1", "b2"], "a2 was deleted before");
    assert_eq!(ids(notes, "").await, ["a1n", "b1n", "b1r", "b2n", "b2r"], "and so was a1r");
    let back = notes.get("/a1n").await;
    assert_ne!(back.header("etag"), tag);
    assert_eq!(back.json()["list"], "b");
    assert_eq!(restore(items, "a2").await.status, 200);
    assert_eq!(restore(notes, "a1r").await.status, 200);
    assert_eq!(ids(notes, "").await.len(), 8);
    for table in ["lists", "items", "notes"] {
        assert_eq!(world.count(&format!("SELECT count(*) FROM \"_gw_deleted_{table}\"")).await, 0);
    }
}

#[tokio::test]
async fn what_became_null_stays_null_and_restrict_counts_what_is_there() {
    let world = shop().await;
    let (lists, items, notes, marks) = (world.of("lists"), world.of("items"), world.of("notes"), world.of("marks"));
    assert_eq!(delete(lists, "b").await, 204);
    assert!(notes.get("/a1n").await.json()["list"].is_null());
    assert_eq!(restore(lists, "b").await.status, 200);
    assert!(notes.get("/a1n").await.json()["list"].is_null());
    assert_eq!(notes.get("/b1n").await.status, 200);
    assert!(notes.get("/b1n").await.json()["list"].is_null(), "of those that came back, too");
    let (mark, _) = marks.made(r#"{"item":"a1"}"#).await;
    for (api, id) in [(lists, "a"), (items, "a1")] {
        assert_eq!(delete(api, id).await, 409);
    }
    assert_eq!(ids(items, "?deleted=only").await, [""; 0], "nothing was kept by a delete that failed");
    assert_eq!(delete(marks, &mark).await, 204);
    assert_eq!(delete(lists, "a").await, 204);
}

#[tokio::test]
async fn a_restore_of_several_items_is_all_or_nothing() {
    let world = shop().await;
    let (lists, items) = (world.of("lists"), world.of("items"));
    assert_eq!(delete(lists, "a").await, 204);
    make(items, r#"{"id":"c1","list":"b","title":"a2"}"#).await;
    let refused = restore(lists, "a").await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert_eq!(lists.get("/a").await.status, 404);
    assert_eq!(ids(items, "?deleted=only").await, ["a1", "a2"]);
    assert_eq!(items.patch("c1", r#"{"title":"c1"}"#).await.status, 200);
    assert_eq!(restore(lists, "a").await.status, 200);
    assert_eq!(ids(items, "?filter[list]=a").await, ["a1", "a2"]);
}

#[tokio::test]
async fn a_tree_comes_back_with_its_root_and_a_branch_only_onto_its_tree() {
    let yaml = r#"
folders:
  store: main
  id: { type: string }
  access: { default: public }
  soft_delete: true
  fields: { parent: { type: ref, to: folders, on_delete: cascade } }
"#;
    let world = world(yaml).await;
    let folders = world.of("folders");
    for (id, parent) in [("a", "null"), ("b", "\"a\""), ("c", "\"b\""), ("d", "\"a\""), ("e", "null")] {
        make(folders, &format!(r#"{{"id":"{id}","parent":{parent}}}"#)).await;
    }
    assert_eq!(folders.patch("e", r#"{"parent":"e"}"#).await.status, 200);
    assert_eq!(delete(folders, "c").await, 204);
    assert_eq!(delete(folders, "a").await, 204);
    let branch = restore(folders, "b").await;
    assert_eq!(branch.fault(), (409, "parent".into(), "reference".into()), "{}", branch.body);
    assert_eq!(branch.message(), "parent: refers to an item that was deleted");
    assert_eq!(restore(folders, "c").await.fault().0, 409, "and its parent");
    assert_eq!(restore(folders, "a").await.status, 200);
    assert_eq!(ids(folders, "").await, ["a", "b", "d", "e"]);
    assert_eq!(restore(folders, "c").await.status, 200);
    // A circle, and an item that is its own parent.
    assert_eq!(folders.patch("a", r#"{"parent":"c"}"#).await.status, 200);
    for id in ["b", "e"] {
        assert_eq!(delete(folders, id).await, 204);
        assert_eq!(restore(folders, id).await.status, 200);
    }
    assert_eq!(ids(folders, "").await, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn accounts_that_come_back_have_their_password_and_no_session() {
    let yaml = r#"
tenants: { store: main, id: { type: string }, access: { default: public }, soft_delete: true, fields: { name: { type: string } } }
members:
  store: main
  access: { default: public }
  soft_delete: true
  fields:
    tenant: { type: ref, to: tenants, on_delete: cascade }
    password: { type: password }
"#;
    let world = world(yaml).await;
    make(world.of("tenants"), r#"{"id":"t"}"#).await;
    let member = world.of("members").post(r#"{"tenant":"t","password":"password123"}"#).await.id();
    let hash = "SELECT count(*) FROM members WHERE password LIKE '$argon2id$%'";
    world.run(&format!("INSERT INTO _gw_sessions VALUES ('1', 'members', '{member}', '', '1', 1, 1, 1, 1)")).await;
    assert_eq!(delete(world.of("tenants"), "t").await, 204);
    assert_eq!((world.count(hash).await, world.count("SELECT count(*) FROM _gw_sessions").await), (0, 0));
    assert_eq!(restore(world.of("tenants"), "t").await.status, 200);
    assert_eq!((world.count(hash).await, world.count("SELECT count(*) FROM _gw_sessions").await), (1, 0));
}

fn only(answers: &[Answer], allowed: &[u16]) {
    for answer in answers {
        assert!(allowed.contains(&answer.status.as_u16()), "{} {}", answer.status, answer.body);
    }
}

const CLIENTS: usize = 16;
const ROUNDS: usize = 20;

/// An item is in one of the two tables, whatever happens at once.
#[tokio::test]
async fn deletes_and_restores_at_once_lose_nothing() {
    let world = shop().await;
    let lists = world.of("lists");
    for _ in 0..ROUNDS {
        let deletes = join_all((0..CLIENTS / 2).map(|_| lists.ask(Method::DELETE, "/a").send()));
        let restores = join_all((0..CLIENTS / 2).map(|_| restore(lists, "a")));
        let (deletes, restores) = join(deletes, restores).await;
        only(&deletes, &[204, 404]);
        only(&restores, &[200, 404]);
        let both = "SELECT (SELECT count(*) FROM lists WHERE id = 'a') + (SELECT count(*) FROM \"_gw_deleted_lists\")";
        assert_eq!(world.count(both).await, 1);
        let items =
            "SELECT (SELECT count(*) FROM items WHERE list = 'a') + (SELECT count(*) FROM \"_gw_deleted_items\")";
        assert_eq!(world.count(items).await, 2);
        if lists.get("/a").await.status == 404 {
            assert_eq!(restore(lists, "a").await.status, 200);
        }
        assert_eq!(ids(world.of("items"), "?filter[list]=a").await, ["a1", "a2"]);
    }
}

#[tokio::test]
async fn of_a_restore_and_creates_with_the_same_value_at_once_one_wins() {
    let world = shop().await;
    let lists = world.of("lists");
    for round in 0..ROUNDS {
        assert_eq!(delete(lists, "a").await, 204);
        let creates = (0..CLIENTS - 1).map(|client| {
            let body = format!(r#"{{"id":"n{round}-{client}","name":"a"}}"#);
            async move { lists.post(&body).await }
        });
        let (creates, back) = join(join_all(creates), restore(lists, "a")).await;
        only(&creates, &[201, 409]);
        only(std::slice::from_ref(&back), &[200, 409]);
        let winners: Vec<_> = creates.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(winners.len() + usize::from(back.status == 200), 1);
        assert_eq!(world.count("SELECT count(*) FROM lists WHERE name = 'a'").await, 1);
        if let [winner] = winners.as_slice() {
            assert_eq!(delete(lists, &winner.id()).await, 204);
            assert_eq!(restore(lists, "a").await.status, 200);
        }
    }
}

#[tokio::test]
async fn no_living_child_has_a_deleted_parent() {
    let world = shop().await;
    let (lists, items) = (world.of("lists"), world.of("items"));
    for round in 0..ROUNDS {
        let creates = join_all((0..CLIENTS - 2).map(|client| {
            let body = format!(r#"{{"id":"c{round}-{client}","list":"a"}}"#);
            async move { items.post(&body).await }
        }));
        let parent = async {
            let deleted = lists.ask(Method::DELETE, "/a").send().await;
            let back = restore(lists, "a").await;
            [deleted, back]
        };
        let moved = async { items.patch("b1", r#"{"list":"a"}"#).await };
        let ((creates, [deleted, back]), moved) = join(join(creates, parent), moved).await;
        only(&creates, &[201, 400]);
        assert_eq!((deleted.status.as_u16(), back.status.as_u16()), (204, 200), "{}", back.body);
        only(std::slice::from_ref(&moved), &[200, 400, 404]);
        let alone = "SELECT count(*) FROM items WHERE list NOT IN (SELECT id FROM lists)";
        assert_eq!(world.count(alone).await, 0);
        // Whatever the delete took came back with the list.
        let made = creates.iter().filter(|answer| answer.status == 201).count();
        let there = world.count(&format!("SELECT count(*) FROM items WHERE id LIKE 'c{round}-%'")).await;
        assert_eq!(usize::try_from(there).unwrap(), made);
        assert_eq!(items.patch("b1", r#"{"list":"b"}"#).await.status, 200);
    }
}
