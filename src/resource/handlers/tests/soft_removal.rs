//! Deleted items that are removed for good: `DELETE …?deleted=only`.

use super::world::*;
use super::*;
use crate::resource::purge::Purge;
use serde_json::json;

const DESK: &str = r#"
people:
  store: main
  id: { type: string }
  access: { default: public }
  soft_delete: true
  fields: { name: { type: string } }
tickets:
  store: main
  access: { default: authenticated, restore: { role: admin }, delete: { where: { owner: $claims.sub } } }
  soft_delete: true
  fields:
    owner: { type: string, default: $claims.sub }
    person: { type: ref, to: people, on_delete: cascade }
    reply_to: { type: ref, to: tickets, on_delete: cascade }
"#;

async fn ask(api: &Api, who: &str, method: Method, target: &str) -> Answer {
    let roles = if who == "root" { json!(["admin"]) } else { json!([]) };
    api.ask(method, target).with(json!({"sub": who, "roles": roles})).send().await
}

async fn make(api: &Api, who: &str, body: &str) -> String {
    api.ask(Method::POST, "").json(body).with(json!({"sub": who})).send().await.id()
}

async fn deleted(world: &World) -> (i64, i64) {
    let count = async |table: &str| world.count(&format!("SELECT count(*) FROM \"_gw_deleted_{table}\"")).await;
    (count("people").await, count("tickets").await)
}

