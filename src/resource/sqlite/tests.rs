//! Tests of the store on SQLite.
mod failures;
#[cfg(target_os = "linux")]
mod read_mark;
mod tables;

use std::sync::mpsc;

use tempfile::TempDir;

use super::*;
use crate::resource::contract::{Cell, Param};
use crate::resource::table::{Column, ColumnType, Declared, Index};

const LONG: Duration = Duration::from_secs(20);

/// `users(id, email unique without case, age)`.
fn users() -> Table {
    let column = Column::plain;
    Table {
        name: "users".into(),
        id: ColumnType::Uuid,
        id_counts: false,
        columns: vec![column("email", ColumnType::Text), column("age", ColumnType::Integer)],
        indexes: vec![Index { columns: vec!["email".into()], unique: true, ignore_case: true, ordered: false }],
    }
}

impl Sqlite {
    async fn prepare(&self, tables: &[Table]) -> Result<(), Vec<RefusedTable>> {
        self.migrate(tables, &By::default()).await.map(drop)
    }
}

fn store_in(folder: &TempDir) -> Sqlite {
    let path = folder.path().join("data/test.db");
    Sqlite::new(&format!("sqlite://{}", path.display()).parse().unwrap()).unwrap()
}

async fn prepared_in(folder: &TempDir) -> Sqlite {
    let store = store_in(folder);
    store.prepare(&[users()]).await.unwrap();
    store
}

fn text(value: &str) -> Param {
    Param::Text(value.into())
}

fn statement(sql: &str, parameters: Vec<Param>) -> Statement {
    Statement { sql: sql.into(), parameters, deadline: LONG }
}

fn insert(writer: &mut Writer<'_>, id: &str, email: &str) -> Result<usize, Error> {
    writer.execute("INSERT INTO users (id, email, age) VALUES (?, ?, 7)", &[text(id), text(email)])
}

fn first_integer(rows: &mut dyn Rows) -> Result<i64, Error> {
    match rows.next()?.map(|row| row.cell(0)) {
        Some(Cell::Integer(value)) => Ok(value),
        other => Err(Error::Internal(format!("no integer but {other:?}"))),
    }
}

async fn count(store: &Sqlite) -> Result<i64, Error> {
    store.query(statement("SELECT count(*) FROM users", Vec::new()), first_integer).await
}

/// Holds the writer thread until the sender is dropped, so that what is queued meanwhile shares one transaction.
async fn hold_writer(store: &Arc<Sqlite>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), Error>>) {
    let (release, held) = mpsc::channel::<()>();
    let (begun, begins) = oneshot::channel();
    let mut begun = Some(begun);
    let owner = Arc::clone(store);
    let job = async move {
        owner
            .work(LONG, move |_| {
                let _ = begun.take().map(|begun| begun.send(()));
                let _ = held.recv();
                Ok(())
            })
            .await
    };
    let job = tokio::spawn(job);
    begins.await.unwrap();
    (release, job)
}

async fn until_queued(store: &Sqlite, jobs: usize) {
    while store.shared.writes.len() < jobs {
        tokio::task::yield_now().await;
    }
}

#[test]
fn stores_of_other_kinds_are_not_opened() {
    for (url, is_one) in [("sqlite::memory:", true), ("sqlite:///nowhere/at/all.db", true), ("postgres://x", false)] {
        assert_eq!(Sqlite::new(&url.parse().unwrap()).is_some(), is_one, "{url}");
    }
}

#[tokio::test]
async fn an_item_is_written_and_read_in_both_ways() {
    let folder = TempDir::new().unwrap();
    for store in [prepared_in(&folder).await, Sqlite::new(&"sqlite::memory:".parse().unwrap()).unwrap()] {
        store.prepare(&[users()]).await.unwrap();
        let age = store
            .work(LONG, |writer| {
                insert(writer, "a", "a@x")?;
                writer.query("UPDATE users SET age = age + 1 WHERE id = ? RETURNING age", &[text("a")], first_integer)
            })
            .await;
        assert_eq!(age, Ok(8));
        let by_id = statement("SELECT age FROM users WHERE id = ?", vec![text("a")]);
        assert_eq!(store.query(by_id.clone(), first_integer).await, Ok(8));
        // A thread opens a connection for this after its own result, and checks the file once a second.
        let now = loop {
            if let Some(now) = store.read_now(&by_id, first_integer) {
                break now;
            }
            assert_eq!(store.read_later(by_id.clone(), first_integer).await, Ok(8));
        };
        assert_eq!(now, Ok(8));
        assert_eq!(store.health().await, Ok(()));
    }
}

