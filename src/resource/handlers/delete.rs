//! DELETE of an item.

use super::api::{Api, told, within};
use super::conditions::Conditions;
use super::input::path_id;
use super::row::whole_row;
use crate::resource::model::Model;
use crate::resource::predicate::Predicate;
use crate::resource::query;
use crate::resource::reply;
use crate::resource::sessions;
use crate::resource::sql::Sql;
use crate::resource::store::{Error, Param, Writer};
use gatewright_sdk::{Problem, Reply, Request};
use http::StatusCode;
use std::sync::Arc;
use tracing::{Instrument, Span};

pub(super) fn answer(api: &Arc<Api>, request: &Request) -> Reply {
    let span = api.span("delete");
    let (id, condition, conditions) = match span.in_scope(|| prepare(&api.model, request)) {
        Ok(prepared) => prepared,
        Err(problem) => return Reply::ready(problem),
    };
    let api = Arc::clone(api);
    let work = async move {
        let model = &api.model;
        let select = model.sql.read_whole(id.clone(), condition.as_ref());
        let delete = model.sql.delete(id);
        let span = api.sql_span("DELETE", None);
        let (told, deleted) = (span.clone(), Arc::clone(model));
        let job = api
            .store
            .write(model.timeout, move |writer| write(writer, (&told, &deleted), &select, &delete, &conditions));
        match within(api.statements.begin("DELETE"), span, job).await {
            Ok(Ok(())) => reply::empty(StatusCode::NO_CONTENT, model.rules.delete.asks_who()),
            Ok(Err(problem)) => problem.into(),
            Err(error) => api.failure(&error).into(),
        }
    };
    Reply::pending(work.instrument(span))
}

fn prepare(model: &Model, request: &Request) -> Result<(Param, Option<Predicate>, Conditions), Problem> {
    let condition = model.admit(&model.rules.delete, request)?;
    let id = path_id(model, request)?;
    query::none(request.uri().query())?;
    Ok((id, condition, Conditions::of(model, request)?))
}

fn write(
    writer: &mut Writer<'_>,
    (span, model): (&Span, &Model),
    select: &Sql,
    delete: &Sql,
    conditions: &Conditions,
) -> Result<Result<(), Problem>, Error> {
    let found = writer.query(&select.text, &select.parameters, |rows| whole_row(rows, 0))?;
    let checked = found.ok_or_else(Problem::not_found).and_then(|(version, _)| conditions.check(version));
    if let Err(problem) = checked {
        told(span, &select.text, None);
        return Ok(Err(problem));
    }
    told(span, &select.text, Some(&delete.text));
    writer.execute(&delete.text, &delete.parameters)?;
    if let (true, Some(id)) = (model.has_passwords(), delete.parameters.first()) {
        sessions::end_all(writer, &model.table.name, id, None)?;
    }
    Ok(Ok(()))
}
