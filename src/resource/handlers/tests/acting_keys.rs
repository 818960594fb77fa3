//! Foreign keys of other programs that delete or change rows: `ON DELETE CASCADE` and the like.

use super::adopted::adopt;
use super::migrations::{command, empty, sql};
use super::world::*;
use super::*;
use crate::resource::contract::Command;
use crate::resource::store::{ActingKey, By, RefusedTable};
use crate::resource::table::Table;

/// Parents and their kids, as another program made them.
async fn family(keys: &str) -> Arc<Store> {
    let store = empty().await;
    sql(&store, "CREATE TABLE parents (id text PRIMARY KEY, code text, name text, CONSTRAINT codes UNIQUE (code))")
        .await;
    sql(&store, "CREATE TABLE links (id text PRIMARY KEY, parent text REFERENCES parents ON DELETE CASCADE)").await;
    sql(&store, &format!("CREATE TABLE kids (id text PRIMARY KEY, name text{keys})")).await;
    store
}

fn document(fields: &str) -> String {
    format!(
        "parents: {{ store: main, id: {{ type: string }}, access: {{ default: public }}, fields: {{ code: {{ type: string, \
         unique: true }}, name: {{ type: string }} }} }}\n\
         kids: {{ store: main, id: {{ type: string }}, access: {{ default: public }}, fields: {{ name: {{ type: string }}{fields} }} }}\n"
    )
}

fn url() -> &'static str {
    if postgres::server().is_some() { "postgres://" } else { "sqlite::memory:" }
}

fn tables(fields: &str) -> Vec<Table> {
    models(&document(fields), url()).iter().flat_map(|(_, model)| tables_of(model)).collect()
}

/// The changes of foreign keys among those that are planned.
async fn planned(store: &Store, fields: &str, by: &By) -> Vec<String> {
    let planned = store.plan(&tables(fields), by).await.unwrap();
    planned.steps.into_iter().filter(|step| step.kind == "change_foreign_key").map(|step| step.text).collect()
}

/// Makes the changes, which are none the second time.
async fn migrate(store: &Store, fields: &str, by: &By) {
    store.migrate(&tables(fields), by).await.unwrap();
    assert_eq!(store.plan(&tables(fields), &command()).await.unwrap().steps, [], "planned twice");
}

async fn serve(store: &Arc<Store>, fields: &str) -> Result<World, Vec<RefusedTable>> {
    world_in(&document(fields), url(), Arc::clone(store)).await
}

async fn delete(world: &World, id: &str) -> u16 {
    world.of("parents").ask(Method::DELETE, &format!("/{id}")).send().await.status.as_u16()
}