#[tokio::test]
async fn an_answer_comes_after_the_commit() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(prepared_in(&folder).await);
    let (release, held) = hold_writer(&store).await;
    let writes: Vec<_> = ["a", "b", "c"]
        .map(|id| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                store.work(LONG, move |writer| insert(writer, id, id)).await.unwrap();
                // Another connection sees it, so it is committed.
                count(&store).await.unwrap()
            })
        })
        .into();
    until_queued(&store, 3).await;
    assert_eq!(count(&store).await, Ok(0));
    drop(release);
    held.await.unwrap().unwrap();
    for write in writes {
        // They shared one transaction: each of them sees all three.
        assert_eq!(write.await.unwrap(), 3);
    }
}

#[tokio::test]
async fn a_failing_or_panicking_job_harms_no_other() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(prepared_in(&folder).await);
    let (release, _held) = hold_writer(&store).await;
    let good = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.work(LONG, |writer| insert(writer, "a", "a@x")).await }
    });
    until_queued(&store, 1).await;
    let same = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            store
                .work(LONG, |writer| {
                    insert(writer, "b", "b@x")?;
                    insert(writer, "c", "A@X")
                })
                .await
        }
    });
    until_queued(&store, 2).await;
    let panics = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            store
                .work(LONG, |writer| {
                    insert(writer, "d", "d@x")?;
                    if writer.connection.is_autocommit() { Ok(()) } else { panic!("as the test wants it") }
                })
                .await
        }
    });
    until_queued(&store, 3).await;
    drop(release);
    assert_eq!(good.await.unwrap(), Ok(1));
    assert_eq!(same.await.unwrap(), Err(Error::Unique(vec!["email".into()])));
    assert!(matches!(panics.await.unwrap(), Err(Error::Internal(_))));
    assert_eq!(count(&store).await, Ok(1));
    assert_eq!(store.work(LONG, |writer| insert(writer, "e", "e@x")).await, Ok(1));
}

#[tokio::test]
async fn a_used_primary_key_is_a_unique_error_on_id() {
    let store = Sqlite::new(&"sqlite::memory:".parse().unwrap()).unwrap();
    store.prepare(&[users()]).await.unwrap();
    store.work(LONG, |writer| insert(writer, "a", "a")).await.unwrap();
    let again = store.work(LONG, |writer| insert(writer, "a", "b")).await;
    assert_eq!(again, Err(Error::Unique(vec!["id".into()])));
}

#[tokio::test]
async fn a_job_nobody_waits_for_does_not_begin() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(prepared_in(&folder).await);
    let (release, _held) = hold_writer(&store).await;
    let abandoned = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.work(LONG, |writer| insert(writer, "a", "a")).await }
    });
    until_queued(&store, 1).await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    drop(release);
    store.work(LONG, |writer| insert(writer, "b", "b")).await.unwrap();
    assert_eq!(count(&store).await, Ok(1));
}

#[tokio::test]
async fn a_statement_ends_at_its_deadline() {
    let folder = TempDir::new().unwrap();
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";
    for store in [prepared_in(&folder).await, Sqlite::new(&"sqlite::memory:".parse().unwrap()).unwrap()] {
        store.prepare(&[users()]).await.unwrap();
        let mut read = statement(endless, Vec::new());
        read.deadline = Duration::from_millis(20);
        assert_eq!(store.query(read, first_integer).await, Err(Error::Deadline));
        let write = move |writer: &mut Writer<'_>| writer.query(endless, &[], first_integer);
        assert_eq!(store.work(Duration::from_millis(20), write).await, Err(Error::Deadline));
        assert_eq!(store.work(Duration::ZERO, |writer| insert(writer, "z", "z")).await, Err(Error::Deadline));
        assert_eq!(count(&store).await, Ok(0));
    }
}

#[tokio::test]
async fn a_read_on_the_callers_thread_ends_soon_and_sends_the_next_ones_elsewhere() {
    let store = Sqlite::new(&"sqlite::memory:".parse().unwrap()).unwrap();
    store.prepare(&[users()]).await.unwrap();
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";
    let quick = statement("SELECT 7", Vec::new());
    assert_eq!(store.read_now(&statement(endless, Vec::new()), first_integer), None);
    assert_eq!(store.read_now(&quick, first_integer), None);
    // Until there were enough fast ones.
    while store.read_now(&quick, first_integer).is_none() {
        assert_eq!(store.read_later(quick.clone(), first_integer).await, Ok(7));
    }
}

