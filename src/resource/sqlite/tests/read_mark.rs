//! Tests of the read mark that is held while nobody writes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

/// Where the locks of the five read marks begin in the `-shm` file.
const MARKS: u64 = 123;

/// Whether a process holds a lock on a read mark.
fn is_held(folder: &TempDir) -> bool {
    let index = fs::metadata(folder.path().join("data/test.db-shm")).unwrap().ino();
    fs::read_to_string("/proc/locks").unwrap().lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "POSIX", _, "READ", _, file, first, _] = fields[..] else { return false };
        file.ends_with(&format!(":{index}")) && first.parse().is_ok_and(|first: u64| first >= MARKS)
    })
}

async fn until_held(folder: &TempDir) {
    while !is_held(folder) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn while_nobody_writes_reads_need_no_lock_of_the_file() {
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    until_held(&folder).await;
    store.work(LONG, |writer| insert(writer, "a", "a@x")).await.unwrap();
    assert_eq!(count(&store).await, Ok(1));
    until_held(&folder).await;
    assert_eq!(count(&store).await, Ok(1));
}

#[tokio::test]
async fn another_program_can_write_and_empty_the_log_meanwhile() {
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    for id in 1..4 {
        until_held(&folder).await;
        let path = folder.path().join("data/test.db");
        let emptied = tokio::task::spawn_blocking(move || {
            let other = Connection::open(path).unwrap();
            other.busy_timeout(LONG).unwrap();
            other.execute("INSERT INTO users (id, email, age) VALUES (?1, ?1, 7)", [id.to_string()]).unwrap();
            other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).unwrap()
        });
        assert_eq!(emptied.await.unwrap(), 0, "not busy");
        assert_eq!(fs::metadata(folder.path().join("data/test.db-wal")).unwrap().len(), 0);
        assert_eq!(count(&store).await, Ok(id));
    }
}
