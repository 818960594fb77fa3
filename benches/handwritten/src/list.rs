//! `GET /api/entries` from SQLite: a page of 20, and whether there is another.

use crate::Failure;
use crate::users::open;
use axum::extract::State;
use axum::http::header::LINK;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rusqlite::Connection;
use serde::Serialize;
use std::cell::RefCell;
use std::sync::Arc;

const PER_PAGE: usize = 20;
/// One more than a page, to find out whether there is another.
const LIMIT: i64 = 21;

#[derive(Serialize)]
struct Entry {
    id: String,
    name: String,
    rank: i64,
    created_at: String,
}

pub fn router(database: &str) -> Result<Router, Failure> {
    open(database)?;
    Ok(Router::new().route("/api/entries", get(entries)).with_state(Arc::from(database)))
}

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Runs on the runtime's thread, as for a row by primary key. It does not count rows: a handwritten service would keep
/// the count itself.
async fn entries(State(database): State<Arc<str>>) -> Response {
    let Ok(mut page) = find(&database) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let more = page.len() > PER_PAGE;
    page.truncate(PER_PAGE);
    let next = page.last().filter(|_| more);
    let link = next.map(|last| format!("</api/entries?after={}>; rel=\"next\"", last.id));
    let mut response = Json(page).into_response();
    if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
        response.headers_mut().insert(LINK, link);
    }
    response
}

fn find(database: &str) -> rusqlite::Result<Vec<Entry>> {
    CONNECTION.with_borrow_mut(|slot| {
        let connection = match slot {
            Some(connection) => connection,
            None => slot.insert(open(database)?),
        };
        let mut select =
            connection.prepare_cached("SELECT id, name, rank, created_at FROM entries ORDER BY id LIMIT ?1")?;
        let entry = |row: &rusqlite::Row<'_>| {
            Ok(Entry { id: row.get(0)?, name: row.get(1)?, rank: row.get(2)?, created_at: row.get(3)? })
        };
        select.query_map([LIMIT], entry)?.collect()
    })
}
