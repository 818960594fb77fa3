//! PUT and PATCH of an item: compare, check the preconditions and write, all in one job of the store.

use super::{ACCEPT_PATCH, Api, Built, PATCHED, check_accept, create, path_id, told, whole_row, within};
use crate::config::document::resource::{Concurrency, IdKind, Operation};
use crate::resource::access::Predicate;
use crate::resource::body;
use crate::resource::etag::{Form, Match, Tags, tag};
use crate::resource::field::Field;
use crate::resource::media;
use crate::resource::model::Model;
use crate::resource::query;
use crate::resource::reply::{self, Selection};
use crate::resource::sql::Sql;
use crate::resource::store::{Error, Param, Writer};
use crate::resource::validate::{self, Purpose, Values};
use gatewright_sdk::{Detail, Facts, Identity, Problem, Reply, Request, Response};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{Method, StatusCode};
use std::sync::Arc;
use tracing::Instrument;

/// What a client demands of the item before it is written.
pub(super) struct Conditions {
    matches: Option<Tags>,
    none: Option<Tags>,
    required: bool,
    form: Form,
}

/// Why a write did not happen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Missing,
    /// The version there is now.
    Stale {
        version: i64,
        weakened: bool,
    },
    Unconditional,
    /// What would come of it breaks a rule.
    Invalid(Detail),
}

impl Conditions {
    pub(super) fn of(model: &Model, request: &Request) -> Result<Self, Problem> {
        let headers = request.headers();
        let (matches, required) = match model.concurrency {
            Concurrency::None => (None, false),
            Concurrency::Optional => (Tags::of(headers, &IF_MATCH)?, false),
            Concurrency::Required => (Tags::of(headers, &IF_MATCH)?, true),
        };
        Ok(Self { matches, none: Tags::of(headers, &IF_NONE_MATCH)?, required, form: Selection::all(model).form })
    }

    /// Judged after the row was found, before it is written (RFC 9110 section 13.2).
    pub(super) fn check(&self, version: i64) -> Result<(), Refusal> {
        match self.matches.as_ref().map(|tags| tags.covers(version)) {
            None if self.required => return Err(Refusal::Unconditional),
            Some(Match::No) => return Err(Refusal::Stale { version, weakened: false }),
            Some(Match::Weakened) => return Err(Refusal::Stale { version, weakened: true }),
            None | Some(Match::Yes) => {}
        }
        match &self.none {
            Some(tags) if tags.names(version, self.form) => Err(Refusal::Stale { version, weakened: false }),
            _ => Ok(()),
        }
    }
}

impl Refusal {
    pub(super) fn problem(self, model: &Model) -> Problem {
        match self {
            Self::Missing => Problem::not_found(),
            Self::Invalid(fault) => query::refusal(vec![fault]),
            Self::Unconditional => {
                let text = "If-Match with the ETag of the resource is required";
                Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition_required", text)
            }
            Self::Stale { version, weakened } => {
                let text = if weakened {
                    "The resource was changed by someone else: a proxy weakened the ETag"
                } else {
                    "The resource was changed by someone else"
                };
                Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", text)
                    .header(ETAG, tag(version, Selection::all(model).form))
            }
        }
    }
}

pub(super) fn answer(api: &Arc<Api>, request: Request, purpose: Purpose) -> Reply {
    let span = api.span("update");
    let (id, condition, conditions) = match prepare(&api.model, &request) {
        Ok(prepared) => prepared,
        Err(problem) => return Reply::ready(problem),
    };
    let api = Arc::clone(api);
    let identity = Facts::of(&request).identity.clone();
    let work = async move {
        match change(&api, request, purpose, id, condition, conditions, identity.as_deref()).await {
            Ok(response) => response,
            Err(problem) => problem.into(),
        }
    };
    Reply::pending(work.instrument(span))
}

fn prepare(model: &Model, request: &Request) -> Result<(Param, Option<Predicate>, Conditions), Problem> {
    if body::announced_too_long(request.body(), model.body_limit) {
        return Err(Problem::payload_too_large(model.body_limit));
    }
    let condition = model.rules.update.admit(model, request)?;
    if !media::sends_json(request.headers()) {
        return Err(if request.method() == Method::PATCH {
            let text = "Content-Type must be application/merge-patch+json or application/json";
            Problem::unsupported_media_type(text).header(ACCEPT_PATCH, PATCHED)
        } else {
            Problem::unsupported_media_type("Content-Type must be application/json")
        });
    }
    check_accept(request)?;
    let id = path_id(model, request)?;
    query::none(request.uri().query())?;
    Ok((id, condition, Conditions::of(model, request)?))
}

