//! Tables migrated on a real database.

use super::*;
use crate::resource::form::Form;

async fn sql(store: &Sqlite, sql: &'static str) {
    store.work(LONG, move |writer| writer.execute(sql, &[])).await.unwrap();
}

async fn memory() -> Sqlite {
    let store = Sqlite::new(&"sqlite::memory:".parse().unwrap()).unwrap();
    store.prepare(&[users()]).await.unwrap();
    store
}

async fn message(store: &Sqlite, wanted: &Table) -> String {
    let mut refused = store.prepare(std::slice::from_ref(wanted)).await.unwrap_err();
    assert_eq!(refused.len(), 1);
    refused.remove(0).message
}

fn column(name: &str, kind: ColumnType, default: Option<&str>) -> Column {
    Column {
        name: name.into(),
        kind,
        default: default.map(str::to_owned),
        required: false,
        form: None,
        references: None,
        declared: Declared::default(),
    }
}

#[tokio::test]
async fn preparing_twice_changes_nothing() {
    let store = memory().await;
    let version =
        || async { store.query(statement("PRAGMA schema_version", Vec::new()), first_integer).await.unwrap() };
    let before = version().await;
    assert_eq!(store.prepare(&[users()]).await, Ok(()));
    assert_eq!(version().await, before);
}

#[tokio::test]
async fn every_kind_of_column_and_default_can_be_created_and_added() {
    let kinds = [
        (ColumnType::Text, "'it''s'"),
        (ColumnType::Uuid, "'0190'"),
        (ColumnType::Integer, "-5"),
        (ColumnType::Number, "1.5e3"),
        (ColumnType::Decimal, "'1.10'"),
        (ColumnType::Boolean, "1"),
        (ColumnType::Datetime, "'2026-01-01T00:00:00.000000Z'"),
        (ColumnType::Date, "'2026-01-01'"),
        (ColumnType::Json, "'{}'"),
    ];
    let store = memory().await;
    store.work(LONG, |writer| insert(writer, "a", "a")).await.unwrap();
    let mut wanted = users();
    for (kind, default) in kinds {
        wanted.columns.push(column(&format!("f_{kind}"), kind, Some(default)));
    }
    let mut counted = wanted.clone();
    counted.name = "counted".into();
    counted.id = ColumnType::Integer;
    counted.id_counts = true;
    for _ in 0..2 {
        assert_eq!(store.prepare(&[wanted.clone(), counted.clone()]).await, Ok(()));
    }
    let old = statement("SELECT f_integer FROM users WHERE f_text = 'it''s'", Vec::new());
    assert_eq!(store.query(old, first_integer).await, Ok(-5));
    for id in [1, 2] {
        let given = store
            .work(LONG, |writer| writer.query("INSERT INTO counted DEFAULT VALUES RETURNING id", &[], first_integer));
        assert_eq!(given.await, Ok(id));
    }
}

#[tokio::test]
async fn a_default_that_is_not_a_literal_never_reaches_the_database() {
    let store = memory().await;
    for bad in ["'x'); DROP TABLE users; --'", "'", "random()", "nan", "'a' OR 'b'", "(1)"] {
        let mut wanted = users();
        wanted.columns.push(column("evil", ColumnType::Text, Some(bad)));
        assert!(message(&store, &wanted).await.contains("is not a literal"), "{bad}");
    }
    assert_eq!(store.prepare(&[users()]).await, Ok(()));
}

#[tokio::test]
async fn one_refused_table_leaves_all_as_they_were() {
    let store = memory().await;
    store.work(LONG, |writer| insert(writer, "a", "a")).await.unwrap();
    let mut new = users();
    new.name = "other".into();
    let mut bad = users();
    bad.columns[1].kind = ColumnType::Text;
    let refused = store.prepare(&[new, bad]).await.unwrap_err();
    assert_eq!(refused[0].column.as_deref(), Some("age"));
    let other = statement("SELECT count(*) FROM sqlite_schema WHERE name = 'other'", Vec::new());
    assert_eq!(store.query(other, first_integer).await, Ok(0));
    assert_eq!(count(&store).await, Ok(1));
}