#[tokio::test]
async fn a_full_queue_says_busy_at_once() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(prepared_in(&folder).await);
    let (release, _held) = hold_writer(&store).await;
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..1024 {
        let store = Arc::clone(&store);
        let id = number.to_string();
        writes.spawn(async move { store.work(LONG, move |writer| insert(writer, &id, &id)).await });
    }
    until_queued(&store, 1024).await;
    assert_eq!(store.work(LONG, |writer| insert(writer, "x", "x")).await, Err(Error::Busy));
    drop(release);
    while let Some(write) = writes.join_next().await {
        assert_eq!(write.unwrap(), Ok(1));
    }
    assert_eq!(count(&store).await, Ok(1024));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_writers_and_readers_see_whole_transactions() {
    let folder = TempDir::new().unwrap();
    for store in [prepared_in(&folder).await, Sqlite::new(&"sqlite::memory:".parse().unwrap()).unwrap()] {
        store.prepare(&[users()]).await.unwrap();
        let store = Arc::new(store);
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..16 {
            let writer = Arc::clone(&store);
            tasks.spawn(async move {
                for round in 0..20 {
                    let pair = [format!("{task}-{round}-a"), format!("{task}-{round}-b")];
                    let pair = move |writer: &mut Writer<'_>| {
                        insert(writer, &pair[0], &pair[0])?;
                        insert(writer, &pair[1], &pair[1])
                    };
                    writer.work(LONG, pair).await.unwrap();
                }
            });
            let reader = Arc::clone(&store);
            tasks.spawn(async move {
                let all = statement("SELECT count(*) FROM users", Vec::new());
                for _ in 0..20 {
                    let seen = match reader.read_now(&all, first_integer) {
                        Some(seen) => seen.unwrap(),
                        None => count(&reader).await.unwrap(),
                    };
                    assert_eq!(seen % 2, 0, "half of a transaction was seen");
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        assert_eq!(count(&store).await, Ok(640));
    }
}

#[tokio::test]
async fn readers_cannot_write() {
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    let sneaky = statement("DELETE FROM users RETURNING 1", Vec::new());
    assert!(store.query(sneaky, first_integer).await.is_err());
}

#[tokio::test]
async fn commits_are_on_the_disk_before_they_count() {
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    let settings = store.work(LONG, |writer| {
        let synchronous = writer.query("PRAGMA synchronous", &[], first_integer)?;
        let keys = writer.query("PRAGMA foreign_keys", &[], first_integer)?;
        let log = writer.query("SELECT journal_mode = 'wal' FROM pragma_journal_mode", &[], first_integer)?;
        Ok((synchronous, keys, log))
    });
    // 2 is FULL: each commit syncs the log.
    assert_eq!(settings.await, Ok((2, 1, 1)));
}

#[tokio::test]
async fn what_writes_survive_can_change_while_the_store_is_open() {
    let folder = TempDir::new().unwrap();
    let store = prepared_in(&folder).await;
    let synchronous = || store.work(LONG, |writer| writer.query("PRAGMA synchronous", &[], first_integer));
    for (durability, expected) in [(Durability::Process, 1), (Durability::Power, 2), (Durability::Process, 1)] {
        store.confirm(durability);
        assert_eq!(synchronous().await, Ok(expected), "{durability:?}");
        store.shared.discard(&mut store.shared.writer().lock());
        assert_eq!(synchronous().await, Ok(expected), "{durability:?}, on a new connection");
    }
}

#[tokio::test]
async fn maintenance_is_no_change_of_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let store = prepared_in(&folder).await;
    let watch = store.watch("users");
    store.work(LONG, |writer| insert(writer, "a", "a@x")).await.unwrap();
    let before = store.revision(&watch).unwrap();
    {
        let slot = store.shared.writer().lock();
        let open = slot.as_ref().unwrap();
        open.connection.execute_batch("BEGIN; ANALYZE").unwrap();
        store.shared.changes.quietly(open, || Ok(open.connection.execute_batch("COMMIT")?)).unwrap();
    }
    assert_eq!(store.revision(&watch).unwrap(), before);
    let other = rusqlite::Connection::open(folder.path().join("data/test.db")).unwrap();
    other.execute_batch("ANALYZE").unwrap();
    let slot = store.shared.writer().lock();
    store.shared.changes.quietly(slot.as_ref().unwrap(), || Ok(())).unwrap();
    assert_ne!(store.revision(&watch).unwrap(), before, "what others commit may be anything");
}
