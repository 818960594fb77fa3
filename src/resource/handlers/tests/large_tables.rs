//! Indexes of large tables, which PostgreSQL creates while others write.

use super::migrations::{command, fields, serve_on, sql, table};
use super::*;
use crate::resource::store::By;

/// A table with more rows than a reload indexes.
async fn large() -> Option<(Arc<Store>, String)> {
    let server = postgres::server();
    if server.is_none() {
        eprintln!("skipped: run `.ci/postgres cargo test --lib -- large_tables`");
        return None;
    }
    let url = url().await;
    let store = Arc::new(Store::new(&url.parse().unwrap()).unwrap());
    serve_on(&store, &fields("  a: { type: string }\n  n: { type: integer }\n")).await.unwrap();
    sql(
        &store,
        "INSERT INTO items (id, a, n) SELECT gen_random_uuid(), 'a' || i, i FROM generate_series(1, 100001) AS s(i)",
    )
    .await;
    Some((store, url))
}

const INDEXED: &str = "  a: { type: string, unique: true }\n  n: { type: integer, index: true }\n";

#[tokio::test]
async fn indexes_are_created_while_others_write() {
    let Some((store, url)) = large().await else { return };
    let yaml = fields(INDEXED);
    let refused = serve_on(&store, &yaml).await.err().unwrap();
    assert!(
        refused[0].help.contains("CREATE UNIQUE INDEX CONCURRENTLY \"gwu_items.a\" ON \"items\" (\"a\");"),
        "{refused:?}"
    );
    let planned = store.plan(&[table(&yaml)], &command()).await.unwrap();
    let live: Vec<_> = planned.steps.iter().filter(|step| step.live).map(|step| step.text.as_str()).collect();
    let while_others = "while others can write";
    assert_eq!(
        live,
        [format!("create index gwu_items.a {while_others}"), format!("create index gwi_items.n {while_others}")]
    );
    // A transaction that has written is waited for, and another one writes meanwhile.
    let (mut client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO items (id, a) VALUES (gen_random_uuid(), 'slow')", &[]).await.unwrap();
    let wanted = [table(&yaml)];
    let by = command();
    let migrating = store.migrate(&wanted, &by);
    // In a transaction, the progress of others would stay as it was at first.
    let (watcher, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let writing = async {
        let begun = async || {
            let sql = "SELECT count(*) FROM pg_stat_progress_create_index WHERE relid = 'items'::regclass";
            watcher.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0
        };
        while !begun().await {
            tokio::task::yield_now().await;
        }
        sql(&store, "INSERT INTO items (id, a) VALUES (gen_random_uuid(), 'meanwhile')").await;
        transaction.commit().await.unwrap();
    };
    let (applied, written) = tokio::join!(migrating, tokio::time::timeout(std::time::Duration::from_secs(60), writing));
    written.expect("no index is being created");
    let applied: Vec<_> = applied.unwrap().into_iter().filter(|step| !step.minor).map(|step| step.text).collect();
    let could = "while others could write";
    assert_eq!(applied, [format!("created index gwu_items.a {could}"), format!("created index gwi_items.n {could}")]);
    assert_eq!(store.plan(&wanted, &By::default()).await.unwrap().steps, []);
    let api = serve_on(&store, &yaml).await.unwrap();
    assert_eq!(api.post(r#"{"a":"meanwhile"}"#).await.status, 409);
}

#[tokio::test]
async fn an_index_that_was_left_behind_unfinished_is_replaced() {
    let Some((store, url)) = large().await else { return };
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("UPDATE items SET a = 'a1' WHERE n = 2").await.unwrap();
    client.batch_execute("CREATE UNIQUE INDEX CONCURRENTLY \"gwu_items.a\" ON items (a)").await.unwrap_err();
    client.batch_execute("UPDATE items SET a = 'a2' WHERE n = 2").await.unwrap();
    let yaml = fields(INDEXED);
    store.migrate(&[table(&yaml)], &command()).await.unwrap();
    let valid = "SELECT bool_and(indisvalid), count(*) FROM pg_index WHERE indrelid = 'items'::regclass";
    let row = client.query_one(valid, &[]).await.unwrap();
    assert_eq!((row.get::<_, bool>(0), row.get::<_, i64>(1)), (true, 3));
    assert_eq!(serve_on(&store, &yaml).await.unwrap().post(r#"{"a":"a7"}"#).await.status, 409);
}

#[tokio::test]
async fn what_keeps_an_index_from_being_made_is_reported_and_nothing_is_left_behind() {
    let Some((store, url)) = large().await else { return };
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let long: String =
        (0..3000_u32).map(|n| char::from_u32(0x4e00 + n.wrapping_mul(2_654_435_761) % 20000).unwrap()).collect();
    client.execute("UPDATE items SET a = $1 WHERE n = 2", &[&long]).await.unwrap();
    let refused = store.migrate(&[table(&fields(INDEXED))], &command()).await.unwrap_err();
    let why = "`a` of table `items` has texts that PostgreSQL cannot index, which takes about 2,700 bytes; the longest ones are in";
    assert!(refused[0].message.starts_with(why) && refused[0].message.ends_with("(9,000 bytes)"), "{refused:?}");
    assert!(refused[0].help.contains("shorten them"), "{refused:?}");
    let left = "SELECT count(*) FROM pg_index WHERE indrelid = 'items'::regclass AND NOT indisvalid";
    assert_eq!(client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
    // The same for a table that is small enough to be indexed within the transaction.
    client.batch_execute("DELETE FROM items WHERE n > 10").await.unwrap();
    let refused = store.migrate(&[table(&fields(INDEXED))], &command()).await.unwrap_err();
    assert!(refused[0].message.starts_with(why), "{refused:?}");
}
