//! What live edits do to deleted items that are kept.

use super::migrations::*;
use super::*;
use crate::resource::store::{By, Orders, RefusedTable};

fn notes(settings: &str, fields: &str) -> String {
    format!("store: main\naccess: {{ default: public }}\n{settings}fields:\n{fields}")
}

const KEPT: &str = "soft_delete: true\n";
const TITLE: &str = "  title: { type: string, unique: true }\n";

async fn deleted(api: &Api, body: &str) -> String {
    let (id, _) = api.made(body).await;
    assert_eq!(api.ask(Method::DELETE, &format!("/{id}")).send().await.status, 204);
    id
}

async fn restore(api: &Api, id: &str) -> Answer {
    api.ask(Method::POST, &format!("/{id}/restore")).send().await
}

/// What the command does, in words; then nothing is left to do.
async fn migrate_all(store: &Store, yaml: &str, by: &By) -> Result<Vec<String>, Vec<RefusedTable>> {
    let tables = tables_of(&compile("items", yaml));
    let planned = store.plan(&tables, by).await?;
    store.migrate(&tables, by).await?;
    assert_eq!(store.plan(&tables, by).await?.steps, []);
    Ok(planned.steps.into_iter().filter(|step| step.kind != "record").map(|step| step.text).collect())
}

#[tokio::test]
async fn switching_it_on_and_off_keeps_what_was_deleted_where_it_is() {
    let store = empty().await;
    let without = serve_on(&store, &notes("", TITLE)).await.unwrap();
    let gone = deleted(&without, r#"{"title":"gone"}"#).await;
    without.made(r#"{"title":"live"}"#).await;
    let with = serve_on(&store, &notes(KEPT, TITLE)).await.unwrap();
    assert_eq!(restore(&with, &gone).await.status, 404, "it was deleted for good");
    let kept = deleted(&with, r#"{"title":"kept"}"#).await;
    // Off: nothing comes back, and the rows stay.
    let off = serve_on(&store, &notes("", TITLE)).await.unwrap();
    assert_eq!(off.get("").await.rows().len(), 1);
    assert_eq!(restore(&off, &kept).await.status, 404);
    assert_eq!(off.get("?deleted=only").await.status, 400);
    assert_eq!(store.count("_gw_deleted_items").await.unwrap().found, 1);
    let planned = store.plan(&[table(&notes("", TITLE))], &By::default()).await.unwrap();
    assert_eq!(planned.unused.len(), 1, "the operator hears of it");
    // On again.
    let again = serve_on(&store, &notes(KEPT, TITLE)).await.unwrap();
    assert_eq!(again.get("?deleted=only").await.rows().len(), 1);
    assert_eq!(restore(&again, &kept).await.status, 200);
    // A prune drops what is left.
    deleted(&again, r#"{"title":"x"}"#).await;
    let prune = By::Command(Orders { prune: true, ..Orders::default() });
    assert_eq!(migrate(&store, &notes("", TITLE), &prune).await, ["drop table _gw_deleted_items and its 1 row"]);
}

#[tokio::test]
async fn fields_change_in_both_tables() {
    let store = empty().await;
    let first = serve_on(&store, &notes(KEPT, TITLE)).await.unwrap();
    let old = deleted(&first, r#"{"title":"old"}"#).await;
    let more = format!("{TITLE}  rank: {{ type: integer, default: 7 }}\n");
    let second = serve_on(&store, &notes(KEPT, &more)).await.unwrap();
    assert_eq!(second.get("?deleted=only").await.rows()[0]["rank"], 7);
    assert_eq!(restore(&second, &old).await.json()["rank"], 7);
    assert_eq!(second.ask(Method::DELETE, &format!("/{old}")).send().await.status, 204);
    // By the command: another name, and another type.
    let other = "  name: { type: string, unique: true, renamed_from: title }\n  rank: { type: number, default: 7 }\n";
    // What is wrong is said once for each field, and not again about the table of deleted items.
    let refused = serve_on(&store, &notes(KEPT, other)).await.err().unwrap();
    let about: Vec<_> = refused.iter().map(|refused| (refused.table.as_deref(), refused.column.as_deref())).collect();
    assert_eq!(about, [(Some("items"), Some("name.renamed_from"))], "{refused:?}");
    let steps = migrate_all(&store, &notes(KEPT, other), &command()).await.unwrap();
    for step in ["rename column items.title to name", "rename column _gw_deleted_items.title to name"] {
        assert!(steps.contains(&step.to_owned()), "{steps:?}");
    }
    let third = serve_on(&store, &notes(KEPT, other)).await.unwrap();
    let back = restore(&third, &old).await.json();
    assert_eq!((&back["name"], back["rank"].as_f64()), (&"old".into(), Some(7.0)));
}

#[tokio::test]
async fn a_change_that_deleted_items_do_not_allow_is_refused() {
    let store = empty().await;
    let first = serve_on(&store, &notes(KEPT, TITLE)).await.unwrap();
    let old = deleted(&first, r#"{"title":"old"}"#).await;
    let required = format!("{TITLE}  rank: {{ type: integer, required: true }}\n");
    let refused = serve_on(&store, &notes(KEPT, &required)).await.err().unwrap();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(
        refused[0].message,
        "`rank` is required, but existing items in table `_gw_deleted_items` do not have it"
    );
    assert_eq!(serve_on(&store, &notes(KEPT, TITLE)).await.map(|_| ()), Ok(()));
    let unique = format!("{}  code: {{ type: string }}\n", TITLE.replace(", unique: true", ""));
    let loose = serve_on(&store, &notes(KEPT, &unique)).await.unwrap();
    loose.made(r#"{"title":"old","code":"1"}"#).await;
    // Deleted items may be equal to others: they are no reason against a unique rule.
    let strict =
        serve_on(&store, &notes(KEPT, &unique.replace("title: { type: string", "title: { type: string, unique: true")))
            .await;
    assert_eq!(restore(&strict.unwrap(), &old).await.status, 409);
}

#[tokio::test]
async fn a_table_with_columns_that_no_field_has_cannot_keep_deleted_items() {
    let store = empty().await;
    let (id, text) = match postgres::server() {
        Some(_) => ("uuid", ""),
        None => ("text", " STRICT"),
    };
    sql(&store, &format!("CREATE TABLE items (id {id} PRIMARY KEY, title text, extra text){text}")).await;
    let adopt = By::Command(Orders { adopt: true, ..Orders::default() });
    let plain = TITLE.replace(", unique: true", "");
    let refused = migrate_all(&store, &notes(KEPT, &plain), &adopt).await.unwrap_err();
    let message =
        "with `soft_delete`, deleted items of table `items` would lose their values of `extra`, which no field has";
    assert_eq!(refused.iter().map(|refused| refused.message.as_str()).collect::<Vec<_>>(), [message]);
    migrate_all(&store, &notes("", &plain), &adopt).await.unwrap();
    let refused = serve_on(&store, &notes(KEPT, &plain)).await.err().unwrap();
    assert_eq!(refused[0].message, message);
    serve_on(&store, &notes("", &plain)).await.unwrap().made(r#"{"title":"x"}"#).await;
}
