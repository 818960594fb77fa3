//! New fields that are unique, in a table with items.

use super::migrations::{empty, fields, planned, serve_on, sql};
use super::*;
use crate::resource::store::{By, RefusedTable};

const BEFORE: &str = "  slot: { type: string }\n";

fn after(shelf: &str, with: &str) -> String {
    fields(&format!("  slot: {{ type: string, unique: {{ {with} }} }}\n  shelf: {{ type: string{shelf} }}\n"))
}

/// Items with these slots; why the rule cannot be added.
async fn added(slots: &[&str], after: &str) -> (Arc<Store>, Result<Api, Vec<RefusedTable>>) {
    let store = empty().await;
    let api = serve_on(&store, &fields(BEFORE)).await.unwrap();
    for slot in slots {
        api.made(&format!("{{\"slot\":{slot}}}")).await;
    }
    let served = serve_on(&store, after).await;
    (store, served)
}

#[tokio::test]
async fn a_new_field_with_a_default_can_be_unique_together_with_others() {
    let rule = after(", default: a", "with: [shelf]");
    let (_, api) = added(&[r#""x""#, r#""X""#, "null", "null"], &rule).await;
    let api = api.unwrap();
    assert_eq!(api.post(r#"{"slot":"x"}"#).await.status, 409);
    assert_eq!(api.post(r#"{"slot":"x","shelf":"b"}"#).await.status, 201);
    assert_eq!(api.get("").await.rows()[0]["shelf"], "a");
    // A field without a default has no value, and those are not equal.
    assert!(added(&[r#""x""#, r#""x""#], &after("", "with: [shelf]")).await.1.is_ok());
}

#[tokio::test]
async fn items_that_would_be_equal_are_found_by_the_columns_that_exist() {
    let rule = after(", default: a", "with: [shelf], ignore_case: true");
    let (store, refused) = added(&[r#""x""#, r#""X""#, r#""y""#], &rule).await;
    let refused = refused.err().unwrap();
    assert_eq!(refused.len(), 1, "{refused:?}");
    let why = "cannot become unique: some items have duplicate values, and would all get the `default` of `shelf`";
    assert!(refused[0].message.ends_with(why), "{refused:?}");
    assert_eq!(refused[0].duplicates.len(), 1, "{refused:?}");
    let find = refused[0].help.split_once("to find them: ").unwrap().1;
    assert!(!find.contains("shelf"), "{find}");
    sql(&store, find.trim_end_matches(';')).await;
    sql(&store, "UPDATE items SET slot = 'z' WHERE slot = 'X'").await;
    assert_eq!(serve_on(&store, &rule).await.unwrap().post(r#"{"slot":"Z"}"#).await.status, 409);
}

#[tokio::test]
async fn a_default_that_all_items_would_have_is_no_unique_value() {
    let alone = fields("  slot: { type: string }\n  shelf: { type: string, default: a, unique: true }\n");
    let (_, refused) = added(&[r#""x""#, r#""y""#], &alone).await;
    let refused = refused.err().unwrap();
    assert!(refused[0].message.ends_with("cannot become unique: all items would get the `default` of `shelf`"));
    assert!(refused[0].help.starts_with("leave `default` out"), "{refused:?}");
    // One item is equal to no other.
    let (store, api) = added(&[r#""x""#], &alone).await;
    assert_eq!(api.unwrap().get("").await.rows()[0]["shelf"], "a");
    assert_eq!(planned(&store, &alone, &By::default()).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_same_holds_for_a_table_that_is_adopted() {
    let rule = after(", default: a", "with: [shelf]").replace("access:", "id: { type: string }\naccess:");
    let by = super::adopted::adopt();
    for (second, fits) in [("y", true), ("x", false)] {
        let store = empty().await;
        sql(&store, "CREATE TABLE items (id text PRIMARY KEY, slot text)").await;
        sql(&store, &format!("INSERT INTO items VALUES ('1', 'x'), ('2', '{second}')")).await;
        match planned(&store, &rule, &by).await {
            Ok(_) => assert!(fits && store.migrate(&[super::migrations::table(&rule)], &by).await.is_ok()),
            Err(refused) => {
                assert!(!fits && refused.len() == 1, "{refused:?}");
                let find = refused[0].help.split_once("to find them: ").unwrap().1;
                sql(&store, find.trim_end_matches(';')).await;
            }
        }
    }
}
