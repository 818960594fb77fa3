//! POST of `/restore` below a deleted item: brings it back, with what its delete took with it.

use super::api::{Api, told, within};
use super::conditions::Conditions;
use super::input::{check_accept, path_id};
use super::parents::Parents;
use super::row::{Built, parts};
use super::under::Under;
use crate::config::document::resource::Operation;
use crate::resource::access::Rule;
use crate::resource::body;
use crate::resource::field::Source;
use crate::resource::model::Model;
use crate::resource::moment::Moment;
use crate::resource::predicate::Predicate;
use crate::resource::query;
use crate::resource::reply::{self, Selection, version};
use crate::resource::store::{Decision, Error, Found, Param, Side, Sql};
use crate::resource::version;
use gatewright_sdk::{AppliedRule, Body, Problem, Reply, Request, Response};
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};
use std::sync::Arc;
use tracing::{Instrument, Span};

const ALLOWED: HeaderValue = HeaderValue::from_static("POST, OPTIONS");

pub(super) fn answer(api: &Arc<Api>, request: Request) -> Reply {
    let deleted = match (&api.deleted, request.method()) {
        (Some(_), &Method::OPTIONS) => return Reply::ready(options()),
        (Some(deleted), &Method::POST) if api.model.has(Operation::Restore) => deleted,
        (Some(_), _) => return Reply::ready(Problem::method_not_allowed(ALLOWED)),
        (None, _) => return Reply::ready(Problem::not_found()),
    };
    let span = api.span("restore");
    let minimal = super::prefer::minimal(&request);
    let reply = match span.in_scope(|| prepare(api, deleted, &request)) {
        Ok(asked) => {
            let (api, deleted) = (Arc::clone(api), Arc::clone(deleted));
            let body = request.into_body();
            let work = async move { restore(&api, &deleted, asked, body).await.unwrap_or_else(Response::from) };
            Reply::pending(work.instrument(span))
        }
        Err(problem) => Reply::ready(problem),
    };
    let reply = if minimal { reply.map(super::prefer::apply) } else { reply };
    let rule = &api.model.rules.restore;
    if matches!(**rule, Rule::Always) {
        return reply;
    }
    let rule = AppliedRule(rule.key);
    reply.map(move |response| {
        response.extensions_mut().insert(rule);
    })
}

fn options() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, ALLOWED);
    response
}

struct Asked {
    id: Param,
    /// The deleted items that the caller may restore.
    only: Option<Predicate>,
    conditions: Conditions,
    /// The items that the deleted one refers to.
    parents: Parents,
}

fn prepare(api: &Api, deleted: &Api, request: &Request) -> Result<Asked, Problem> {
    let model = &api.model;
    let only = model.admit(&model.rules.restore, request)?;
    check_accept(request)?;
    let under = Under::of(api, request)?.map(|under| under.condition()).transpose()?;
    let id = path_id(model, request)?;
    query::none(request.uri().query())?;
    let (only, parents) = (Predicate::and(under, only), Parents::of(api, deleted, request, &id));
    Ok(Asked { id, only, conditions: Conditions::of(model, request)?, parents })
}

/// The item as it is after the restore.
struct Restored {
    id: Param,
    version: i64,
    fields: Vec<Param>,
}

async fn restore(api: &Arc<Api>, deleted: &Api, asked: Asked, body: Body) -> Result<Response, Problem> {
    let model = &api.model;
    let body = body::read(body, model.body_limit).await?;
    if !matches!(body.trim_ascii(), b"" | b"{}") {
        return Err(Problem::validation("body: must be empty: an item comes back as it was deleted"));
    }
    let (version, at) = (version::fresh(), Moment::now());
    let select = deleted.model.sql.read_whole(asked.id.clone(), asked.only.as_ref());
    let looks = std::iter::once(&select).chain(asked.parents.statements()).cloned().collect();
    let statements = api.relations.restore.statements(&asked.id, version, at);
    let span = deleted.sql_span("INSERT", None);
    let (job_span, own) = (span.clone(), Arc::clone(model));
    let relations = Arc::clone(api);
    let decide = move |found| {
        let decision = decide(&job_span, &own, (&asked, &select, &statements), (version, at), found);
        if decision.statements.is_empty() {
            return decision;
        }
        let restore = &relations.relations.restore;
        decision.none(restore.none()).checked(restore.check())
    };
    let job = api.store.write(model.timeout, looks, decide);
    let restored = match within(api.statements.begin("INSERT"), span, job).await {
        Ok((restored, _)) => restored?,
        Err(error) => return Err(refused(api, &error)),
    };
    let row = Built { version: restored.version, id: &restored.id, fields: &restored.fields };
    let (shape, asks_who) = (&model.shape, model.rules.restore.asks_who());
    Ok(reply::item(StatusCode::OK, shape, &Selection::all(shape), &row, asks_who))
}

/// 409: what has happened since the delete is in the way.
fn refused(api: &Api, error: &Error) -> Problem {
    match error {
        Error::Unique(columns) => {
            let own = |column: &String| column == "id" || api.model.fields.iter().any(|field| field.name == *column);
            if columns.iter().all(own) {
                api.taken(columns)
            } else {
                Problem::conflict("A value of it is already taken")
            }
        }
        Error::Referenced(key) if key.side == Side::Neither => api.failure(error),
        Error::Referenced(_) => Problem::conflict("It refers to an item that does not exist, or was deleted"),
        error => api.failure(error),
    }
}

fn decide(
    span: &Span,
    model: &Model,
    (asked, select, statements): (&Asked, &Sql, &[Sql]),
    (new, at): (i64, Moment),
    found: Vec<Option<Found>>,
) -> Decision<Result<Restored, Problem>> {
    let mut found = found.into_iter();
    let own = found.next().flatten();
    let restored = own.ok_or_else(Problem::not_found).and_then(|row| {
        asked.conditions.check(version(&row))?;
        let id = crate::resource::store::Row::cell(&row, crate::resource::sql::ID).owned();
        let (_, mut fields) = parts(row);
        // The time of the delete comes last.
        fields.truncate(model.fields.len());
        asked.parents.check(model, &fields, found)?;
        for (field, value) in model.fields.iter().zip(&mut fields) {
            match &field.on_write {
                Some(Source::Now) => *value = Param::Text(at.datetime()),
                Some(Source::Today) => *value = Param::Text(at.date()),
                _ => {}
            }
        }
        Ok(Restored { id, version: new, fields })
    });
    // Others may come first, which lock the rows.
    let insert = || statements.iter().find(|sql| sql.text.starts_with("INSERT"));
    let write = restored.is_ok().then(insert).flatten();
    told(span, &select.text, write.map(|sql| &*sql.text));
    match restored {
        Ok(restored) => Decision::run(statements.to_vec(), Ok(restored)),
        Err(problem) => Decision::leave(Err(problem)),
    }
}
