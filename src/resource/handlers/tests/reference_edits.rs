//! What a live edit of references does to tables.

use super::world::*;
use super::*;
use crate::resource::store::By;

fn document(fields: &str) -> String {
    format!(
        "lists: {{ store: main, id: {{ type: string }}, access: {{ default: public }}, fields: {{ name: {{ type: string }} }} }}\n\
         folders: {{ store: main, id: {{ type: string }}, access: {{ default: public }}, fields: {{ name: {{ type: string }} }} }}\n\
         items: {{ store: main, access: {{ default: public }}, fields: {{ title: {{ type: string }}{fields} }} }}\n"
    )
}

/// The same tables under another document, or why not.
async fn edited(url: &str, store: &Arc<Store>, fields: &str) -> Result<World, String> {
    let world = world_in(&document(fields), url, Arc::clone(store)).await;
    world.map_err(|refused| format!("{}; {}", refused[0].message, refused[0].help))
}

#[tokio::test]
async fn a_reference_is_added_removed_and_added_back() {
    let url = url().await;
    let first = world_at(&document(""), &url).await.unwrap();
    let store = Arc::clone(&first.store);
    let (old, _) = first.of("items").made(r#"{"title":"old"}"#).await;
    first.of("lists").post(r#"{"id":"a"}"#).await;

    let second = edited(&url, &store, ", list: { type: ref, to: lists }").await.unwrap();
    assert_eq!(second.of("items").get(&format!("/{old}")).await.json()["list"], Value::Null);
    assert_eq!(second.of("items").post(r#"{"list":"b"}"#).await.status, 400);
    assert_eq!(second.of("items").patch(&old, r#"{"list":"a"}"#).await.status, 200);
    assert_eq!(second.of("lists").ask(Method::DELETE, "/a").send().await.status, 409);
    let tables: Vec<_> = second.models.iter().map(|(_, model)| model.table.clone()).collect();
    assert_eq!(store.plan(&tables, &By::default()).await.unwrap().steps, []);

    // Its values stay, and what they refer to stays too: the old document can come back.
    let third = edited(&url, &store, "").await.unwrap();
    assert!(third.of("items").get(&format!("/{old}")).await.json().get("list").is_none());
    assert_eq!(third.of("lists").ask(Method::DELETE, "/a").send().await.status, 409);
    let fourth = edited(&url, &store, ", list: { type: ref, to: lists, on_delete: cascade }").await.unwrap();
    assert_eq!(fourth.of("items").get(&format!("/{old}")).await.json()["list"], "a");
    assert_eq!(
        fourth.of("lists").ask(Method::DELETE, "/a").send().await.status,
        204,
        "another on_delete is no other table"
    );
    assert_eq!(fourth.of("items").get("").await.rows().len(), 0);
}

#[tokio::test]
async fn what_would_need_a_check_of_all_values_is_refused() {
    let url = url().await;
    let first = world_at(&document(", plain: { type: string }, list: { type: ref, to: lists }"), &url).await.unwrap();
    let store = Arc::clone(&first.store);
    first.of("items").made(r#"{"title":"x"}"#).await;
    for (fields, message) in [
        (
            ", plain: { type: ref, to: lists }, list: { type: ref, to: lists }",
            "`plain` of table `items` refers to nothing and cannot become one that refers to `lists`; keep it as it is, add a field with another name, and copy the values",
        ),
        (
            ", plain: { type: string }, list: { type: ref, to: folders }",
            "`list` of table `items` refers to `lists` and cannot become one that refers to `folders`; keep it as it is, add a field with another name, and copy the values",
        ),
        (
            ", plain: { type: string }, list: { type: string }",
            "`list` of table `items` refers to `lists` and cannot become one that refers to nothing; keep it as it is, add a field with another name, and copy the values",
        ),
        (
            ", plain: { type: string }, list: { type: ref, to: lists }, more: { type: ref, to: lists, required: true, default: a }",
            "`more` is required, but existing items in table `items` do not have it; add `nullable: true` to `more`",
        ),
    ] {
        assert_eq!(edited(&url, &store, fields).await.err().unwrap(), message);
    }
}

#[tokio::test]
async fn a_field_of_its_own_resource_can_be_added() {
    let url = url().await;
    let first = world_at(&document(""), &url).await.unwrap();
    let (item, _) = first.of("items").made(r#"{"title":"x"}"#).await;
    let second = edited(&url, &first.store, ", parent: { type: ref, to: items, on_delete: cascade }").await.unwrap();
    let items = second.of("items");
    assert_eq!(items.post(&format!(r#"{{"parent":"{item}"}}"#)).await.status, 201);
    assert_eq!(items.ask(Method::DELETE, &format!("/{item}")).send().await.status, 204);
    assert_eq!(items.get("").await.rows().len(), 0);
}
