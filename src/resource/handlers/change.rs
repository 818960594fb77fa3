//! PUT and PATCH of an item: read, decide and write in one job of the store.

use super::api::{Api, told, within};
use super::conditions::Conditions;
use super::input::{ACCEPT_PATCH, PATCHED, check_accept, path_id};
use super::new_row::inserted;
use super::proposal::{Proposal, RowChange};
use super::references::{References, Sights};
use super::row::{Built, parts};
use super::under::Under;
use super::{address, create};
use crate::config::document::resource::{IdKind, Operation};
use crate::resource::audit::{self, Actor};
use crate::resource::body;
use crate::resource::media;
use crate::resource::model::Model;
use crate::resource::moment::Moment;
use crate::resource::predicate::Predicate;
use crate::resource::query;
use crate::resource::reply::{self, Selection};
use crate::resource::sessions;
use crate::resource::store::{Decision, Done, Error, Found, Param, Sql};
use crate::resource::validate::Purpose;
use crate::resource::version;
use gatewright_sdk::{ClientKey, Facts, Problem, Reply, Request, Response};
use http::{Method, StatusCode};
use std::sync::Arc;
use tracing::{Instrument, Span};

/// What is known about a request before its body is read.
struct Prepared {
    id: Param,
    /// The rows the caller may change.
    only: Option<Predicate>,
    /// What a row must fulfil afterwards.
    check: Option<Predicate>,
    conditions: Conditions,
    sights: Sights,
    /// The item in the path that this one belongs to.
    under: Option<Under>,
}

pub(super) fn answer(api: &Arc<Api>, request: Request, purpose: Purpose) -> Reply {
    let span = api.span("update");
    let prepared = match span.in_scope(|| prepare(api, &request)) {
        Ok(prepared) => prepared,
        Err(problem) => return Reply::ready(problem),
    };
    let api = Arc::clone(api);
    let work = async move {
        match change(&api, request, purpose, prepared).await {
            Ok(response) => response,
            Err(problem) => problem.into(),
        }
    };
    Reply::pending(work.instrument(span))
}

fn prepare(api: &Api, request: &Request) -> Result<Prepared, Problem> {
    let model = &api.model;
    if body::announced_too_long(request.body(), model.body_limit) {
        return Err(Problem::payload_too_large(model.body_limit));
    }
    // The span names the rule that was applied last, or that denied the request.
    let check = model.rules.update_check.as_ref().map(|rule| model.admit(rule, request)).transpose()?;
    let only = model.admit(&model.rules.update, request)?;
    let check = check.unwrap_or_else(|| only.clone());
    if !media::sends_json(request.headers()) {
        return Err(if request.method() == Method::PATCH {
            let text = "Content-Type must be application/merge-patch+json or application/json";
            Problem::unsupported_media_type(text).header(ACCEPT_PATCH, PATCHED)
        } else {
            Problem::unsupported_media_type("Content-Type must be application/json")
        });
    }
    media::check_coding(request.headers())?;
    check_accept(request)?;
    let under = Under::of(api, request)?;
    let id = path_id(model, request)?;
    query::none(request.uri().query())?;
    let only = Predicate::and(under.as_ref().map(Under::condition).transpose()?, only);
    let (conditions, sights) = (Conditions::of(model, request)?, api.relations.sights(request));
    Ok(Prepared { id, only, check, conditions, sights, under })
}

async fn change(
    api: &Arc<Api>,
    request: Request,
    purpose: Purpose,
    Prepared { id, only, check, conditions, sights, under }: Prepared,
) -> Result<Response, Problem> {
    let model = &api.model;
    let creation = creation(model, &request, purpose, &conditions);
    // Only a PUT that may create needs the path of the collection.
    let collection = creation.is_some().then(|| address::collection_of(request.uri().path()).to_owned());
    let facts = Facts::of(&request);
    let (identity, address) = (facts.identity.clone(), facts.client.ip);
    let client = ClientKey::of(address);
    let given = api.values(request, purpose).await?;
    let (model, id) = (Arc::clone(model), id);
    let (at, version) = (Moment::now(), version::fresh());
    let references = References::default();
    let mut proposal =
        Proposal { model, purpose, id, given, identity, at, conditions, check, creation, version, under, references };
    proposal.references = proposal.references(api, &sights, References::default())?;
    let select = api.model.sql.read_whole(proposal.id.clone(), only.as_ref());
    hash(api, client, &select, &mut proposal).await?;
    let subject = proposal.identity.as_ref().map(|identity| identity.subject.clone());
    let (outcome, id) = write(api, select, proposal).await.map_err(|error| api.write_failure(&error))?;
    let (change, ended) = outcome?;
    if let Some(ended) = ended {
        let actor = Actor { subject: subject.as_deref(), client: address };
        audit::password_changed(&api.model.name, &sessions::text(&id), &actor, ended);
    }
    let row = Built { version: change.version, id: &id, fields: &change.fields };
    if change.is_new {
        return Ok(create::created(&api.model, &collection.unwrap_or_default(), &row));
    }
    let asks_who = api.model.rules.update_asks_who();
    let shape = &api.model.shape;
    Ok(reply::item(StatusCode::OK, shape, &Selection::all(shape), &row, asks_who))
}

