//! The REST API of a resource: requests in, statements to the store, responses out.

mod address;
pub(super) mod api;
mod belonging;
mod bulk;
mod change;
mod conditions;
mod create;
mod delete;
mod expand;
mod failure;
pub(super) mod input;
mod links;
mod list;
mod many;
mod new_row;
mod parents;
mod prefer;
mod proposal;
mod read;
mod references;
mod referring;
mod repeats;
mod restore;
mod row;
mod shared_references;
mod taken;
#[cfg(test)]
mod tests;
mod under;
mod upsert;

pub use self::api::Api;
use self::input::{ACCEPT_PATCH, ACCEPT_POST, PATCHED, POSTED};
use self::under::UnderField;
use super::access::Rule;
use super::measure::Statements;
use super::model::Model;
use super::password::Hasher;
use super::query;
use super::refusal::refusal;
use super::relations::Relations;
use super::store::Store;
use super::validate::Purpose;
use crate::config::document::resource::{Operation, Patch, Put};
use gatewright_sdk::{AppliedRule, Body, Detail, Facts, HttpService, Problem, Reply, Request, Response};
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};
use std::sync::Arc;

/// The state of the API of `model`. `all` are the resources of the document.
pub fn api(
    model: Arc<Model>,
    store: Arc<Store>,
    hasher: Arc<Hasher>,
    statements: Arc<Statements>,
    all: &[(String, Arc<Model>)],
) -> Arc<Api> {
    let made = |model: Arc<Model>, deleted| {
        let (watch, list_tags) = (store.watch(&model.table.name), list::tags(&model));
        let relations = Relations::of(&model, &store, all);
        let (store, hasher, statements) = (Arc::clone(&store), Arc::clone(&hasher), Arc::clone(&statements));
        Arc::new(Api { model, deleted, store, hasher, statements, relations, watch, list_tags })
    };
    let deleted = model.deleted.clone().filter(|_| model.shows_deleted()).map(|deleted| made(deleted, None));
    made(model, deleted)
}

/// The API for the collection at the path `at` and its items: a request with a path parameter `id` is about an item.
pub fn service(api: &Arc<Api>, at: &str) -> HttpService {
    let (api, segments) = (Arc::clone(api), segments(at));
    HttpService::from_call(move |request| answer(&api, request, segments))
}

/// The same for the items below one of another resource: the path has a parameter named like the field that refers to it.
pub fn service_under(api: &Arc<Api>, at: &str, field: &str) -> HttpService {
    let (api, segments, position) = (Arc::clone(api), segments(at), api.model.position(field));
    HttpService::from_call(move |mut request| match position {
        Some(position) => {
            request.extensions_mut().insert(UnderField(position));
            answer(&api, request, segments)
        }
        None => Reply::ready(Problem::internal()),
    })
}

/// Its items alone, whatever the path of a request, and no deleted ones.
pub(super) fn items(api: &Arc<Api>) -> HttpService {
    let api = Arc::clone(api);
    HttpService::from_call(move |request| match query::asks_for_deleted(request.uri().query()) {
        true => Reply::ready(refusal(vec![Detail::parameter("deleted", "unknown", "unknown parameter")])),
        false => answer(&api, request, usize::MAX),
    })
}

fn segments(path: &str) -> usize {
    path.trim_end_matches('/').matches('/').count()
}

/// Response headers that scripts in browsers may want to read.
pub const fn exposed_headers() -> &'static [&'static str] {
    &[
        "ETag",
        "Link",
        "Location",
        "X-Total-Count",
        "X-Total-Count-Exceeds",
        "Retry-After",
        "Idempotency-Replayed",
        "Preference-Applied",
    ]
}

/// `collection` is how many segments the path of the collection has: an item has one more, and what is below it has two more.
fn answer(api: &Arc<Api>, request: Request, collection: usize) -> Reply {
    let on_item = Facts::of(&request).parameter("id").is_some();
    if on_item && segments(request.uri().path()) > collection.saturating_add(1) {
        return restore::answer(api, request);
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let deleted = api.deleted.as_ref().filter(|_| query::asks_for_deleted(request.uri().query()));
    if let Some(deleted) = deleted.filter(|_| on_item && *request.method() == Method::DELETE)
        && api.model.has(Operation::Delete)
    {
        return delete::for_good(api, deleted, &request);
    }
    let api = deleted.filter(|_| reads).unwrap_or(api);
    let model = &api.model;
    let method = request.method().clone();
    let (head, minimal) = (method == Method::HEAD, prefer::minimal(&request));
    let rule = applied(model, &method, on_item);
    let reply = match (method, on_item) {
        (Method::GET | Method::HEAD, true) if model.has(Operation::Read) => read::answer(api, &request),
        (Method::GET | Method::HEAD, false) if model.has(Operation::List) => list::answer(api, &request),
        (Method::POST, false) if model.has(Operation::Create) => create::answer(api, request),
        (Method::PUT, false) if let Some(by) = model.bulk.upsert => upsert::answer(api, request, by),
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
    let reply = if minimal { reply.map(prefer::apply) } else { reply };
    let reply = if head { reply.map(super::reply::without_body) } else { reply };
    match rule {
        Some(rule) => reply.map(move |response| {
            response.extensions_mut().insert(rule);
        }),
        None => reply,
    }
}

/// The rule that decides about an operation, unless it is public.
fn applied(model: &Model, method: &Method, on_item: bool) -> Option<AppliedRule> {
    let rules = &model.rules;
    let rule = match (method.as_str(), on_item) {
        ("GET" | "HEAD", true) => &rules.read,
        ("GET" | "HEAD", false) => &rules.list,
        ("POST", false) => &rules.create,
        ("PUT", _) | ("PATCH", true) => &rules.update,
        ("DELETE", true) => &rules.delete,
        _ => return None,
    };
    (!matches!(**rule, Rule::Always)).then_some(AppliedRule(rule.key))
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
