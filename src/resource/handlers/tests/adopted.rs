//! Tables of other programs that are taken with `gatewright migrate --adopt`.

use super::migrations::{command, empty, fields, migrate, planned, serve_on, sql};
use super::*;
use crate::resource::contract::Command;
use crate::resource::store::{By, Orders};

fn adopt() -> By {
    By::Command(Orders { adopt: true, ..Orders::default() })
}

fn on_postgres() -> bool {
    postgres::server().is_some()
}

/// The users of another program, with a row.
async fn people() -> Arc<Store> {
    let store = empty().await;
    sql(&store, if on_postgres() {
        "CREATE TABLE items (id uuid PRIMARY KEY, email varchar(200) NOT NULL CONSTRAINT mails UNIQUE, age integer, \
         price numeric(10,2), joined date NOT NULL DEFAULT current_date, tags jsonb, internal text NOT NULL DEFAULT 'x')"
    } else {
        "CREATE TABLE items (id VARCHAR(36) PRIMARY KEY, email VARCHAR(200) NOT NULL UNIQUE, age INT, \
         price TEXT, joined DATE NOT NULL DEFAULT CURRENT_DATE, tags TEXT, internal TEXT NOT NULL DEFAULT 'x')"
    })
    .await;
    sql(&store, "CREATE INDEX by_age ON items (age)").await;
    sql(
        &store,
        "INSERT INTO items (id, email, age, price, joined, tags) VALUES \
         ('0190a000-0000-7000-8000-000000000000', 'ada@example.com', 36, '12.50', '2026-01-31', '{\"a\": 1}')",
    )
    .await;
    store
}

const PEOPLE: &str = "  email: { type: string, required: true, unique: true }\n  age: { type: integer, index: true }\n  \
                      price: { type: decimal, precision: 12, scale: 2 }\n  joined: { type: date }\n  tags: { type: json }\n  \
                      note: { type: string, default: none }\n";

