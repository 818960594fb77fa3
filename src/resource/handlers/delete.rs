//! DELETE of an item.

use super::api::{Api, told, within};
use super::conditions::Conditions;
use super::input::path_id;
use super::under::Under;
use crate::resource::model::Model;
use crate::resource::moment::Moment;
use crate::resource::predicate::Predicate;
use crate::resource::query;
use crate::resource::reply::{self, version};
use crate::resource::sessions;
use crate::resource::store::{Decision, Found, Param, Sql, only};
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
        statements.push(model.sql.delete(id));
        let span = api.sql_span("DELETE", None);
        let (told, deleted) = (span.clone(), Arc::clone(model));
        let looks = vec![select.clone()];
        let decide = move |found| decide((&told, &deleted), only(found), &select, &statements, &conditions);
        let job = api.store.write(model.timeout, looks, decide);
        match within(api.statements.begin("DELETE"), span, job).await.map(|(outcome, _)| outcome) {
            Ok(Ok(())) => reply::empty(StatusCode::NO_CONTENT, model.rules.delete.asks_who()),
            Ok(Err(problem)) => problem.into(),
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

fn decide(
    (span, model): (&Span, &Model),
    found: Option<Found>,
    select: &Sql,
    deletes: &[Sql],
    conditions: &Conditions,
) -> Decision<Result<(), Problem>> {
    let checked = found.ok_or_else(Problem::not_found).and_then(|row| conditions.check(version(&row)));
    if let Err(problem) = checked {
        told(span, &select.text, None);
        return Decision::leave(Err(problem));
    }
    let delete = deletes.last();
    told(span, &select.text, delete.map(|sql| &*sql.text));
    let mut statements = deletes.to_vec();
    if let (true, Some(id)) = (model.has_passwords(), delete.and_then(|sql| sql.parameters.first())) {
        statements.push(sessions::end_all(&model.table.name, id, None));
    }
    Decision::run(statements, Ok(()))
}
