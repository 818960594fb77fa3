//! Triggers of the database that silently discard what a statement does: no request says that it worked, and nothing is half done.

use super::world::*;
use super::*;

const SHOP: &str = r#"
lists:
  store: main
  id: { type: string }
  access: { default: public }
  bulk: { create: true, upsert: id }
  fields: { name: { type: string } }
kept:
  store: main
  id: { type: string }
  access: { default: public }
  soft_delete: true
  fields: { name: { type: string } }
parts:
  store: main
  id: { type: string }
  access: { default: public }
  soft_delete: true
  fields: { kept: { type: ref, to: kept, on_delete: cascade } }
users:
  store: main
  id: { type: string }
  access: { default: public }
  fields: { password: { type: password }, list: { type: ref, to: lists, on_delete: cascade } }
boxes:
  store: main
  id: { type: string }
  access: { default: public }
  soft_delete: true
  fields: { inside: { type: ref, to: boxes, on_delete: cascade }, beside: { type: ref, to: boxes } }
tags:
  store: main
  id: { type: string }
  access: { default: public }
  fields: { box: { type: ref, to: boxes }, below: { type: ref, to: tags, on_delete: cascade } }
lines:
  store: main
  id: { type: string }
  access: { default: public }
  fields: { list: { type: ref, to: lists, on_delete: cascade } }
labels:
  store: main
  id: { type: string }
  access: { default: public }
  fields: { list: { type: ref, to: lists, on_delete: set_null } }
"#;

/// Rows whose id is `x` are left as they are.
pub async fn discard(world: &World, event: &str, table: &str) {
    let row = if event == "INSERT" { "NEW" } else { "OLD" };
    if postgres::server().is_none() {
        let body = "SELECT RAISE(IGNORE); END";
        world.run(&format!("CREATE TRIGGER t BEFORE {event} ON {table} WHEN {row}.id = 'x' BEGIN {body}")).await;
        return;
    }
    world
        .run("CREATE OR REPLACE FUNCTION ignored() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        .await;
    let when = format!("FOR EACH ROW WHEN ({row}.id = 'x') EXECUTE FUNCTION ignored()");
    world.run(&format!("CREATE TRIGGER t BEFORE {event} ON {table} {when}")).await;
}

pub async fn allow(world: &World, table: &str) {
    let on = if postgres::server().is_some() { format!(" ON {table}") } else { String::new() };
    world.run(&format!("DROP TRIGGER t{on}")).await;
}

fn failed(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), &*answer.reason), (500, "store_failed"), "{}", answer.body);
}

async fn send(api: &Api, method: Method, target: &str, body: &str) -> Answer {
    api.ask(method, target).json(body).send().await
}