#[tokio::test]
async fn a_unique_rule_leaves_and_comes_back_for_what_is_written_then() {
    let store = memory().await;
    store.work(LONG, |writer| insert(writer, "a", "a")).await.unwrap();
    let mut loose = users();
    loose.indexes.clear();
    store.prepare(std::slice::from_ref(&loose)).await.unwrap();
    store.work(LONG, |writer| insert(writer, "b", "A")).await.unwrap();
    for _ in 0..2 {
        assert_eq!(store.prepare(&[users()]).await, Ok(()));
        let taken = Err(Error::Unique(vec!["email".into()]));
        assert_eq!(store.work(LONG, |writer| insert(writer, "c", "A")).await, taken);
        store.work(LONG, |writer| insert(writer, "c", "c")).await.unwrap();
        let update = |sql: &'static str| store.work(LONG, move |writer| writer.execute(sql, &[]));
        assert_eq!(update("UPDATE users SET email = 'a' WHERE id = 'c'").await, taken);
        assert_eq!(update("UPDATE users SET email = 'c', age = 1 WHERE id = 'c'").await, Ok(1));
        assert_eq!(update("UPDATE users SET age = 2, email = 'a' WHERE id = 'a'").await, Ok(1));
        assert_eq!(update("DELETE FROM users WHERE id = 'c'").await, Ok(1));
        assert_eq!(count(&store).await, Ok(2));
    }
    sql(&store, "DELETE FROM users WHERE id = 'b'").await;
    assert_eq!(store.prepare(&[users()]).await, Ok(()));
    let unique = statement("SELECT \"unique\" FROM pragma_index_list('users') WHERE name LIKE 'gwu%'", Vec::new());
    assert_eq!(store.query(unique, first_integer).await, Ok(1));
    let triggers = statement("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'", Vec::new());
    assert_eq!(store.query(triggers, first_integer).await, Ok(0));
    let again = store.work(LONG, |writer| insert(writer, "b", "A")).await;
    assert_eq!(again, Err(Error::Unique(vec!["email".into()])));
}

#[tokio::test]
async fn a_new_unique_rule_is_refused_with_a_query_that_shows_what_is_equal() {
    let store = memory().await;
    let mut loose = users();
    loose.name = "loose".into();
    loose.indexes.clear();
    store.prepare(std::slice::from_ref(&loose)).await.unwrap();
    for id in ["a", "b"] {
        store
            .work(LONG, move |writer| writer.execute("INSERT INTO loose (id, email) VALUES (?, 'Same')", &[text(id)]))
            .await
            .unwrap();
    }
    let mut strict = users();
    strict.name = "loose".into();
    let refused = store.prepare(std::slice::from_ref(&strict)).await.unwrap_err();
    let (_, query) = refused[0].help.split_once("to find them: ").unwrap();
    let query = format!("SELECT \"count(*)\" FROM ({})", query.trim_end_matches(';'));
    assert_eq!(store.query(statement(&query, Vec::new()), first_integer).await, Ok(2));
    sql(&store, "DELETE FROM loose WHERE id = 'b'").await;
    assert_eq!(store.prepare(&[strict]).await, Ok(()));
}

#[tokio::test]
async fn a_field_that_leaves_and_returns_has_its_values() {
    let store = memory().await;
    store.work(LONG, |writer| insert(writer, "a", "a")).await.unwrap();
    let mut without = users();
    without.columns.remove(1);
    store.prepare(&[without]).await.unwrap();
    sql(&store, "INSERT INTO users (id, email) VALUES ('b', 'b')").await;
    store.prepare(&[users()]).await.unwrap();
    let age = statement("SELECT sum(age) FROM users", Vec::new());
    assert_eq!(store.query(age, first_integer).await, Ok(7));
}

