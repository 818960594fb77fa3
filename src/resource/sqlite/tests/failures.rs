//! What happens when the file is locked, full, gone, replaced or not ours.

use std::fs;

use super::*;

fn file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("data/test.db")
}

fn unavailable<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Unavailable(why)) => why,
        other => panic!("not unavailable: {other:?}"),
    }
}

#[tokio::test]
async fn a_second_user_of_the_file_is_kept_out_until_the_first_is_gone() {
    let folder = TempDir::new().unwrap();
    let first = prepared_in(&folder).await;
    let second = store_in(&folder);
    let refused = second.prepare(&[users()]).await.unwrap_err();
    assert!(refused[0].message.contains("uses the same file"), "{refused:?}");
    unavailable(count(&second).await);
    drop(first);
    assert_eq!(second.prepare(&[users()]).await, Ok(()));
    assert_eq!(count(&second).await, Ok(0));
}

/// The POSIX locks on a file, which are SQLite's.
fn posix_locks(path: &std::path::Path) -> usize {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(":{} ", fs::metadata(path).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks.lines().filter(|line| line.contains("POSIX") && line.contains(&inode)).count()
}

#[tokio::test]
async fn a_file_has_one_store_whatever_it_is_called() {
    let folder = TempDir::new().unwrap();
    let first = prepared_in(&folder).await;
    first.work(LONG, |writer| insert(writer, "a", "a")).await.unwrap();
    assert_ne!(posix_locks(&file(&folder)), 0, "a connection holds one for as long as it is open");
    fs::create_dir(folder.path().join("other")).unwrap();
    let hard = folder.path().join("other/hard.db");
    fs::hard_link(file(&folder), &hard).unwrap();
    let soft = folder.path().join("soft.db");
    std::os::unix::fs::symlink("data/test.db", &soft).unwrap();
    let linked_folder = folder.path().join("linked");
    std::os::unix::fs::symlink("data", &linked_folder).unwrap();
    for name in [hard, soft, linked_folder.join("test.db"), folder.path().join("other/../data/./test.db")] {
        let second = Sqlite::new(&format!("sqlite://{}", name.display()).parse().unwrap()).unwrap();
        for _ in 0..2 {
            let refused = second.prepare(&[users()]).await.unwrap_err();
            assert!(refused[0].message.contains("uses the same file"), "{refused:?}");
        }
        unavailable(count(&second).await);
    }
    // Whoever closes the file loses all of them. How many there are changes while SQLite works in the background.
    assert_ne!(posix_locks(&file(&folder)), 0, "SQLite lost its locks to a look at the file");
    assert_eq!(first.work(LONG, |writer| insert(writer, "b", "b")).await, Ok(1));
}

#[tokio::test]
async fn the_log_lies_beside_the_file_that_a_link_leads_to() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("real")).unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink("real/test.db", &link).unwrap();
    let store = Sqlite::new(&format!("sqlite://{}", link.display()).parse().unwrap()).unwrap();
    store.prepare(&[users()]).await.unwrap();
    for name in ["real/test.db", "real/test.db-wal", "real/test.db.lock"] {
        assert!(folder.path().join(name).exists(), "{name}");
    }
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(folder.path().join("real/test.db")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_lock_moves_with_the_name_and_stays_with_connections_that_are_open() {
    let folder = TempDir::new().unwrap();
    let first = prepared_in(&folder).await;
    first.work(LONG, |writer| insert(writer, "a", "a")).await.unwrap();
    let aside = folder.path().join("aside.db");
    fs::rename(file(&folder), &aside).unwrap();
    let other = Sqlite::new(&format!("sqlite://{}", aside.display()).parse().unwrap()).unwrap();
    assert!(other.prepare(&[users()]).await.is_err(), "its connections are open still");
    first.prepare(&[users()]).await.unwrap();
    first.work(LONG, |writer| insert(writer, "b", "b")).await.unwrap();
    assert!(store_in(&folder).prepare(&[users()]).await.is_err());
    drop(first);
    assert_eq!(other.prepare(&[users()]).await, Ok(()));
}

#[tokio::test]
async fn a_store_that_is_being_closed_is_waited_for() {
    let folder = TempDir::new().unwrap();
    let first = Arc::new(prepared_in(&folder).await);
    let (release, held) = hold_writer(&first).await;
    first.shared.close();
    let second = store_in(&folder);
    let tables = [users()];
    let (prepared, ()) = tokio::join!(second.prepare(&tables), async {
        drop(release);
        let _ = held.await;
        drop(first);
    });
    assert_eq!(prepared, Ok(()));
}

#[tokio::test]
async fn items_outlive_the_store_and_closing_folds_the_log_into_the_file() {
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    store.work(LONG, |writer| insert(writer, "a", "a")).await.unwrap();
    store.close();
    unavailable(store.work(LONG, |writer| insert(writer, "b", "b")).await);
    drop(store);
    assert!(!folder.path().join("data/test.db-wal").exists());
    assert_eq!(count(&prepared_in(&folder).await).await, Ok(1));
}

#[tokio::test]
async fn new_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    store.work(LONG, |writer| insert(writer, "a", "a")).await.unwrap();
    for (name, mode) in [("data", 0o700), ("data/test.db", 0o600), ("data/test.db-wal", 0o600)] {
        let permissions = fs::metadata(folder.path().join(name)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{name}");
    }
}

#[tokio::test]
async fn a_foreign_lock_is_waited_for_and_then_told() {
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    let other = rusqlite::Connection::open(file(&folder)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let short = Duration::from_millis(50);
    let why = unavailable(store.work(short, |writer| insert(writer, "a", "a")).await);
    assert!(why.contains("locked by another process"), "{why}");
    assert_eq!(count(&store).await, Ok(0));
    unavailable(store.health().await);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(store.work(LONG, |writer| insert(writer, "b", "b")).await, Ok(1));
    assert_eq!(store.health().await, Ok(()));
}

#[tokio::test]
async fn a_full_disk_fails_writes_alone_and_only_while_it_is_full() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(prepared_in(&folder).await);
    store.work(LONG, |writer| insert(writer, "a", "a")).await.unwrap();
    let big = "x".repeat(100_000);
    let fill = move |writer: &mut Writer<'_>| {
        // As if the disk ended here; the setting goes with the connection.
        writer.query("PRAGMA max_page_count = 10", &[], |rows| rows.next().map(|_| ()))?;
        insert(writer, "b", &big)
    };
    let why = unavailable(store.work(LONG, fill).await);
    assert_eq!(why, "the disk is full");
    assert_eq!(count(&store).await, Ok(1));
    assert_eq!(unavailable(store.health().await), "the last write failed");
    assert_eq!(store.work(LONG, |writer| insert(writer, "c", "c")).await, Ok(1));
    assert_eq!(store.health().await, Ok(()));
}

