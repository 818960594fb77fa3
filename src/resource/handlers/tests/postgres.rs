//! A PostgreSQL server for the tests: they run on it if `TEST_POSTGRES` is its URL, and on SQLite otherwise.

use crate::resource::contract::Sql;
use crate::resource::store::Store;
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
