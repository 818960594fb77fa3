//! Deleted items that are kept: `soft_delete`.

use super::world::*;
use super::*;
use crate::resource::purge::Purge;
use serde_json::json;

const NOTES: &str = r#"
notes:
  store: main
  access: { default: public }
  soft_delete: true
  bulk: { create: true, upsert: slug }
  put: merge
  fields:
    slug: { type: string, required: true, unique: { ignore_case: true }, filter: [eq], sort: true }
    text: { type: text }
    secret: { type: string, hidden: true, default: x }
    changed: { type: datetime, set: on_write }
"#;

async fn delete(api: &Api, id: &str) -> u16 {
    api.ask(Method::DELETE, &format!("/{id}")).send().await.status.as_u16()
}

async fn restore(api: &Api, id: &str) -> Answer {
    api.ask(Method::POST, &format!("/{id}/restore")).send().await
}

async fn slugs(api: &Api, target: &str) -> Vec<String> {
    api.get(target).await.rows().iter().map(|row| row["slug"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_deleted_item_is_gone_for_every_request_and_can_come_back() {
    let world = world(NOTES).await;
    let notes = world.of("notes");
    let made = notes.post(r#"{"slug":"a","text":"x"}"#).await;
    let (id, tag) = (made.id(), made.header("etag"));
    notes.made(r#"{"slug":"b"}"#).await;
    let page = notes.get("").await.header("etag");
    assert_eq!(delete(notes, &id).await, 204);
    assert_eq!(delete(notes, &id).await, 404);
    let path = format!("/{id}");
    for method in [Method::GET, Method::HEAD, Method::PATCH, Method::PUT] {
        let answer = notes.ask(method.clone(), &path).json(r#"{"text":"y"}"#).send().await;
        assert_eq!(answer.status, 404, "{method}");
    }
    assert_eq!(slugs(notes, "?count=exact").await, ["b"]);
    assert_eq!(notes.get("?count=exact").await.header("x-total-count"), "1");
    assert_eq!(slugs(notes, "?filter[slug]=a").await, [""; 0]);
    assert_eq!(notes.ask(Method::GET, "").header("if-none-match", &page).send().await.status, 200);
    assert_eq!(slugs(notes, "?deleted=only").await, ["a"]);
    let back = restore(notes, &id).await;
    assert_eq!(back.status, 200, "{}", back.body);
    assert_eq!((&back.json()["text"], &back.json()["slug"]), (&json!("x"), &json!("a")));
    assert!(back.json().get("deleted_at").is_none() && back.json().get("secret").is_none());
    assert!(back.json()["changed"].as_str() > made.json()["changed"].as_str(), "it is a write");
    assert_ne!(back.header("etag"), tag);
    let read = notes.get(&path).await;
    assert_eq!((&read.body, read.header("etag")), (&back.body, back.header("etag")));
    assert_eq!(world.count("SELECT count(*) FROM notes WHERE secret = 'x'").await, 2);
    assert_eq!(restore(notes, &id).await.status, 404, "it is not deleted");
    assert_eq!(slugs(notes, "?deleted=only").await, [""; 0]);
    assert_eq!(notes.patch(&id, r#"{"text":"z"}"#).await.status, 200);
}

#[tokio::test]
async fn deleted_items_are_listed_and_read_like_others() {
    let world = world(NOTES).await;
    let notes = world.of("notes");
    let mut ids = Vec::new();
    for slug in ["a", "b", "c"] {
        let (id, _) = notes.made(&format!(r#"{{"slug":"{slug}"}}"#)).await;
        assert_eq!(delete(notes, &id).await, 204);
        ids.push(id);
    }
    let page = notes.get("?deleted=only&per_page=2&sort=-deleted_at&count=exact").await;
    assert_eq!((page.rows().len(), page.header("x-total-count")), (2, "3".into()));
    assert_eq!(page.rows()[0]["slug"], "c");
    assert!(page.rows()[0]["deleted_at"].as_str().unwrap().ends_with('Z'));
    let next = notes.get(&page.link("next").unwrap()).await;
    assert_eq!((next.rows().len(), &next.rows()[0]["slug"]), (1, &json!("a")));
    let since = page.rows()[1]["deleted_at"].as_str().unwrap().to_owned();
    assert_eq!(slugs(notes, &format!("?deleted=only&filter[deleted_at][lt]={since}")).await, ["a"]);
    assert_eq!(slugs(notes, "?deleted=only&filter[slug]=B").await, ["b"], "without case, as the unique rule");
    let again = notes
        .ask(Method::GET, "?deleted=only")
        .header("if-none-match", &notes.get("?deleted=only").await.header("etag"));
    assert_eq!(again.send().await.status, 304);
    let one = notes.get(&format!("/{}?deleted=only&fields=slug,deleted_at", ids[0])).await;
    assert_eq!((one.status.as_u16(), one.json().as_object().unwrap().len()), (200, 2), "{}", one.body);
    for (query, message) in [
        ("?deleted=all", "deleted: must be only"),
        ("?deleted", "deleted: must be only"),
        ("?deleted=only&deleted=only", "deleted: given more than once"),
        ("?sort=deleted_at", "sort: \"deleted_at\" is not sortable"),
        ("?filter[deleted_at][lt]=2026-01-31", "filter[deleted_at]: only deleted items have this field"),
    ] {
        let answer = notes.get(query).await;
        refused(&answer, message);
        if message.contains("deleted_at") {
            assert_eq!(answer.json()["details"][0]["help"], "add deleted=only, for a list of the deleted items");
        }
    }
    // Nothing is told where there are none.
    let plain = super::notes().await.get("?filter[deleted_at]=2026-01-31").await;
    refused(&plain, "filter[deleted_at]: unknown field");
    refused(&super::notes().await.get("?deleted=only").await, "deleted: unknown parameter");
    refused(&notes.ask(Method::POST, "?deleted=only").json("{}").send().await, "deleted: unknown parameter");
    assert_eq!(notes.get(&format!("/{}/restore", ids[0])).await.status, 405);
    let options = notes.ask(Method::OPTIONS, &format!("/{}/restore", ids[0])).send().await;
    assert_eq!(options.header("allow"), "POST, OPTIONS");
}

#[tokio::test]
async fn values_are_free_again_until_someone_else_has_them() {
    let world = world(NOTES).await;
    let notes = world.of("notes");
    let (first, _) = notes.made(r#"{"slug":"a"}"#).await;
    assert_eq!(delete(notes, &first).await, 204);
    let (second, _) = notes.made(r#"{"slug":"A"}"#).await;
    let taken = restore(notes, &first).await;
    assert_eq!(taken.fault(), (409, "slug".into(), "unique".into()), "{}", taken.body);
    assert_eq!(slugs(notes, "?deleted=only").await, ["a"], "it is still there");
    let list = r#"[{"slug":"a","text":"upserted"}]"#;
    assert_eq!(notes.ask(Method::PUT, "").json(list).send().await.json()[0]["id"], second.as_str());
    assert_eq!(delete(notes, &second).await, 204);
    let upserted = notes.ask(Method::PUT, "").json(r#"[{"slug":"a"}]"#).send().await;
    let third = upserted.json()[0]["id"].as_str().unwrap().to_owned();
    assert!(![&first, &second].contains(&&third));
    assert_eq!(delete(notes, &third).await, 204);
    assert_eq!(restore(notes, &first).await.status, 200);
    assert_eq!(restore(notes, &second).await.status, 409);
}

#[tokio::test]
async fn a_condition_is_about_the_version_that_was_deleted() {
    let world =
        world(&NOTES.replace("put: merge", "put: merge\n  concurrency: required").replace(", upsert: slug", "")).await;
    let notes = world.of("notes");
    let (id, tag) = notes.made(r#"{"slug":"a"}"#).await;
    let with = |method: Method, target: String, tag: &str| notes.ask(method, &target).header("if-match", tag).send();
    assert_eq!(with(Method::DELETE, format!("/{id}"), &tag).await.status, 204);
    let path = format!("/{id}/restore");
    assert_eq!(restore(notes, &id).await.status, 428);
    assert_eq!(with(Method::POST, path.clone(), "\"7.abcdef\"").await.status, 412);
    let shown = notes.get(&format!("/{id}?deleted=only")).await.header("etag");
    assert_eq!(shown.split('.').next(), tag.split('.').next(), "the same version");
    assert_eq!(with(Method::POST, path.clone(), &tag).await.status, 200);
    assert_eq!(with(Method::POST, path, &tag).await.status, 404);
}

#[tokio::test]
async fn an_id_can_be_used_again() {
    let yaml = NOTES
        .replace("  put: merge\n", "  put: replace\n  id: { type: string }\n")
        .replace("upsert: slug", "upsert: id");
    let world = world(&yaml).await;
    let notes = world.of("notes");
    for text in ["first", "second"] {
        let put = notes.put("x", &format!(r#"{{"slug":"a","text":"{text}"}}"#)).await;
        assert_eq!(put.status, 201, "{}", put.body);
        assert_eq!(delete(notes, "x").await, 204);
    }
    assert_eq!(notes.post(r#"{"id":"x","slug":"b"}"#).await.status, 201);
    assert_eq!(restore(notes, "x").await.fault(), (409, "id".into(), "unique".into()));
    let (tag, _) = (notes.get("/x").await.header("etag"), ());
    assert_eq!(notes.get("/x?deleted=only").await.json()["text"], "second");
    assert_eq!(notes.get("/x").await.header("etag"), tag);
    assert_eq!(delete(notes, "x").await, 204);
    assert_eq!(notes.get("?deleted=only").await.rows().len(), 1, "the last one is kept");
    assert_eq!(restore(notes, "x").await.json()["slug"], "b");
    // An item may have the name of the request.
    assert_eq!(notes.post(r#"{"id":"restore","slug":"r"}"#).await.status, 201);
    assert_eq!(notes.get("/restore").await.json()["slug"], "r");
    assert_eq!(delete(notes, "restore").await, 204);
    assert_eq!(restore(notes, "restore").await.status, 200);
    assert_eq!(notes.ask(Method::POST, "/restore").json("{}").send().await.status, 405);
}

#[tokio::test]
async fn counted_ids_are_kept_and_not_given_again() {
    let world = world(&NOTES.replace("  put: merge\n", "  id: { type: integer }\n")).await;
    let notes = world.of("notes");
    let (first, _) = notes.made(r#"{"slug":"a"}"#).await;
    assert_eq!(delete(notes, &first).await, 204);
    let (second, _) = notes.made(r#"{"slug":"b"}"#).await;
    assert_ne!(first, second);
    assert_eq!(restore(notes, &first).await.json()["id"].to_string(), first);
    assert_eq!(notes.get("?deleted=only&fields=id").await.rows().len(), 0);
}

const DESK: &str = r#"
tickets:
  store: main
  access:
    default: authenticated
    list: public
    restore: { any: [ { role: admin }, { where: { owner: $claims.sub } } ] }
  soft_delete: true
  fields: { owner: { type: string, set: $claims.sub }, title: { type: string } }
"#;

#[tokio::test]
async fn the_rule_decides_who_restores_and_who_sees_deleted_items() {
    let world = world(DESK).await;
    let tickets = world.of("tickets");
    let ask = async |who: Value, method: Method, target: &str| {
        let ask = tickets.ask(method, target).json("{}");
        if who.is_null() { ask.send().await } else { ask.with(who).send().await }
    };
    let (ann, bob, admin) = (json!({"sub": "ann"}), json!({"sub": "bob"}), json!({"sub": "root", "roles": ["admin"]}));
    let id = ask(ann.clone(), Method::POST, "").await.id();
    assert_eq!(ask(bob.clone(), Method::DELETE, &format!("/{id}")).await.status, 204);
    let (one, list, back) = (format!("/{id}?deleted=only"), "?deleted=only", format!("/{id}/restore"));
    for (method, target) in [(Method::GET, &*one), (Method::GET, list), (Method::POST, &*back)] {
        assert_eq!(ask(Value::Null, method, target).await.status, 401, "{target}");
    }
    assert_eq!(ask(bob.clone(), Method::GET, list).await.rows().len(), 0);
    assert_eq!(ask(bob.clone(), Method::GET, &one).await.status, 404);
    assert_eq!(ask(bob, Method::POST, &back).await.status, 404, "as if it were not there");
    assert_eq!(ask(admin, Method::GET, list).await.rows().len(), 1);
    let shown = ask(ann.clone(), Method::GET, list).await;
    assert_eq!((shown.rows().len(), shown.header("cache-control")), (1, "no-store".to_owned()));
    assert_eq!(ask(ann, Method::POST, &back).await.status, 200);
    let strict = super::world::world(&DESK.replace(
        "restore: { any: [ { role: admin }, { where: { owner: $claims.sub } } ] }",
        "restore: { role: admin }",
    ))
    .await;
    let denied = strict.of("tickets").ask(Method::GET, list).with(json!({"sub": "ann"})).send().await;
    assert_eq!((denied.status.as_u16(), &*denied.reason), (403, "access_rule"));
    // Without a rule of its own: whoever may not delete an item may not bring it back either.
    let without = DESK
        .replace("restore: { any: [ { role: admin }, { where: { owner: $claims.sub } } ] }", "delete: { role: admin }");
    let world = super::world::world(&without).await;
    let denied = world.of("tickets").ask(Method::POST, &back).json("{}").with(json!({"sub": "ann"})).send().await;
    assert_eq!((denied.status.as_u16(), &*denied.reason), (403, "access_rule"));
}

#[tokio::test]
async fn what_was_deleted_long_ago_is_removed_for_good() {
    let world = world(&NOTES.replace("soft_delete: true", "soft_delete: { keep: 90d }")).await;
    let notes = world.of("notes");
    let mut ids = Vec::new();
    for slug in ["old", "new", "live"] {
        let (id, _) = notes.made(&format!(r#"{{"slug":"{slug}"}}"#)).await;
        if slug != "live" {
            assert_eq!(delete(notes, &id).await, 204);
        }
        ids.push(id);
    }
    let model = &world.models[0].1;
    let statements = Arc::new(Statements::new(&world.store, "main", "notes"));
    let purge = Purge::new(model, &world.store, &statements).unwrap();
    assert_eq!(purge.sweep().await.unwrap(), 0);
    for (slug, days) in [("old", 91), ("new", 89)] {
        let at =
            crate::resource::moment::Moment::now().before(std::time::Duration::from_secs(days * 86_400)).datetime();
        world.run(&format!("UPDATE \"_gw_deleted_notes\" SET deleted_at = '{at}' WHERE slug = '{slug}'")).await;
    }
    assert_eq!((purge.sweep().await.unwrap(), purge.sweep().await.unwrap()), (1, 0));
    assert_eq!(slugs(notes, "?deleted=only").await, ["new"]);
    assert_eq!(slugs(notes, "").await, ["live"]);
    assert_eq!(restore(notes, &ids[0]).await.status, 404);
    assert!(compile("notes", super::NOTES).keep.is_none());
}

#[tokio::test]
async fn a_restore_has_no_body() {
    let world = world(NOTES).await;
    let notes = world.of("notes");
    let (id, _) = notes.made(r#"{"slug":"a"}"#).await;
    assert_eq!(delete(notes, &id).await, 204);
    let path = format!("/{id}/restore");
    for body in [r#"{"slug":"b"}"#, "[]", "null", "x"] {
        refused(
            &notes.ask(Method::POST, &path).json(body).send().await,
            "body: must be empty: an item comes back as it was deleted",
        );
    }
    // Some clients send an empty object.
    assert_eq!(notes.ask(Method::POST, &path).json(" {} ").send().await.status, 200);
}

/// Deleted items are kept all the same.
#[tokio::test]
async fn without_the_operation_no_request_shows_or_restores_deleted_items() {
    let yaml =
        NOTES.replace("soft_delete: true", "soft_delete: true\n  operations: [list, read, create, delete, update]");
    let world = world(&yaml).await;
    let notes = world.of("notes");
    let (id, _) = notes.made(r#"{"slug":"a"}"#).await;
    assert_eq!(delete(notes, &id).await, 204);
    let list = notes.get("?deleted=only").await;
    refused(&list, "deleted: unknown parameter");
    assert!(!list.json()["details"][0]["help"].as_str().unwrap().contains("deleted"), "{}", list.body);
    refused(&notes.get(&format!("/{id}?deleted=only")).await, "deleted: unknown parameter");
    for method in [Method::POST, Method::OPTIONS, Method::GET] {
        assert_eq!(notes.ask(method, &format!("/{id}/restore")).send().await.status, 404);
    }
    assert_eq!(world.count("SELECT count(*) FROM _gw_deleted_notes").await, 1);
}
