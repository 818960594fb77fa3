//! The REST API of a resource: requests in, statements to the store, answers out.

mod address;
mod change;
mod conditions;
mod create;
mod delete;
mod failure;
mod links;
mod list;
mod proposal;
mod read;
#[cfg(test)]
mod tests;

use super::digest::Digest;
use super::field_type;
use super::measure::{Running, Statements};
use super::media;
use super::model::Model;
use super::password::Hasher;
use super::store::{Error, Param, Row, Rows, Statement, Store};
use super::validate::{ID_DEMAND, Purpose, is_id};
use super::watch::Watch;
use crate::config::document::resource::{IdKind, Operation, Patch, Put};
use gatewright_sdk::{Body, Detail, Facts, HttpService, Problem, Reply, Request, Response};
use http::header::{ALLOW, HeaderName};
use http::{HeaderValue, Method, StatusCode};
use std::future::Future;
use std::sync::Arc;
use tracing::field::Empty;
use tracing::{Instrument, Span};

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const POSTED: HeaderValue = HeaderValue::from_static("application/json");
const PATCHED: HeaderValue = HeaderValue::from_static("application/merge-patch+json");

/// What every handler works with.
struct Api {
    model: Arc<Model>,
    store: Arc<Store>,
    hasher: Arc<Hasher>,
    statements: Arc<Statements>,
    /// The table, to know what was written since.
    watch: Arc<Watch>,
    /// What all tags of lists begin with: how a list looks.
    list_tags: Digest,
}

/// The API of `model`, for the collection and its items: a request with a path parameter `id` is about an item.
pub fn service(model: Arc<Model>, store: Arc<Store>, hasher: Arc<Hasher>, statements: Arc<Statements>) -> HttpService {
    let (watch, list_tags) = (store.watch(&model.table.name), list::tags(&model));
    let api = Arc::new(Api { model, store, hasher, statements, watch, list_tags });
    HttpService::from_call(move |request| answer(&api, request))
}

/// Response headers that a browser's script may want to read.
pub const fn exposed_headers() -> &'static [&'static str] {
    &["ETag", "Link", "Location", "X-Total-Count", "X-Total-Count-Exceeds", "Retry-After"]
}

fn answer(api: &Arc<Api>, request: Request) -> Reply {
    let model = &api.model;
    let on_item = Facts::of(&request).parameter("id").is_some();
    let method = request.method().clone();
    let head = method == Method::HEAD;
    let reply = match (method, on_item) {
        (Method::GET | Method::HEAD, true) if model.has(Operation::Read) => read::answer(api, &request),
        (Method::GET | Method::HEAD, false) if model.has(Operation::List) => list::answer(api, &request),
        (Method::POST, false) if model.has(Operation::Create) => create::answer(api, request),
        (Method::PUT, true) if model.has(Operation::Update) && model.put != Put::None => {
            let purpose = if model.put == Put::Merge { Purpose::Merge } else { Purpose::Replace };
            change::answer(api, request, purpose)
        }
        (Method::PATCH, true) if model.has(Operation::Update) && model.patch != Patch::None => {
            change::answer(api, request, Purpose::Merge)
        }
        (Method::DELETE, true) if model.has(Operation::Delete) => delete::answer(api, &request),
        (Method::OPTIONS, _) => return Reply::ready(options(model, on_item)),
        _ => return Reply::ready(Problem::method_not_allowed(allow(model, on_item).clone())),
    };
    if head { reply.map(super::reply::without_body) } else { reply }
}

fn allow(model: &Model, on_item: bool) -> &HeaderValue {
    if on_item { &model.allow_item } else { &model.allow_collection }
}

fn options(model: &Model, on_item: bool) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ALLOW, allow(model, on_item).clone());
    if !on_item && model.has(Operation::Create) {
        headers.insert(ACCEPT_POST, POSTED);
    }
    if on_item && model.has(Operation::Update) && model.patch != Patch::None {
        headers.insert(ACCEPT_PATCH, PATCHED);
    }
    response
}

impl Api {
    fn statement(&self, sql: super::sql::Sql) -> Statement {
        Statement { sql: sql.text.into(), parameters: sql.parameters, deadline: self.model.timeout }
    }

