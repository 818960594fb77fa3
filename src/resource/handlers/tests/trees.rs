//! Deletes of trees, items that refer to each other by `cascade`, while others add items to them.

use super::world::*;
use super::*;
use crate::resource::contract::OVERTAKEN;
use crate::resource::store::{Decision, Error, Sql};
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

/// Another program, and the process that serves it.
async fn connect(url: &str) -> (Client, i32) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let process = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    (client, process)
}

/// A process that waits for the transaction or a lock of this one.
fn behind(process: i32) -> String {
    format!("{process} = ANY (pg_blocking_pids(pid))")
}

/// Waits until there is such a process, or something is `done`.
async fn waiting(client: &Client, process: &str, done: &Cell<bool>) {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND {process}");
    for _ in 0..2000 {
        let found: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
        if found > 0 || done.get() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no statement waits for a lock");
}

/// A delete of `a` waits for a transaction that brings items below `b`, which is below `a`: after `enters`, `c` is below it. After the
/// delete has copied its rows, another transaction wants to add `d` below `c`.
async fn an_item_is_added_below_one_that_came_while_the_delete_waited(enters: &str) {
    let url = url().await;
    let world = world_at(TREES, &url).await.unwrap();
    let branches = world.of("branches");
    assert_eq!((make(branches, "a", "").await, make(branches, "b", "a").await), (201, 201));
    let moves = enters.starts_with("UPDATE");
    if moves {
        assert_eq!((make(branches, "x", "").await, make(branches, "c", "x").await), (201, 201));
    }
    let ((adds, adding), (holds, holding), (looks, _)) =
        (connect(&url).await, connect(&url).await, connect(&url).await);
    // The delete stops after it has copied the rows.
    let key = 4_711_000 + i64::from(std::process::id()) * 2 + i64::from(moves);
    looks
        .batch_execute(&format!(
            "CREATE FUNCTION pauses() RETURNS trigger LANGUAGE plpgsql \
             AS 'BEGIN PERFORM pg_advisory_xact_lock({key}); RETURN NULL; END'; \
             CREATE TRIGGER pauses AFTER INSERT ON _gw_deleted_branches FOR EACH STATEMENT EXECUTE FUNCTION pauses()"
        ))
        .await
        .unwrap();
    holds.batch_execute(&format!("SELECT pg_advisory_lock({key})")).await.unwrap();
    adds.batch_execute(&format!("BEGIN; {enters}")).await.unwrap();
    let other = async {
        let done = Cell::new(false);
        waiting(&looks, &behind(adding), &done).await;
        adds.batch_execute("COMMIT").await.unwrap();
        waiting(&looks, &behind(holding), &done).await;
        let add = async {
            let sql = "INSERT INTO branches (id, parent, _version) VALUES ('d', 'c', 1)";
            let added = adds.batch_execute(sql).await.is_ok();
            done.set(true);
            added
        };
        let release = async {
            waiting(&looks, &format!("pid = {adding}"), &done).await;
            holds.batch_execute(&format!("SELECT pg_advisory_unlock({key})")).await.unwrap();
        };
        join(add, release).await.0
    };
    let (status, added) = join(delete(branches, "a"), other).await;
    assert_eq!(status, 204);
    let before = if moves { 4 } else { 3 };
    assert_eq!(kept(&world, "_").await, if added { before + 1 } else { before }, "an item is lost");
    assert!(!added, "its parent is locked, and then gone");
    assert_eq!(world.count("SELECT count(*) FROM branches").await, 0);
}

#[tokio::test]
async fn a_delete_locks_what_was_added_or_moved_into_the_tree_while_it_waited() {
    if postgres::server().is_none() {
        return eprintln!("skipped: run `.ci/postgres cargo test --lib -- resource`");
    }
    let added = "INSERT INTO branches (id, parent, _version) VALUES ('c', 'b', 1)";
    an_item_is_added_below_one_that_came_while_the_delete_waited(added).await;
    let moved = "UPDATE branches SET parent = 'b', _version = 2 WHERE id = 'x'";
    an_item_is_added_below_one_that_came_while_the_delete_waited(moved).await;
}

/// A transaction that is overtaken this often and then goes through: the sequence keeps counting when it is rolled back.
async fn overtaken(times: u32) -> Result<(), Error> {
    let url = url().await;
    let (other, _) = connect(&url).await;
    other.batch_execute("CREATE SEQUENCE tries; CREATE TABLE done (id bigint)").await.unwrap();
    let store = Store::new(&url.parse().unwrap()).unwrap();
    let guard = format!("SELECT CAST(CASE WHEN nextval('tries') > {times} THEN '0' ELSE '{OVERTAKEN}' END AS integer)");
    let decide = move |_| Decision::run([Sql::new(&*guard, []), Sql::new("INSERT INTO done VALUES (1)", [])], ());
    let written = store.write(Duration::from_secs(20), Vec::new(), decide).await;
    let done: i64 = other.query_one("SELECT count(*) FROM done", &[]).await.unwrap().get(0);
    assert_eq!(done, i64::from(written.is_ok()));
    written.map(drop)
}

#[tokio::test]
async fn a_delete_that_others_overtake_again_and_again_goes_on_for_long_and_then_gives_up() {
    if postgres::server().is_none() {
        return eprintln!("skipped: run `.ci/postgres cargo test --lib -- resource`");
    }
    assert_eq!(overtaken(40).await, Ok(()));
    let lost = overtaken(u32::MAX).await.unwrap_err();
    assert!(matches!(&lost, Error::Unavailable(why) if why.contains("in an order with others")), "{lost}");
}

/// A delete waits for a transaction that moves a part of the tree elsewhere.
#[tokio::test]
async fn what_is_moved_out_of_a_tree_while_its_delete_waits_stays() {
    if postgres::server().is_none() {
        return eprintln!("skipped: run `.ci/postgres cargo test --lib -- resource`");
    }
    let url = url().await;
    let world = world_at(TREES, &url).await.unwrap();
    let branches = world.of("branches");
    for (id, parent) in [("a", ""), ("b", "a"), ("c", "b"), ("d", "a"), ("e", "")] {
        assert_eq!(make(branches, id, parent).await, 201);
    }
    let ((moves, moving), (looks, _)) = (connect(&url).await, connect(&url).await);
    moves.batch_execute("BEGIN; UPDATE branches SET parent = 'e', _version = 2 WHERE id = 'b'").await.unwrap();
    let other = async {
        waiting(&looks, &behind(moving), &Cell::new(false)).await;
        moves.batch_execute("COMMIT").await.unwrap();
    };
    let (status, ()) = join(delete(branches, "a"), other).await;
    assert_eq!(status, 204);
    let live = "SELECT count(*) FROM branches WHERE id IN ('b', 'c', 'e')";
    assert_eq!((world.count(live).await, world.count("SELECT count(*) FROM branches").await), (3, 3));
    assert_eq!(world.count("SELECT count(*) FROM \"_gw_deleted_branches\" WHERE id IN ('a', 'd')").await, 2);
    assert_eq!(kept(&world, "_").await, 5);
}
