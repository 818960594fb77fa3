//! Access rules about the item that an item refers to.

use super::world::*;
use super::*;
use futures_util::future::join_all;
use serde_json::json;

const SHARED: &str = r#"
lists:
  store: main
  id: { type: string }
  access: { list: public, read: public, default: { where: { owner: $claims.sub } }, create: authenticated, update_check: authenticated }
  fields:
    owner: { type: string, default: $claims.sub }
    open: { type: boolean, default: false }
items:
  store: main
  id: { type: string }
  access:
    default: { where: { list.owner: $claims.sub } }
    read: { any: [ { where: { list.owner: $claims.sub } }, { where: { list.open: true } } ] }
  fields:
    list: { type: ref, to: lists, filter: [eq], nullable: true, on_delete: cascade }
    title: { type: string, sort: true }
"#;

async fn ask(api: &Api, who: &str, method: Method, target: &str, body: &str) -> Answer {
    api.ask(method, target).json(body).with(json!({"sub": who})).send().await
}

async fn shared() -> World {
    let world = world(SHARED).await;
    for (who, list) in [("ann", "a"), ("bob", "b")] {
        let made = ask(world.of("lists"), who, Method::POST, "", &format!(r#"{{"id":"{list}"}}"#)).await;
        assert_eq!(made.status, 201, "{}", made.body);
        for number in 0..3 {
            let body = format!(r#"{{"id":"{list}{number}","list":"{list}","title":"{number}"}}"#);
            assert_eq!(ask(world.of("items"), who, Method::POST, "", &body).await.status, 201);
        }
    }
    world
}

#[tokio::test]
async fn a_list_has_and_counts_the_items_below_the_callers_own() {
    let world = shared().await;
    let items = world.of("items");
    for (who, first) in [("ann", "a0"), ("bob", "b0")] {
        let page = ask(items, who, Method::GET, "?per_page=2&sort=title&count=exact", "").await;
        assert_eq!((page.rows().len(), page.header("x-total-count")), (2, "3".into()));
        assert_eq!(page.rows()[0]["id"], first);
        let next = ask(items, who, Method::GET, &page.link("next").unwrap(), "").await;
        assert_eq!(next.rows().len(), 1);
        assert_eq!(ask(items, who, Method::GET, "?page=2&per_page=2&sort=title", "").await.rows().len(), 1);
    }
    assert_eq!(ask(items, "eve", Method::GET, "", "").await.rows().len(), 0);
    assert_eq!(ask(items, "ann", Method::GET, "?filter[list]=b", "").await.rows().len(), 0);
}

#[tokio::test]
async fn reads_and_writes_are_for_the_owner_of_the_list() {
    let world = shared().await;
    let items = world.of("items");
    assert_eq!(ask(items, "ann", Method::GET, "/a0", "").await.status, 200);
    let absent = ask(items, "ann", Method::GET, "/nothing", "").await;
    for (method, body) in [(Method::GET, ""), (Method::PATCH, r#"{"title":"x"}"#), (Method::DELETE, "")] {
        let hidden = ask(items, "ann", method.clone(), "/b0", body).await;
        assert_eq!((hidden.status.as_u16(), &hidden.body), (404, &absent.body), "{method}");
    }
    assert_eq!(ask(items, "ann", Method::PATCH, "/a0", r#"{"title":"x"}"#).await.status, 200);
    assert_eq!(ask(items, "ann", Method::PUT, "/a0", r#"{"title":"y","list":"a"}"#).await.status, 200);
    // Afterwards, too.
    for body in [r#"{"list":"b"}"#, r#"{"list":null}"#] {
        assert_eq!(ask(items, "ann", Method::PATCH, "/a0", body).await.status, 403, "{body}");
    }
    assert_eq!(ask(items, "ann", Method::PUT, "/a0", r#"{"title":"y"}"#).await.status, 403, "without a list");
    assert_eq!(ask(items, "ann", Method::DELETE, "/a1", "").await.status, 204);
    assert_eq!(ask(items, "ann", Method::POST, "", r#"{"id":"x","list":"b"}"#).await.status, 403);
    assert_eq!(ask(items, "ann", Method::POST, "", r#"{"id":"x"}"#).await.status, 403);
    assert_eq!(ask(items, "ann", Method::POST, "", r#"{"id":"x","list":"c"}"#).await.status, 400);
    assert_eq!(ask(items, "ann", Method::PUT, "/x", r#"{"list":"b"}"#).await.status, 403);
    assert_eq!(ask(items, "ann", Method::PUT, "/x", r#"{"list":"a"}"#).await.status, 201);
    assert_eq!(items.ask(Method::GET, "").send().await.status, 401);
}

#[tokio::test]
async fn a_rule_follows_the_list_at_once() {
    let world = shared().await;
    let (lists, items) = (world.of("lists"), world.of("items"));
    let mine = ask(items, "ann", Method::GET, "", "").await;
    assert_eq!(ask(items, "bob", Method::GET, "/a0", "").await.status, 404);
    assert_eq!(ask(lists, "ann", Method::PATCH, "/a", r#"{"open":true}"#).await.status, 200);
    assert_eq!(ask(items, "bob", Method::GET, "/a0", "").await.status, 200);
    assert_eq!(ask(items, "bob", Method::PATCH, "/a0", r#"{"title":"x"}"#).await.status, 404, "to read only");
    assert_eq!(ask(lists, "ann", Method::PATCH, "/a", r#"{"owner":"bob"}"#).await.status, 200);
    let now = items.ask(Method::GET, "").header("if-none-match", &mine.header("etag")).with(json!({"sub": "ann"}));
    assert_eq!(now.send().await.rows().len(), 0, "the tag of the list is another one");
    assert_eq!(ask(items, "bob", Method::GET, "?count=exact", "").await.header("x-total-count"), "6");
    assert_eq!(ask(items, "ann", Method::DELETE, "/a0", "").await.status, 404);
}

#[tokio::test]
async fn conditions_of_several_kinds_work_on_the_other_item() {
    for (condition, holds) in [
        ("{ list.owner: { prefix: an } }", true),
        ("{ list.owner: { prefix: bo } }", false),
        ("{ list.owner: { in: [x, ann] } }", true),
        ("{ list.owner: { contains: nn } }", true),
        ("{ list.owner: { ne: ann } }", false),
        ("{ list.owner: { \"null\": false } }", true),
        ("{ list.owner: { \"null\": true } }", false),
        ("{ list.open: false }", true),
        ("{ list.id: a }", true),
        ("{ list.id: b }", false),
    ] {
        let rules = format!("access: {{ default: {{ where: {condition} }}, delete: public }}");
        let old = "access:\n    default: { where: { list.owner: $claims.sub } }\n    read: { any: [ { where: { list.owner: $claims.sub } }, { where: { list.open: true } } ] }";
        let yaml = SHARED.replace(old, &rules);
        assert_ne!(yaml, SHARED);
        let world = world(&yaml).await;
        let (lists, items) = (world.of("lists"), world.of("items"));
        assert_eq!(ask(lists, "ann", Method::POST, "", r#"{"id":"a"}"#).await.status, 201);
        world.run("INSERT INTO items (id, list) VALUES ('i', 'a'), ('j', NULL)").await;
        let rows = ask(items, "ann", Method::GET, "", "").await.rows().len();
        assert_eq!(rows, usize::from(holds), "{condition}");
        let made = ask(items, "ann", Method::POST, "", r#"{"id":"k","list":"a"}"#).await;
        assert_eq!(made.status, if holds { 201 } else { 403 }, "memory agrees: {condition}");
        let changed = ask(items, "ann", Method::PATCH, "/i", r#"{"title":"x"}"#).await;
        assert_eq!(changed.status, if holds { 200 } else { 404 }, "{condition}");
    }
}

#[tokio::test]
async fn an_item_of_the_same_resource_is_another_one() {
    let yaml = r#"
folders:
  store: main
  id: { type: string }
  access: { default: { where: { parent.owner: $claims.sub } }, create: authenticated }
  fields:
    owner: { type: string, set: $claims.sub }
    parent: { type: ref, to: folders }
"#;
    let world = world(yaml).await;
    let folders = world.of("folders");
    assert_eq!(ask(folders, "ann", Method::POST, "", r#"{"id":"a"}"#).await.status, 201);
    world.run("UPDATE folders SET parent = 'a'").await;
    assert_eq!(ask(folders, "bob", Method::POST, "", r#"{"id":"b"}"#).await.status, 201);
    world.run("UPDATE folders SET parent = 'a' WHERE id = 'b'").await;
    assert_eq!(ask(folders, "ann", Method::GET, "?count=exact", "").await.header("x-total-count"), "2");
    assert_eq!(ask(folders, "bob", Method::GET, "", "").await.rows().len(), 0, "its own owner does not count");
    assert_eq!(ask(folders, "ann", Method::GET, "/b", "").await.status, 200);
}

/// A write that is allowed by the owner of a list is done before the list has another owner, or is refused.
#[tokio::test]
async fn no_write_slips_through_while_the_list_changes_hands() {
    let world = shared().await;
    let (lists, items) = (world.of("lists"), world.of("items"));
    for round in 0..8 {
        world.run("UPDATE lists SET owner = 'ann' WHERE id = 'a'").await;
        let body = |number: usize| format!(r#"{{"id":"n{round}-{number}","list":"a","title":"ann"}}"#);
        let bodies: Vec<String> = (0..16).map(body).collect();
        let creates = join_all(bodies.iter().map(|body| ask(items, "ann", Method::POST, "", body)));
        let (created, given) =
            futures_util::future::join(creates, ask(lists, "ann", Method::PATCH, "/a", r#"{"owner":"bob"}"#)).await;
        assert_eq!(given.status, 200, "{}", given.body);
        assert!(created.iter().all(|answer| [201, 403].contains(&answer.status.as_u16())));
        assert_eq!(ask(items, "ann", Method::POST, "", r#"{"id":"late","list":"a"}"#).await.status, 403);
    }
}