    /// The span around what a request does with the resource.
    fn span(&self, operation: &'static str) -> Span {
        tracing::info_span!(
            target: "gatewright::resource", "resource",
            otel.name = format_args!("{operation} {}", self.model.name),
            gateway.resource = &*self.model.name, gateway.operation = operation,
        )
    }

    /// The span around what is asked of the store. `text` has no values in it; where it is known only later, it is
    /// recorded as `db.query.text`.
    fn sql_span(&self, operation: &'static str, text: Option<&str>) -> Span {
        let summary = format_args!("{operation} {}", self.model.table.name);
        tracing::info_span!(
            target: "gatewright::sql", "sql",
            otel.name = summary, otel.kind = "client", otel.status_code = Empty, error.type = Empty,
            db.system.name = self.store.system(), db.operation.name = operation,
            db.collection.name = &*self.model.table.name, db.query.summary = summary, db.query.text = text,
        )
    }
}

/// Waits for the store inside `span`, which tells how it went, as does what is `running`.
async fn within<T>(running: Running<'_>, span: Span, job: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let outcome = job.instrument(span.clone()).await;
    running.ends(&outcome);
    note(&span, &outcome);
    outcome
}

fn note<T>(span: &Span, outcome: &Result<T, Error>) {
    if let Err(error) = outcome {
        span.record("otel.status_code", "error");
        span.record("error.type", error.kind());
    }
}

/// Tells in the span of a job which statements it ran: the one that looked, and the one that wrote.
fn told(span: &Span, select: &str, write: Option<&str>) {
    match write {
        None => span.record("db.query.text", select),
        Some(write) => span.record("db.query.text", tracing::field::display(format_args!("{select}; {write}"))),
    };
}

/// Refuses a client that takes no JSON.
fn check_accept(request: &Request) -> Result<(), Problem> {
    if media::takes_json(request.headers()) { Ok(()) } else { Err(Problem::not_acceptable()) }
}

/// The id of the path as the store keeps it: one spelling per item.
fn path_id(model: &Model, request: &Request) -> Result<Param, Problem> {
    let text = Facts::of(request).parameter("id").unwrap_or_default();
    let (id, demand) = match model.id {
        IdKind::Uuid => (field_type::uuid(text).map(Param::Text), "must be a UUID"),
        IdKind::Integer => {
            let digits = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
            (text.parse().ok().filter(|_| digits).map(Param::Integer), "must be an integer of at least 1")
        }
        IdKind::String => (is_id(text).then(|| Param::Text(text.to_owned())), ID_DEMAND),
    };
    id.ok_or_else(|| super::refusal::refusal(vec![Detail::new("id", "format", demand)]))
}

/// A row that was put together here, as if a statement had returned it.
struct Built<'a> {
    version: i64,
    id: &'a Param,
    fields: &'a [Param],
}

impl Row for Built<'_> {
    fn cell(&self, column: usize) -> super::store::Cell<'_> {
        use super::store::Cell;
        let value = match column {
            0 => return Cell::Integer(self.version),
            1 => Some(self.id),
            other => self.fields.get(other.saturating_sub(super::sql::FIRST_FIELD)),
        };
        match value {
            None | Some(Param::Null) => Cell::Null,
            Some(Param::Integer(number)) => Cell::Integer(*number),
            Some(Param::Real(number)) => Cell::Real(*number),
            Some(Param::Text(text)) => Cell::Text(text),
        }
    }
}

/// A cell to keep.
fn owned(cell: super::store::Cell<'_>) -> Param {
    use super::store::Cell;
    match cell {
        Cell::Null => Param::Null,
        Cell::Integer(number) => Param::Integer(number),
        Cell::Real(number) => Param::Real(number),
        Cell::Text(text) => Param::Text(text.to_owned()),
    }
}

/// Version and fields of the only row, if there is one.
fn whole_row(rows: &mut dyn Rows, count: usize) -> Result<Option<(i64, Vec<Param>)>, Error> {
    let Some(row) = rows.next()? else { return Ok(None) };
    let fields = (0..count).map(|at| owned(row.cell(at.saturating_add(super::sql::FIRST_FIELD)))).collect();
    Ok(Some((super::reply::version(row), fields)))
}