/// SQLite keeps the transaction then: it can undo a statement of several rows alone.
#[tokio::test]
async fn a_full_disk_is_noticed_by_a_write_of_many_rows_too() {
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    let big = text(&"x".repeat(100_000));
    let fill = move |writer: &mut Writer<'_>| {
        writer.query("PRAGMA max_page_count = 10", &[], |rows| rows.next().map(|_| ()))?;
        writer.execute("INSERT INTO users (id, email) VALUES ('b', ?1), ('c', ?1 || 'c')", std::slice::from_ref(&big))
    };
    assert_eq!(unavailable(store.work(LONG, fill).await), "the disk is full");
    assert_eq!(unavailable(store.health().await), "the last write failed");
}

#[tokio::test]
async fn a_write_that_takes_too_long_or_whose_trigger_rolls_back_says_nothing_about_the_store() {
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    let endless = "INSERT INTO users (id, email) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, i FROM n";
    let late = store.work(Duration::from_millis(50), |writer| writer.execute(endless, &[])).await;
    assert_eq!(late, Err(Error::Deadline));
    assert_eq!(store.health().await, Ok(()));
    let trigger =
        "CREATE TRIGGER no AFTER INSERT ON users WHEN NEW.id = 'no' BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END";
    store.work(LONG, |writer| writer.execute(trigger, &[])).await.unwrap();
    let refused = store.work(LONG, |writer| insert(writer, "no", "a")).await;
    assert_eq!(refused, Err(Error::Internal("not this one".into())));
    assert_eq!(store.health().await, Ok(()));
    assert_eq!(store.work(LONG, |writer| insert(writer, "a", "a")).await, Ok(1));
    assert_eq!(count(&store).await, Ok(1));
}

