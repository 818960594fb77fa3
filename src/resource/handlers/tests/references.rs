//! Fields that refer to items of other resources.

use super::world::*;
use super::*;
use futures_util::future::join_all;
use serde_json::json;

const SHOP: &str = r#"
lists:
  store: main
  access: { default: public }
  fields: { name: { type: string, required: true } }
items:
  store: main
  access: { default: public }
  fields:
    list_id: { type: ref, to: lists, required: true, filter: [eq, in], sort: true }
    parent_id: { type: ref, to: items, on_delete: set_null, filter: [eq, "null"] }
    title: { type: string, required: true }
"#;

fn missing(field: &str) -> (u16, String, String) {
    (400, field.to_owned(), "reference".to_owned())
}

const NOWHERE: &str = "01a22510-357c-72a9-84c8-411555ce7244";

#[tokio::test]
async fn what_an_item_refers_to_must_be_there() {
    let world = world(SHOP).await;
    let (list, _) = world.of("lists").made(r#"{"name":"a"}"#).await;
    let items = world.of("items");
    let made = items.post(&format!(r#"{{"title":"x","list_id":"{list}"}}"#)).await;
    let item = made.id();
    assert_eq!(made.json()["list_id"], list.as_str());
    assert_eq!(made.json()["parent_id"], Value::Null);
    let refused = items.post(&format!(r#"{{"title":"x","list_id":"{NOWHERE}"}}"#)).await;
    assert_eq!(refused.fault(), missing("list_id"));
    assert_eq!(refused.message(), "list_id: refers to an item that does not exist");
    let both = format!(r#"{{"title":"x","list_id":"{NOWHERE}","parent_id":"{NOWHERE}"}}"#);
    assert_eq!(items.post(&both).await.json()["details"].as_array().unwrap().len(), 2, "all at once");
    assert_eq!(items.patch(&item, &format!(r#"{{"list_id":"{NOWHERE}"}}"#)).await.fault(), missing("list_id"));
    assert_eq!(
        items.put(&item, &format!(r#"{{"title":"x","list_id":"{NOWHERE}"}}"#)).await.fault(),
        missing("list_id")
    );
    assert_eq!(items.patch(&item, r#"{"list_id":"x"}"#).await.fault(), (400, "list_id".into(), "format".into()));
    assert_eq!(items.patch(&item, r#"{"list_id":null}"#).await.fault(), (400, "list_id".into(), "null".into()));
    let own = format!(r#"{{"parent_id":"{item}"}}"#);
    assert_eq!(items.patch(&item, &own).await.status, 200, "to itself");
    assert_eq!(items.patch(&item, r#"{"parent_id":null}"#).await.json()["parent_id"], Value::Null);
    let stale = items.ask(Method::PATCH, &format!("/{item}")).header("if-match", "\"1.x\"").json(&both);
    assert_eq!(stale.send().await.status, 412, "conditions come first");
}

#[tokio::test]
async fn a_reference_filters_and_sorts() {
    let world = world(SHOP).await;
    let mut lists = Vec::new();
    for name in ["a", "b"] {
        let (list, _) = world.of("lists").made(&format!(r#"{{"name":"{name}"}}"#)).await;
        for title in ["x", "y"] {
            world.of("items").made(&format!(r#"{{"title":"{title}","list_id":"{list}"}}"#)).await;
        }
        lists.push(list);
    }
    let items = world.of("items");
    assert_eq!(items.get(&format!("?filter[list_id]={}", lists[0])).await.rows().len(), 2);
    assert_eq!(items.get(&format!("?filter[list_id][in]={},{NOWHERE},{}", lists[0], lists[1])).await.rows().len(), 4);
    let sorted = items.get("?sort=-list_id").await.rows();
    assert_eq!(sorted[0]["list_id"], lists[1].as_str());
    refused(&items.get("?filter[list_id]=x").await, "filter[list_id]: must be a UUID");
}

#[tokio::test]
async fn an_item_that_others_refer_to_cannot_be_deleted() {
    let world = world(SHOP).await;
    let (list, tag) = world.of("lists").made(r#"{"name":"a"}"#).await;
    let (item, _) = world.of("items").made(&format!(r#"{{"title":"x","list_id":"{list}"}}"#)).await;
    let delete = |name: &str, id: &str| world.of(name).ask(Method::DELETE, &format!("/{id}")).send();
    let refused = delete("lists", &list).await;
    assert_eq!((refused.status.as_u16(), refused.message()), (409, "Resource is still referenced".to_owned()));
    assert_eq!(refused.json()["error"], "conflict");
    assert_eq!(world.of("lists").get(&format!("/{list}")).await.header("etag"), tag);
    assert_eq!(delete("items", &item).await.status, 204);
    assert_eq!(delete("lists", &list).await.status, 204);
}

#[tokio::test]
async fn a_reference_becomes_null_when_its_item_is_deleted() {
    let world = world(&SHOP.replace("title: {", "changed: { type: datetime, set: on_write }\n    title: {")).await;
    let (list, _) = world.of("lists").made(r#"{"name":"a"}"#).await;
    let items = world.of("items");
    let (parent, _) = items.made(&format!(r#"{{"title":"x","list_id":"{list}"}}"#)).await;
    let child = format!(r#"{{"title":"y","list_id":"{list}","parent_id":"{parent}"}}"#);
    let (child, tag) = items.made(&child).await;
    let before = items.get(&format!("/{child}")).await;
    let page = items.get("").await.header("etag");
    assert_eq!(items.ask(Method::DELETE, &format!("/{parent}")).send().await.status, 204);
    let after = items.ask(Method::GET, &format!("/{child}")).header("if-none-match", &tag).send().await;
    assert_eq!((after.status.as_u16(), &after.json()["parent_id"]), (200, &Value::Null), "its tag is another one");
    assert!(after.json()["changed"].as_str() > before.json()["changed"].as_str());
    assert_eq!(items.ask(Method::GET, "").header("if-none-match", &page).send().await.status, 200);
}

const BLOG: &str = r#"
users:
  store: main
  id: { type: integer }
  access: { default: public }
  fields: { name: { type: string } }
posts:
  store: main
  access: { default: public }
  fields:
    author: { type: ref, to: users, on_delete: cascade, required: true }
comments:
  store: main
  id: { type: string }
  access: { default: public }
  fields:
    post: { type: ref, to: posts, on_delete: cascade, required: true }
    author: { type: ref, to: users, on_delete: cascade, required: true }
    reply_to: { type: ref, to: comments, on_delete: cascade }
likes:
  store: main
  access: { default: public }
  fields:
    comment: { type: ref, to: comments, on_delete: set_null }
    best: { type: ref, to: posts }
"#;

async fn blog(world: &World) -> (String, String) {
    let (ann, _) = world.of("users").made(r#"{"name":"ann"}"#).await;
    let (bob, _) = world.of("users").made(r#"{"name":"bob"}"#).await;
    for (author, number) in [(&ann, 1), (&bob, 2)] {
        let post = world.of("posts").post(&format!(r#"{{"author":{author}}}"#)).await.id();
        for (nth, author) in [&ann, &bob].into_iter().enumerate() {
            let body = format!(r#"{{"id":"c{number}{nth}","post":"{post}","author":{author}}}"#);
            assert_eq!(world.of("comments").post(&body).await.status, 201);
            let reply =
                format!(r#"{{"id":"r{number}{nth}","post":"{post}","author":{bob},"reply_to":"c{number}{nth}"}}"#);
            assert_eq!(world.of("comments").post(&reply).await.status, 201);
            let like = format!(r#"{{"comment":"r{number}{nth}"}}"#);
            assert_eq!(world.of("likes").post(&like).await.status, 201);
        }
    }
    (ann, bob)
}

#[tokio::test]
async fn a_delete_cascades_over_several_resources() {
    let world = world(BLOG).await;
    let (ann, bob) = blog(&world).await;
    assert_eq!(world.of("users").ask(Method::DELETE, &format!("/{ann}")).send().await.status, 204);
    let posts = world.of("posts").get("").await.rows();
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0]["author"].to_string(), bob);
    // Ann's comment on Bob's post is gone, with the reply to it.
    let comments: Vec<_> = world.of("comments").get("?sort=id").await.rows().iter().map(|c| c["id"].clone()).collect();
    assert_eq!(comments, ["c21", "r21"]);
    let likes = world.of("likes").get("").await.rows();
    assert_eq!(likes.len(), 4, "they only lose what they refer to");
    assert_eq!(likes.iter().filter(|like| like["comment"].is_null()).count(), 3);
}

#[tokio::test]
async fn a_cascade_stops_where_an_item_must_stay() {
    let world = world(BLOG).await;
    let (ann, _) = blog(&world).await;
    let post = world.of("posts").get("").await.rows()[0]["id"].as_str().unwrap().to_owned();
    let (like, _) = world.of("likes").made(&format!(r#"{{"best":"{post}"}}"#)).await;
    let refused = world.of("users").ask(Method::DELETE, &format!("/{ann}")).send().await;
    assert_eq!((refused.status.as_u16(), refused.message()), (409, "Resource is still referenced".to_owned()));
    assert_eq!(world.of("comments").get("").await.rows().len(), 8, "nothing was deleted");
    assert!(world.of("likes").get("").await.rows().iter().filter(|like| !like["comment"].is_null()).count() == 4);
    assert_eq!(world.of("likes").ask(Method::DELETE, &format!("/{like}")).send().await.status, 204);
    assert_eq!(world.of("users").ask(Method::DELETE, &format!("/{ann}")).send().await.status, 204);
}

#[tokio::test]
async fn a_tree_is_deleted_with_its_root_and_a_circle_with_any_of_its_items() {
    let yaml = r#"
folders:
  store: main
  id: { type: string }
  access: { default: public }
  fields: { parent: { type: ref, to: folders, on_delete: cascade } }
"#;
    let world = world(yaml).await;
    let folders = world.of("folders");
    for (id, parent) in [("a", "null"), ("b", "\"a\""), ("c", "\"b\""), ("d", "\"a\""), ("e", "null"), ("f", "\"f\"")] {
        let made = folders.post(&format!(r#"{{"id":"{id}","parent":{parent}}}"#)).await;
        let expected = if id == "f" { 400 } else { 201 };
        assert_eq!(made.status, expected, "{id}: {}", made.body);
    }
    assert_eq!(folders.patch("e", r#"{"parent":"e"}"#).await.status, 200, "its own parent");
    assert_eq!(folders.patch("a", r#"{"parent":"c"}"#).await.status, 200, "a circle");
    assert_eq!(folders.ask(Method::DELETE, "/b").send().await.status, 204);
    assert_eq!(folders.get("").await.rows().len(), 1);
    assert_eq!(folders.ask(Method::DELETE, "/e").send().await.status, 204);
}

#[tokio::test]
async fn resources_may_refer_to_each_other() {
    let yaml = r#"
teams:
  store: main
  access: { default: public }
  fields: { name: { type: string }, lead: { type: ref, to: people } }
people:
  store: main
  access: { default: public }
  fields: { team: { type: ref, to: teams, required: true, on_delete: cascade } }
"#;
    let world = world(yaml).await;
    let (team, _) = world.of("teams").made(r#"{"name":"a"}"#).await;
    let (ann, _) = world.of("people").made(&format!(r#"{{"team":"{team}"}}"#)).await;
    assert_eq!(world.of("teams").patch(&team, &format!(r#"{{"lead":"{ann}"}}"#)).await.status, 200);
    assert_eq!(world.of("people").ask(Method::DELETE, &format!("/{ann}")).send().await.status, 409);
    assert_eq!(world.of("teams").ask(Method::DELETE, &format!("/{team}")).send().await.status, 409, "it refers to Ann");
    assert_eq!(world.of("teams").patch(&team, r#"{"lead":null}"#).await.status, 200);
    assert_eq!(world.of("teams").ask(Method::DELETE, &format!("/{team}")).send().await.status, 204);
    assert_eq!(world.of("people").get("").await.rows().len(), 0);
}

const SECRETS: &str = r#"
lists:
  store: main
  id: { type: string }
  access: { create: authenticated, default: { where: { owner: $claims.sub } } }
  fields: { owner: { type: string, set: $claims.sub } }
items:
  store: main
  access: { default: authenticated }
  fields:
    list: { type: ref, to: lists }
    title: { type: string }
users:
  store: main
  id: { type: string }
  access: { default: { role: admin }, create: public }
  fields: { name: { type: string } }
notes:
  store: main
  access: { default: authenticated }
  fields:
    author: { type: ref, to: users, set: $claims.sub }
    text: { type: string }
"#;

async fn ask(api: &Api, who: &str, method: Method, target: &str, body: &str) -> Answer {
    api.ask(method, target).json(body).with(json!({"sub": who})).send().await
}

#[tokio::test]
async fn what_a_caller_may_not_read_is_as_if_it_were_not_there() {
    let world = world(SECRETS).await;
    let (lists, items) = (world.of("lists"), world.of("items"));
    for (who, id) in [("ann", "a"), ("bob", "b")] {
        assert_eq!(ask(lists, who, Method::POST, "", &format!(r#"{{"id":"{id}"}}"#)).await.status, 201);
    }
    let hidden = ask(items, "ann", Method::POST, "", r#"{"list":"b"}"#).await;
    let absent = ask(items, "ann", Method::POST, "", r#"{"list":"c"}"#).await;
    assert_eq!((hidden.fault(), &hidden.body), (missing("list"), &absent.body));
    let made = ask(items, "ann", Method::POST, "", r#"{"list":"a"}"#).await;
    let item = format!("/{}", made.id());
    assert_eq!(ask(items, "ann", Method::PATCH, &item, r#"{"list":"b"}"#).await.body, absent.body);
    assert_eq!(ask(items, "bob", Method::PATCH, &item, r#"{"list":"b"}"#).await.status, 200);
    // What is there already may stay: it is no guess.
    assert_eq!(ask(items, "ann", Method::PATCH, &item, r#"{"list":"b","title":"x"}"#).await.status, 200);
}

#[tokio::test]
async fn a_claim_may_name_an_item_that_its_caller_may_not_read() {
    let world = world(SECRETS).await;
    let notes = world.of("notes");
    assert_eq!(world.of("users").post(r#"{"id":"ann"}"#).await.status, 201);
    let made = ask(notes, "ann", Method::POST, "", r#"{"text":"x"}"#).await;
    assert_eq!((made.status.as_u16(), &made.json()["author"]), (201, &json!("ann")));
    let refused = ask(notes, "eve", Method::POST, "", r#"{"text":"x"}"#).await;
    assert_eq!((refused.status.as_u16(), &*refused.reason), (403, "reference_missing:author"));
}

#[tokio::test]
async fn repeated_creates_and_puts_that_create_check_references_too() {
    let yaml = SECRETS.replace(
        "  access: { default: authenticated }\n  fields:\n    list:",
        "  id: { type: string }\n  access: { default: authenticated }\n  fields:\n    list:",
    );
    let world = world(&yaml).await;
    let (lists, items) = (world.of("lists"), world.of("items"));
    assert_eq!(ask(lists, "ann", Method::POST, "", r#"{"id":"a"}"#).await.status, 201);
    assert_eq!(ask(items, "ann", Method::PUT, "/x", r#"{"list":"b"}"#).await.fault(), missing("list"));
    assert_eq!(ask(items, "ann", Method::PUT, "/x", r#"{"list":"a"}"#).await.status, 201);
    let repeat = |list: &'static str| {
        let body = format!(r#"{{"id":"y","list":"{list}"}}"#);
        items.ask(Method::POST, "").json(&body).header("idempotency-key", list).with(json!({"sub": "ann"})).send()
    };
    assert_eq!(repeat("b").await.fault(), missing("list"));
    let (first, second) = (repeat("a").await, repeat("a").await);
    assert_eq!((first.status.as_u16(), second.status.as_u16(), &first.body), (201, 201, &second.body));
    assert_eq!(second.header("idempotency-replayed"), "true");
}

/// The sum of all is what was acknowledged, and no item is left alone.
#[tokio::test]
async fn no_item_is_orphaned_by_a_delete_at_the_same_time() {
    for effect in ["restrict", "cascade", "set_null"] {
        let required = if effect == "set_null" { "" } else { "required: true, " };
        let yaml = SHOP.replace(
            "list_id: { type: ref, to: lists, required: true,",
            &format!("list_id: {{ type: ref, to: lists, on_delete: {effect}, {required}"),
        );
        let world = world(&yaml).await;
        for _ in 0..4 {
            let (list, _) = world.of("lists").made(r#"{"name":"a"}"#).await;
            let body = format!(r#"{{"title":"x","list_id":"{list}"}}"#);
            let creates = async { join_all((0..64).map(|_| world.of("items").post(&body))).await };
            let path = format!("/{list}");
            let deletes = async {
                let mut statuses = Vec::new();
                for _ in 0..4 {
                    statuses.push(world.of("lists").ask(Method::DELETE, &path).send().await.status.as_u16());
                }
                statuses
            };
            let (creates, deletes) = futures_util::future::join(creates, deletes).await;
            for created in &creates {
                assert!(created.status == 201 || created.fault() == missing("list_id"), "{effect}: {}", created.body);
            }
            assert!(deletes.iter().all(|status| [204, 404, 409].contains(status)), "{effect}: {deletes:?}");
            assert!(deletes.iter().filter(|status| **status == 204).count() <= 1);
            if effect != "restrict" {
                assert_eq!(deletes[0], 204);
            }
            let orphans =
                "SELECT count(*) FROM items WHERE list_id IS NOT NULL AND list_id NOT IN (SELECT id FROM lists)";
            assert_eq!(world.count(orphans).await, 0);
            let made = creates.iter().filter(|created| created.status == 201).count();
            let there = world.count("SELECT count(*) FROM items").await;
            if effect != "cascade" {
                assert_eq!(usize::try_from(there).unwrap(), made, "{effect}");
            }
            world.run("DELETE FROM items").await;
        }
    }
}

#[tokio::test]
async fn accounts_that_a_cascade_deletes_have_no_sessions_left() {
    let yaml = r#"
tenants:
  store: main
  id: { type: string }
  access: { default: public }
  fields: { name: { type: string } }
members:
  store: main
  access: { default: public }
  fields:
    tenant: { type: ref, to: tenants, on_delete: cascade }
    password: { type: password }
"#;
    let world = world(yaml).await;
    assert_eq!(world.of("tenants").post(r#"{"id":"t"}"#).await.status, 201);
    let member = world.of("members").post(r#"{"tenant":"t","password":"password123"}"#).await.id();
    let absent = world.of("members").post(r#"{"tenant":"u","password":"password123"}"#).await;
    assert_eq!(absent.fault(), missing("tenant"));
    for (id, account) in [("1", &*member), ("2", "another")] {
        let values = format!("'{id}', 'members', '{account}', '', '{id}', 1, 1, 1, 1");
        world.run(&format!("INSERT INTO _gw_sessions VALUES ({values})")).await;
    }
    assert_eq!(world.of("tenants").ask(Method::DELETE, "/t").send().await.status, 204);
    assert_eq!(world.count("SELECT count(*) FROM _gw_sessions").await, 1);
}
