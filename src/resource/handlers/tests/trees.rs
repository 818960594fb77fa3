//! Deletes of trees, items that refer to each other by `cascade`, while others add items to them.

use super::world::*;
use super::*;
use futures_util::future::{join, join_all};
use std::cell::Cell;
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

const TREES: &str = r#"
branches:
  store: main
  id: { type: string }
  access: { default: public }
  soft_delete: true
  fields: { parent: { type: ref, to: branches, on_delete: cascade } }
"#;

async fn make(branches: &Api, id: &str, parent: &str) -> u16 {
    let parent = if parent.is_empty() { "null".to_owned() } else { format!("\"{parent}\"") };
    branches.post(&format!(r#"{{"id":"{id}","parent":{parent}}}"#)).await.status.as_u16()
}

async fn delete(branches: &Api, id: &str) -> u16 {
    branches.ask(Method::DELETE, &format!("/{id}")).send().await.status.as_u16()
}

/// How many items with such an id there are, deleted or not.
async fn kept(world: &World, pattern: &str) -> i64 {
    let count =
        async |table: &str| world.count(&format!("SELECT count(*) FROM \"{table}\" WHERE id LIKE '{pattern}'")).await;
    count("branches").await + count("_gw_deleted_branches").await
}

#[tokio::test]
async fn no_item_is_lost_that_is_added_to_a_tree_while_it_is_deleted() {
    const CLIENTS: usize = 8;
    let world = world(TREES).await;
    let branches = world.of("branches");
    for round in 0..20 {
        let root = format!("root{round}");
        assert_eq!(make(branches, &root, "").await, 201);
        let grow = join_all((0..CLIENTS).map(|client| {
            let root = root.clone();
            async move {
                let (mut parent, mut made) = (root, 0);
                for depth in 0..4 {
                    let id = format!("r{round}-{client}-{depth}");
                    match make(branches, &id, &parent).await {
                        201 => made += 1,
                        status => {
                            assert_eq!(status, 400, "its parent is gone");
                            break;
                        }
                    }
                    parent = id;
                }
                made
            }
        }));
        let (made, deleted): (Vec<i64>, u16) = join(grow, delete(branches, &root)).await;
        assert_eq!(deleted, 204);
        assert_eq!(kept(&world, &format!("r{round}-%")).await, made.iter().sum::<i64>());
        let alone = "SELECT count(*) FROM branches WHERE parent NOT IN (SELECT id FROM branches)";
        assert_eq!(world.count(alone).await, 0);
    }
}

/// Another program.
async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Waits until a statement about the table waits for such a lock, or something is `done`.
async fn waiting(client: &Client, lock: &str, done: &Cell<bool>) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%branches%' \
               AND pid <> pg_backend_pid() AND wait_event LIKE $1";
    for _ in 0..2000 {
        let found: i64 = client.query_one(sql, &[&lock]).await.unwrap().get(0);
        if found > 0 || done.get() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no statement waits for a lock");
}

/// A delete waits for a transaction that adds an item further down, and then for one that wants to add another below that.
#[tokio::test]
async fn a_delete_locks_what_was_added_while_it_waited() {
    if postgres::server().is_none() {
        return eprintln!("skipped: run `.ci/postgres cargo test --lib -- resource`");
    }
    let url = url().await;
    let world = world_at(TREES, &url).await.unwrap();
    let branches = world.of("branches");
    assert_eq!((make(branches, "a", "").await, make(branches, "b", "a").await), (201, 201));
    let (adds, holds, looks) = (connect(&url).await, connect(&url).await, connect(&url).await);
    // The delete stops after it has copied the rows.
    let key = 4_711_000 + i64::from(std::process::id());
    looks
        .batch_execute(&format!(
            "CREATE FUNCTION pauses() RETURNS trigger LANGUAGE plpgsql \
             AS 'BEGIN PERFORM pg_advisory_xact_lock({key}); RETURN NULL; END'; \
             CREATE TRIGGER pauses AFTER INSERT ON _gw_deleted_branches FOR EACH STATEMENT EXECUTE FUNCTION pauses()"
        ))
        .await
        .unwrap();
    holds.batch_execute(&format!("SELECT pg_advisory_lock({key})")).await.unwrap();
    adds.batch_execute("BEGIN; INSERT INTO branches (id, parent, _version) VALUES ('c', 'b', 1)").await.unwrap();
    let other = async {
        let done = Cell::new(false);
        waiting(&looks, "%", &done).await;
        adds.batch_execute("COMMIT").await.unwrap();
        waiting(&looks, "advisory", &done).await;
        let add = async {
            let sql = "INSERT INTO branches (id, parent, _version) VALUES ('d', 'c', 1)";
            let added = adds.batch_execute(sql).await.is_ok();
            done.set(true);
            added
        };
        let release = async {
            waiting(&looks, "t%", &done).await;
            holds.batch_execute(&format!("SELECT pg_advisory_unlock({key})")).await.unwrap();
        };
        join(add, release).await.0
    };
    let (status, added) = join(delete(branches, "a"), other).await;
    assert_eq!(status, 204);
    assert_eq!(kept(&world, "_").await, if added { 4 } else { 3 });
    assert!(!added, "its parent is locked, and then gone");
    assert_eq!(world.count("SELECT count(*) FROM branches").await, 0);
}