#[tokio::test]
async fn a_job_that_loses_the_transaction_fails_alone() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(prepared_in(&folder).await);
    let (release, _held) = hold_writer(&store).await;
    let before = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.work(LONG, |writer| insert(writer, "a", "a")).await }
    });
    until_queued(&store, 1).await;
    let loses = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            // What SQLite does automatically after an interrupted write.
            store.work(LONG, |writer| writer.execute("ROLLBACK", &[])).await
        }
    });
    until_queued(&store, 2).await;
    let after = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.work(LONG, |writer| insert(writer, "c", "c")).await }
    });
    until_queued(&store, 3).await;
    drop(release);
    assert_eq!(before.await.unwrap(), Ok(1));
    unavailable(loses.await.unwrap());
    assert_eq!(after.await.unwrap(), Ok(1));
    assert_eq!(count(&store).await, Ok(2));
}

#[tokio::test]
async fn a_removed_file_is_not_replaced_by_an_empty_one_and_comes_back_when_it_does() {
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    store.work(LONG, |writer| insert(writer, "a", "a")).await.unwrap();
    let aside = folder.path().join("aside.db");
    // A file moved without its log loses what is in the log alone.
    store.query(statement("SELECT 1", Vec::new()), first_integer).await.unwrap();
    rusqlite::Connection::open(file(&folder)).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    fs::rename(file(&folder), &aside).unwrap();
    unavailable(store.work(LONG, |writer| insert(writer, "b", "b")).await);
    unavailable(store.health().await);
    assert!(!file(&folder).exists());
    fs::rename(&aside, file(&folder)).unwrap();
    assert_eq!(store.work(LONG, |writer| insert(writer, "c", "c")).await, Ok(1));
    assert_eq!(store.health().await, Ok(()));
    assert_eq!(count(&store).await, Ok(2));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_unavailable_until_it_is_one() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(file(&folder), "certainly not a database, and longer than its header would be".repeat(20)).unwrap();
    let store = store_in(&folder);
    let refused = store.prepare(&[users()]).await.unwrap_err();
    assert!(refused[0].message.contains("is not a database"), "{refused:?}");
    fs::remove_file(file(&folder)).unwrap();
    assert_eq!(store.prepare(&[users()]).await, Ok(()));
}

#[tokio::test]
async fn another_database_under_the_name_is_noticed() {
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    fs::rename(&other, file(&folder)).unwrap();
    for _ in 0..2 {
        let why = unavailable(store.work(LONG, |writer| insert(writer, "a", "a")).await);
        assert!(why.contains("not the one that was prepared"), "{why}");
    }
    // By reloading the document, an operator confirms it.
    assert_eq!(store.prepare(&[users()]).await, Ok(()));
    assert_eq!(store.work(LONG, |writer| insert(writer, "a", "a")).await, Ok(1));
}

/// Any connection may be the first that is opened on the new file: that of a read, or that of the read mark.
#[tokio::test]
async fn what_is_written_after_the_file_was_replaced_is_in_the_new_file() {
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    store.work(LONG, |writer| insert(writer, "a", "a@x")).await.unwrap();
    for id in ["b", "c", "d"] {
        let new = folder.path().join("data/new.db");
        let other = rusqlite::Connection::open(file(&folder)).unwrap();
        other.execute("VACUUM INTO ?1", [new.to_str().unwrap()]).unwrap();
        fs::rename(&new, file(&folder)).unwrap();
        drop(store.shared.connect(connection::Role::Now));
        store.work(LONG, move |writer| insert(writer, id, id)).await.unwrap();
        let current = rusqlite::Connection::open(file(&folder)).unwrap();
        let count = current.query_row("SELECT count(*) FROM users WHERE id = ?1", [id], |row| row.get::<_, i64>(0));
        assert_eq!(count, Ok(1), "{id}");
    }
    assert_eq!(count(&store).await, Ok(4));
}
