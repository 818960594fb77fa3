//! POST to the collection: a new item.

use super::address;
use super::api::Api;
use super::belonging;
use super::bulk;
use super::input::{ACCEPT_POST, POSTED, check_accept};
use super::new_row::{Creator, insert, row_for};
use super::prefer::lenient;
use super::references::References;
use super::references::Sights;
use super::referring;
use super::repeats::replayed;
use super::row::Built;
use super::under::Under;
use crate::resource::body;
use crate::resource::idempotency::{self, Sent};
use crate::resource::media;
use crate::resource::model::Model;
use crate::resource::predicate::Predicate;
use crate::resource::query;
use crate::resource::reply::{self, Selection};
use crate::resource::validate::{self, Purpose, Values};
use gatewright_sdk::{ClientKey, Facts, Identity, Problem, Reply, Request, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use tracing::Instrument;

pub(super) fn answer(api: &Arc<Api>, request: Request) -> Reply {
    let span = api.span("create");
    let prepared = match span.in_scope(|| prepare(api, &request)) {
        Ok(prepared) => prepared,
        Err(problem) => return Reply::ready(problem),
    };
    let api = Arc::clone(api);
    let identity = Facts::of(&request).identity.clone();
    let work = async move {
        match create(&api, request, prepared, identity.as_deref()).await {
            Ok(response) => response,
            Err(problem) => problem.into(),
        }
    };
    Reply::pending(work.instrument(span))
}

/// What is known about a request before its body is read.
struct Prepared {
    /// What the new row must fulfil.
    condition: Option<Predicate>,
    /// The `Idempotency-Key`.
    key: Option<String>,
    sights: Sights,
    /// The item in the path that the new one belongs to.
    under: Option<Under>,
}

fn prepare(api: &Api, request: &Request) -> Result<Prepared, Problem> {
    let model = &api.model;
    if body::announced_too_long(request.body(), model.body_limit) {
        return Err(Problem::payload_too_large(model.body_limit));
    }
    let condition = model.admit(&model.rules.create, request)?;
    if !media::sends_json(request.headers()) {
        return Err(
            Problem::unsupported_media_type("Content-Type must be application/json").header(ACCEPT_POST, POSTED)
        );
    }
    media::check_coding(request.headers())?;
    check_accept(request)?;
    let under = Under::of(api, request)?;
    query::none(request.uri().query())?;
    let key = idempotency::key(model, request.headers())?;
    Ok(Prepared { condition, key, sights: api.relations.sights(request), under })
}

async fn create(
    api: &Arc<Api>,
    request: Request,
    Prepared { condition, key, sights, under }: Prepared,
    identity: Option<&Identity>,
) -> Result<Response, Problem> {
    let (collection, client) = (request.uri().path().to_owned(), ClientKey::of(Facts::of(&request).client.ip));
    let (creator, lenient) = (Creator { collection: &collection, client, identity, condition }, lenient(&request));
    let bytes = body::read(request.into_body(), api.model.body_limit).await?;
    if api.model.bulk.create && body::is_list(&bytes) {
        return bulk::create(api, &creator, (key, lenient), &bytes, (&sights, under.as_ref())).await;
    }
    let values = belonging::judge(&api.model, body::parse(&bytes, &api.model.names)?, (identity, under.as_ref()))?;
    let attempt = key.map(|key| api.attempt(key, identity, &collection, Sent::Item(&values)));
    if let Some(attempt) = &attempt
        && let Some(replay) = api.replay(attempt).await?
    {
        return Ok(replayed(&api.model, &collection, replay));
    }
    if !sights.iter().all(Option::is_none) {
        return Ok(match referring::store(api, &creator, values, (&sights, under), attempt).await? {
            Ok((row, id)) => created(&api.model, &collection, &row.stored_as(&id)),
            Err(replay) => replayed(&api.model, &collection, replay),
        });
    }
    let row = row_for(api, &creator, values).await?;
    let id = match attempt {
        None => insert(api, &row).await?,
        attempt => match referring::insert(api, &row, attempt, (References::default(), None)).await? {
            Ok(id) => id,
            Err(replay) => return Ok(replayed(&api.model, &collection, replay)),
        },
    };
    Ok(created(&api.model, &collection, &row.stored_as(&id)))
}

/// 201 with the item and its address in the collection at `path`.
pub(super) fn created(model: &Model, path: &str, row: &Built<'_>) -> Response {
    let selection = Selection::all(&model.shape);
    let mut response = reply::item(StatusCode::CREATED, &model.shape, &selection, row, model.rules.create.asks_who());
    if let Ok(location) = HeaderValue::try_from(address::of_item(path, &reply::id_text(row))) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

impl Api {
    /// Reads and validates the body of a change.
    pub(super) async fn values(&self, request: Request, purpose: Purpose) -> Result<Values, Problem> {
        let under = Under::of(self, &request)?;
        let bytes = body::read(request.into_body(), self.model.body_limit).await?;
        let entries = body::parse(&bytes, &self.model.names)?;
        match under {
            None => validate::judge(&self.model, entries, purpose),
            Some(under) => under.values(&self.model, entries, purpose),
        }
    }
}
