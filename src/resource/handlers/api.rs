//! The state that handlers share, and calls to the store in a span and with metrics.

use crate::resource::digest::Digest;
use crate::resource::measure::{Running, Statements};
use crate::resource::model::Model;
use crate::resource::password::Hasher;
use crate::resource::relations::Relations;
use crate::resource::store::Sql;
use crate::resource::store::{Error, Statement, Store};
use crate::resource::watch::{Revision, Watch};
use std::future::Future;
use std::sync::Arc;
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// The state that handlers share.
pub struct Api {
    pub(in crate::resource) model: Arc<Model>,
    /// That of the deleted items, if they are kept.
    pub(super) deleted: Option<Arc<Api>>,
    pub(in crate::resource) store: Arc<Store>,
    pub(in crate::resource) hasher: Arc<Hasher>,
    pub(in crate::resource) statements: Arc<Statements>,
    pub(super) relations: Relations,
    /// The table, to detect writes.
    pub(super) watch: Arc<Watch>,
    /// The common start of all list tags: the form of a list.
    pub(super) list_tags: Digest,
}

impl Api {
    /// The state of its table, and of those `related` to it if a response depends on them; `None` if it is not known at once.
    pub(super) fn revision(&self, related: bool) -> Option<Revision> {
        let mut revision = self.store.revision(&self.watch)?;
        for watch in self.relations.watches.iter().filter(|_| related) {
            let other = self.store.revision(watch)?;
            // Each number only grows, so equal sums are of equal numbers.
            revision = Revision { table: revision.table.wrapping_add(other.table), ..other };
        }
        Some(revision)
    }

    pub(in crate::resource) fn statement(&self, sql: Sql) -> Statement {
        Statement { sql: sql.text.into(), parameters: sql.parameters, deadline: self.model.timeout }
    }

    /// The span around a request's use of the resource.
    pub(in crate::resource) fn span(&self, operation: &'static str) -> Span {
        tracing::info_span!(
            target: "gatewright::resource", "resource",
            otel.name = format_args!("{operation} {}", self.model.name),
            gateway.resource = &*self.model.name, gateway.operation = operation, gateway.rule = Empty,
        )
    }

    /// The span around a call to the store. `text` contains no values; if it is known only later, it is
    /// recorded as `db.query.text`.
    pub(in crate::resource) fn sql_span(&self, operation: &'static str, text: Option<&str>) -> Span {
        let summary = format_args!("{operation} {}", self.model.table.name);
        tracing::info_span!(
            target: "gatewright::sql", "sql",
            otel.name = summary, otel.kind = "client", otel.status_code = Empty, error.type = Empty,
            db.system.name = self.store.system(), db.operation.name = operation,
            db.collection.name = &*self.model.table.name, db.query.summary = summary, db.query.text = text,
        )
    }
}

/// Waits for the store inside `span`, which records the outcome, as does `running`.
pub(in crate::resource) async fn within<T>(
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

/// Records the statements of a job in its span: the one that read, and the one that wrote.
pub(super) fn told(span: &Span, select: &str, write: Option<&str>) {
    match write {
        None => span.record("db.query.text", select),
        Some(write) => span.record("db.query.text", tracing::field::display(format_args!("{select}; {write}"))),
    };
}