#[tokio::test]
async fn a_key_that_acts_becomes_a_check_when_its_table_is_adopted() {
    // Names and texts that look like the clauses are not them.
    let keys = ", casc text /* ON DELETE CASCADE */ REFERENCES parents ON UPDATE CASCADE ON DELETE CASCADE, \
                plain text CHECK (plain <> 'REFERENCES parents ON DELETE CASCADE') REFERENCES parents (id), \
                setn text REFERENCES parents (id) ON DELETE SET NULL DEFERRABLE, \
                code text REFERENCES parents (code) ON DELETE NO ACTION ON UPDATE CASCADE, \
                link text REFERENCES links ON DELETE CASCADE, \
                \"on delete cascade\" text, \
                FOREIGN KEY (name) REFERENCES parents (id) ON DELETE SET DEFAULT";
    let store = family(keys).await;
    let fields = ", casc: { type: string }, setn: { type: string }, code: { type: string }, link: { type: string }";
    let change = |key: &str| format!("change the foreign key of kids.{key} to NO ACTION");
    assert_eq!(
        planned(&store, fields, &adopt()).await,
        [
            "casc to parents from ON DELETE CASCADE",
            "setn to parents from ON DELETE SET NULL",
            "code to parents from ON UPDATE CASCADE",
            "link to links from ON DELETE CASCADE",
            "name to parents from ON DELETE SET DEFAULT",
        ]
        .map(change)
    );
    migrate(&store, fields, &adopt()).await;
    let world = serve(&store, fields).await.unwrap();
    let (parents, kids) = (world.of("parents"), world.of("kids"));
    for field in ["casc", "setn", "link", "name"] {
        parents.made(&format!(r#"{{"id":"{field}"}}"#)).await;
        if field == "link" {
            world.run("INSERT INTO links VALUES ('link', 'link')").await;
        }
        let (_, tag) = kids.made(&format!(r#"{{"id":"{field}","{field}":"{field}"}}"#)).await;
        assert_eq!(delete(&world, field).await, 409, "{field}");
        let kid = kids.get(&format!("/{field}")).await;
        assert_eq!((kid.json()[field].as_str(), kid.header("etag")), (Some(field), tag), "{field}");
    }
    parents.made(r#"{"id":"a","code":"x"}"#).await;
    let (_, tag) = kids.made(r#"{"id":"a","code":"x"}"#).await;
    assert!(parents.patch("a", r#"{"code":"y"}"#).await.status.is_client_error());
    assert_eq!(kids.get("/a").await.header("etag"), tag);
    // Tables of other programs follow, and the rest of the definition stays.
    parents.made(r#"{"id":"b"}"#).await;
    world.run("INSERT INTO links VALUES ('b', 'b')").await;
    assert_eq!(delete(&world, "b").await, 204);
    assert_eq!(world.count("SELECT count(*) FROM links").await, 1);
    world.run("UPDATE kids SET casc = 'c' WHERE id = 'none'").await;
    world.run("INSERT INTO kids (id, \"on delete cascade\") VALUES ('d', 'x')").await;
}

#[tokio::test]
async fn restrict_is_not_served_before_the_database_restricts() {
    let store = family(", parent text REFERENCES parents ON DELETE CASCADE").await;
    let cascade = ", parent: { type: ref, to: parents, on_delete: cascade }";
    assert_eq!(planned(&store, cascade, &adopt()).await, [""; 0]);
    migrate(&store, cascade, &adopt()).await;
    for restrict in
        [", parent: { type: ref, to: parents, on_delete: restrict }", ", parent: { type: ref, to: parents }"]
    {
        let refused = serve(&store, restrict).await.err().unwrap();
        assert_eq!(refused.len(), 1, "{refused:?}");
        let refused = &refused[0];
        assert_eq!((refused.column.as_deref(), refused.command), (Some("parent"), Some(Command::Apply)));
        assert!(refused.message.contains("its foreign key to `parents` has ON DELETE CASCADE"), "{refused:?}");
    }
    let restrict = ", parent: { type: ref, to: parents }";
    let step = "change the foreign key of kids.parent to parents from ON DELETE CASCADE to NO ACTION";
    assert_eq!(planned(&store, restrict, &command()).await, [step]);
    migrate(&store, restrict, &command()).await;
    let world = serve(&store, restrict).await.unwrap();
    world.of("parents").made(r#"{"id":"a"}"#).await;
    world.of("kids").made(r#"{"id":"a","parent":"a"}"#).await;
    assert_eq!(delete(&world, "a").await, 409);
    assert_eq!(world.of("kids").get("/a").await.json()["parent"], "a");
    // From then on `on_delete` alone decides.
    let world = serve(&store, cascade).await.unwrap();
    assert_eq!(delete(&world, "a").await, 204);
    assert_eq!(world.of("kids").get("/a").await.status, 404);
}

#[tokio::test]
async fn what_the_gateway_does_first_is_left_to_the_database_of_others() {
    let store =
        family(", a text REFERENCES parents ON DELETE CASCADE, b text REFERENCES parents ON DELETE SET NULL").await;
    // The other way round than in the database: the gateway decides.
    let fields =
        ", a: { type: ref, to: parents, on_delete: set_null }, b: { type: ref, to: parents, on_delete: cascade }";
    migrate(&store, fields, &adopt()).await;
    let world = serve(&store, fields).await.unwrap();
    for id in ["a", "b", "c"] {
        world.of("parents").made(&format!(r#"{{"id":"{id}"}}"#)).await;
    }
    let kids = world.of("kids");
    let (_, tag) = kids.made(r#"{"id":"a","a":"a"}"#).await;
    kids.made(r#"{"id":"b","b":"b"}"#).await;
    kids.made(r#"{"id":"c","a":"c"}"#).await;
    assert_eq!([delete(&world, "a").await, delete(&world, "b").await], [204, 204]);
    let kid = kids.get("/a").await;
    assert_eq!(kid.json()["a"], Value::Null);
    assert_ne!(kid.header("etag"), tag);
    assert_eq!(kids.get("/b").await.status, 404);
    world.run("DELETE FROM parents WHERE id = 'c'").await;
    assert_eq!(world.count("SELECT count(*) FROM kids").await, 1);
}

#[tokio::test]
async fn a_key_without_a_field_that_decides_is_warned_of() {
    let store = family(", parent text REFERENCES parents ON DELETE SET NULL").await;
    migrate(&store, ", parent: { type: ref, to: parents, on_delete: set_null }", &adopt()).await;
    let planned = store.plan(&tables(""), &By::default()).await.unwrap();
    let (table, columns) = ("kids".to_owned(), vec!["parent".to_owned()]);
    let clauses = "ON DELETE SET NULL".to_owned();
    let (served, parent) = (table.clone(), "parents".to_owned());
    let expected = ActingKey { served, table, columns, parent, clauses, can_refer: true, by_collation: false };
    assert_eq!(planned.acting, [expected]);
    assert_eq!(planned.steps.iter().filter(|step| step.kind != "record").count(), 0);
    serve(&store, "").await.unwrap();
    migrate(&store, "", &command()).await;
    assert_eq!(store.plan(&tables(""), &By::default()).await.unwrap().acting, []);
}

/// What is said about the first key that becomes a check.
async fn warned(store: &Store, fields: &str, by: &By) -> String {
    let planned = store.plan(&tables(fields), by).await.unwrap();
    let step = planned.steps.into_iter().find(|step| step.kind == "change_foreign_key").unwrap();
    step.warning.unwrap()
}

#[tokio::test]
async fn a_reference_is_advised_only_where_it_can_be_one() {
    let plain = ", parent: { type: string }";
    for (key, advised) in [
        (", parent text REFERENCES parents ON DELETE CASCADE", true),
        (", parent text REFERENCES parents (code) ON DELETE CASCADE", false),
        // No resource has that table.
        (", parent text REFERENCES links ON DELETE CASCADE", false),
        (", parent text, \"no field\" text REFERENCES parents ON DELETE CASCADE", false),
        (", parent text, FOREIGN KEY (id) REFERENCES parents ON DELETE CASCADE", false),
    ] {
        let store = family(key).await;
        let warning = warned(&store, plain, &adopt()).await;
        assert_eq!(warning.contains("declare `parent` with `type: ref`"), advised, "{key}: {warning}");
        assert_eq!(warning.contains("with `type: ref`"), advised, "{key}: {warning}");
    }
}

/// A database may compare texts in another way than the gateway, and then finds rows that the gateway does not find.
#[tokio::test]
async fn a_key_that_compares_by_a_collation_is_not_left_to_the_database() {
    let folds = if postgres::server().is_some() { "COLLATE ci" } else { "COLLATE NOCASE" };
    let cascade = ", parent: { type: ref, to: parents, on_delete: set_null }";
    for (own, other) in [("", folds), (folds, ""), (folds, folds)] {
        let store = empty().await;
        if postgres::server().is_some() {
            let ci = "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
            sql(&store, ci).await;
        }
        sql(&store, &format!("CREATE TABLE parents (id text {own} PRIMARY KEY, code text UNIQUE, name text)")).await;
        let key = "REFERENCES parents ON DELETE SET NULL";
        sql(&store, &format!("CREATE TABLE kids (id text PRIMARY KEY, name text, parent text {other} {key})")).await;
        let refused = store.plan(&tables(cascade), &adopt()).await.unwrap_err();
        assert!(refused[0].message.contains("by a collation such as NOCASE"), "{refused:?}");
        let plain = ", parent: { type: string }";
        assert!(!warned(&store, plain, &adopt()).await.contains("type: ref"));
        migrate(&store, plain, &adopt()).await;
        let world = serve(&store, plain).await.unwrap();
        world.of("parents").made(r#"{"id":"Abc"}"#).await;
        let id = if own.is_empty() { "Abc" } else { "abc" };
        let (_, tag) = world.of("kids").made(&format!(r#"{{"id":"k","parent":"{id}"}}"#)).await;
        assert_eq!(delete(&world, "Abc").await, 409, "{own}/{other}");
        assert_eq!(world.of("kids").get("/k").await.header("etag"), tag);
    }
    if postgres::server().is_some() {
        return;
    }
    // A table that was taken before: its key is warned of, and becomes a check.
    let store = family(", parent text REFERENCES parents ON DELETE SET NULL").await;
    migrate(&store, cascade, &adopt()).await;
    sql(&store, "PRAGMA writable_schema = ON").await;
    let change = "replace(sql, 'parents (id text', 'parents (id text COLLATE NOCASE')";
    sql(&store, &format!("UPDATE sqlite_schema SET sql = {change} WHERE name = 'parents'")).await;
    sql(&store, "PRAGMA writable_schema = RESET").await;
    let planned = store.plan(&tables(cascade), &By::default()).await.unwrap();
    assert!(planned.acting[0].by_collation && !planned.acting[0].can_refer, "{:?}", planned.acting);
    let warning = warned(&store, cascade, &command()).await;
    assert!(warning.contains("`on_delete` at `parent` cannot do more"), "{warning}");
    migrate(&store, cascade, &command()).await;
    let world = serve(&store, cascade).await.unwrap();
    world.of("parents").made(r#"{"id":"Abc"}"#).await;
    world.run("INSERT INTO kids (id, parent) VALUES ('k', 'abc')").await;
    assert_eq!(delete(&world, "Abc").await, 409);
    assert_eq!(world.of("kids").get("/k").await.json()["parent"], "abc");
}

#[tokio::test]
async fn a_table_is_adopted_with_a_reference_only_if_its_column_is_that_foreign_key() {
    let parent = ", parent: { type: ref, to: parents }";
    for keys in [", parent text", ", parent text REFERENCES parents (code)", ", parent text REFERENCES links"] {
        let store = family(keys).await;
        let refused = store.plan(&tables(parent), &adopt()).await.unwrap_err();
        assert!(refused[0].message.starts_with("`parent` refers to items, and is no such foreign key"), "{refused:?}");
    }
    if postgres::server().is_some() {
        return;
    }
    // Programs that do not check foreign keys may leave such rows.
    let store = family(", parent text").await;
    sql(&store, "INSERT INTO kids VALUES ('a', 'x', 'nobody')").await;
    sql(&store, "PRAGMA writable_schema = ON").await;
    let key = "replace(sql, 'parent text', 'parent text REFERENCES parents')";
    sql(&store, &format!("UPDATE sqlite_schema SET sql = {key} WHERE name = 'kids'")).await;
    sql(&store, "PRAGMA writable_schema = RESET").await;
    let refused = store.plan(&tables(parent), &adopt()).await.unwrap_err();
    assert!(refused[0].message.contains("some values of `parent` are no ids of rows in `parents`"), "{refused:?}");
}

/// To change a column, SQLite writes the definitions of all tables anew, and a text in double quotes then gets single ones.
#[tokio::test]
async fn a_key_becomes_a_check_also_if_the_same_plan_changes_another_table() {
    if postgres::server().is_some() {
        return;
    }
    let store = empty().await;
    sql(&store, "CREATE TABLE parents (id text PRIMARY KEY, n integer)").await;
    let kids = "CREATE TABLE kids (id text PRIMARY KEY, st text CHECK (st <> \"x\"), parent text REFERENCES parents ON DELETE CASCADE)";
    sql(&store, kids).await;
    let tables = |n: &str, action: &str| -> Vec<Table> {
        let yaml = format!(
            "parents: {{ store: main, id: {{ type: string }}, access: {{ default: public }}, fields: {{ n: {{ type: {n} }} }} }}\n\
             kids: {{ store: main, id: {{ type: string }}, access: {{ default: public }}, fields: {{ st: {{ type: string }}, \
             parent: {{ type: ref, to: parents, on_delete: {action} }} }} }}\n"
        );
        models(&yaml, url()).iter().flat_map(|(_, model)| tables_of(model)).collect()
    };
    store.migrate(&tables("integer", "cascade"), &adopt()).await.unwrap();
    let wanted = tables("number", "restrict");
    store.migrate(&wanted, &command()).await.unwrap();
    assert_eq!(store.plan(&wanted, &command()).await.unwrap().steps, []);
}
