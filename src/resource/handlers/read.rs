//! GET of an item: the shortest path from a request to a row and back.

use super::api::{Api, note, within};
use super::conditions::{Freshness, ReadConditions};
use super::input::{check_accept, path_id};
use crate::etag::tag;
use crate::resource::model::Model;
use crate::resource::query;
use crate::resource::reply::{self, Selection};
use crate::resource::store::{Error, Row, Rows, Statement};
use gatewright_sdk::{Problem, Reply, Request, Response};
use http::StatusCode;
use http::header::ETAG;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;

/// How the row is shown.
struct View {
    selection: Selection,
    conditions: ReadConditions,
}

impl View {
    fn show(&self, model: &Model, row: &dyn Row) -> Response {
        let asks_who = model.rules.read.asks_who();
        let version = reply::version(row);
        match self.conditions.judge(version, self.selection.form) {
            Freshness::Show => reply::item(StatusCode::OK, &model.shape, &self.selection, row, asks_who),
            Freshness::Known => {
                let mut response = reply::empty(StatusCode::NOT_MODIFIED, asks_who);
                response.headers_mut().insert(ETAG, tag(version, self.selection.form));
                response
            }
            Freshness::Changed(problem) => problem.into(),
        }
    }

    fn first(&self, model: &Model, rows: &mut dyn Rows) -> Result<Option<Response>, Error> {
        Ok(rows.next()?.map(|row| self.show(model, row)))
    }
}

pub(super) fn answer(api: &Arc<Api>, request: &Request) -> Reply {
    let span = api.span("read");
    let entered = span.enter();
    let (statement, view) = match prepare(api, request) {
        Ok(prepared) => prepared,
        Err(problem) => return Reply::ready(problem),
    };
    let sql = api.sql_span("SELECT", Some(&statement.sql));
    let started = Instant::now();
    if let Some(outcome) = sql.in_scope(|| api.store.read_now(&statement, |rows| view.first(&api.model, rows))) {
        api.statements.began("SELECT", started).ends(&outcome);
        note(&sql, &outcome);
        return Reply::ready(finish(api, outcome));
    }
    drop(entered);
    let api = Arc::clone(api);
    let wait = async move {
        let model = Arc::clone(&api.model);
        let running = api.statements.began("SELECT", started);
        let query = api.store.read_later(statement, move |rows| view.first(&model, rows));
        let outcome = within(running, sql, query).await;
        finish(&api, outcome)
    };
    Reply::pending(wait.instrument(span))
}

fn prepare(api: &Api, request: &Request) -> Result<(Statement, View), Problem> {
    let model = &api.model;
    let condition = model.admit(&model.rules.read, request)?;
    check_accept(request)?;
    let id = path_id(model, request)?;
    let selection = query::item(model, request.uri().query())?;
    let conditions = ReadConditions::of(model, request)?;
    let statement = match condition {
        None => Statement { sql: Arc::clone(&model.sql.read), parameters: vec![id], deadline: model.timeout },
        Some(condition) => api.statement(model.sql.read_where(id, &condition)),
    };
    Ok((statement, View { selection, conditions }))
}

fn finish(api: &Api, outcome: Result<Option<Response>, Error>) -> Response {
    match outcome {
        Ok(Some(response)) => response,
        Ok(None) => Problem::not_found().into(),
        Err(error) => api.failure(&error).into(),
    }
}
