//! What every handler works with, and how it asks the store: in a span, and measured.

use crate::resource::digest::Digest;
use crate::resource::measure::{Running, Statements};
use crate::resource::model::Model;
use crate::resource::password::Hasher;
use crate::resource::sql::Sql;
use crate::resource::store::{Error, Statement, Store};
use crate::resource::watch::Watch;
use std::future::Future;
use std::sync::Arc;
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// What every handler works with.
pub(super) struct Api {
    pub(super) model: Arc<Model>,
    pub(super) store: Arc<Store>,
    pub(super) hasher: Arc<Hasher>,
    pub(super) statements: Arc<Statements>,
    /// The table, to know what was written since.
    pub(super) watch: Arc<Watch>,
    /// What all tags of lists begin with: how a list looks.
    pub(super) list_tags: Digest,
}

impl Api {
    pub(super) fn statement(&self, sql: Sql) -> Statement {
        Statement { sql: sql.text.into(), parameters: sql.parameters, deadline: self.model.timeout }
    }

    /// The span around what a request does with the resource.
    pub(super) fn span(&self, operation: &'static str) -> Span {
        tracing::info_span!(
            target: "gatewright::resource", "resource",
            otel.name = format_args!("{operation} {}", self.model.name),
            gateway.resource = &*self.model.name, gateway.operation = operation,
        )
    }

    /// The span around what is asked of the store. `text` has no values in it; where it is known only later, it is
    /// recorded as `db.query.text`.
    pub(super) fn sql_span(&self, operation: &'static str, text: Option<&str>) -> Span {
        let summary = format_args!("{operation} {}", self.model.table.name);
        tracing::info_span!(
            target: "gatewright::sql", "sql",
            otel.name = summary, otel.kind = "client", otel.status_code = Empty, error.type = Empty,
            db.system.name = self.store.system(), db.operation.name = operation,
            db.collection.name = &*self.model.table.name, db.query.summary = summary, db.query.text = text,
        )
    }
}

/// Waits for the store inside `span`, which records how it went, as does what is `running`.
pub(super) async fn within<T>(
    running: Running<'_>,
    span: Span,
    job: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let outcome = job.instrument(span.clone()).await;
    running.ends(&outcome);
    note(&span, &outcome);
    outcome
}

pub(super) fn note<T>(span: &Span, outcome: &Result<T, Error>) {
    if let Err(error) = outcome {
        span.record("otel.status_code", "error");
        span.record("error.type", error.kind());
    }
}

/// Records in the span of a job which statements it ran: the one that looked, and the one that wrote.
pub(super) fn told(span: &Span, select: &str, write: Option<&str>) {
    match write {
        None => span.record("db.query.text", select),
        Some(write) => span.record("db.query.text", tracing::field::display(format_args!("{select}; {write}"))),
    };
}