/// Whether a PUT may create a missing item, and under which condition: if clients choose ids and this one may create
/// (RFC 9110 section 9.3.4).
fn creation(model: &Model, request: &Request, purpose: Purpose, conditions: &Conditions) -> Option<Option<Predicate>> {
    let possible = model.id == IdKind::String && purpose == Purpose::Replace && model.has(Operation::Create);
    (possible && !conditions.names_versions()).then(|| model.condition(&model.rules.create, request).ok()).flatten()
}

/// Replaces a password by its hash. Hashing takes long, so a request that will be rejected anyway is rejected first, by a
/// look at the current row. The write checks again.
async fn hash(api: &Arc<Api>, client: ClientKey, select: &Sql, proposal: &mut Proposal) -> Result<(), Problem> {
    if !proposal.has_password() {
        return Ok(());
    }
    let span = api.sql_span("SELECT", Some(&select.text));
    let look = api.store.query(api.statement(select.clone()), |rows| Ok(rows.next()?.map(Found::of).map(parts)));
    let found = within(api.statements.begin("SELECT"), span, look).await.map_err(|error| api.failure(&error))?;
    let referred = api.look(&proposal.references).await?;
    let change = proposal.decide(found, referred)?;
    api.check_taken(Some(&proposal.id), change.is_new, &change.fields).await?;
    for (position, value) in proposal.given.fields.iter_mut().enumerate() {
        if let Some(value) = value {
            api.hash(client, position, value).await?;
        }
    }
    Ok(())
}

/// Reads, decides and writes, without interference. Returns the id.
async fn write(api: &Arc<Api>, select: Sql, proposal: Proposal) -> Result<(Result<Written, Problem>, Param), Error> {
    let span = api.sql_span("UPDATE", None);
    let (job_span, id, changes_password) = (span.clone(), proposal.id.clone(), proposal.changes_password());
    let looks = std::iter::once(&select).chain(proposal.references.statements()).cloned().collect();
    let decide = move |found| decide(&job_span, &select, &proposal, found);
    let job = api.store.write(api.model.timeout, looks, decide);
    let (outcome, done) = within(api.statements.begin("UPDATE"), span, job).await?;
    let ended = outcome.map(|change| {
        let ended = done
            .get(done.len().wrapping_sub(2))
            .filter(|_| changes_password && !change.is_new)
            .map(|done| done.changed);
        (change, ended)
    });
    Ok((ended, id))
}

/// The change, and how many sessions it ended if it changed a password.
type Written = (RowChange, Option<u64>);

fn decide(
    span: &Span,
    select: &Sql,
    proposal: &Proposal,
    found: Vec<Option<Found>>,
) -> Decision<Result<RowChange, Problem>> {
    let mut found = found.into_iter();
    let own = found.next().flatten();
    let change = match proposal.decide(own.map(parts), found) {
        Ok(change) => change,
        Err(problem) => {
            told(span, &select.text, None);
            return Decision::leave(Err(problem));
        }
    };
    let statement = change.statement(&proposal.model.sql);
    told(span, &select.text, statement.as_ref().map(|sql| &*sql.text));
    let mut statements: Vec<Sql> = statement.into_iter().collect();
    let mut none = Vec::new();
    if !change.is_new && proposal.changes_password() {
        // The session of the caller stays.
        let sid = proposal.identity.as_ref().and_then(|identity| identity.claims.get("sid")?.as_str());
        let model = &proposal.model;
        let end = sessions::end_all(model.sql.dialect(), &model.table.name, &proposal.id, sid);
        none.push((statements.len().saturating_add(1), sessions::not_ended()));
        statements.extend(end);
    }
    if statements.is_empty() {
        return Decision::leave(Ok(change));
    }
    let is_new = change.is_new;
    Decision::run(statements, Ok(change)).none(none).checked(move |done| match (is_new, done.first()) {
        (true, Some(done)) => inserted(done).map(drop),
        (_, done) => Done::wrote(done, "changed"),
    })
}
