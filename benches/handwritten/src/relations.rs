//! `GET /api/posts?expand=author_id` and `GET /api/authors/{id}/posts` from SQLite: pages of 20, with one query for each relation.

use crate::Failure;
use crate::users::open;
use axum::extract::{Path, State};
use axum::http::header::LINK;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

const PER_PAGE: usize = 20;

#[derive(Serialize, Clone)]
struct Author {
    id: String,
    name: String,
}

#[derive(Serialize)]
struct Post {
    id: String,
    author_id: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expand: Option<Expanded>,
}

#[derive(Serialize)]
struct Expanded {
    author_id: Option<Author>,
}

impl Post {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, author_id: row.get(1)?, title: row.get(2)?, expand: None })
    }
}

pub fn router(database: &str) -> Result<Router, Failure> {
    open(database)?;
    let routes = Router::new().route("/api/posts", get(posts)).route("/api/authors/{author_id}/posts", get(of_author));
    Ok(routes.with_state(Arc::from(database)))
}

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

fn with<T>(database: &str, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    CONNECTION.with_borrow_mut(|slot| {
        let connection = match slot {
            Some(connection) => connection,
            None => slot.insert(open(database)?),
        };
        ask(connection)
    })
}

async fn posts(State(database): State<Arc<str>>) -> Response {
    match with(&database, expanded) {
        Ok(found) => page(found, "/api/posts?expand=author_id&"),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The posts, and then their authors, each once.
fn expanded(connection: &Connection) -> rusqlite::Result<Vec<Post>> {
    let mut select = connection.prepare_cached("SELECT id, author_id, title FROM posts ORDER BY id LIMIT 21")?;
    let mut found: Vec<Post> = select.query_map([], Post::of)?.collect::<Result<_, _>>()?;
    let mut ids: Vec<&str> = found.iter().map(|post| post.author_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let marks = vec!["?"; ids.len()].join(", ");
    let mut select = connection.prepare_cached(&format!("SELECT id, name FROM authors WHERE id IN ({marks})"))?;
    let author = |row: &Row<'_>| Ok(Author { id: row.get(0)?, name: row.get(1)? });
    let mut authors = HashMap::with_capacity(ids.len());
    for author in select.query_map(params_from_iter(&ids), author)? {
        let author = author?;
        authors.insert(author.id.clone(), author);
    }
    for post in &mut found {
        post.expand = Some(Expanded { author_id: authors.get(&post.author_id).cloned() });
    }
    Ok(found)
}

async fn of_author(State(database): State<Arc<str>>, Path(author): Path<String>) -> Response {
    match with(&database, |connection| below(connection, &author)) {
        Ok(Some(found)) => page(found, &format!("/api/authors/{author}/posts?")),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// `None` if there is no such author.
fn below(connection: &Connection, author: &str) -> rusqlite::Result<Option<Vec<Post>>> {
    let mut select = connection.prepare_cached("SELECT 1 FROM authors WHERE id = ?1")?;
    if select.query_row([author], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let mut select = connection
        .prepare_cached("SELECT id, author_id, title FROM posts WHERE author_id = ?1 ORDER BY id LIMIT 21")?;
    select.query_map([author], Post::of)?.collect::<Result<_, _>>().map(Some)
}

/// A page of 20 with a link to the next one. It does not count rows.
fn page(mut found: Vec<Post>, address: &str) -> Response {
    let more = found.len() > PER_PAGE;
    found.truncate(PER_PAGE);
    let link = found.last().filter(|_| more).map(|last| format!("<{address}after={}>; rel=\"next\"", last.id));
    let mut response = Json(found).into_response();
    if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
        response.headers_mut().insert(LINK, link);
    }
    response
}
