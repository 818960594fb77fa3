//! POST to the collection: a new item.

use super::address;
use super::api::{Api, within};
use super::input::{ACCEPT_POST, POSTED, check_accept};
use super::row::Built;
use crate::config::document::resource::{Generate, IdKind};
use crate::etag::tag;
use crate::resource::body;
use crate::resource::field::{Field, Source};
use crate::resource::field_type::FieldType;
use crate::resource::idempotency::{self, Attempt, REPLAYED, Replay};
use crate::resource::media;
use crate::resource::model::Model;
use crate::resource::moment::Moment;
use crate::resource::predicate::Predicate;
use crate::resource::query;
use crate::resource::refusal::refusal;
use crate::resource::reply::{self, Selection};
use crate::resource::sql::ID;
use crate::resource::store::{Decision, Error, Found, Param, Statement, only};
use crate::resource::validate::{self, Purpose, Values};
use crate::resource::version;
use gatewright_sdk::{ClientKey, Facts, Identity, Problem, Reply, Request, Response};
use http::header::{ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use tracing::Instrument;
use zeroize::Zeroizing;

pub(super) fn answer(api: &Arc<Api>, request: Request) -> Reply {
    let span = api.span("create");
    let prepared = match span.in_scope(|| prepare(&api.model, &request)) {
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
}

fn prepare(model: &Model, request: &Request) -> Result<Prepared, Problem> {
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
    query::none(request.uri().query())?;
    Ok(Prepared { condition, key: idempotency::key(model, request.headers())? })
}

async fn create(
    api: &Arc<Api>,
    request: Request,
    Prepared { condition, key }: Prepared,
    identity: Option<&Identity>,
) -> Result<Response, Problem> {
    let (collection, client) = (request.uri().path().to_owned(), ClientKey::of(Facts::of(&request).client.ip));
    let values = api.values(request, Purpose::Create).await?;
    let attempt = key.map(|key| Attempt::new(&api.model, key, identity, &collection, &values));
    if let Some(attempt) = &attempt
        && let Some(replay) = api.replay(attempt).await?
    {
        return Ok(replayed(&api.model, &collection, replay));
    }
    place(api, (&collection, client), values, (condition, attempt), identity).await
}

/// Stores a new item after its values were validated.
async fn place(
    api: &Arc<Api>,
    (collection, client): (&str, ClientKey),
    values: Values,
    (condition, attempt): (Option<Predicate>, Option<Attempt>),
    identity: Option<&Identity>,
) -> Result<Response, Problem> {
    let model = &api.model;
    let (id, mut fields) = row(model, values, identity, Moment::now())?;
    check(condition.as_ref(), id.as_ref().unwrap_or(&Param::Null), &fields)?;
    if model
        .fields
        .iter()
        .zip(&fields)
        .any(|(field, value)| matches!((&field.kind, value), (FieldType::Password, Param::Text(_))))
    {
        // Hashing is expensive: a request that will be rejected anyway is rejected first. The unique index still decides.
        api.check_taken(id.as_ref(), true, &fields).await?;
        for (position, value) in fields.iter_mut().enumerate() {
            api.hash(client, position, value).await?;
        }
    }
    let version = version::fresh();
    let id = match attempt {
        None => insert(api, version, id, &fields).await.map_err(|error| api.failure(&error))?,
        Some(attempt) => match insert_once(api, version, id, &fields, attempt).await? {
            Ok(id) => id,
            Err(replay) => return Ok(replayed(model, collection, replay)),
        },
    };
    Ok(created(model, collection, &Built { version, id: &id, fields: &fields }))
}

/// Whether the caller may create such a row.
pub(super) fn check(condition: Option<&Predicate>, id: &Param, fields: &[Param]) -> Result<(), Problem> {
    match condition {
        Some(condition) if !condition.holds(id, fields) => Err(Problem::forbidden().log_reason("access_rule")),
        _ => Ok(()),
    }
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

/// The response to a create that was done before.
fn replayed(model: &Model, path: &str, replay: Replay) -> Response {
    let mut response = reply::json(StatusCode::CREATED, replay.body, model.rules.create.asks_who());
    let headers = response.headers_mut();
    headers.insert(ETAG, replay.tag);
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    if let Ok(location) = HeaderValue::try_from(address::of_item(path, &replay.item)) {
        headers.insert(LOCATION, location);
    }
    response
}

/// The id, if it is known before the insert, and all values of the new row.
pub(super) fn row(
    model: &Model,
    values: Values,
    identity: Option<&Identity>,
    at: Moment,
) -> Result<(Option<Param>, Vec<Param>), Problem> {
    let id = match (model.id, model.generate) {
        (IdKind::Uuid, Generate::V4) => Some(Param::Text(uuid::Uuid::new_v4().to_string())),
        (IdKind::Uuid, _) => Some(Param::Text(uuid::Uuid::now_v7().to_string())),
        (IdKind::Integer, _) => None,
        (IdKind::String, _) => values.id,
    };
    let mut row = Vec::with_capacity(model.fields.len());
    for (field, given) in model.fields.iter().zip(values.fields) {
        row.push(match (given, field.on_create.as_ref().or(field.default.as_ref())) {
            (Some(given), _) => given,
            (None, Some(source)) => provided(field, source, identity, at)?,
            (None, None) => Param::Null,
        });
    }
    Ok((id, row))
}

/// The value of `source` for `field`. The request is rejected if it is a claim that does not match the field's type, or one that
/// is absent while the field must not be null.
pub(super) fn provided(
    field: &Field,
    source: &Source,
    identity: Option<&Identity>,
    at: Moment,
) -> Result<Param, Problem> {
    if let Some(reason) = source.misfit(field, identity) {
        return Err(Problem::forbidden().log_reason(reason));
    }
    match (source.value(field, identity, at), source) {
        (Param::Null, _) if field.nullable => Ok(Param::Null),
        (Param::Null, Source::Claim(name)) if field.read_only || field.hidden => {
            Err(Problem::forbidden().log_reason(format!("claim_missing:{name}")))
        }
        (Param::Null, _) => Err(refusal(vec![field.broken("required", "is required")])),
        (value, _) => Ok(value),
    }
}

async fn insert(api: &Arc<Api>, version: i64, id: Option<Param>, fields: &[Param]) -> Result<Param, Error> {
    let sql = api.model.sql.insert(version, id, fields);
    let span = api.sql_span("INSERT", Some(&sql.text));
    let job = api.store.execute(api.model.timeout, sql);
    match within(api.statements.begin("INSERT"), span, job).await?.first {
        Param::Null => {
            Err(Error::Internal("no row was inserted: a trigger or a rule of the database prevents it".into()))
        }
        id => Ok(id),
    }
}

/// Inserts the row and records the key, or finds that this was done before.
async fn insert_once(
    api: &Arc<Api>,
    version: i64,
    id: Option<Param>,
    fields: &[Param],
    attempt: Attempt,
) -> Result<Result<Param, Replay>, Problem> {
    let model = Arc::clone(&api.model);
    let sql = model.sql.insert(version, id.clone(), fields);
    let selection = Selection::all(&model.shape);
    // A number that the store counts up is not known yet; its place in the response is.
    let shown = id.clone().unwrap_or(Param::Integer(0));
    let mut body = Vec::with_capacity(256);
    reply::write_row(&mut body, &model.shape, &selection, &Built { version, id: &shown, fields });
    let tag = tag(version, selection.form);
    let span = api.sql_span("INSERT", Some(&sql.text));
    let looks = vec![attempt.look()];
    let decide = move |found| match attempt.judge(&model, only(found).as_ref()) {
        Ok(None) => {
            let record = attempt.remember(&model, id.as_ref().unwrap_or(&Param::Null), &tag, &body);
            Decision::run(std::iter::once(sql.clone()).chain(record).collect::<Vec<_>>(), Ok(None))
        }
        known => Decision::leave(known),
    };
    let job = api.store.write(api.model.timeout, looks, decide);
    let (known, done) = within(api.statements.begin("INSERT"), span, job).await.map_err(|error| api.failure(&error))?;
    match (known?, done.into_iter().next()) {
        (Some(replay), _) => Ok(Err(replay)),
        (None, Some(done)) if done.first != Param::Null => Ok(Ok(done.first)),
        (None, _) => Err(Problem::internal().log_reason("no_row_inserted")),
    }
}

impl Api {
    /// The response that a key stands for.
    async fn replay(&self, attempt: &Attempt) -> Result<Option<Replay>, Problem> {
        let look = attempt.look();
        let span = self.sql_span("SELECT", Some(&look.text));
        let find = self.store.query(self.statement(look), |rows| Ok(rows.next()?.map(Found::of)));
        let found = within(self.statements.begin("SELECT"), span, find).await.map_err(|error| self.failure(&error))?;
        attempt.judge(&self.model, found.as_ref())
    }

    /// Reads and validates the body.
    pub(super) async fn values(&self, request: Request, purpose: Purpose) -> Result<Values, Problem> {
        let bytes = body::read(request.into_body(), self.model.body_limit).await?;
        validate::judge(&self.model, body::parse(&bytes, &self.model.names)?, purpose)
    }

    /// 409 if another row than the one with `id` has a unique value, or if the id that a client chose for a new row is taken.
    pub(super) async fn check_taken(&self, id: Option<&Param>, is_new: bool, fields: &[Param]) -> Result<(), Problem> {
        if let (IdKind::String, true, Some(id)) = (self.model.id, is_new, id)
            && self.found(&self.model.sql.read, id).await?.is_some()
        {
            return Err(self.taken(&["id".to_owned()]));
        }
        for (position, sql) in &self.model.sql.taken {
            let Some((field, value)) = self.model.fields.get(*position).zip(fields.get(*position)) else { continue };
            if *value == Param::Null {
                continue;
            }
            if self.found(sql, value).await?.is_some_and(|found| Some(&found) != id) {
                return Err(self.taken(std::slice::from_ref(&field.name)));
            }
        }
        Ok(())
    }

    /// The id of the row that a statement finds by a value.
    async fn found(&self, sql: &Arc<str>, value: &Param) -> Result<Option<Param>, Problem> {
        let statement =
            Statement { sql: Arc::clone(sql), parameters: vec![value.clone()], deadline: self.model.timeout };
        let span = self.sql_span("SELECT", Some(sql));
        let found = self.store.query(statement, |rows| Ok(rows.next()?.map(|row| row.cell(ID).owned())));
        within(self.statements.begin("SELECT"), span, found).await.map_err(|error| self.failure(&error))
    }

    /// Replaces a password by its hash; other values stay.
    pub(super) async fn hash(&self, client: ClientKey, position: usize, value: &mut Param) -> Result<(), Problem> {
        let kind = self.model.fields.get(position).map(|field| &field.kind);
        if let (Some(FieldType::Password), Param::Text(password)) = (kind, &mut *value) {
            // Slow by design, and by far the longest part of a sign-up.
            let span = tracing::info_span!(target: "gatewright::resource", "hash password");
            let hashed = self.hasher.hash(client, Zeroizing::new(std::mem::take(password))).instrument(span).await;
            *value = Param::Text(hashed.map_err(|_| Problem::unavailable(1).log_reason("hasher_busy"))?);
        }
        Ok(())
    }
}
