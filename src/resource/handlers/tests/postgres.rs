//! A PostgreSQL server for the tests: they run on it if `TEST_POSTGRES` is its URL, and on SQLite otherwise.

use super::*;
use crate::resource::contract::{Cell, Error, Rows, Sql, Statement};
use futures_util::future::join_all;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The URL of the server, without options.
pub fn server() -> Option<String> {
    std::env::var("TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

/// The URL of a new schema.
pub async fn schema(server: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let store = Store::new(&server.parse().unwrap()).unwrap();
    store.execute(Duration::from_secs(20), Sql::new(format!("CREATE SCHEMA {name}"), [])).await.unwrap();
    format!("{server}?options=-csearch_path%3D{name}")
}

/// A part of what `.ci/postgres` starts; `None`, and a note, without it.
fn given(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        eprintln!("skipped: run `.ci/postgres cargo test --lib -- resource`, which sets {name}");
    }
    value
}

const UNIQUE: &str =
    "store: main\naccess: { default: public }\nfields: { name: { type: string, unique: { ignore_case: true } } }";

#[tokio::test]
async fn sslmode_says_what_is_verified() {
    let (Some(server), Some(authority)) = (given("TEST_POSTGRES"), given("TEST_POSTGRES_CA")) else { return };
    let named = server.replace("127.0.0.1", "localhost");
    let authority = format!("&sslrootcert={authority}");
    for (url, mode, authority, connects) in [
        (&server, "disable", "", true),
        (&server, "prefer", "", true),
        (&server, "require", "", true),
        (&server, "require", &*authority, true),
        (&server, "verify-ca", &*authority, true),
        // The certificate is for `localhost`.
        (&server, "verify-full", &*authority, false),
        (&named, "verify-full", &*authority, true),
        // Signed by no one that browsers trust.
        (&named, "verify-full", "", false),
        (&named, "verify-full", "&sslrootcert=system", false),
        (&named, "verify-full", "&sslrootcert=/nowhere.pem", false),
    ] {
        let url = format!("{url}?sslmode={mode}{authority}");
        let health = Store::new(&url.parse().unwrap()).unwrap().health().await;
        assert_eq!(health.is_ok(), connects, "{url}: {health:?}");
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_it() {
    let (Some(server), Some(authority)) = (given("TEST_POSTGRES"), given("TEST_POSTGRES_CA")) else { return };
    let (Some(certificate), Some(key)) = (given("TEST_POSTGRES_CERT"), given("TEST_POSTGRES_KEY")) else { return };
    let named = server.replace("127.0.0.1", "localhost").replace("gw@", "certified@");
    let health = async |options: &str| {
        let url = format!("{named}?sslmode=verify-full&sslrootcert={authority}{options}");
        Store::new(&url.parse().unwrap()).unwrap().health().await
    };
    let both = format!("&sslcert={certificate}&sslkey={key}");
    health(&both).await.unwrap();
    for (options, why) in [
        (String::new(), "certificate"),
        // A key of another certificate, and files that are none of these.
        (format!("&sslcert={authority}&sslkey={key}"), "cannot be used together"),
        (format!("&sslcert={certificate}&sslkey={certificate}"), "does not contain a private key"),
        (format!("&sslcert={key}&sslkey={key}"), "does not contain a certificate"),
        (format!("&sslcert={certificate}&sslkey=/nowhere.key"), "cannot read /nowhere.key"),
    ] {
        let failed = health(&options).await.unwrap_err().to_string();
        assert!(failed.contains(why), "{options}: {failed}");
    }
    // Without TLS, there is no certificate to show.
    let plain = format!("{}?sslmode=disable{both}", server.replace("gw@", "certified@"));
    assert!(Store::new(&plain.parse().unwrap()).unwrap().health().await.is_err());
}

#[tokio::test]
async fn a_pooler_that_loses_prepared_statements_is_worked_with() {
    let Some(pooler) = given("TEST_PGBOUNCER") else { return };
    // The pooler passes no options, and so no schema.
    let name = format!("pooled_{}", std::process::id());
    let api = serve_at(&name, UNIQUE, &pooler).await;
    let client = async |number: usize| {
        for round in 0..20 {
            let (id, tag) = api.made(&format!(r#"{{"name":"{number} {round}"}}"#)).await;
            let item = format!("/{id}");
            assert_eq!(api.get(&item).await.header("etag"), tag);
            let change = api.ask(Method::PATCH, &item).json(r#"{"name":null}"#).header("if-match", &tag);
            assert_eq!(change.send().await.status, 200);
            assert_eq!(api.get("?per_page=3").await.status, 200);
            assert_eq!(api.ask(Method::DELETE, &item).send().await.status, 204);
        }
    };
    join_all((0..16).map(client)).await;
    let drop = Sql::new(format!("DROP TABLE {name}"), []);
    api.store.execute(Duration::from_secs(20), drop).await.unwrap();
}

#[tokio::test]
async fn gateways_that_share_a_database_start_at_once_and_agree() {
    let Some(server) = given("TEST_POSTGRES") else { return };
    let url = schema(&server).await;
    let fleet = join_all((0..4).map(|_| serve_at("shared", UNIQUE, &url))).await;
    for round in 0..20 {
        let name = |at: usize| if at.is_multiple_of(2) { format!("a{round}") } else { format!("A{round}") };
        let created = (0..16).map(|at| {
            let body = format!(r#"{{"name":"{}"}}"#, name(at));
            let gateway = &fleet[at % fleet.len()];
            async move { gateway.post(&body).await }
        });
        let created = join_all(created).await;
        let winners: Vec<_> = created.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(winners.len(), 1);
        assert!(created.iter().all(|answer| [201, 409].contains(&answer.status.as_u16())));
        let (item, tag) = (winners[0].json()["id"].as_str().unwrap().to_owned(), winners[0].header("etag"));
        let changed = (0..16).map(|at| {
            let ask = fleet[at % fleet.len()].ask(Method::PATCH, &format!("/{item}"));
            ask.json(&format!(r#"{{"name":"b{round} {at}"}}"#)).header("if-match", &tag).send()
        });
        let changed: Vec<_> = join_all(changed).await.iter().map(|answer| answer.status.as_u16()).collect();
        assert_eq!(changed.iter().filter(|status| **status == 200).count(), 1, "{changed:?}");
        assert_eq!(changed.iter().filter(|status| **status == 412).count(), 15, "{changed:?}");
        // Neither the count nor the tag of a list is one of before another gateway wrote.
        let before = fleet[0].get("").await;
        fleet[1].made(&format!(r#"{{"name":"c{round}"}}"#)).await;
        let after = fleet[0].ask(Method::GET, "").header("if-none-match", &before.header("etag")).send().await;
        let total = |answer: &Answer| answer.header("x-total-count").parse::<u32>().unwrap();
        assert_eq!((after.status.as_u16(), total(&after)), (200, total(&before) + 1));
        let again = fleet[2].ask(Method::GET, "").header("if-none-match", &after.header("etag")).send().await;
        assert_eq!(again.status, 304);
    }
}

#[tokio::test]
async fn limits_of_postgresql_are_the_clients_to_know() {
    let Some(server) = given("TEST_POSTGRES") else { return };
    let (table, field) = ("customer_subscription_invoices_of_this_year", "external_reference_number_primary");
    let yaml = format!(
        "store: main\naccess: {{ default: public }}\nfields: {{ {field}: {{ type: string, unique: true }}, {field}2: {{ type: string, index: true }} }}"
    );
    let api = serve_at(table, &yaml, &schema(&server).await).await;
    let body = format!(r#"{{"{field}":"a"}}"#);
    api.made(&body).await;
    let taken = api.post(&body).await;
    assert_eq!((taken.status.as_u16(), &taken.json()["details"][0]["field"]), (409, &Value::from(field)));
    // Letters at random, because PostgreSQL compresses.
    let long: String = (0..6000).map(|_| fastrand::alphanumeric()).collect();
    let refused = api.post(&format!(r#"{{"{field}2":"{long}"}}"#)).await;
    assert_eq!(
        (refused.status.as_u16(), refused.message()),
        (400, "a value is too long for the index of its field".into())
    );
}

#[tokio::test]
async fn counts_follow_every_commit() {
    let Some(server) = given("TEST_POSTGRES") else { return };
    let url = schema(&server).await;
    let api = serve_at("things", UNIQUE, &url).await;
    let (other, serving) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(serving);
    let (third, serving) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(serving);
    let insert = "INSERT INTO things (id, name) VALUES (gen_random_uuid(), gen_random_uuid()::text)";
    let total = async || api.get("?per_page=1").await.header("x-total-count").parse::<u32>().unwrap();
    other.batch_execute(&format!("{insert}; {insert}; {insert}")).await.unwrap();
    for round in 0..20 {
        let before = total().await;
        // Transactions that start early and end late, with parts that are undone.
        other.batch_execute(&format!("BEGIN; {insert}; SAVEPOINT a; {insert}; ROLLBACK TO a; {insert}")).await.unwrap();
        assert_eq!(total().await, before, "nothing is committed");
        third.batch_execute(&format!("BEGIN; {insert}; SAVEPOINT b; {insert}; RELEASE b")).await.unwrap();
        assert_eq!(total().await, before, "nothing is committed");
        other.batch_execute(if round % 2 == 0 { "COMMIT" } else { "ROLLBACK" }).await.unwrap();
        let early = before + if round % 2 == 0 { 2 } else { 0 };
        assert_eq!(total().await, early, "round {round}");
        third.batch_execute("COMMIT").await.unwrap();
        assert_eq!(total().await, early + 2, "round {round}");
    }
}

/// A store with the tables `a` and `b`, each with one row, and a read of it.
async fn two_tables(url: &str) -> (Arc<Store>, impl Fn(&'static str) -> Statement + use<>) {
    let store = Arc::new(Store::new(&url.parse().unwrap()).unwrap());
    for sql in ["CREATE TABLE a AS SELECT 1::bigint AS id", "CREATE TABLE b AS SELECT 2::bigint AS id"] {
        store.execute(Duration::from_secs(20), Sql::new(sql.to_owned(), [])).await.unwrap();
    }
    let read = |table: &str| Statement {
        sql: format!("SELECT id FROM {table} WHERE id > $1::bigint").into(),
        parameters: vec![Param::Integer(0)],
        deadline: Duration::from_secs(20),
    };
    (store, read)
}

fn first(rows: &mut dyn Rows) -> Result<Option<i64>, Error> {
    Ok(rows.next()?.and_then(|row| if let Cell::Integer(number) = row.cell(0) { Some(number) } else { None }))
}

#[tokio::test]
async fn reads_that_share_a_connection_do_not_wait_for_a_locked_table() {
    let Some(server) = given("TEST_POSTGRES") else { return };
    let url = schema(&server).await;
    let (store, read) = two_tables(&url).await;
    let (other, serving) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(serving);
    other.batch_execute("BEGIN; LOCK TABLE a IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let blocked = join_all((0..4).map(|_| store.read_later(read("a"), first)));
    let others = async {
        for _ in 0..20 {
            let all = join_all((0..16).map(|_| store.read_later(read("b"), first))).await;
            assert!(all.iter().all(|found| *found == Ok(Some(2))), "{all:?}");
        }
        other.batch_execute("COMMIT").await.unwrap();
    };
    let (blocked, ()) = tokio::join!(blocked, others);
    assert!(blocked.iter().all(|found| *found == Ok(Some(1))), "{blocked:?}");
}

#[tokio::test]
async fn reads_that_share_a_connection_survive_its_end_and_clients_that_leave() {
    let Some(server) = given("TEST_POSTGRES") else { return };
    let url = schema(&server).await;
    let (store, read) = two_tables(&url).await;
    let (other, serving) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(serving);
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%FROM b AS ended%'";
    for round in 0..20_u64 {
        let leaves = (0..8).map(|_| {
            tokio::time::timeout(Duration::from_micros(round * 50), store.read_later(read("b AS ended"), first))
        });
        let stay = join_all((0..32).map(|_| store.read_later(read("b AS ended"), first)));
        let (_, all, ended) = tokio::join!(join_all(leaves), stay, other.batch_execute(end));
        ended.unwrap();
        assert!(all.iter().all(|found| *found == Ok(Some(2))), "{all:?}");
    }
}

#[tokio::test]
async fn reads_that_share_the_only_connection_let_writes_pass() {
    let Some(server) = given("TEST_POSTGRES") else { return };
    let (store, read) = two_tables(&schema(&server).await).await;
    store.resize(1);
    let written = std::cell::Cell::new(false);
    let reads = join_all((0..16).map(|_| async {
        while !written.get() {
            assert_eq!(store.read_later(read("b"), first).await, Ok(Some(2)));
        }
    }));
    let writes = async {
        for _ in 0..20 {
            let insert = Sql::new("INSERT INTO a VALUES (7)".to_owned(), []);
            assert_eq!(store.execute(Duration::from_secs(20), insert).await.unwrap().changed, 1);
        }
        written.set(true);
    };
    tokio::join!(reads, writes);
}