async fn change(
    api: &Arc<Api>,
    request: Request,
    purpose: Purpose,
    id: Param,
    condition: Option<Predicate>,
    conditions: Conditions,
    identity: Option<&Identity>,
) -> Result<Response, Problem> {
    let model = &api.model;
    let creation = creation(model, &request, purpose, &conditions);
    let values = api.values(request, purpose).await?;
    let new = creation.map(|rule| (rule, Values { id: Some(id.clone()), ..values.clone() }));
    let mut wanted = wanted(model, values, purpose, identity);
    for (position, value) in wanted.iter_mut().enumerate() {
        if let Some(value) = value {
            api.hash(position, value).await?;
        }
    }
    let stamps = stamps(model, identity);
    let select = model.sql.read_whole(id.clone(), condition.as_ref());
    let span = api.sql_span("UPDATE", None);
    let (job_span, job_model, job_id) = (span.clone(), Arc::clone(model), id.clone());
    let job = api.store.write(model.timeout, move |writer| {
        let mut update = None;
        let outcome = write(writer, &job_model, &select, &mut update, (&conditions, purpose), job_id, wanted, stamps);
        told(&job_span, &select.text, update.as_ref().map(|update| &*update.text));
        outcome
    });
    let outcome = within(api.statements.begin("UPDATE"), span, job).await.map_err(|error| api.failure(&error))?;
    let (version, fields) = match (outcome, new) {
        (Ok(found), _) => found,
        (Err(Refusal::Missing), Some((rule, values))) => {
            validate::complete(model, &values)?;
            return create::place(api, values, rule, identity).await;
        }
        (Err(refusal), _) => return Err(refusal.problem(model)),
    };
    let row = Built { version, id: &id, fields: &fields };
    let selection = Selection::all(model);
    Ok(reply::item(StatusCode::OK, model, &selection, &row, model.rules.update.asks_who()))
}

/// Whether a PUT may create what it does not find, and under which condition: where clients choose ids, and this one
/// may create (RFC 9110 section 9.3.4).
fn creation(model: &Model, request: &Request, purpose: Purpose, conditions: &Conditions) -> Option<Option<Predicate>> {
    let possible = model.id == IdKind::String && purpose == Purpose::Replace && model.has(Operation::Create);
    (possible && conditions.matches.is_none()).then(|| model.rules.create.admit(model, request).ok()).flatten()
}

/// The values the item is to have, by position; `None` for those that stay.
fn wanted(model: &Model, values: Values, purpose: Purpose, identity: Option<&Identity>) -> Vec<Option<Param>> {
    let falls_back = |field: &Field| {
        purpose == Purpose::Replace && field.updates && !field.read_only && !field.hidden && !field.write_only
    };
    let wanted = model.fields.iter().zip(values.fields).map(|(field, given)| {
        given.or_else(|| {
            falls_back(field)
                .then(|| field.default.as_ref().map_or(Param::Null, |source| source.value(&field.kind, identity)))
        })
    });
    wanted.collect()
}

/// What the server sets when something changes.
fn stamps(model: &Model, identity: Option<&Identity>) -> Vec<(usize, Param)> {
    let stamped = model.fields.iter().enumerate();
    stamped.filter_map(|(at, field)| Some((at, field.on_write.as_ref()?.value(&field.kind, identity)))).collect()
}

#[expect(clippy::too_many_arguments, reason = "one job, called once")]
fn write(
    writer: &mut Writer<'_>,
    model: &Model,
    select: &Sql,
    written: &mut Option<Sql>,
    (conditions, purpose): (&Conditions, Purpose),
    id: Param,
    wanted: Vec<Option<Param>>,
    stamps: Vec<(usize, Param)>,
) -> Result<Result<(i64, Vec<Param>), Refusal>, Error> {
    let count = model.fields.len();
    let found = writer.query(&select.text, &select.parameters, |rows| whole_row(rows, count))?;
    let Some((version, mut fields)) = found else { return Ok(Err(Refusal::Missing)) };
    if let Err(refusal) = conditions.check(version) {
        return Ok(Err(refusal));
    }
    let mut changes = Vec::new();
    for (at, (field, given)) in model.fields.iter().zip(wanted).enumerate() {
        let (Some(given), Some(current)) = (given, fields.get(at)) else { continue };
        let value = match purpose {
            Purpose::Merge => match field.merge(current, given) {
                Ok(value) => value,
                Err(fault) => return Ok(Err(Refusal::Invalid(fault))),
            },
            Purpose::Create | Purpose::Replace => given,
        };
        if value != *current {
            changes.push((at, value));
        }
    }
    if changes.is_empty() {
        return Ok(Ok((version, fields)));
    }
    changes.extend(stamps);
    let update = written.insert(model.sql.update(id, &changes));
    writer.execute(&update.text, &update.parameters)?;
    for (at, value) in changes {
        if let Some(field) = fields.get_mut(at) {
            *field = value;
        }
    }
    Ok(Ok((version.saturating_add(1), fields)))
}
