//! Changes of tables: by a start or a reload, and by `gatewright migrate`. Every row of the table in `docs/migrations.md`.

use super::*;
use crate::config::document::process::Migrate;
use crate::resource::contract::{Command, Sql};
use crate::resource::store::{By, Orders, RefusedTable};
use crate::resource::table::Table;
use std::time::Duration;

const TIME: Duration = Duration::from_secs(60);

pub fn fields(fields: &str) -> String {
    format!("store: main\naccess: {{ default: public }}\nfields:\n{fields}")
}

pub fn table(yaml: &str) -> Table {
    compile("items", yaml).table
}

pub fn command() -> By {
    By::Command(Orders::default())
}

pub async fn empty() -> Arc<Store> {
    let store = Store::new(&url().await.parse().unwrap()).unwrap();
    // A file is created by a migration alone.
    store.prepare(&[]).await.unwrap();
    Arc::new(store)
}

/// What the command would do.
pub async fn planned(store: &Store, yaml: &str, by: &By) -> Result<Vec<String>, Vec<RefusedTable>> {
    let planned = store.plan(&[table(yaml)], by).await?;
    Ok(planned.steps.into_iter().filter(|step| step.kind != "record").map(|step| step.text).collect())
}

/// Makes the changes that are planned; then nothing is left to do.
pub async fn migrate(store: &Store, yaml: &str, by: &By) -> Vec<String> {
    let plan = planned(store, yaml, by).await.unwrap();
    store.migrate(&[table(yaml)], by).await.unwrap();
    let again = store.plan(&[table(yaml)], by).await.unwrap();
    assert_eq!(again.steps, [], "planned twice");
    plan
}

/// The API of a document that needs no change any more, or that a reload may make.
pub async fn serve_on(store: &Arc<Store>, yaml: &str) -> Result<Api, Vec<RefusedTable>> {
    let model = compile("items", yaml);
    store.prepare(&tables_of(&model)).await?;
    let statements = Statements::new(store, "main", &model.table.name);
    let api = super::super::api(Arc::new(model), Arc::clone(store), Arc::new(Hasher::new()), Arc::new(statements), &[]);
    let (service, path) = (super::super::service(&api, "/api/items"), "/api/items".to_owned());
    Ok(Api { service, store: Arc::clone(store), path, fixed: Vec::new(), described: Described::nothing() })
}

pub async fn sql(store: &Store, text: &str) {
    store.execute(TIME, Sql::new(text, [])).await.unwrap();
}

