//! `POST /api/orders` into SQLite: one thread writes, and concurrent requests share its commits.

use crate::Failure;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Maximum number of orders per commit, and of waiting orders.
const BATCH: usize = 64;
const WAITING: usize = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    amount: i64,
}

#[derive(Clone, Serialize)]
struct Order {
    id: String,
    name: String,
    amount: i64,
}

type Job = (Order, oneshot::Sender<bool>);

pub fn router(database: &str) -> Result<Router, Failure> {
    let connection = Connection::open(database)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16000;")?;
    let columns = "id TEXT PRIMARY KEY NOT NULL, name TEXT, amount INTEGER";
    connection.execute_batch(&format!("CREATE TABLE orders ({columns}) STRICT, WITHOUT ROWID"))?;
    let (sender, jobs) = sync_channel(WAITING);
    std::thread::spawn(move || write(&connection, &jobs));
    Ok(Router::new().route("/api/orders", post(create)).with_state(sender))
}

async fn create(State(orders): State<SyncSender<Job>>, Json(new): Json<New>) -> Response {
    if new.name.is_empty() || new.name.chars().count() > 100 {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let order = Order { id: Uuid::now_v7().to_string(), name: new.name, amount: new.amount };
    let (answer, stored) = oneshot::channel();
    if orders.try_send((order.clone(), answer)).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match stored.await {
        Ok(true) => {
            (StatusCode::CREATED, [(LOCATION, format!("/api/orders/{}", order.id))], Json(order)).into_response()
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn write(connection: &Connection, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let batch: Vec<Job> = std::iter::once(first).chain(jobs.try_iter()).take(BATCH).collect();
        let stored = store(connection, &batch).is_ok();
        for (_, answer) in batch {
            let _ = answer.send(stored);
        }
    }
}

fn store(connection: &Connection, batch: &[Job]) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    for (order, _) in batch {
        let mut insert = transaction.prepare_cached("INSERT INTO orders (id, name, amount) VALUES (?1, ?2, ?3)")?;
        insert.execute((&order.id, &order.name, order.amount))?;
    }
    transaction.commit()
}
