//! Tables of other programs that are taken with `gatewright migrate --adopt`.

use super::migrations::{command, empty, fields, migrate, planned, serve_on, sql};
use super::*;
use crate::resource::contract::{Command, Sql};
use crate::resource::store::{By, Orders};

pub fn adopt() -> By {
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
async fn a_new_item_never_replaces_another_whatever_the_table_says() {
    if on_postgres() {
        return;
    }
    for clause in ["REPLACE", "IGNORE", "ROLLBACK"] {
        let store = empty().await;
        sql(&store, &format!("CREATE TABLE items (id TEXT PRIMARY KEY ON CONFLICT {clause}, a TEXT)")).await;
        let yaml = fields("  a: { type: string }\n").replacen("fields:", "id: { type: string }\nfields:", 1);
        migrate(&store, &yaml, &adopt()).await;
        let api = serve_on(&store, &yaml).await.unwrap();
        assert_eq!(api.post(r#"{"id":"x","a":"first"}"#).await.status, 201);
        let again = api.post(r#"{"id":"x","a":"second"}"#).await;
        assert_eq!((again.status.as_u16(), api.get("/x").await.json()["a"].clone()), (409, "first".into()), "{clause}");
    }
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
    assert!(refused[0].message.ends_with("it has no primary key"), "{refused:?}");
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
            ("double precision", "number", "'-Infinity'"),
            ("numeric", "decimal, precision: 9, scale: 2", "'NaN'"),
            ("numeric(9,2)", "decimal, precision: 9, scale: 2", "'NaN'"),
            ("text", "password", "'open'"),
        ]
    } else {
        &[
            ("TEXT", "decimal, precision: 9, scale: 2", "'1.5'"),
            ("TEXT", "decimal, precision: 9, scale: 2", "'-0.00'"),
            ("TEXT", "decimal, precision: 9, scale: 2", "'01.50'"),
            ("TEXT", "decimal, precision: 9, scale: 2", "'.50'"),
            ("TEXT", "decimal, precision: 9, scale: 2", "'1-2.50'"),
            ("TEXT", "decimal, precision: 9, scale: 2", "'--2.50'"),
            ("TEXT", "decimal, precision: 9, scale: 2", "'1.2.50'"),
            ("TEXT", "decimal, precision: 9, scale: 0", "'-0'"),
            ("TEXT", "datetime", "'2026-01-31 12:00:00'"),
            ("TEXT", "datetime", "'2026-02-30T12:00:00.000000Z'"),
            ("TEXT", "datetime", "'2026-01-31T25:00:00.000000Z'"),
            ("TEXT", "datetime", "'0000-01-31T12:00:00.000000Z'"),
            ("DATE", "date", "'2026-02-30'"),
            ("DATE", "date", "'0000-01-31'"),
            ("REAL", "number", "9e999"),
            ("TEXT", "string", "CAST(x'ff' AS text)"),
            ("TEXT", "json", "CAST(x'22ff22' AS text)"),
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
        let counted = "(1 row, with the id 0190a000-0000-7000-8000-000000000000)";
        assert!(refused[0].message.ends_with(counted), "{kind}: {refused:?}");
        assert!(refused[0].help.contains("to see them: SELECT \"id\", "), "{kind}: {refused:?}");
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
         seen timestamp DEFAULT '2026-01-31 12:00:00', short timestamp(3) DEFAULT '2026-01-31 12:00:00', \
         zoned timestamptz(3) DEFAULT '2026-01-31 13:00:00+01', small smallint, size real)",
    )
    .await;
    sql(&store, "INSERT INTO items (small, size) VALUES (3, 0.1)").await;
    let yaml = fields(
        "  mood: { type: enum, values: [sad, \"it's ok\"], default: sad }\n  seen: { type: datetime }\n  \
         short: { type: datetime }\n  zoned: { type: datetime }\n  small: { type: integer }\n  size: { type: number }\n",
    );
    migrate(&store, &yaml, &adopt()).await;
    let api = serve_on(&store, &yaml).await.unwrap();
    // The other program goes on.
    sql(&store, "INSERT INTO items (small) VALUES (4)").await;
    for row in api.get("").await.rows() {
        assert_eq!(row["mood"], "it's ok");
        for column in ["seen", "short", "zoned"] {
            assert_eq!(row[column], "2026-01-31T12:00:00.000000Z", "{column}");
        }
    }
    let sizes: Vec<_> = api.get("").await.rows().iter().map(|row| row["size"].as_f64()).collect();
    assert!(sizes.contains(&Some(0.1)), "{sizes:?}");
    api.made(r#"{"mood":"sad","small":5}"#).await;
}

#[tokio::test]
async fn values_in_the_form_of_the_gateway_are_no_reason_against_it() {
    let cases: &[(&str, &str, &str)] = if on_postgres() {
        &[("numeric(9,2)", "decimal, precision: 9, scale: 2", "-0.50"), ("double precision", "number", "-0.5")]
    } else {
        &[
            ("TEXT", "decimal, precision: 9, scale: 2", "'-0.50'"),
            ("TEXT", "decimal, precision: 9, scale: 2", "'-100.05'"),
            ("TEXT", "decimal, precision: 9, scale: 2", "'0.00'"),
            ("TEXT", "decimal, precision: 9, scale: 0", "'-10'"),
            ("TEXT", "decimal, precision: 9, scale: 0", "'0'"),
            ("TEXT", "datetime", "'2024-02-29T23:59:59.999999Z'"),
            ("DATE", "date", "'2024-02-29'"),
            ("TEXT", "string", "'é😀'"),
        ]
    };
    for (column, kind, value) in cases {
        let store = empty().await;
        let id = if on_postgres() { "uuid" } else { "text" };
        sql(&store, &format!("CREATE TABLE items (id {id} PRIMARY KEY, x {column})")).await;
        sql(&store, &format!("INSERT INTO items VALUES ('0190a000-0000-7000-8000-000000000000', {value})")).await;
        let yaml = fields(&format!("  x: {{ type: {kind} }}\n"));
        migrate(&store, &yaml, &adopt()).await;
        let shown = serve_on(&store, &yaml).await.unwrap().get("").await.rows()[0]["x"].clone();
        let shown = shown.as_str().map_or_else(|| shown.to_string(), str::to_owned);
        assert_eq!(shown, value.trim_matches('\''), "{kind}");
    }
}

#[tokio::test]
async fn the_rows_in_the_way_are_counted_and_the_first_ones_named() {
    let store = empty().await;
    sql(&store, "CREATE TABLE items (id text PRIMARY KEY, born date, name text)").await;
    let day = if on_postgres() { "'infinity'" } else { "'2026-02-30'" };
    for number in 1..=7 {
        sql(&store, &format!("INSERT INTO items VALUES ('r{number}', {day}, NULL)")).await;
    }
    let yaml = fields("  born: { type: date }\n  name: { type: string, required: true }\n")
        .replace("access:", "id: { type: string }\naccess:");
    let refused = planned(&store, &yaml, &adopt()).await.unwrap_err();
    assert_eq!(refused.len(), 2, "{refused:?}");
    for refused in &refused {
        assert!(refused.message.ends_with("(7 rows, with the ids r1, r2, r3, r4, r5, …)"), "{refused:?}");
        let (_, find) = refused.help.split_once("to see them: ").unwrap();
        let count = format!("SELECT count(*) FROM ({}) AS t", find.trim_end_matches(';'));
        let done = store.execute(std::time::Duration::from_secs(9), Sql::new(count, [])).await.unwrap();
        assert_eq!(done.first, Param::Integer(7), "{find}");
    }
}

#[tokio::test]
async fn rows_without_an_id_are_a_reason_against_it() {
    if on_postgres() {
        return;
    }
    let store = empty().await;
    sql(&store, "CREATE TABLE items (id TEXT PRIMARY KEY, a TEXT)").await;
    sql(&store, "INSERT INTO items (a) VALUES ('x'), ('y')").await;
    let yaml = fields("  a: { type: string }\n").replace("access:", "id: { type: string }\naccess:");
    let refused = planned(&store, &yaml, &adopt()).await.unwrap_err();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].message.ends_with("some rows have no `id`: 2 rows"), "{refused:?}");
    assert!(refused[0].help.ends_with("SELECT * FROM \"items\" WHERE \"id\" IS NULL;"), "{refused:?}");
}

/// The statement of a refusal.
fn statement(refused: &[crate::resource::store::RefusedTable]) -> String {
    assert_eq!(refused.len(), 1, "{refused:?}");
    let help = refused[0].help.split_once("run this on the database, then reload: ");
    help.unwrap_or_else(|| panic!("{refused:?}")).1.to_owned()
}

#[tokio::test]
async fn ids_that_nothing_counts_are_refused_with_the_statement_that_helps() {
    let yaml = fields("  a: { type: string }\n").replace("access:", "id: { type: integer }\naccess:");
    if !on_postgres() {
        for id in ["INT PRIMARY KEY", "INTEGER PRIMARY KEY DESC"] {
            let store = empty().await;
            sql(&store, &format!("CREATE TABLE items (id {id}, a text)")).await;
            let refused = planned(&store, &yaml, &adopt()).await.unwrap_err();
            assert!(refused[0].message.ends_with("SQLite does not count its `id` up"), "{refused:?}");
        }
        return;
    }
    for id in ["integer PRIMARY KEY", "bigint PRIMARY KEY", "smallint PRIMARY KEY DEFAULT 0"] {
        let store = empty().await;
        sql(&store, &format!("CREATE TABLE items (id {id}, a text)")).await;
        sql(&store, "INSERT INTO items VALUES (1, 'x'), (41, 'y')").await;
        let refused = planned(&store, &yaml, &adopt()).await.unwrap_err();
        assert!(refused[0].message.contains("its `id` is not counted up"), "{refused:?}");
        sql(&store, &statement(&refused)).await;
        migrate(&store, &yaml, &adopt()).await;
        assert_eq!(serve_on(&store, &yaml).await.unwrap().made(r#"{"a":"z"}"#).await.0, "42", "{id}");
    }
}

#[tokio::test]
async fn a_counter_behind_the_rows_is_refused_and_a_narrow_one_gets_the_type_of_the_ids() {
    if !on_postgres() {
        return;
    }
    let yaml = fields("  a: { type: string }\n").replace("access:", "id: { type: integer }\naccess:");
    for (id, narrow) in [
        ("serial PRIMARY KEY", true),
        ("bigserial PRIMARY KEY", false),
        ("integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY", false),
    ] {
        let store = empty().await;
        sql(&store, &format!("CREATE TABLE items (id {id}, a text)")).await;
        sql(&store, "INSERT INTO items (id, a) OVERRIDING SYSTEM VALUE VALUES (1, 'x'), (7, 'y')").await;
        let refused = planned(&store, &yaml, &adopt()).await.unwrap_err();
        assert!(refused[0].message.ends_with("its next id would be 1, and it has ids up to 7"), "{refused:?}");
        sql(&store, &statement(&refused)).await;
        let plan = migrate(&store, &yaml, &adopt()).await;
        let step = "change the type of the sequence items_id_seq to bigint, which counts the ids of items";
        assert_eq!(plan.iter().any(|found| found == step), narrow, "{plan:?}");
        let api = serve_on(&store, &yaml).await.unwrap();
        assert_eq!(api.made(r#"{"a":"z"}"#).await.0, "8", "{id}");
        sql(&store, "SELECT setval('items_id_seq', 2147483647)").await;
        assert_eq!(api.made(r#"{"a":"z"}"#).await.0, "2147483648", "{id}");
    }
}
