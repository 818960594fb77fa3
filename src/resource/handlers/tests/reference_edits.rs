//! What a live edit of references does to tables.

use super::world::*;
use super::*;
use crate::resource::store::{By, Orders};
use crate::resource::table::Table;

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
            "`plain` of table `items` becomes a reference to `lists`, which only `gatewright migrate` makes; ",
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

fn tables(url: &str, yaml: &str) -> Vec<Table> {
    models(yaml, url).iter().map(|(_, model)| model.table.clone()).collect()
}

async fn steps(store: &Store, tables: &[Table], by: &By) -> Result<Vec<String>, String> {
    match store.plan(tables, by).await {
        Ok(planned) => {
            Ok(planned.steps.into_iter().filter(|step| step.kind != "record").map(|step| step.text).collect())
        }
        Err(refused) => Err(format!("{}; {}", refused[0].message, refused[0].help)),
    }
}

#[tokio::test]
async fn a_field_becomes_a_reference_by_the_command_if_all_values_are_ids() {
    for (id, kind) in [("string", "string"), ("integer", "integer"), ("uuid", "uuid")] {
        let url = url().await;
        let document = |field: &str| {
            document(&format!(", list: {{ {field}, filter: [eq] }}"))
                .replace("id: { type: string }", &format!("id: {{ type: {id} }}"))
        };
        let first = world_at(&document(&format!("type: {kind}, index: true")), &url).await.unwrap();
        let store = Arc::clone(&first.store);
        let list = match id {
            "string" => first.of("lists").post(r#"{"id":"a"}"#).await.id(),
            _ => first.of("lists").post(r#"{"name":"a"}"#).await.id(),
        };
        let gone = match id {
            "string" => "\"b\"".to_owned(),
            "integer" => "77".to_owned(),
            _ => "\"0190a000-0000-7000-8000-000000000000\"".to_owned(),
        };
        let value = if id == "integer" { list.clone() } else { format!("\"{list}\"") };
        let (item, _) = first.of("items").made(&format!(r#"{{"title":"x","list":{value}}}"#)).await;
        first.of("items").made(r#"{"title":"none"}"#).await;
        let (orphan, _) = first.of("items").made(&format!(r#"{{"title":"y","list":{gone}}}"#)).await;
        let wanted = tables(&url, &document("type: ref, to: lists, index: true"));
        let command = By::Command(Orders::default());
        let refused = steps(&store, &wanted, &command).await.unwrap_err();
        let why = format!(
            "`list` of table `items` cannot refer to `lists`: some of its values are no ids there (1 row, with the id {orphan})"
        );
        assert!(
            refused.starts_with(&why) && refused.contains("to see them: SELECT \"id\", \"list\" FROM \"items\" WHERE"),
            "{refused}"
        );
        assert_eq!(first.of("items").patch(&orphan, r#"{"list":null}"#).await.status, 200);
        let plan = steps(&store, &wanted, &command).await.unwrap();
        assert!(plan.contains(&"make items.list a reference to lists".to_owned()), "{plan:?}");
        store.migrate(&wanted, &command).await.unwrap();
        assert_eq!(steps(&store, &wanted, &command).await.unwrap(), [""; 0]);
        let second = world_in(&document("type: ref, to: lists, index: true"), &url, Arc::clone(&store)).await.unwrap();
        let shown = second.of("items").get(&format!("/{item}")).await.json()["list"].clone();
        assert_eq!(shown.as_str().map_or_else(|| shown.to_string(), str::to_owned), list);
        assert_eq!(second.of("items").post(&format!(r#"{{"list":{gone}}}"#)).await.status, 400);
        assert_eq!(second.of("lists").ask(Method::DELETE, &format!("/{list}")).send().await.status, 409);
        // The database holds it, too.
        let statement = if id == "integer" { gone.clone() } else { gone.replace('"', "'") };
        let sql = crate::resource::store::Sql::new(format!("UPDATE items SET list = {statement}"), []);
        assert!(store.execute(std::time::Duration::from_secs(20), sql).await.is_err());
        assert_eq!(second.of("items").get(&format!("?filter[list]={list}")).await.rows().len(), 1);
    }
}

const CHAIN: &str = "a: { store: main, access: { default: public }, fields: { name: { type: string } } }
b: { store: main, access: { default: public }, fields: { a: { type: ref, to: a, index: true }, own: { type: ref, to: b } } }
c: { store: main, access: { default: public }, fields: { b: { type: ref, to: b }, a: { type: ref, to: a } } }
z: { store: main, access: { default: public }, fields: { y: { type: ref, to: y } } }
y: { store: main, access: { default: public }, fields: { z: { type: ref, to: z } } }
kept: { store: main, access: { default: public }, fields: { name: { type: string }, a: { type: ref, to: a } } }
";

#[tokio::test]
async fn tables_that_refer_to_each_other_are_dropped_in_an_order_that_works() {
    let url = url().await;
    let first = world_at(CHAIN, &url).await.unwrap();
    let store = Arc::clone(&first.store);
    let a = first.of("a").post(r#"{"name":"x"}"#).await.id();
    let b = first.of("b").post(&format!(r#"{{"a":"{a}"}}"#)).await.id();
    assert_eq!(first.of("b").patch(&b, &format!(r#"{{"own":"{b}"}}"#)).await.status, 200);
    first.of("c").post(&format!(r#"{{"b":"{b}","a":"{a}"}}"#)).await.id();
    let y = first.of("y").post("{}").await.id();
    let z = first.of("z").post(&format!(r#"{{"y":"{y}"}}"#)).await.id();
    assert_eq!(first.of("y").patch(&y, &format!(r#"{{"z":"{z}"}}"#)).await.status, 200);
    first.of("kept").post(&format!(r#"{{"a":"{a}"}}"#)).await.id();
    let last = "kept: { store: main, access: { default: public }, fields: { name: { type: string }, a: { type: ref, to: a } } }\n\
                a: { store: main, access: { default: public }, fields: { name: { type: string } } }";
    let (wanted, prune) = (tables(&url, last), |keep: &[&str]| {
        let keep = keep.iter().map(|name| (*name).to_owned()).collect();
        By::Command(Orders { prune: true, keep, ..Orders::default() })
    });
    // A table that stays, because another resource has it, refers to one that would go.
    let refused = steps(&store, &wanted, &prune(&["c"])).await.unwrap_err();
    assert!(
        refused.starts_with("table `b` cannot be dropped: `b` of table `c`, which stays, refers to it"),
        "{refused}"
    );
    let drops = |plan: Vec<String>| {
        plan.into_iter().filter(|step| step.contains("table") || step.contains("references")).collect::<Vec<_>>()
    };
    let plan = drops(steps(&store, &wanted, &prune(&[])).await.unwrap());
    assert_eq!(
        plan,
        [
            "drop table c and its 1 row",
            "drop table b and its 1 row",
            "end the references of z.y to y",
            "drop table y and its 1 row",
            "drop table z and its 1 row",
        ]
    );
    store.migrate(&wanted, &prune(&[])).await.unwrap();
    // A column that no field has goes before the table that it refers to.
    let alone = tables(&url, "kept: { store: main, access: { default: public }, fields: { name: { type: string } } }");
    let plan = steps(&store, &alone, &prune(&[])).await.unwrap();
    assert_eq!(plan, ["drop index gwi_kept.a", "drop column kept.a and its 1 value", "drop table a and its 1 row"]);
    store.migrate(&alone, &prune(&[])).await.unwrap();
    assert_eq!(store.count("kept").await.unwrap().found, 1);
}

#[tokio::test]
async fn a_table_of_another_program_that_refers_to_one_keeps_it() {
    let url = url().await;
    let first = world_at("a: { store: main, access: { default: public }, fields: { name: { type: string } } }", &url)
        .await
        .unwrap();
    let kind = if url.starts_with("postgres") { "uuid" } else { "text" };
    first.run(&format!("CREATE TABLE theirs (id integer PRIMARY KEY, a {kind} REFERENCES a (id))")).await;
    let wanted = tables(&url, "b: { store: main, access: { default: public }, fields: { name: { type: string } } }");
    let prune = By::Command(Orders { prune: true, ..Orders::default() });
    let refused = steps(&first.store, &wanted, &prune).await.unwrap_err();
    let why = "table `a` cannot be dropped: `a` of table `theirs`, which stays, refers to it; drop that table or column first";
    assert!(refused.starts_with(why), "{refused}");
}