#[tokio::test]
async fn the_command_makes_what_a_reload_makes_and_then_nothing() {
    let store = empty().await;
    let first = fields("  a: { type: string }\n");
    let plan = planned(&store, &first, &command()).await.unwrap();
    assert!(plan.contains(&"create table items".to_owned()), "{plan:?}");
    assert_eq!(planned(&store, &first, &By::default()).await.unwrap(), plan);
    migrate(&store, &first, &command()).await;
    let second = fields("  a: { type: string, index: true }\n  b: { type: integer, default: 7 }\n");
    assert_eq!(migrate(&store, &second, &command()).await, ["add column items.b", "create index gwi_items.a"]);
    let api = serve_on(&store, &second).await.unwrap();
    api.made(r#"{"a":"x"}"#).await;
    assert_eq!(api.get("").await.rows()[0]["b"], 7);
}

#[tokio::test]
async fn a_rename_is_made_by_the_command_alone() {
    let store = empty().await;
    let before = fields("  name: { type: string, required: true, unique: true, sort: true }\n  x: { type: integer }\n");
    let after = before.replace("  name: {", "  title: { renamed_from: name,");
    let (id, tag) = serve_on(&store, &before).await.unwrap().made(r#"{"name":"Ada","x":1}"#).await;
    let refused = serve_on(&store, &after).await.err().unwrap();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].column.as_deref(), Some("title.renamed_from"));
    assert_eq!(refused[0].command, Some(Command::Apply));
    assert_eq!(serve_on(&store, &before).await.unwrap().get("").await.rows()[0]["name"], "Ada");
    let plan = migrate(&store, &after, &command()).await;
    assert_eq!(plan[0], "rename column items.name to title", "{plan:?}");
    let api = serve_on(&store, &after).await.unwrap();
    let answer = api.get(&format!("/{id}")).await;
    assert_eq!((answer.json()["title"].clone(), answer.json()["x"].clone()), ("Ada".into(), 1.into()));
    assert_ne!(answer.header("etag"), tag, "the representation is another one");
    assert_eq!(api.post(r#"{"title":"Ada"}"#).await.status, 409, "the unique rule stays");
    // The old document would be a rename in the other direction.
    assert!(serve_on(&store, &before).await.is_err());
    let back = before.replace("  name: {", "  name: { renamed_from: title,");
    migrate(&store, &back, &command()).await;
    let api = serve_on(&store, &back).await.unwrap();
    assert_eq!(api.get("").await.rows()[0]["name"], "Ada");
}

#[tokio::test]
async fn a_rename_of_a_field_whose_unique_rule_is_guarded_keeps_the_guard() {
    let store = empty().await;
    let strict = fields("  name: { type: string, unique: true }\n");
    let loose = fields("  name: { type: string }\n");
    let item = r#"{"name":"x"}"#;
    serve_on(&store, &strict).await.unwrap().made(item).await;
    serve_on(&store, &loose).await.unwrap().made(item).await;
    serve_on(&store, &strict).await.unwrap();
    let renamed = strict.replace("  name: {", "  title: { renamed_from: name,");
    migrate(&store, &renamed, &command()).await;
    let api = serve_on(&store, &renamed).await.unwrap();
    assert_eq!(api.get("").await.rows().len(), 2);
    assert_eq!(api.post(r#"{"title":"x"}"#).await.status, 409);
    api.made(r#"{"title":"y"}"#).await;
}

#[tokio::test]
async fn a_rename_applies_once_and_a_new_table_needs_none() {
    let yaml = fields("  title: { type: string, renamed_from: name }\n");
    let store = empty().await;
    serve_on(&store, &yaml).await.unwrap().made(r#"{"title":"x"}"#).await;
    assert_eq!(migrate(&store, &yaml, &command()).await, [""; 0]);
}

#[tokio::test]
async fn a_wider_type_is_given_by_the_command_and_no_value_is_lost() {
    for (from, to, item, before, after) in [
        ("integer", "number", "7", "7", "7"),
        ("integer", "decimal, precision: 12, scale: 2", "-7", "-7", "\"-7.00\""),
        ("integer", "decimal, precision: 3", "0", "0", "\"0\""),
        ("integer", "string", "12", "12", "\"12\""),
        ("integer", "text", "12", "12", "\"12\""),
        ("date", "datetime", "\"2026-01-31\"", "\"2026-01-31\"", "\"2026-01-31T00:00:00.000000Z\""),
    ] {
        let store = empty().await;
        let with = |kind: &str| {
            fields(&format!("  a: {{ type: string }}\n  x: {{ type: {kind}, unique: true }}\n  z: {{ type: text }}\n"))
        };
        let (old, new) = (with(from), with(to));
        let api = serve_on(&store, &old).await.unwrap();
        let (id, tag) = api.made(&format!(r#"{{"a":"1","x":{item},"z":"z"}}"#)).await;
        let (gap, _) = api.made(r#"{"a":"2"}"#).await;
        assert_eq!(api.get(&format!("/{id}")).await.json()["x"].to_string(), before);
        let refused = serve_on(&store, &new).await.err().unwrap();
        assert_eq!((refused.len(), refused[0].command), (1, Some(Command::Apply)), "{refused:?}");
        let plan = migrate(&store, &new, &command()).await;
        assert!(plan[0].starts_with("change the type of items.x from"), "{plan:?}");
        let api = serve_on(&store, &new).await.unwrap();
        let answer = api.get(&format!("/{id}")).await;
        let text = answer.json()["x"].to_string();
        assert_eq!(text.trim_end_matches(".0"), after, "{from} {to}");
        assert_eq!(answer.json()["z"], "z");
        assert_ne!(answer.header("etag"), tag, "a client must not keep the old representation");
        assert!(api.get(&format!("/{gap}")).await.json()["x"].is_null());
        let value = &answer.json()["x"];
        assert_eq!(api.post(&format!(r#"{{"x":{value}}}"#)).await.status, 409, "{from} {to}: the unique rule stays");
        // What was there can be changed, and the way back is narrower.
        assert_eq!(api.patch(&id, r#"{"x":null}"#).await.status, 200);
        let refused = planned(&store, &old, &command()).await.unwrap_err();
        assert!(refused[0].message.contains("cannot become"), "{refused:?}");
    }
}

#[tokio::test]
async fn the_default_of_a_column_gets_the_new_type_too() {
    for (from, default, to, then) in [
        ("integer", "5", "decimal, precision: 6, scale: 1", "\"5.0\""),
        ("integer", "5", "string", "\"5\""),
        ("date", "\"2026-01-31\"", "datetime", "\"2026-01-31T00:00:00.000000Z\""),
    ] {
        let store = empty().await;
        serve_on(&store, &fields("  a: { type: string }\n")).await.unwrap().made("{}").await;
        let old = fields(&format!("  a: {{ type: string }}\n  x: {{ type: {from}, default: {default} }}\n"));
        serve_on(&store, &old).await.unwrap();
        let new = fields(&format!("  a: {{ type: string }}\n  x: {{ type: {to} }}\n"));
        migrate(&store, &new, &command()).await;
        let api = serve_on(&store, &new).await.unwrap();
        assert_eq!(api.get("").await.rows()[0]["x"].to_string(), then, "{to}");
        // The default of the column is for rows that are written without the field.
        serve_on(&store, &fields("  a: { type: string }\n")).await.unwrap().made(r#"{"a":"2"}"#).await;
        let rows = serve_on(&store, &new).await.unwrap().get("").await.rows();
        assert!(rows.iter().all(|row| row["x"].to_string().as_str() == then), "{to}: {rows:?}");
    }
}

#[tokio::test]
async fn values_that_do_not_fit_a_wider_type_are_a_reason_against_it() {
    for (value, to, why) in [
        ("9007199254740993", "number", "would be rounded"),
        ("-9223372036854775808", "number", "would be rounded"),
        ("1000", "decimal, precision: 5, scale: 2", "more than 3 digits before the point"),
    ] {
        let store = empty().await;
        let with = |kind: &str| fields(&format!("  x: {{ type: {kind} }}\n"));
        let api = serve_on(&store, &with("integer")).await.unwrap();
        let (id, _) = api.made(&format!(r#"{{"x":{value}}}"#)).await;
        let refused = planned(&store, &with(to), &command()).await.unwrap_err();
        assert!(refused[0].message.contains(why), "{refused:?}");
        assert_eq!(api.patch(&id, r#"{"x":999}"#).await.status, 200);
        migrate(&store, &with(to), &command()).await;
    }
}

#[tokio::test]
async fn a_narrower_or_another_type_is_refused_with_the_reason() {
    for (from, to) in [
        ("number", "integer"),
        ("string", "integer"),
        ("datetime", "date"),
        ("integer", "boolean"),
        ("integer", "email"),
        ("integer", "enum, values: [a]"),
        ("string", "json"),
        ("decimal", "integer"),
    ] {
        let store = empty().await;
        let with = |kind: &str| fields(&format!("  x: {{ type: {kind} }}\n"));
        serve_on(&store, &with(from)).await.unwrap();
        for by in [By::default(), command()] {
            let refused = planned(&store, &with(to), &by).await.unwrap_err();
            assert_eq!((refused[0].column.as_deref(), refused[0].command), (Some("x"), None), "{from} {to}");
            assert!(refused[0].message.contains("cannot become"), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn text_becomes_other_text_without_any_change_of_the_table() {
    for (from, to) in [("string", "text"), ("enum, values: [a, b]", "string"), ("string", "enum, values: [a]")] {
        let store = empty().await;
        let with = |kind: &str| fields(&format!("  x: {{ type: {kind} }}\n"));
        serve_on(&store, &with(from)).await.unwrap().made(r#"{"x":"a"}"#).await;
        let api = serve_on(&store, &with(to)).await.unwrap();
        assert_eq!(api.get("").await.rows()[0]["x"], "a");
        assert_eq!(migrate(&store, &with(to), &command()).await, [""; 0]);
    }
}

#[tokio::test]
async fn duplicates_are_listed_unless_clients_cannot_see_the_field() {
    let store = empty().await;
    let loose = fields("  code: { type: string }\n  secret: { type: string, write_only: true }\n");
    let api = serve_on(&store, &loose).await.unwrap();
    for number in 0..25 {
        for _ in 0..2 {
            api.made(&format!(r#"{{"code":"c{number}","secret":"s{number}"}}"#)).await;
        }
    }
    api.made(r#"{"code":"C0"}"#).await;
    for rule in ["unique: true", "unique: { ignore_case: true }"] {
        let yaml = loose.replace("code: { type: string", &format!("code: {{ type: string, {rule}"));
        let refused = planned(&store, &yaml, &command()).await.unwrap_err();
        let found = &refused[0].duplicates;
        assert_eq!(found.len(), 20, "{rule}");
        assert!(found.iter().all(|one| one.values.is_some()), "{found:?}");
        if rule.contains("ignore_case") {
            assert_eq!((found[0].items, found[0].values.as_ref().unwrap().len()), (3, 1), "{found:?}");
        }
    }
    let yaml = loose.replace("write_only: true", "write_only: true, unique: true");
    let refused = planned(&store, &yaml, &command()).await.unwrap_err();
    assert!(refused[0].duplicates.iter().all(|one| one.values.is_none() && one.items == 2));
    assert!(!format!("{refused:?}").contains("s1\""), "{refused:?}");
}

#[tokio::test]
async fn a_required_field_without_a_default_is_refused_by_the_command_too() {
    let store = empty().await;
    let before = fields("  a: { type: string }\n");
    serve_on(&store, &before).await.unwrap().made("{}").await;
    let after = fields("  a: { type: string }\n  b: { type: string, required: true }\n");
    let refused = planned(&store, &after, &command()).await.unwrap_err();
    assert!(refused[0].help.contains("add a constant `default` or `nullable: true` to `b`"), "{refused:?}");
    let with = after.replace("required: true", "required: true, default: x");
    assert_eq!(migrate(&store, &with, &command()).await, ["add column items.b"]);
}

#[tokio::test]
async fn columns_that_are_no_longer_declared_are_dropped_by_a_prune_alone() {
    let store = empty().await;
    let with = fields(
        "  a: { type: string, index: true }\n  b: { type: string, required: true, unique: true }\n  c: { type: string, unique: { with: [b] } }\n",
    );
    let without = fields("  a: { type: string }\n");
    serve_on(&store, &with).await.unwrap().made(r#"{"a":"1","b":"2","c":"3"}"#).await;
    let prune = By::Command(Orders { prune: true, ..Orders::default() });
    let planned = store.plan(&[table(&without)], &prune).await.unwrap();
    let lost: Vec<_> = planned.steps.iter().filter(|step| step.destructive).map(|step| step.text.as_str()).collect();
    assert_eq!(lost, ["drop column items.b and its 1 value", "drop column items.c and its 1 value"]);
    migrate(&store, &without, &prune).await;
    let api = serve_on(&store, &without).await.unwrap();
    assert_eq!(api.get("").await.rows()[0]["a"], "1");
    api.made("{}").await;
    // It is gone: the field starts anew.
    let again = fields("  a: { type: string }\n  b: { type: string }\n");
    let rows = serve_on(&store, &again).await.unwrap().get("").await.rows();
    assert!(rows.iter().all(|row| row["b"].is_null()), "{rows:?}");
}

#[tokio::test]
async fn tables_that_no_resource_uses_are_dropped_by_a_prune_alone() {
    let store = empty().await;
    let yaml = fields("  a: { type: string }\n");
    let others: Vec<_> = ["kept", "left", "vacant"].map(|name| compile(name, &yaml).table).into();
    store.prepare(&others).await.unwrap();
    serve_on(&store, &yaml).await.unwrap();
    sql(&store, "INSERT INTO \"left\" (id, a) VALUES ('0190a000-0000-7000-8000-000000000000', 'x')").await;
    assert_eq!(migrate(&store, &yaml, &command()).await, [""; 0]);
    let orders = Orders { prune: true, keep: vec!["kept".into()], ..Orders::default() };
    let plan = migrate(&store, &yaml, &By::Command(orders)).await;
    assert_eq!(plan, ["drop table left and its 1 row", "drop table vacant"]);
    assert!(store.count("kept").await.is_ok() && store.count("left").await.is_err());
    store.prepare(&others).await.unwrap();
    assert_eq!(store.count("left").await.unwrap().found, 0);
}

#[tokio::test]
async fn a_store_that_is_changed_by_the_command_alone_refuses_every_other_change() {
    let store = empty().await;
    let first = fields("  a: { type: string, required: true }\n");
    for (policy, word, by) in [(Migrate::Manual, "manual", Command::Apply), (Migrate::None, "none", Command::Print)] {
        let refused = store.migrate(&[table(&first)], &By::Reload(policy)).await.unwrap_err();
        assert!(refused.iter().all(|refused| refused.command == Some(by)), "{refused:?}");
        let about = refused.iter().find(|refused| refused.table.is_some()).unwrap();
        assert_eq!(about.message, format!("`migrate: {word}` does not allow a reload to create table items"));
    }
    migrate(&store, &first, &command()).await;
    // A rule is not a change of a table.
    let rule = fields("  a: { type: string, max: 5 }\n");
    for policy in [Migrate::Manual, Migrate::None] {
        store.migrate(&[table(&rule)], &By::Reload(policy)).await.unwrap();
        let more = fields("  a: { type: string }\n  b: { type: string }\n");
        let refused = store.migrate(&[table(&more)], &By::Reload(policy)).await.unwrap_err();
        assert_eq!((refused.len(), refused[0].column.as_deref()), (1, Some("b")));
    }
}

#[tokio::test]
async fn the_statements_of_a_plan_make_the_change_when_someone_else_runs_them() {
    let store = empty().await;
    let first = fields("  a: { type: string, default: \"it's  $1\" }\n  n: { type: integer, unique: true }\n");
    let second = fields("  b: { type: string, renamed_from: a, index: true }\n  n: { type: number, unique: true }\n");
    for yaml in [&first, &second] {
        let planned = store.plan(&[table(yaml)], &command()).await.unwrap();
        for statement in planned.steps.iter().flat_map(|step| &step.sql) {
            sql(&store, statement.trim_end_matches(';')).await;
        }
        assert_eq!(store.plan(&[table(yaml)], &By::Reload(Migrate::None)).await.unwrap().steps, []);
    }
    serve_on(&store, &second).await.unwrap().made(r#"{"b":"x","n":1.5}"#).await;
}
