//! Empty databases to copy to: on the PostgreSQL server that `.ci/postgres` starts, or else SQLite files.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// The URL of the server, without options, if there is one.
pub fn server() -> Option<String> {
    std::env::var("TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

/// The URL of an empty database. A SQLite file is in `folder`.
pub fn empty(folder: &Path) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("moved{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    match server() {
        Some(server) => {
            run(&server, &format!("CREATE SCHEMA {name}"));
            format!("{server}?options=-csearch_path%3D{name}")
        }
        None => format!("sqlite://{}", folder.join(format!("{name}.db")).display()),
    }
}

/// Runs statements in a database.
pub fn run(url: &str, sql: &str) {
    match url.strip_prefix("sqlite://") {
        Some(file) => rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap(),
        None => with(url, async |client| client.batch_execute(sql).await.unwrap()),
    }
}

/// Whether a statement fails.
pub fn refuses(url: &str, sql: &str) -> bool {
    match url.strip_prefix("sqlite://") {
        Some(file) => rusqlite::Connection::open(file).unwrap().execute_batch(sql).is_err(),
        None => with(url, async |client| client.batch_execute(sql).await.is_err()),
    }
}

/// Whether a table exists and has rows.
pub fn has_rows(url: &str, table: &str) -> bool {
    let sql = format!("SELECT 1 FROM {table} LIMIT 1");
    match url.strip_prefix("sqlite://") {
        Some(file) => {
            let open = rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
            open.is_ok_and(|open| open.query_row(&sql, [], |_| Ok(())).is_ok())
        }
        None => with(url, async |client| client.query(&sql, &[]).await.is_ok_and(|rows| !rows.is_empty())),
    }
}

/// A column of the first row of a statement, which is a text.
pub fn text(url: &str, sql: &str, column: usize) -> String {
    match url.strip_prefix("sqlite://") {
        Some(file) => rusqlite::Connection::open(file).unwrap().query_row(sql, [], |row| row.get(column)).unwrap(),
        None => with(url, async |client| client.query_one(sql, &[]).await.unwrap().get(column)),
    }
}

fn with<T>(url: &str, work: impl AsyncFnOnce(&tokio_postgres::Client) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        let served = tokio::spawn(connection);
        let value = work(&client).await;
        drop(client);
        served.await.unwrap().unwrap();
        value
    })
}