#[tokio::test]
async fn a_deleted_item_is_removed_with_what_its_delete_took() {
    let world = world(DESK).await;
    let (people, tickets) = (world.of("people"), world.of("tickets"));
    let status = async |api: &Api, target: &str| ask(api, "root", Method::DELETE, target).await.status.as_u16();
    for id in ["ann", "bob"] {
        assert_eq!(people.post(&json!({ "id": id }).to_string()).await.status, 201);
    }
    let mut made = Vec::new();
    for person in ["ann", "ann", "bob"] {
        made.push(make(tickets, "root", &json!({ "person": person }).to_string()).await);
    }
    make(tickets, "root", &json!({ "reply_to": made[1] }).to_string()).await;
    assert_eq!(status(people, "/ann?deleted=only").await, 404, "it is not deleted");
    assert_eq!(people.get("/ann").await.status, 200);
    assert_eq!(status(tickets, &format!("/{}", made[0])).await, 204);
    assert_eq!(status(people, "/ann").await, 204);
    assert_eq!(deleted(&world).await, (1, 3));
    assert_eq!(status(people, "/ann?deleted=only").await, 204);
    assert_eq!(deleted(&world).await, (0, 1), "the ticket that was deleted before stays");
    for method in [Method::DELETE, Method::GET] {
        assert_eq!(ask(people, "root", method, "/ann?deleted=only").await.status, 404);
    }
    assert_eq!(ask(people, "root", Method::POST, "/ann/restore").await.status, 404);
    assert_eq!(ask(tickets, "root", Method::POST, &format!("/{}/restore", made[0])).await.status, 409);
    assert_eq!(status(tickets, &format!("/{}?deleted=only", made[0])).await, 204);
    assert_eq!(tickets.ask(Method::GET, "").with(json!({"sub": "x"})).send().await.rows().len(), 1, "that of bob");
    // The id is free, and what is made with it is another item.
    assert_eq!(people.post(r#"{"id":"ann"}"#).await.status, 201);
    assert_eq!(status(people, "/ann?deleted=only").await, 404);
}

#[tokio::test]
async fn it_needs_the_rights_to_delete_and_to_restore() {
    let world = world(DESK).await;
    let tickets = world.of("tickets");
    let (own, other) = (make(tickets, "root", "{}").await, make(tickets, "ann", "{}").await);
    for (who, id) in [("root", &own), ("ann", &other)] {
        assert_eq!(ask(tickets, who, Method::DELETE, &format!("/{id}")).await.status, 204);
    }
    let remove = async |who: &str, id: &str| ask(tickets, who, Method::DELETE, &format!("/{id}?deleted=only")).await;
    assert_eq!(remove("ann", &other).await.status, 403, "she may not restore");
    assert_eq!(remove("root", &other).await.status, 404, "the rule for deletes is asked of the deleted item");
    assert_eq!(deleted(&world).await, (0, 2));
    assert_eq!(remove("root", &own).await.status, 204);
    assert_eq!(tickets.ask(Method::DELETE, &format!("/{other}?deleted=only")).send().await.status, 401);
    assert_eq!(deleted(&world).await, (0, 1));
}

#[tokio::test]
async fn a_condition_and_the_parameter_are_checked() {
    let yaml = DESK.replace("access: { default: public }", "access: { default: public }\n  concurrency: required");
    let world = world(&yaml).await;
    let people = world.of("people");
    let made = people.post(r#"{"id":"ann"}"#).await;
    let tag = made.header("etag");
    let delete = |target: &str, tag: &str| people.ask(Method::DELETE, target).header("if-match", tag).send();
    assert_eq!(delete("/ann", &tag).await.status, 204);
    for (target, message) in [
        ("/ann?deleted=all", "deleted: must be only"),
        ("/ann?deleted", "deleted: must be only"),
        ("/ann?deleted=only&deleted=only", "deleted: given more than once"),
        ("/ann?deleted=only&fields=name", "fields: unknown parameter"),
    ] {
        refused(&delete(target, &tag).await, message);
    }
    assert_eq!(people.ask(Method::DELETE, "/ann?deleted=only").send().await.status, 428);
    assert_eq!(delete("/ann?deleted=only", "\"7.abcdef\"").await.status, 412);
    assert_eq!(deleted(&world).await, (1, 0));
    assert_eq!(delete("/ann?deleted=only", &tag).await.status, 204);
    // In another spelling, it is not about a deleted item, and removes no other.
    let made = people.post(r#"{"id":"bob"}"#).await.header("etag");
    refused(&delete("/bob?%64eleted=only", &made).await, "deleted: unknown parameter");
    refused(&delete("/bob?x=1", &made).await, "x: unknown parameter");
    assert_eq!(people.get("/bob").await.status, 200);
    assert_eq!(people.ask(Method::DELETE, "?deleted=only").send().await.status, 405);
    let without = super::notes().await;
    refused(
        &without.ask(Method::DELETE, "/01a22510-357c-72a9-84c8-411555ce7244?deleted=only").send().await,
        "deleted: unknown parameter",
    );
}

#[tokio::test]
async fn an_item_that_is_kept_for_a_time_can_go_before() {
    let world = world(&DESK.replace("soft_delete: true", "soft_delete: { keep: 90d }")).await;
    let people = world.of("people");
    for id in ["ann", "bob"] {
        assert_eq!(people.post(&json!({ "id": id }).to_string()).await.status, 201);
        assert_eq!(ask(people, "root", Method::DELETE, &format!("/{id}")).await.status, 204);
    }
    let statements = Arc::new(Statements::new(&world.store, "main", "people"));
    let purge = Purge::new(&world.models[0].1, &world.store, &statements).unwrap();
    assert_eq!(ask(people, "root", Method::DELETE, "/ann?deleted=only").await.status, 204);
    world.run("UPDATE \"_gw_deleted_people\" SET deleted_at = '2020-01-01T00:00:00.000000Z'").await;
    assert_eq!(purge.sweep().await.unwrap(), 1);
    assert_eq!(ask(people, "root", Method::DELETE, "/bob?deleted=only").await.status, 404);
}

const FOLDERS: &str = r#"
folders:
  store: main
  access: { preset: tenant, field: org, claim: org, except: { role: admin } }
  soft_delete: true
  fields:
    org: { type: string, set: $claims.org }
    parent: { type: ref, to: folders, on_delete: cascade }
files:
  store: main
  access: { preset: owner, field: owner }
  soft_delete: true
  fields:
    owner: { type: string, set: $claims.sub }
    folder: { type: ref, to: folders, on_delete: set_null, expand: true }
"#;

async fn of(api: &Api, org: &str, method: Method, target: &str, body: &str) -> Answer {
    let claims = match org {
        "root" => json!({"sub": org, "org": "none", "roles": ["admin"]}),
        org => json!({"sub": org, "org": org}),
    };
    api.ask(method, target).json(body).with(claims).send().await
}

#[tokio::test]
async fn owners_and_tenants_remove_what_is_theirs() {
    let world = world(FOLDERS).await;
    let (folders, files) = (world.of("folders"), world.of("files"));
    for api in [folders, files] {
        let id = of(api, "one", Method::POST, "", "{}").await.id();
        assert_eq!(of(api, "one", Method::DELETE, &format!("/{id}"), "").await.status, 204);
        let target = format!("/{id}?deleted=only");
        assert_eq!(of(api, "two", Method::DELETE, &target, "").await.status, 404);
        assert_eq!(of(api, "one", Method::GET, &target, "").await.status, 200);
        assert_eq!(of(api, "one", Method::DELETE, &target, "").await.status, 204);
        assert_eq!(of(api, "one", Method::GET, &target, "").await.status, 404);
    }
    let folder = of(folders, "one", Method::POST, "", "{}").await.id();
    assert_eq!(of(folders, "one", Method::DELETE, &format!("/{folder}"), "").await.status, 204);
    assert_eq!(of(folders, "root", Method::DELETE, &format!("/{folder}?deleted=only"), "").await.status, 204);
    // Below an item, only what belongs to it, and is shown.
    let folder = of(folders, "one", Method::POST, "", "{}").await.id();
    let file = of(files, "one", Method::POST, "", &format!(r#"{{"folder":"{folder}"}}"#)).await.id();
    let other = of(folders, "one", Method::POST, "", "{}").await.id();
    assert_eq!(of(files, "one", Method::DELETE, &format!("/{file}"), "").await.status, 204);
    for (folder, who, status) in [(&other, "one", 404), (&folder, "two", 404), (&folder, "one", 204)] {
        let below = world.under("folders", folder, "files", "folder");
        let removed = of(&below, who, Method::DELETE, &format!("/{file}?deleted=only"), "").await;
        assert_eq!(removed.status, status, "{}", removed.body);
    }
}

#[tokio::test]
async fn a_tree_goes_with_its_root_and_a_branch_alone() {
    let world = world(FOLDERS).await;
    let folders = world.of("folders");
    let make =
        async |parent: &str| of(folders, "one", Method::POST, "", &format!(r#"{{"parent":{parent}}}"#)).await.id();
    let root = make("null").await;
    let branch = make(&format!("\"{root}\"")).await;
    let leaf = make(&format!("\"{branch}\"")).await;
    let other = make(&format!("\"{root}\"")).await;
    let left = async || world.count("SELECT count(*) FROM \"_gw_deleted_folders\"").await;
    let delete = async |id: &str| of(folders, "one", Method::DELETE, id, "").await.status.as_u16();
    assert_eq!(delete(&format!("/{leaf}")).await, 204);
    assert_eq!(delete(&format!("/{root}")).await, 204);
    assert_eq!(left().await, 4);
    assert_eq!(delete(&format!("/{branch}?deleted=only")).await, 204);
    assert_eq!(left().await, 3, "the leaf was deleted before");
    assert_eq!(of(folders, "one", Method::POST, &format!("/{root}/restore"), "").await.status, 200);
    assert_eq!(of(folders, "one", Method::GET, &format!("/{other}"), "").await.status, 200);
    assert_eq!(of(folders, "one", Method::POST, &format!("/{leaf}/restore"), "").await.status, 409);
    assert_eq!(delete(&format!("/{root}")).await, 204);
    assert_eq!(delete(&format!("/{root}?deleted=only")).await, 204);
    assert_eq!(left().await, 1);
}

#[tokio::test]
async fn removals_and_restores_at_once_do_one_of_both() {
    let world = world(FOLDERS).await;
    let folders = world.of("folders");
    for _ in 0..20 {
        let root = of(folders, "one", Method::POST, "", "{}").await.id();
        let branch = of(folders, "one", Method::POST, "", &format!(r#"{{"parent":"{root}"}}"#)).await.id();
        assert_eq!(of(folders, "one", Method::DELETE, &format!("/{root}"), "").await.status, 204);
        let (target, part, back) =
            (format!("/{root}?deleted=only"), format!("/{branch}?deleted=only"), format!("/{root}/restore"));
        let (removed, branch, restored) = futures_util::future::join3(
            of(folders, "one", Method::DELETE, &target, ""),
            of(folders, "one", Method::DELETE, &part, ""),
            of(folders, "one", Method::POST, &back, ""),
        )
        .await;
        let statuses = [removed, branch, restored].map(|answer| answer.status.as_u16());
        assert!(matches!(statuses, [204, 204 | 404, 404] | [404, 204 | 404, 200]), "{statuses:?}");
        assert_eq!(world.count("SELECT count(*) FROM \"_gw_deleted_folders\"").await, 0);
        world.run("DELETE FROM folders").await;
    }
}
