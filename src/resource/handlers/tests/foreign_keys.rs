//! Foreign keys of tables that other programs made.

use super::adopted::adopt;
use super::migrations::{empty, fields, migrate, serve_on, sql};
use super::*;

#[tokio::test]
async fn a_foreign_key_of_an_adopted_table_is_a_fault_of_the_item_that_refers() {
    let store = empty().await;
    sql(&store, "CREATE TABLE towns (name text PRIMARY KEY)").await;
    sql(&store, "INSERT INTO towns VALUES ('Rome'), ('Oslo')").await;
    sql(&store, "CREATE TABLE items (id text PRIMARY KEY, town text REFERENCES towns (name))").await;
    sql(&store, "CREATE TABLE visits (item text REFERENCES items (id))").await;
    let yaml = fields("  town: { type: string }\n");
    let yaml = yaml.replacen("fields:", "id: { type: string }\nbulk: { create: true, upsert: id }\nfields:", 1);
    migrate(&store, &yaml, &adopt()).await;
    let api = serve_on(&store, &yaml).await.unwrap();
    assert_eq!(api.post(r#"{"id":"x","town":"Rome"}"#).await.status, 201);
    let nowhere = [
        api.post(r#"{"id":"y","town":"Nowhere"}"#).await,
        api.ask(Method::POST, "").header("idempotency-key", "k").json(r#"{"id":"y","town":"Nowhere"}"#).send().await,
        api.put("y", r#"{"town":"Nowhere"}"#).await,
        api.patch("x", r#"{"town":"Nowhere"}"#).await,
    ];
    for answer in nowhere {
        assert_eq!(answer.message(), "town: refers to an item that does not exist");
        assert_eq!(answer.fault(), (400, "town".into(), "reference".into()), "{}", answer.body);
    }
    let list = r#"[{"id":"z"},{"id":"b","town":"Nowhere"},{"id":"a","town":"Oslo"}]"#;
    for method in [Method::POST, Method::PUT] {
        let answer = api.ask(method, "").json(list).send().await;
        assert_eq!(answer.message(), "[1].town: refers to an item that does not exist");
        assert_eq!(answer.fault(), (400, "town".into(), "reference".into()), "{}", answer.body);
        assert_eq!(answer.json()["details"][0]["index"], 1, "{}", answer.body);
        assert_eq!(answer.reason, "reference");
    }
    let lenient = api.ask(Method::PUT, "").header("prefer", "handling=lenient").json(list).send().await.json();
    assert_eq!((lenient[1]["status"].clone(), lenient[2]["status"].clone()), (400.into(), 201.into()), "{lenient}");
    assert_eq!(lenient[1]["message"], "town: refers to an item that does not exist", "{lenient}");
    for id in ["z", "a"] {
        assert_eq!(api.ask(Method::DELETE, &format!("/{id}")).send().await.status, 204);
    }
    sql(&store, "INSERT INTO visits VALUES ('x')").await;
    let held = api.ask(Method::DELETE, "/x").send().await;
    assert_eq!((held.status.as_u16(), held.message()), (409, "Resource is still referenced".to_owned()));
    assert_eq!(api.get("").await.rows().len(), 1);
}

/// Writes 40 items at once. The quarter of them that is in `Nowhere` fails with this status; the others are there.
async fn only_a_quarter_fails(api: &Api, status: u16) {
    let town = |number: usize| if number % 4 == 1 { "Nowhere" } else { "Rome" };
    let bodies: Vec<_> = (0..40).map(|number| format!(r#"{{"id":"i{number}","town":"{}"}}"#, town(number))).collect();
    let answers = futures_util::future::join_all(bodies.iter().map(|body| api.post(body))).await;
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.status, if town(number) == "Rome" { 201 } else { status }, "{}", answer.body);
    }
    assert_eq!(api.get("?count=exact&per_page=1").await.header("x-total-count"), "30");
}

/// Many writes share a transaction in SQLite.
#[tokio::test]
async fn a_foreign_key_that_is_checked_at_the_commit_fails_only_the_write_that_violates_it() {
    let store = empty().await;
    sql(&store, "CREATE TABLE towns (name text PRIMARY KEY)").await;
    sql(&store, "INSERT INTO towns VALUES ('Rome')").await;
    let key = "REFERENCES towns (name) DEFERRABLE INITIALLY DEFERRED";
    sql(&store, &format!("CREATE TABLE items (id text PRIMARY KEY, town text {key})")).await;
    let yaml = fields("  town: { type: string }\n").replacen("fields:", "id: { type: string }\nfields:", 1);
    migrate(&store, &yaml, &adopt()).await;
    let api = serve_on(&store, &yaml).await.unwrap();
    only_a_quarter_fails(&api, 400).await;
    assert!(api.store.health().await.is_ok());
}

/// SQLite undoes the whole transaction then.
#[tokio::test]
async fn a_trigger_that_rolls_back_fails_only_the_write_that_fires_it() {
    if postgres::server().is_some() {
        return;
    }
    let store = empty().await;
    let yaml = fields("  town: { type: string }\n").replacen("fields:", "id: { type: string }\nfields:", 1);
    let api = serve_on(&store, &yaml).await.unwrap();
    let trigger = "CREATE TRIGGER no_nowhere AFTER INSERT ON items WHEN NEW.town = 'Nowhere' BEGIN SELECT RAISE(ROLLBACK, 'no'); END";
    sql(&store, trigger).await;
    only_a_quarter_fails(&api, 500).await;
    assert!(api.store.health().await.is_ok());
}

/// Keys of several columns, of the table itself, without the name of a column, and of a type that the other side has not.
#[tokio::test]
async fn every_form_of_a_foreign_key_names_the_field_that_is_wrong() {
    let store = empty().await;
    sql(&store, "CREATE TABLE towns (name text, country text, PRIMARY KEY (name, country))").await;
    sql(&store, "CREATE TABLE sizes (size bigint PRIMARY KEY)").await;
    sql(&store, "INSERT INTO towns VALUES ('Rome', 'it')").await;
    sql(&store, "INSERT INTO sizes VALUES (1)").await;
    sql(
        &store,
        "CREATE TABLE items (id text PRIMARY KEY, town text, country text, size bigint REFERENCES sizes, \
         part text REFERENCES items (id), FOREIGN KEY (town, country) REFERENCES towns (name, country))",
    )
    .await;
    let yaml = fields(
        "  town: { type: string }\n  country: { type: string }\n  size: { type: integer }\n  part: { type: string }\n",
    );
    migrate(&store, &yaml.replacen("fields:", "id: { type: string }\nfields:", 1), &adopt()).await;
    let api = serve_on(&store, &yaml.replacen("fields:", "id: { type: string }\nfields:", 1)).await.unwrap();
    for (body, fields) in [
        (r#"{"id":"a","town":"Rome","country":"it","size":1,"part":"a"}"#, &[][..]),
        (r#"{"id":"b","town":"Rome"}"#, &[]),
        (r#"{"id":"c","town":"Rome","country":"fr"}"#, &["town", "country"]),
        (r#"{"id":"d","size":2}"#, &["size"]),
        (r#"{"id":"e","part":"f"}"#, &["part"]),
        (r#"{"id":"f","town":"Rome","country":"it","part":"a","size":3}"#, &["size"]),
    ] {
        let answer = api.post(body).await;
        let found: Vec<_> = match answer.status.as_u16() {
            201 => Vec::new(),
            _ => answer.json()["details"].as_array().unwrap().iter().map(|one| one["field"].clone()).collect(),
        };
        assert_eq!(found, fields, "{body}: {}", answer.body);
    }
}
