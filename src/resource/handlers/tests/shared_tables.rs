//! Tables that several gateways on one PostgreSQL server share, and users with few rights.

use super::migrations::{command, fields, migrate, planned, serve_on, sql};
use super::*;
use crate::resource::contract::{Command, Sql};
use crate::resource::store::By;
use futures_util::future::join_all;
use std::time::Duration;

fn opened(url: &str) -> Arc<Store> {
    Arc::new(Store::new(&url.parse().unwrap()).unwrap())
}

#[tokio::test]
async fn gateways_that_reload_at_the_same_moment_add_a_field_once() {
    if postgres::server().is_none() {
        return eprintln!("skipped: run `.ci/postgres cargo test --lib -- resource`");
    }
    let url = url().await;
    let stores: Vec<_> = (0..4).map(|_| opened(&url)).collect();
    let mut yaml = fields("  a: { type: string }\n");
    join_all(stores.iter().map(|store| async { assert!(serve_on(store, &yaml).await.is_ok()) })).await;
    for round in 0..5 {
        yaml += &format!("  f{round}: {{ type: integer, default: {round}, index: true }}\n");
        let apis = join_all(stores.iter().map(|store| serve_on(store, &yaml))).await;
        let apis: Vec<_> = apis.into_iter().map(Result::unwrap).collect();
        join_all(apis.iter().map(|api| api.made(r#"{"a":"x"}"#))).await;
        let rows = apis[0].get("").await.rows();
        assert_eq!(rows.len(), (round + 1) * 4);
        assert!(rows.iter().all(|row| row[format!("f{round}")] == round), "{rows:?}");
    }
    // A command is one of them.
    yaml = yaml.replace("  a: {", "  title: { renamed_from: a,");
    let tables = [compile("items", &yaml).table];
    let by = command();
    let migrated = join_all(stores.iter().map(|store| store.migrate(&tables, &by))).await;
    let renamed = |done: &Vec<_>| done.len() > 1;
    assert_eq!(migrated.into_iter().map(Result::unwrap).filter(renamed).count(), 1);
}

#[tokio::test]
async fn a_user_who_cannot_create_tables_starts_if_there_is_nothing_to_change() {
    let Some(server) = postgres::server() else {
        return eprintln!("skipped: run `.ci/postgres cargo test --lib -- resource`");
    };
    let url = url().await;
    let schema = url.rsplit("%3D").next().unwrap().to_owned();
    let yaml = fields("  a: { type: string, required: true, unique: true }\n");
    let owner = opened(&url);
    serve_on(&owner, &yaml).await.unwrap();
    let role = format!("few_rights_{schema}");
    sql(&owner, &format!("CREATE ROLE {role} LOGIN")).await;
    sql(&owner, &format!("GRANT USAGE ON SCHEMA {schema} TO {role}")).await;
    sql(&owner, &format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}")).await;
    let user = server.split("://").nth(1).unwrap().split('@').next().unwrap();
    let limited = opened(&url.replacen(&format!("//{user}@"), &format!("//{role}@"), 1));
    let api = serve_on(&limited, &yaml).await.unwrap();
    let (id, _) = api.made(r#"{"a":"x"}"#).await;
    assert_eq!(api.post(r#"{"a":"x"}"#).await.status, 409);
    // Whoever lacks a right is told which one, and nothing else suffers from it.
    sql(&owner, &format!("REVOKE INSERT, UPDATE ON {schema}.items FROM {role}")).await;
    assert_eq!(api.get(&format!("/{id}")).await.status, 200);
    let create = Sql::new("INSERT INTO \"items\" (\"a\") VALUES ('y')", []);
    let denied = limited.execute(Duration::from_secs(20), create).await.unwrap_err().to_string();
    let why =
        "PostgreSQL denies the user a right: permission denied for table items; the statement needs SELECT and INSERT";
    assert!(denied.ends_with(why), "{denied}");
    assert_eq!(api.post(r#"{"a":"y"}"#).await.status, 500);
    assert_eq!(api.patch(&id, r#"{"a":"y"}"#).await.status, 500);
    limited.health().await.unwrap();
    sql(&owner, &format!("GRANT INSERT, UPDATE ON {schema}.items TO {role}")).await;
    assert_eq!(api.patch(&id, r#"{"a":"x"}"#).await.status, 200);
    sql(&owner, &format!("ALTER TABLE {schema}.items ENABLE ROW LEVEL SECURITY")).await;
    sql(&owner, &format!("CREATE POLICY rows ON {schema}.items USING (true) WITH CHECK (a <> 'no')")).await;
    assert_eq!(api.post(r#"{"a":"no"}"#).await.status, 500);
    assert_eq!(api.post(r#"{"a":"yes"}"#).await.status, 201);
    let create = Sql::new("INSERT INTO \"items\" (\"id\", \"a\") VALUES (gen_random_uuid(), 'no')", []);
    let rejected = limited.execute(Duration::from_secs(20), create).await.unwrap_err().to_string();
    assert!(rejected.contains("a policy of PostgreSQL rejects the row"), "{rejected}");
    // A rule is only recorded.
    let rule = yaml.replace("required: true, ", "");
    assert!(serve_on(&limited, &rule).await.is_ok());
    let more = rule.clone() + "  b: { type: string }\n";
    let refused = planned(&limited, &more, &By::default()).await.unwrap_err();
    assert!(refused[0].message.contains("denies the user a right"), "{refused:?}");
    assert_eq!(api.get(&format!("/{id}")).await.status, 200);
    serve_on(&owner, &more).await.unwrap();
    assert!(serve_on(&limited, &more).await.is_ok());
    sql(&owner, &format!("DROP OWNED BY {role}")).await;
    sql(&owner, &format!("DROP ROLE {role}")).await;
}

#[tokio::test]
async fn an_index_on_a_large_table_and_a_wider_type_are_made_by_the_command() {
    let store = opened(&url().await);
    let before = fields("  n: { type: integer }\n");
    serve_on(&store, &before).await.unwrap();
    let rows = if postgres::server().is_some() {
        "INSERT INTO items (id, n) SELECT gen_random_uuid(), i FROM generate_series(1, 100001) i"
    } else {
        "WITH RECURSIVE i (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 100001) \
         INSERT INTO items (id, n) SELECT printf('0190a000-0000-7000-8000-%012d', i), i FROM i"
    };
    sql(&store, rows).await;
    for rule in ["index: true", "unique: true"] {
        let after = before.replace("integer", &format!("integer, {rule}"));
        let refused = planned(&store, &after, &By::default()).await.unwrap_err();
        assert_eq!(refused[0].command, Some(Command::Apply), "{refused:?}");
        assert!(refused[0].help.contains("CREATE "), "the statement is another way: {refused:?}");
    }
    let after = before.replace("integer", "string, unique: true");
    let plan = migrate(&store, &after, &command()).await;
    assert_eq!(plan.len(), 2, "{plan:?}");
    let api = serve_on(&store, &after).await.unwrap();
    assert_eq!(api.post(r#"{"n":"77"}"#).await.status, 409);
}