#[tokio::test]
async fn what_was_changed_by_hand_is_refused() {
    for (change, told) in [
        ("ALTER TABLE users ADD COLUMN extra TEXT", "the column `extra` was added"),
        ("ALTER TABLE users DROP COLUMN age", "the column `age` is missing"),
        ("ALTER TABLE users RENAME COLUMN age TO years", "the column `age` is missing"),
        ("DROP INDEX \"gwu_users.email\"", "the index `gwu_users.email` is missing"),
        ("CREATE UNIQUE INDEX mine ON users (age)", "the unique index `mine` was added"),
        ("DROP TABLE users", "it is gone"),
    ] {
        let store = memory().await;
        sql(&store, change).await;
        assert!(message(&store, &users()).await.ends_with(told), "{change}");
    }
    let store = memory().await;
    sql(&store, "CREATE INDEX mine ON users (age)").await;
    assert_eq!(store.prepare(&[users()]).await, Ok(()));
}

#[tokio::test]
async fn what_gatewright_did_not_make_or_cannot_read_is_refused() {
    let store = Sqlite::new(&"sqlite::memory:".parse().unwrap()).unwrap();
    sql(&store, "CREATE TABLE users (id TEXT)").await;
    assert!(message(&store, &users()).await.contains("was not created by gatewright"));

    let store = memory().await;
    let later = r#"UPDATE _gw_schema SET gateway_version = '9.1', model_json = '{"format": 2, "what": "ever"}'"#;
    sql(&store, later).await;
    assert!(message(&store, &users()).await.contains("created by gatewright 9.1"));
}

/// `users` as a document with an e-mail field has it.
fn with_addresses() -> Table {
    let mut table = users();
    table.columns[0].form = Some(Form { email: true, ..Form::default() });
    table
}

#[tokio::test]
async fn addresses_from_before_the_normal_form_are_brought_into_it() {
    let store = memory().await;
    for (id, email) in [("a", "x@B\u{fc}cher.example"), ("b", "Y@EXAMPLE.com"), ("c", "no address"), ("d", "z@x.com")] {
        store.work(LONG, move |writer| insert(writer, id, email)).await.unwrap();
    }
    // Two spellings of one address were two addresses.
    store.work(LONG, |writer| insert(writer, "e", "x@xn--bcher-kva.example")).await.unwrap();
    let versions =
        || store.query(statement("SELECT sum(\"_version\" % 1000003) FROM users", Vec::new()), first_integer);
    for _ in 0..2 {
        assert_eq!(store.prepare(&[with_addresses()]).await, Ok(()));
        let all = "SELECT group_concat(email, ' ' ORDER BY id) FROM users";
        let all = store.query(statement(all, Vec::new()), |rows| Ok(rows.next()?.unwrap().cell(0).owned())).await;
        assert_eq!(all, Ok(text("x@B\u{fc}cher.example Y@example.com no address z@x.com x@xn--bcher-kva.example")));
    }
    let once = versions().await;
    assert_eq!(store.prepare(&[with_addresses()]).await, Ok(()));
    assert_eq!(versions().await, once);
}

#[tokio::test]
async fn a_plan_whose_steps_would_fail_is_refused_and_changes_nothing() {
    let mut wanted = users();
    wanted.indexes.push(Index { columns: vec!["age".into()], unique: false, ignore_case: false, ordered: false });
    let folder = TempDir::new().unwrap();
    let open = prepared_in(&folder).await;
    sql(&open, "CREATE TABLE other (x TEXT)").await;
    sql(&open, "CREATE INDEX \"gwi_users.age\" ON other (x)").await;
    let tables = async |store: &Sqlite| {
        store
            .query(
                statement("SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'", Vec::new()),
                first_integer,
            )
            .await
    };
    let before = tables(&open).await;
    let refused = open.plan(std::slice::from_ref(&wanted), &By::default()).await.unwrap_err();
    assert!(refused[0].message.contains("gwi_users.age"), "{refused:?}");
    assert_eq!(tables(&open).await, before);
    open.close();
    let closed = store_in(&folder);
    let refused = closed.plan(std::slice::from_ref(&wanted), &By::default()).await.unwrap_err();
    assert!(refused[0].message.contains("gwi_users.age"), "{refused:?}");
    // What can be done is found out without doing it.
    let other = Table { name: "others".into(), ..users() };
    assert!(!closed.plan(std::slice::from_ref(&other), &By::default()).await.unwrap().steps.is_empty());
    assert_eq!(closed.prepare(&[users()]).await, Ok(()));
    assert_eq!(tables(&closed).await, before);
}
