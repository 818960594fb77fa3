//! Metrics of the statements on one table: how long each took and how it ended.

use super::store::{Error, Store};
use crate::telemetry::instruments::STORE_DURATION;
use crate::telemetry::metrics::KeyedList;
use gatewright_sdk::metrics::{Attribute, Histogram, histogram};
use std::sync::Arc;
use std::time::Instant;

/// `error.type` of a statement whose result no one awaited: the client left, or a deadline passed.
const CANCELLED: &str = "cancelled";

/// The series of one table. It survives reloads.
#[derive(Debug)]
pub struct Statements {
    system: &'static str,
    store: Box<str>,
    table: Box<str>,
    outcomes: KeyedList<(&'static str, Option<&'static str>), Arc<Histogram>>,
}

impl Statements {
    /// The statements on `table` in `store`, which has this `name` in the document.
    pub fn new(store: &Store, name: &str, table: &str) -> Self {
        Self { system: store.system(), store: name.into(), table: table.into(), outcomes: KeyedList::default() }
    }

    /// Starts a statement; it is measured when the returned value is dropped.
    pub(super) fn begin(&self, operation: &'static str) -> Running<'_> {
        self.began(operation, Instant::now())
    }

    /// Measures a statement that was started at `started`.
    pub(super) const fn began(&self, operation: &'static str, started: Instant) -> Running<'_> {
        Running { statements: self, operation, started, error: Some(CANCELLED) }
    }

    fn series(&self, operation: &'static str, error: Option<&'static str>) -> Arc<Histogram> {
        let mut attributes: Vec<Attribute> = vec![
            ("db.system.name", self.system.into()),
            ("db.operation.name", operation.into()),
            ("db.collection.name", self.table.to_string().into()),
            ("gateway.store", self.store.to_string().into()),
        ];
        attributes.extend(error.map(|error| ("error.type", error.into())));
        histogram(&STORE_DURATION, attributes)
    }
}

/// A running statement.
pub(super) struct Running<'a> {
    statements: &'a Statements,
    operation: &'static str,
    started: Instant,
    error: Option<&'static str>,
}

impl Running<'_> {
    pub fn ends<T>(mut self, outcome: &Result<T, Error>) {
        self.error = outcome.as_ref().err().map(Error::kind);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let statements = self.statements;
        let series =
            statements.outcomes.get(&(self.operation, self.error), || statements.series(self.operation, self.error));
        if let Some(series) = series {
            series.record(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    }
}
