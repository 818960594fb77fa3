//! Foreign keys of tables of PostgreSQL whose rows are in partitions or children.

use super::adopted::adopt;
use super::migrations::{command, empty, sql};
use super::world::*;
use super::*;
use crate::resource::store::By;
use crate::resource::table::Table;

const URL: &str = "postgres://";

/// Parents in two partitions, kids in one, and a table that inherits from another one. `rest` are further statements.
async fn tables(rest: &[&str]) -> Option<Arc<Store>> {
    postgres::server()?;
    let store = empty().await;
    for text in [
        "CREATE TABLE parents (id text PRIMARY KEY) PARTITION BY LIST (id)",
        "CREATE TABLE parents_a PARTITION OF parents FOR VALUES IN ('a')",
        "CREATE TABLE parents_rest PARTITION OF parents DEFAULT",
        "CREATE TABLE kids (id text PRIMARY KEY, parent text) PARTITION BY HASH (id)",
        "CREATE TABLE kids_0 PARTITION OF kids FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "CREATE TABLE notes (id text PRIMARY KEY, parent text)",
        "CREATE TABLE old_notes (PRIMARY KEY (id)) INHERITS (notes)",
    ] {
        sql(&store, text).await;
    }
    for text in rest {
        sql(&store, text).await;
    }
    Some(store)
}

fn document(tables: &[(&str, &str)]) -> String {
    let resource = |(name, field): &(&str, &str)| {
        let fields = if field.is_empty() { String::new() } else { format!("parent: {field}") };
        format!(
            "{name}: {{ store: main, id: {{ type: string }}, access: {{ default: public }}, fields: {{ {fields} }} }}\n"
        )
    };
    tables.iter().map(resource).collect()
}

fn wanted(yaml: &str) -> Vec<Table> {
    models(yaml, URL).iter().flat_map(|(_, model)| tables_of(model)).collect()
}

async fn changes(store: &Store, yaml: &str, by: &By) -> Vec<String> {
    let planned = store.plan(&wanted(yaml), by).await.unwrap();
    planned.steps.into_iter().filter(|step| step.kind == "change_foreign_key").map(|step| step.text).collect()
}

/// Takes the tables, after which there is nothing left to do, and serves them.
async fn served(store: &Arc<Store>, yaml: &str) -> World {
    store.migrate(&wanted(yaml), &adopt()).await.unwrap();
    assert_eq!(store.plan(&wanted(yaml), &command()).await.unwrap().steps, [], "planned twice");
    world_in(yaml, URL, Arc::clone(store)).await.unwrap()
}

async fn delete(world: &World, of: &str, id: &str) -> u16 {
    world.of(of).ask(Method::DELETE, &format!("/{id}")).send().await.status.as_u16()
}

