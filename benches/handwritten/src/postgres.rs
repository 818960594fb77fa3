//! `GET /api/people/{id}` and `GET /api/people` from PostgreSQL, the usual way: a pool that all threads share.

use crate::Failure;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LINK;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use serde::Serialize;
use tokio_postgres::{NoTls, Row};
use uuid::Uuid;

const PER_PAGE: usize = 20;

#[derive(Serialize)]
struct Person {
    id: Uuid,
    email: String,
    name: String,
    created_at: DateTime<Utc>,
}

impl Person {
    fn of(row: &Row) -> Self {
        Self { id: row.get(0), email: row.get(1), name: row.get(2), created_at: row.get(3) }
    }
}

pub fn router(url: &str) -> Result<Router, Failure> {
    let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let pool = Pool::builder(Manager::from_config(url.parse()?, NoTls, config)).max_size(16).build()?;
    Ok(Router::new().route("/api/people/{id}", get(person)).route("/api/people", get(people)).with_state(pool))
}

async fn person(State(pool): State<Pool>, Path(id): Path<Uuid>) -> Response {
    match find(&pool, id).await {
        Ok(Some(person)) => Json(person).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn find(pool: &Pool, id: Uuid) -> Result<Option<Person>, Failure> {
    let client = pool.get().await?;
    let select = client.prepare_cached("SELECT id, email, name, created_at FROM people WHERE id = $1").await?;
    Ok(client.query_opt(&select, &[&id]).await?.as_ref().map(Person::of))
}

/// A page of 20, and whether there is another. It does not count rows.
async fn people(State(pool): State<Pool>) -> Response {
    let Ok(mut page) = page(&pool).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let more = page.len() > PER_PAGE;
    page.truncate(PER_PAGE);
    let link = page.last().filter(|_| more).map(|last| format!("</api/people?after={}>; rel=\"next\"", last.id));
    let mut response = Json(page).into_response();
    if let Some(link) = link.and_then(|link| link.parse().ok()) {
        response.headers_mut().insert(LINK, link);
    }
    response
}

async fn page(pool: &Pool) -> Result<Vec<Person>, Failure> {
    let client = pool.get().await?;
    let select = client.prepare_cached("SELECT id, email, name, created_at FROM people ORDER BY id LIMIT 21").await?;
    Ok(client.query(&select, &[]).await?.iter().map(Person::of).collect())
}
