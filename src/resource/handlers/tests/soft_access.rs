//! Restores are checked like creates: an item comes back only if the caller may refer to what it refers to.

use super::world::*;
use super::*;
use serde_json::json;

const BOARD: &str = r#"
people:
  store: main
  access: { default: { where: { id: $claims.sub } }, create: authenticated }
  fields: { name: { type: string } }
lists:
  store: main
  access: { default: authenticated, read: { any: [ { role: admin }, { where: { owner: $claims.sub } } ] } }
  fields: { owner: { type: string, set: $claims.sub } }
items:
  store: main
  access: { default: authenticated, read: { any: [ { role: admin }, { where: { owner: $claims.sub } } ] } }
  soft_delete: true
  fields:
    owner: { type: string, set: $claims.sub }
    list: { type: ref, to: lists }
    parent: { type: ref, to: items, on_delete: cascade }
    title: { type: string }
notes:
  store: main
  access: { default: authenticated }
  soft_delete: true
  fields: { author: { type: ref, to: people, default: $claims.sub, read_only: true } }
"#;

async fn ask(api: &Api, who: &str, method: Method, target: &str, body: &str) -> Answer {
    let roles = if who == "root" { json!(["admin"]) } else { json!([]) };
    api.ask(method, target).json(body).with(json!({"sub": who, "roles": roles})).send().await
}

async fn make(api: &Api, who: &str, body: &str) -> String {
    ask(api, who, Method::POST, "", body).await.id()
}

async fn restore(api: &Api, who: &str, id: &str) -> Answer {
    ask(api, who, Method::POST, &format!("/{id}/restore"), "").await
}

async fn delete(api: &Api, who: &str, id: &str) {
    assert_eq!(ask(api, who, Method::DELETE, &format!("/{id}"), "").await.status, 204);
}

#[tokio::test]
async fn an_item_does_not_come_back_to_what_the_caller_may_not_read() {
    let world = world(BOARD).await;
    let (lists, items) = (world.of("lists"), world.of("items"));
    let list = make(lists, "ann", "{}").await;
    let item = make(items, "ann", &format!(r#"{{"list":"{list}"}}"#)).await;
    delete(items, "ann", &item).await;
    let hidden = restore(items, "bob", &item).await;
    assert_eq!(hidden.fault(), (409, "list".into(), "reference".into()), "{}", hidden.body);
    assert_eq!(hidden.message(), "list: refers to an item that was deleted, or that you may not read");
    assert_eq!(ask(items, "root", Method::GET, "?deleted=only", "").await.rows().len(), 1);
    assert_eq!(restore(items, "ann", &item).await.status, 200);
    delete(items, "ann", &item).await;
    assert_eq!(restore(items, "root", &item).await.status, 200);
    // What is deleted and what is hidden get the same response.
    delete(items, "ann", &item).await;
    delete(lists, "ann", &list).await;
    let gone = restore(items, "bob", &item).await;
    assert_eq!((gone.status, &gone.body), (hidden.status, &hidden.body));
}

#[tokio::test]
async fn a_parent_of_the_same_resource_is_there_or_comes_back_with_the_item() {
    let world = world(BOARD).await;
    let items = world.of("items");
    let root = make(items, "ann", "{}").await;
    let branch = make(items, "ann", &format!(r#"{{"parent":"{root}"}}"#)).await;
    let leaf = make(items, "ann", &format!(r#"{{"parent":"{branch}"}}"#)).await;
    delete(items, "ann", &leaf).await;
    let hidden = restore(items, "bob", &leaf).await;
    assert_eq!(hidden.fault(), (409, "parent".into(), "reference".into()), "{}", hidden.body);
    assert_eq!(restore(items, "ann", &leaf).await.status, 200);
    // What a delete took comes back with it, whoever may read that: it deleted it too.
    delete(items, "bob", &root).await;
    assert_eq!(restore(items, "bob", &branch).await.status, 409, "its parent is deleted");
    assert_eq!(restore(items, "bob", &root).await.status, 200);
    assert_eq!(world.count("SELECT count(*) FROM items").await, 3);
}

#[tokio::test]
async fn what_the_server_sets_need_only_exist() {
    let world = world(BOARD).await;
    let (people, notes) = (world.of("people"), world.of("notes"));
    let ann = make(people, "root", "{}").await;
    let note = make(notes, &ann, "{}").await;
    delete(notes, &ann, &note).await;
    assert_eq!(restore(notes, "bob", &note).await.status, 200);
    delete(notes, &ann, &note).await;
    delete(people, &ann, &ann).await;
    let gone = restore(notes, "bob", &note).await;
    assert_eq!((gone.status.as_u16(), gone.message()), (409, "author: refers to an item that was deleted".to_owned()));
}

const TENANTS: &str = r#"
lists:
  store: main
  access: { preset: tenant, field: org, claim: org, except: { role: admin } }
  fields: { org: { type: string, set: $claims.org } }
items:
  store: main
  access: { preset: tenant, field: org, claim: org, except: { role: admin } }
  soft_delete: true
  fields: { org: { type: string, set: $claims.org }, list: { type: ref, to: lists } }
"#;

#[tokio::test]
async fn no_restore_leads_out_of_a_tenant_whoever_asks_for_it() {
    let world = world(TENANTS).await;
    let (lists, items) = (world.of("lists"), world.of("items"));
    let list = ask(lists, "root", Method::POST, "", r#"{"org":"one"}"#).await.id();
    let item = ask(items, "root", Method::POST, "", &format!(r#"{{"org":"one","list":"{list}"}}"#)).await.id();
    delete(items, "root", &item).await;
    // Another program moves the list to another tenant.
    world.run("UPDATE lists SET org = 'two'").await;
    let moved = restore(items, "root", &item).await;
    assert_eq!(moved.fault(), (409, "list".into(), "reference".into()), "{}", moved.body);
    assert_eq!(moved.message(), "list: refers to an item of another tenant");
    world.run("UPDATE lists SET org = 'one'").await;
    assert_eq!(restore(items, "root", &item).await.status, 200);
}
