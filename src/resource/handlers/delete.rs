//! DELETE of an item.

use super::api::{Api, told, within};
use super::conditions::Conditions;
use super::input::path_id;
use super::under::Under;
use crate::resource::contract::discarded;
use crate::resource::moment::Moment;
use crate::resource::predicate::Predicate;
use crate::resource::query;
use crate::resource::reply::{self, version};
use crate::resource::sessions;
use crate::resource::sql::Refused;
use crate::resource::store::{Decision, Done, Error, Found, Param, Sql, only};
use gatewright_sdk::{Problem, Reply, Request};
use http::StatusCode;
use std::sync::Arc;
use tracing::{Instrument, Span};

pub(super) fn answer(api: &Arc<Api>, request: &Request) -> Reply {
    let span = api.span("delete");
    let (id, condition, conditions) = match span.in_scope(|| prepare(api, request)) {
        Ok(prepared) => prepared,
        Err(problem) => return Reply::ready(problem),
    };
    let api = Arc::clone(api);
    let work = async move {
        let model = &api.model;
        let select = model.sql.read_whole(id.clone(), condition.as_ref());
        let mut statements = api.relations.cascade.statements(&id, Moment::now());
        let before = statements.len();
        statements.push(model.sql.delete(id.clone()));
        if model.has_passwords() {
            statements.push(sessions::end_all(&model.table.name, &id, None));
        }
        let mut none = api.relations.cascade.none();
        let alone = statements.len() == 1;
        if !alone {
            // An item may be deleted with others of its resource, so of several statements, none shows whether it was.
            none.push((statements.len(), discarded("deleted")));
            statements.push(model.sql.refuse(id, Refused::There));
        }
        let deletes = Deletes { statements, at: before, none, alone };
        let span = api.sql_span("DELETE", None);
        let (told, looks) = (span.clone(), vec![select.clone()]);
        let decide = move |found| decide(&told, only(found), &select, &deletes, &conditions);
        let job = api.store.write(model.timeout, looks, decide);
        match within(api.statements.begin("DELETE"), span, job).await.map(|(outcome, _)| outcome) {
            Ok(Ok(())) => reply::empty(StatusCode::NO_CONTENT, model.rules.delete.asks_who()),
            Ok(Err(problem)) => problem.into(),
            // A delete takes no value that others could have.
            Err(Error::Unique(columns)) => {
                let reason = format!("a delete was rejected by a unique rule on {}", columns.join(", "));
                api.failure(&Error::Internal(reason)).into()
            }
            Err(error) => api.failure(&error).into(),
        }
    };
    Reply::pending(work.instrument(span))
}

fn prepare(api: &Api, request: &Request) -> Result<(Param, Option<Predicate>, Conditions), Problem> {
    let model = &api.model;
    let condition = model.admit(&model.rules.delete, request)?;
    let under = Under::of(api, request)?.map(|under| under.condition()).transpose()?;
    let condition = Predicate::and(under, condition);
    let id = path_id(model, request)?;
    query::none(request.uri().query())?;
    Ok((id, condition, Conditions::of(model, request)?))
}

struct Deletes {
    statements: Vec<Sql>,
    /// The position of the one that deletes the item itself.
    at: usize,
    /// Those that must count no rows.
    none: Vec<(usize, String)>,
    /// Whether it is the only one: then the number of rows tells whether it was carried out.
    alone: bool,
}

fn decide(
    span: &Span,
    found: Option<Found>,
    select: &Sql,
    deletes: &Deletes,
    conditions: &Conditions,
) -> Decision<Result<(), Problem>> {
    let checked = found.ok_or_else(Problem::not_found).and_then(|row| conditions.check(version(&row)));
    if let Err(problem) = checked {
        told(span, &select.text, None);
        return Decision::leave(Err(problem));
    }
    told(span, &select.text, deletes.statements.get(deletes.at).map(|sql| &*sql.text));
    let decision = Decision::run(deletes.statements.clone(), Ok(()));
    match deletes.alone {
        true => decision.checked(|done| Done::wrote(done.first(), "deleted")),
        false => decision.none(deletes.none.clone()),
    }
}
