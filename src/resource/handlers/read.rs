//! GET of an item: the shortest path from a request to a row and back.

use super::api::{Api, note, within};
use super::conditions::{Freshness, ReadConditions};
use super::expand::Expansion;
use super::input::{check_accept, path_id};
use super::under::Under;
use crate::etag::{Form, tag};
use crate::resource::model::Model;
use crate::resource::predicate::Predicate;
use crate::resource::query;
use crate::resource::reply::{self, Selection};
use crate::resource::store::{Error, Found, Row, Rows, Statement};
use gatewright_sdk::{Problem, Reply, Request, Response};
use http::StatusCode;
use http::header::ETAG;
use std::sync::Arc;
use std::time::Instant;
use tracing::{Instrument, Span};

/// How the row is shown.
struct View {
    selection: Selection,
    expansion: Expansion,
    conditions: ReadConditions,
    asks_who: bool,
}

impl View {
    fn show(&self, model: &Model, row: &dyn Row) -> Response {
        let (version, form) = (reply::version(row), self.selection.form);
        self.judged(version, form)
            .unwrap_or_else(|| reply::item(StatusCode::OK, &model.shape, &self.selection, row, self.asks_who))
    }

    /// The response, unless the item is to be shown.
    fn judged(&self, version: i64, form: Form) -> Option<Response> {
        match self.conditions.judge(version, form) {
            Freshness::Show => None,
            Freshness::Known => {
                let mut response = reply::empty(StatusCode::NOT_MODIFIED, self.asks_who);
                response.headers_mut().insert(ETAG, tag(version, form));
                Some(response)
            }
            Freshness::Changed(problem) => Some(problem.into()),
        }
    }

    /// The row with what it refers to.
    async fn expanded(&self, api: &Api, row: Found) -> Result<Response, Error> {
        let rows = std::slice::from_ref(&row);
        let expanded = self.expansion.read(api, rows).await?;
        let version = reply::version(&row);
        let form = self.expansion.form(self.selection.form, &expanded, &row);
        Ok(self.judged(version, form).unwrap_or_else(|| {
            let mut body = Vec::with_capacity(512);
            self.expansion.write(&mut body, (&api.model, &self.selection), &expanded, &row);
            let mut response = reply::json(StatusCode::OK, body, self.asks_who);
            response.headers_mut().insert(ETAG, tag(version, form));
            response
        }))
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
    if !view.expansion.is_empty() {
        drop(entered);
        return expand(api, (statement, view), sql, span);
    }
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

/// Reads the item, and then what it refers to.
fn expand(api: &Arc<Api>, (statement, view): (Statement, View), sql: Span, span: Span) -> Reply {
    let api = Arc::clone(api);
    let wait = async move {
        let query = api.store.query(statement, |rows| Ok(rows.next()?.map(Found::of)));
        let outcome = match within(api.statements.begin("SELECT"), sql, query).await {
            Ok(Some(row)) => view.expanded(&api, row).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        finish(&api, outcome)
    };
    Reply::pending(wait.instrument(span))
}

fn prepare(api: &Api, request: &Request) -> Result<(Statement, View), Problem> {
    let model = &api.model;
    let condition = model.admit(&model.rules.read, request)?;
    check_accept(request)?;
    let under = Under::of(api, request)?;
    let id = path_id(model, request)?;
    let (selection, expand) = query::item(model, request.uri().query())?;
    let expansion = Expansion::of(api, &expand, request);
    let below = under.as_ref().map(Under::condition).transpose()?;
    let condition = Predicate::and(below, condition);
    let asks_who =
        model.rules.read.asks_who() || expansion.asks_who() || under.is_some_and(|under| under.asks_who(api));
    let conditions = ReadConditions::of(model, request)?;
    let statement = match condition {
        None => Statement { sql: Arc::clone(&model.sql.read), parameters: vec![id], deadline: model.timeout },
        Some(condition) => api.statement(model.sql.read_where(id, &condition)),
    };
    Ok((statement, View { selection, expansion, conditions, asks_who }))
}

fn finish(api: &Api, outcome: Result<Option<Response>, Error>) -> Response {
    match outcome {
        Ok(Some(response)) => response,
        Ok(None) => Problem::not_found().into(),
        Err(error) => api.failure(&error).into(),
    }
}
