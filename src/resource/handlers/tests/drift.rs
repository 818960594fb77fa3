//! Tables that were changed by hand: the difference is named, and nothing is done.

use super::migrations::{command, empty, fields, planned, serve_on, sql};
use super::postgres;
use crate::resource::store::By;

#[tokio::test]
async fn what_was_changed_by_hand_is_named_and_nothing_is_done() {
    let yaml = fields("  a: { type: string, index: true }\n  n: { type: integer }\n");
    let strange: &[(&str, &str, &str)] = if postgres::server().is_some() {
        &[
            ("ALTER TABLE items DROP COLUMN n", "the column `n` is missing", "ADD COLUMN \"n\" bigint"),
            ("ALTER TABLE items ALTER n TYPE text", "the column `n` is text, not bigint", "TYPE bigint USING"),
            ("DROP INDEX \"gwi_items.a\"", "the index `gwi_items.a` is missing", "CREATE INDEX"),
            ("ALTER TABLE items DROP CONSTRAINT items_pkey", "the primary key is missing", "ADD PRIMARY KEY (\"id\")"),
            ("ALTER TABLE items ADD z text", "the column `z` was added", "undo that change"),
            ("DROP TABLE items", "it is gone", ""),
        ]
    } else {
        &[
            ("ALTER TABLE items DROP COLUMN n", "the column `n` is missing", "ADD COLUMN \"n\" INTEGER"),
            (
                "CREATE TABLE x (id TEXT PRIMARY KEY, _version INTEGER NOT NULL, a TEXT, n TEXT)",
                "the column `n` is TEXT, not INTEGER",
                "restore a backup",
            ),
            ("DROP INDEX \"gwi_items.a\"", "the index `gwi_items.a` is missing", "CREATE INDEX"),
            (
                "CREATE TABLE x (id TEXT, _version INTEGER NOT NULL, a TEXT, n INTEGER)",
                "the primary key is missing",
                "restore a backup",
            ),
            ("ALTER TABLE items ADD z TEXT", "the column `z` was added", "undo that change"),
            ("DROP TABLE items", "it is gone", ""),
        ]
    };
    for (change, what, help) in strange {
        let store = empty().await;
        serve_on(&store, &yaml).await.unwrap();
        sql(&store, change).await;
        if change.starts_with("CREATE TABLE x") {
            sql(&store, "DROP TABLE items").await;
            sql(&store, "ALTER TABLE x RENAME TO items").await;
            sql(&store, "CREATE INDEX \"gwi_items.a\" ON items (a)").await;
        }
        for by in [By::default(), command()] {
            let refused = planned(&store, &yaml, &by).await.unwrap_err();
            let named = refused.iter().find(|refused| refused.message.ends_with(what));
            assert!(named.is_some_and(|refused| refused.help.contains(help)), "{change}: {refused:?}");
        }
        assert!(serve_on(&store, &yaml).await.is_err(), "{change}");
        // The statement of the help undoes it.
        let refused = planned(&store, &yaml, &command()).await.unwrap_err();
        if let Some((_, undo)) = refused[0].help.split_once("then reload: ") {
            sql(&store, undo.trim_end_matches(';')).await;
            assert!(serve_on(&store, &yaml).await.is_ok(), "{undo}");
        }
    }
}