#[tokio::test]
async fn keys_of_partitions_and_children_become_checks() {
    let rest = [
        "ALTER TABLE kids_0 ADD CONSTRAINT own FOREIGN KEY (parent) REFERENCES parents ON DELETE CASCADE",
        "COMMENT ON CONSTRAINT own ON kids_0 IS 'it''s kept'",
        "ALTER TABLE old_notes ADD FOREIGN KEY (parent) REFERENCES parents ON DELETE SET NULL",
    ];
    let Some(store) = tables(&rest).await else { return };
    let string = "{ type: string }";
    let yaml = document(&[("parents", ""), ("kids", string), ("notes", string)]);
    let steps = [
        "change the foreign key of kids_0.parent to parents from ON DELETE CASCADE to NO ACTION",
        "change the foreign key of old_notes.parent to parents from ON DELETE SET NULL to NO ACTION",
    ];
    assert_eq!(changes(&store, &yaml, &adopt()).await, steps);
    let world = served(&store, &yaml).await;
    for id in ["a", "b", "c"] {
        world.of("parents").made(&format!(r#"{{"id":"{id}"}}"#)).await;
    }
    world.of("kids").made(r#"{"id":"a","parent":"a"}"#).await;
    world.run("INSERT INTO old_notes (id, parent) VALUES ('b', 'b')").await;
    let tag = world.of("notes").get("/b").await.header("etag");
    assert_eq!(delete(&world, "parents", "a").await, 409);
    assert_eq!(delete(&world, "parents", "b").await, 409);
    assert_eq!(delete(&world, "parents", "c").await, 204);
    let note = world.of("notes").get("/b").await;
    assert_eq!((note.json()["parent"].as_str(), note.header("etag")), (Some("b"), tag));
    let comments = "SELECT count(*) FROM pg_constraint WHERE obj_description(oid, 'pg_constraint') = 'it''s kept' \
                    AND connamespace = current_schema()::regnamespace";
    assert_eq!(world.count(comments).await, 1);
    // The key is that of a part of the table that is written to.
    assert_eq!(world.of("kids").post(r#"{"id":"x","parent":"x"}"#).await.fault().1, "parent");
    assert_eq!(world.of("notes").patch("b", r#"{"parent":"x"}"#).await.fault().1, "parent");
}

#[tokio::test]
async fn keys_that_refer_to_a_part_of_a_table_become_checks() {
    let rest = [
        "ALTER TABLE kids ADD FOREIGN KEY (parent) REFERENCES parents_a ON DELETE CASCADE",
        "CREATE TABLE leafs (id text PRIMARY KEY, parent text REFERENCES old_notes ON DELETE CASCADE)",
        // Nothing that the gateway does leads there.
        "CREATE TABLE others (id text PRIMARY KEY)",
        "ALTER TABLE old_notes ADD FOREIGN KEY (parent) REFERENCES others ON DELETE CASCADE",
    ];
    let Some(store) = tables(&rest).await else { return };
    let string = "{ type: string }";
    let yaml = document(&[("parents", ""), ("kids", string), ("notes", string), ("leafs", string)]);
    let steps = [
        "change the foreign key of kids.parent to parents_a from ON DELETE CASCADE to NO ACTION",
        "change the foreign key of leafs.parent to old_notes from ON DELETE CASCADE to NO ACTION",
    ];
    assert_eq!(changes(&store, &yaml, &adopt()).await, steps);
    let world = served(&store, &yaml).await;
    world.of("parents").made(r#"{"id":"a"}"#).await;
    world.of("kids").made(r#"{"id":"a","parent":"a"}"#).await;
    assert_eq!(delete(&world, "parents", "a").await, 409);
    world.run("INSERT INTO old_notes (id) VALUES ('n')").await;
    world.of("leafs").made(r#"{"id":"l","parent":"n"}"#).await;
    assert_eq!(delete(&world, "notes", "n").await, 409);
}

#[tokio::test]
async fn a_resource_for_a_partition_has_the_keys_of_the_whole() {
    let key = "ALTER TABLE kids ADD FOREIGN KEY (parent) REFERENCES parents ON DELETE CASCADE";
    // A column cannot be added to a partition.
    let version = |table: &str| format!("ALTER TABLE {table} ADD COLUMN _version bigint NOT NULL DEFAULT 0");
    let Some(store) = tables(&[key, &version("parents"), &version("kids")]).await else { return };
    let step = "change the foreign key of kids.parent to parents from ON DELETE CASCADE to NO ACTION";
    let plain = document(&[("parents_a", ""), ("kids_0", "{ type: string }")]);
    assert_eq!(changes(&store, &plain, &adopt()).await, [step]);
    // The rows of other partitions would not be deleted first, so the key is not left to the database either.
    let cascade = "{ type: ref, to: parents, on_delete: cascade }";
    let part = document(&[("parents", ""), ("kids_0", cascade)]);
    assert_eq!(changes(&store, &part, &adopt()).await, [step]);
    let whole = document(&[("parents", ""), ("kids", cascade)]);
    assert_eq!(changes(&store, &whole, &adopt()).await, [""; 0]);
    let world = served(&store, &whole).await;
    world.of("parents").made(r#"{"id":"a"}"#).await;
    world.of("kids").made(r#"{"id":"k","parent":"a"}"#).await;
    assert_eq!(world.of("kids").post(r#"{"id":"x","parent":"x"}"#).await.fault().1, "parent");
    assert_eq!(delete(&world, "parents", "a").await, 204);
    assert_eq!(world.of("kids").get("/k").await.status, 404);
    // A start warns of it, and an edit that would restrict is rejected.
    let warned = store.plan(&wanted(&document(&[("parents", ""), ("kids", "")])), &By::default()).await.unwrap();
    let acting = warned.acting.first().unwrap();
    assert_eq!((&*acting.served, &*acting.table, acting.can_refer), ("kids", "kids", true));
    let restrict = document(&[("parents", ""), ("kids", "{ type: ref, to: parents }")]);
    assert!(store.plan(&wanted(&restrict), &By::default()).await.is_err());
}

#[tokio::test]
async fn a_key_of_a_partition_is_left_if_the_gateway_comes_first() {
    let rest = [
        "ALTER TABLE kids ADD FOREIGN KEY (parent) REFERENCES parents",
        "ALTER TABLE kids_0 ADD CONSTRAINT own FOREIGN KEY (parent) REFERENCES parents_a ON DELETE CASCADE",
    ];
    let Some(store) = tables(&rest).await else { return };
    let yaml = |field: &str| document(&[("parents", ""), ("kids", field)]);
    assert_eq!(changes(&store, &yaml("{ type: ref, to: parents, on_delete: set_null }"), &adopt()).await, [""; 0]);
    let world = served(&store, &yaml("{ type: ref, to: parents, on_delete: set_null }")).await;
    world.of("parents").made(r#"{"id":"a"}"#).await;
    let (_, tag) = world.of("kids").made(r#"{"id":"k","parent":"a"}"#).await;
    assert_eq!(delete(&world, "parents", "a").await, 204);
    let kid = world.of("kids").get("/k").await;
    assert_eq!(kid.json()["parent"], Value::Null);
    assert_ne!(kid.header("etag"), tag);
    let restrict = yaml("{ type: ref, to: parents }");
    let refused = store.plan(&wanted(&restrict), &By::default()).await.unwrap_err();
    assert!(refused[0].message.contains("its foreign key to `parents_a` has ON DELETE CASCADE"), "{refused:?}");
    let step = "change the foreign key of kids_0.parent to parents_a from ON DELETE CASCADE to NO ACTION";
    assert_eq!(changes(&store, &restrict, &command()).await, [step]);
}