#[tokio::test]
async fn a_change_that_is_discarded_is_an_error() {
    let world = world(SHOP).await;
    let lists = world.of("lists");
    for id in ["x", "y"] {
        assert_eq!(lists.post(&format!(r#"{{"id":"{id}","name":"old"}}"#)).await.status, 201);
    }
    discard(&world, "UPDATE", "lists").await;
    let new = r#"{"name":"new"}"#;
    failed(&lists.patch("x", new).await);
    failed(&lists.put("x", new).await);
    failed(&send(lists, Method::PUT, "", r#"[{"id":"x","name":"new"}]"#).await);
    failed(&send(lists, Method::PUT, "", r#"[{"id":"y","name":"new"},{"id":"x","name":"new"},{"id":"z"}]"#).await);
    assert_eq!(world.count("SELECT count(*) FROM lists WHERE name = 'old'").await, 2, "a list is all or nothing");
    assert_eq!(lists.get("/z").await.status, 404);
    let each = lists.ask(Method::PUT, "").header("prefer", "handling=lenient");
    let each = each.json(r#"[{"id":"y","name":"new"},{"id":"x","name":"new"}]"#).send().await.json();
    assert_eq!((&each[0]["status"], &each[1]["status"]), (&200.into(), &500.into()));
    assert_eq!(lists.patch("x", r#"{"name":"old"}"#).await.status, 200, "nothing to change");
}

#[tokio::test]
async fn a_create_that_is_discarded_leaves_nothing_behind() {
    let world = world(SHOP).await;
    let lists = world.of("lists");
    discard(&world, "INSERT", "lists").await;
    failed(&lists.post(r#"{"id":"x"}"#).await);
    failed(&lists.put("x", "{}").await);
    failed(&lists.post(r#"[{"id":"a"},{"id":"x"},{"id":"b"}]"#).await);
    failed(&send(lists, Method::PUT, "", r#"[{"id":"a"},{"id":"x"},{"id":"b"}]"#).await);
    assert_eq!(world.count("SELECT count(*) FROM lists").await, 0, "a list is all or nothing");
    for body in [r#"{"id":"x"}"#, r#"[{"id":"a"},{"id":"x"}]"#] {
        let keyed = || lists.ask(Method::POST, "").header("idempotency-key", "k").json(body).send();
        failed(&keyed().await);
        failed(&keyed().await);
    }
}

#[tokio::test]
async fn a_delete_that_is_discarded_is_an_error() {
    let world = world(SHOP).await;
    for table in ["lists", "users"] {
        let api = world.of(table);
        assert_eq!(api.post(r#"{"id":"x"}"#).await.status, 201);
        discard(&world, "DELETE", table).await;
        failed(&send(api, Method::DELETE, "/x", "").await);
        assert_eq!(api.get("/x").await.status, 200);
        allow(&world, table).await;
        assert_eq!(send(api, Method::DELETE, "/x", "").await.status, 204);
    }
    let (kept, parts) = (world.of("kept"), world.of("parts"));
    assert_eq!(kept.post(r#"{"id":"x"}"#).await.status, 201);
    for id in ["x", "y"] {
        assert_eq!(parts.post(&format!(r#"{{"id":"{id}","kept":"x"}}"#)).await.status, 201);
    }
    let there = || async {
        for (api, target, rows) in
            [(kept, "", 1), (kept, "?deleted=only", 0), (parts, "", 2), (parts, "?deleted=only", 0)]
        {
            assert_eq!(api.get(target).await.rows().len(), rows, "{target}");
        }
    };
    // The item itself, what goes with it, and the copies that are kept of both.
    for (event, table) in
        [("DELETE", "kept"), ("DELETE", "parts"), ("INSERT", "_gw_deleted_kept"), ("INSERT", "_gw_deleted_parts")]
    {
        discard(&world, event, table).await;
        failed(&send(kept, Method::DELETE, "/x", "").await);
        there().await;
        allow(&world, table).await;
    }
    assert_eq!(send(kept, Method::DELETE, "/x", "").await.status, 204);
    for (event, table) in
        [("INSERT", "kept"), ("INSERT", "parts"), ("DELETE", "_gw_deleted_kept"), ("DELETE", "_gw_deleted_parts")]
    {
        discard(&world, event, table).await;
        failed(&send(kept, Method::POST, "/x/restore", "").await);
        assert_eq!((kept.get("").await.rows().len(), parts.get("").await.rows().len()), (0, 0), "{table}");
        assert_eq!(parts.get("?deleted=only").await.rows().len(), 2, "{table}");
        allow(&world, table).await;
    }
    assert_eq!(send(kept, Method::POST, "/x/restore", "").await.status, 200);
    there().await;
    // What is removed for good.
    assert_eq!(send(kept, Method::DELETE, "/x", "").await.status, 204);
    for table in ["_gw_deleted_kept", "_gw_deleted_parts"] {
        discard(&world, "DELETE", table).await;
        failed(&send(kept, Method::DELETE, "/x?deleted=only", "").await);
        assert_eq!(kept.get("?deleted=only").await.rows().len(), 1, "{table}");
        assert_eq!(parts.get("?deleted=only").await.rows().len(), 2, "{table}");
        allow(&world, table).await;
    }
    assert_eq!(send(kept, Method::POST, "/x/restore", "").await.status, 200);
    // An id that is used again: the earlier copy of it cannot go.
    assert_eq!(send(kept, Method::DELETE, "/x", "").await.status, 204);
    assert_eq!(kept.post(r#"{"id":"x","name":"again"}"#).await.status, 201);
    discard(&world, "DELETE", "_gw_deleted_kept").await;
    failed(&send(kept, Method::DELETE, "/x", "").await);
    assert_eq!(kept.get("/x").await.json()["name"], "again");
    assert_eq!(parts.get("?deleted=only").await.rows().len(), 2);
}

#[tokio::test]
async fn what_a_delete_does_elsewhere_is_done_or_nothing_is() {
    let world = world(SHOP).await;
    let lists = world.of("lists");
    assert_eq!(lists.post(r#"{"id":"l"}"#).await.status, 201);
    for table in ["lines", "labels"] {
        for id in ["x", "y"] {
            assert_eq!(world.of(table).post(&format!(r#"{{"id":"{id}","list":"l"}}"#)).await.status, 201);
        }
    }
    for (event, table) in [("DELETE", "lines"), ("UPDATE", "labels"), ("DELETE", "lists")] {
        if table == "lists" {
            assert_eq!(lists.post(r#"{"id":"x"}"#).await.status, 201);
        }
        discard(&world, event, table).await;
        failed(&send(lists, Method::DELETE, if table == "lists" { "/x" } else { "/l" }, "").await);
        for table in ["lines", "labels"] {
            let count = format!("SELECT count(*) FROM {table} WHERE list = 'l'");
            assert_eq!(world.count(&count).await, 2, "{event} {table}");
        }
        assert_eq!(lists.get("/l").await.status, 200);
        allow(&world, table).await;
    }
    assert_eq!(send(lists, Method::DELETE, "/l", "").await.status, 204);
    assert_eq!(world.count("SELECT count(*) FROM lines").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM labels WHERE list IS NULL").await, 2);
}

/// The foreign key of a row that is left fails within the statement that deletes the others.
#[tokio::test]
async fn a_delete_of_a_tree_of_which_a_part_is_discarded_is_an_error() {
    let world = world(SHOP).await;
    let (boxes, tags) = (world.of("boxes"), world.of("tags"));
    for (api, field, table) in [(boxes, "inside", "boxes"), (tags, "below", "tags")] {
        for (id, to) in [("a", "null"), ("x", "\"a\""), ("b", "\"x\""), ("c", "\"a\"")] {
            assert_eq!(api.post(&format!(r#"{{"id":"{id}","{field}":{to}}}"#)).await.status, 201);
        }
        discard(&world, "DELETE", table).await;
        for id in ["/a", "/x"] {
            failed(&send(api, Method::DELETE, id, "").await);
            assert_eq!(api.get("").await.rows().len(), 4);
        }
        assert_eq!(send(api, Method::DELETE, "/b", "").await.status, 204);
        allow(&world, table).await;
    }
    assert_eq!(boxes.get("?deleted=only").await.rows().len(), 1);
    // Others that refer to it are still a conflict, in the same table too.
    for (api, item, id) in [(tags, r#"{"id":"t","box":"x"}"#, "/t"), (boxes, r#"{"id":"d","beside":"x"}"#, "/d")] {
        assert_eq!(api.post(item).await.status, 201);
        assert_eq!(send(boxes, Method::DELETE, "/a", "").await.status, 409, "{item}");
        assert_eq!(send(api, Method::DELETE, id, "").await.status, 204);
    }
    assert_eq!(send(boxes, Method::DELETE, "/a", "").await.status, 204);
    let deleted = async || boxes.get("?deleted=only").await.rows().len();
    assert_eq!(deleted().await, 5);
    discard(&world, "DELETE", "_gw_deleted_boxes").await;
    failed(&send(boxes, Method::DELETE, "/a?deleted=only", "").await);
    assert_eq!(deleted().await, 5);
    allow(&world, "_gw_deleted_boxes").await;
    assert_eq!(send(boxes, Method::DELETE, "/a?deleted=only", "").await.status, 204);
    assert_eq!(deleted().await, 2, "those that were deleted alone");
}

#[tokio::test]
async fn sessions_that_the_database_keeps_are_an_error() {
    let world = world(SHOP).await;
    let (lists, users) = (world.of("lists"), world.of("users"));
    assert_eq!(lists.post(r#"{"id":"l"}"#).await.status, 201);
    assert_eq!(users.post(r#"{"id":"u","list":"l","password":"password123"}"#).await.status, 201);
    for id in ["x", "y"] {
        world.run(&format!("INSERT INTO _gw_sessions VALUES ('{id}', 'users', 'u', '', '1', 1, 1, 1, 1)")).await;
    }
    let tag = users.get("/u").await.header("etag");
    discard(&world, "DELETE", "_gw_sessions").await;
    failed(&send(users, Method::PATCH, "/u", r#"{"password":"password456"}"#).await);
    failed(&send(users, Method::DELETE, "/u", "").await);
    failed(&send(lists, Method::DELETE, "/l", "").await);
    assert_eq!(users.get("/u").await.header("etag"), tag);
    assert_eq!(world.count("SELECT count(*) FROM _gw_sessions").await, 2);
    allow(&world, "_gw_sessions").await;
    assert_eq!(send(users, Method::PATCH, "/u", r#"{"password":"password456"}"#).await.status, 200);
    assert_eq!(world.count("SELECT count(*) FROM _gw_sessions").await, 0);
    assert_eq!(send(lists, Method::DELETE, "/l", "").await.status, 204);
}