#[tokio::test]
async fn a_table_of_another_program_is_taken_and_served() {
    let (store, yaml) = (people().await, fields(PEOPLE));
    for by in [By::default(), command()] {
        let refused = planned(&store, &yaml, &by).await.unwrap_err();
        assert_eq!((refused.len(), refused[0].command), (1, Some(Command::Adopt)));
    }
    let plan = planned(&store, &yaml, &adopt()).await.unwrap();
    for part in [
        "adopt table items",
        "add column items._version",
        "rename index by_age to gwi_items.age",
        "add column items.note",
    ] {
        assert!(plan.contains(&part.to_owned()), "{part}: {plan:?}");
    }
    assert!(plan.iter().any(|step| step.starts_with("drop NOT NULL of items.joined")), "{plan:?}");
    migrate(&store, &yaml, &adopt()).await;
    assert_eq!(migrate(&store, &yaml, &command()).await, [""; 0]);
    let api = serve_on(&store, &yaml).await.unwrap();
    let rows = api.get("").await.rows();
    let shown: Vec<_> = ["email", "age", "price", "joined", "note"].map(|name| rows[0][name].to_string()).into();
    assert_eq!(shown, ["\"ada@example.com\"", "36", "\"12.50\"", "\"2026-01-31\"", "\"none\""]);
    assert_eq!(rows[0]["tags"]["a"], 1);
    let (id, _) = api.made(r#"{"email":"b@example.com","price":"1.00","joined":null}"#).await;
    assert_eq!(api.post(r#"{"email":"b@example.com"}"#).await.status, 409);
    let answer = api.ask(Method::PATCH, "/0190a000-0000-7000-8000-000000000000").json(r#"{"age":37}"#).send().await;
    assert_eq!((answer.status.as_u16(), answer.json()["age"].clone()), (200, 37.into()), "{}", answer.body);
    assert_ne!(answer.header("etag"), api.get(&format!("/{id}")).await.header("etag"));
    // From here on it is a table like any other, and the columns of the other program stay.
    let more = yaml.replace("  note:", "  more: { type: integer }\n  note:");
    serve_on(&store, &more).await.unwrap().made(r#"{"email":"c@example.com","more":1}"#).await;
    let prune = By::Command(Orders { prune: true, ..Orders::default() });
    assert_eq!(migrate(&store, &more, &prune).await, [""; 0]);
    sql(&store, "UPDATE items SET internal = 'y'").await;
    let refused = planned(&store, &(more + "  internal: { type: string }\n"), &command()).await.unwrap_err();
    assert!(refused[0].message.contains("that no field had when it was adopted"), "{refused:?}");
}

#[tokio::test]
async fn a_table_that_does_not_fit_is_refused_with_every_difference() {
    for (change, yaml, what) in [
        ("price text", "  price: { type: integer }\n", "`price` is text, and its field needs"),
        ("need text NOT NULL", "  a: { type: string }\n", "its column `need` needs a value, and no field has it"),
        ("a text UNIQUE", "  a: { type: string }\n", "unique"),
        ("_version text", "  a: { type: string }\n", "its column `_version` is text"),
        (
            "other text",
            "  a: { type: string, required: true }\n",
            "it has rows, and no column for the required field `a`",
        ),
        ("a text", "  a: { type: string, required: true }\n", "`a` is required, but some rows have no value"),
    ] {
        let store = empty().await;
        let id = if on_postgres() { "uuid" } else { "text" };
        sql(&store, &format!("CREATE TABLE items (id {id} PRIMARY KEY, {change})")).await;
        let filled = change.contains("NOT NULL");
        let (names, values) = if filled { ("id, need", ", 'x'") } else { ("id", "") };
        sql(&store, &format!("INSERT INTO items ({names}) VALUES ('0190a000-0000-7000-8000-000000000000'{values})"))
            .await;
        let refused = planned(&store, &fields(yaml), &adopt()).await.unwrap_err();
        assert!(refused.iter().any(|refused| refused.message.to_lowercase().contains(what)), "{change}: {refused:?}");
    }
    let store = empty().await;
    sql(&store, "CREATE TABLE items (id text, a text)").await;
    let refused = planned(&store, &fields("  a: { type: string }\n"), &adopt()).await.unwrap_err();
    assert!(refused[0].message.ends_with("its primary key is not `id`"), "{refused:?}");
    let integer = fields("  a: { type: string }\n").replace("access:", "id: { type: integer }\naccess:");
    let store = empty().await;
    sql(&store, "CREATE TABLE items (id text PRIMARY KEY, a text)").await;
    let refused = planned(&store, &integer, &adopt()).await.unwrap_err();
    assert!(refused[0].message.to_lowercase().contains("its `id` is text"), "{refused:?}");
}

#[tokio::test]
async fn values_that_a_field_cannot_have_are_a_reason_against_it() {
    let cases: &[(&str, &str, &str)] = if on_postgres() {
        &[
            ("numeric", "decimal, precision: 9, scale: 2", "1.5"),
            ("timestamptz", "datetime", "'infinity'"),
            ("double precision", "number", "'NaN'"),
            ("text", "password", "'open'"),
        ]
    } else {
        &[
            ("TEXT", "decimal, precision: 9, scale: 2", "'1.5'"),
            ("TEXT", "datetime", "'2026-01-31 12:00:00'"),
            ("DATE", "date", "'31.01.2026'"),
            ("BOOLEAN", "boolean", "2"),
            ("INTEGER", "integer", "'x'"),
            ("REAL", "number", "'x'"),
            ("TEXT", "uuid", "'0190A000-0000-7000-8000-000000000000'"),
            ("TEXT", "json", "'{'"),
            ("TEXT", "password", "'open'"),
        ]
    };
    for (column, kind, value) in cases {
        let store = empty().await;
        let id = if on_postgres() { "uuid" } else { "text" };
        sql(&store, &format!("CREATE TABLE items (id {id} PRIMARY KEY, x {column})")).await;
        sql(&store, &format!("INSERT INTO items VALUES ('0190a000-0000-7000-8000-000000000000', {value})")).await;
        let yaml = fields(&format!("  x: {{ type: {kind} }}\n"));
        let refused = planned(&store, &yaml, &adopt()).await.unwrap_err();
        assert!(refused[0].message.contains("some values of `x`"), "{kind}: {refused:?}");
        sql(&store, "UPDATE items SET x = NULL").await;
        migrate(&store, &yaml, &adopt()).await;
        assert!(serve_on(&store, &yaml).await.is_ok(), "{kind}");
    }
}

#[tokio::test]
async fn ids_that_the_database_counts_go_on() {
    let store = empty().await;
    let id = if on_postgres() { "serial PRIMARY KEY" } else { "INTEGER PRIMARY KEY" };
    sql(&store, &format!("CREATE TABLE items (id {id}, a text)")).await;
    sql(&store, "INSERT INTO items (a) VALUES ('x')").await;
    let yaml = fields("  a: { type: string }\n").replace("access:", "id: { type: integer }\naccess:");
    migrate(&store, &yaml, &adopt()).await;
    let api = serve_on(&store, &yaml).await.unwrap();
    assert_eq!(api.made(r#"{"a":"y"}"#).await.0, "2");
    assert_eq!(api.get("/1").await.json()["a"], "x");
}

#[tokio::test]
async fn types_that_only_postgresql_has_become_ours() {
    if !on_postgres() {
        return eprintln!("skipped: run `.ci/postgres cargo test --lib -- resource`");
    }
    let store = empty().await;
    sql(&store, "CREATE TYPE mood AS ENUM ('sad', 'it''s ok')").await;
    sql(
        &store,
        "CREATE TABLE items (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), mood mood NOT NULL DEFAULT 'it''s ok', \
         seen timestamp DEFAULT '2026-01-31 12:00:00', small smallint, size real)",
    )
    .await;
    sql(&store, "INSERT INTO items (small, size) VALUES (3, 0.1)").await;
    let yaml = fields(
        "  mood: { type: enum, values: [sad, \"it's ok\"], default: sad }\n  seen: { type: datetime }\n  \
         small: { type: integer }\n  size: { type: number }\n",
    );
    migrate(&store, &yaml, &adopt()).await;
    let api = serve_on(&store, &yaml).await.unwrap();
    // The other program goes on.
    sql(&store, "INSERT INTO items (small) VALUES (4)").await;
    for row in api.get("").await.rows() {
        assert_eq!(
            (row["mood"].as_str(), row["seen"].as_str()),
            (Some("it's ok"), Some("2026-01-31T12:00:00.000000Z"))
        );
    }
    let sizes: Vec<_> = api.get("").await.rows().iter().map(|row| row["size"].as_f64()).collect();
    assert!(sizes.contains(&Some(0.1)), "{sizes:?}");
    api.made(r#"{"mood":"sad","small":5}"#).await;
}
