//! Metrics about an upstream: how long each target takes to respond, and the connections to it.

use super::failure::Failure;
use crate::telemetry::METHOD_NAMES;
use crate::telemetry::instruments::{UPSTREAM_CONNECTIONS, UPSTREAM_CONNECTS, UPSTREAM_DURATION};
use crate::telemetry::metrics::{KeyedList, known};
use gatewright_sdk::metrics::{Attribute, Counter, Histogram, Level, OVERFLOW, Value, counter, histogram, level};
use http::StatusCode;
use std::sync::{Arc, OnceLock};

/// How long a target takes to respond for one upstream. Kept across reloads.
pub(super) struct Durations {
    upstream: Box<str>,
    host: Box<str>,
    port: u16,
    outcomes: KeyedList<(usize, Ended), Arc<Histogram>>,
    /// By method, for the outcomes without their own series: a target may respond with any of 500 status codes.
    rest: [OnceLock<Arc<Histogram>>; METHOD_NAMES.len()],
}

/// The status with which a target responded, or why it did not.
pub(super) type Ended = Result<StatusCode, &'static str>;

impl Durations {
    pub fn new(upstream: &str, host: &str, port: u16) -> Self {
        Self {
            upstream: upstream.into(),
            host: host.into(),
            port,
            outcomes: KeyedList::default(),
            rest: [const { OnceLock::new() }; METHOD_NAMES.len()],
        }
    }

    pub(super) fn record(&self, method: usize, ended: Ended, nanoseconds: u64) {
        let ended = ended.map(known);
        let kept = self.outcomes.get(&(method, ended), || self.series(method, Some(ended)));
        let rest = || Some(self.rest.get(method)?.get_or_init(|| self.series(method, None)));
        if let Some(series) = kept.or_else(rest) {
            series.record(nanoseconds);
        }
    }

    fn series(&self, method: usize, ended: Option<Ended>) -> Arc<Histogram> {
        let method = METHOD_NAMES.get(method).copied().unwrap_or_default();
        let mut attributes: Vec<Attribute> =
            vec![("gateway.upstream", self.upstream.to_string().into()), ("http.request.method", method.into())];
        attributes.extend(address(&self.host, self.port));
        if ended.is_none() {
            attributes.push((OVERFLOW, Value::Flag(true)));
        }
        if let Some(Ok(status)) = ended {
            attributes.push(("http.response.status_code", status.as_u16().into()));
        }
        let error = match ended {
            Some(Ok(status)) if status.as_u16() >= 400 => Some(status.as_str().to_owned().into()),
            Some(Err(reason)) => Some(reason.into()),
            _ => None,
        };
        attributes.extend(error.map(|error| ("error.type", error)));
        histogram(&UPSTREAM_DURATION, attributes)
    }
}

/// The connections to one target.
pub(super) struct TargetConnections {
    active: Arc<Level>,
    idle: Arc<Level>,
    opened: Arc<Counter>,
    refused: Arc<Counter>,
    late: Arc<Counter>,
    untrusted: Arc<Counter>,
}

impl TargetConnections {
    pub fn new(host: &str, port: u16) -> Self {
        let open = |state: &'static str| {
            let state: Attribute = ("http.connection.state", state.into());
            level(&UPSTREAM_CONNECTIONS, [state].into_iter().chain(address(host, port)).collect::<Vec<_>>())
        };
        let connects = |failure: Option<Failure>| {
            let error = failure.map(|failure| ("error.type", failure.reason().into()));
            counter(&UPSTREAM_CONNECTS, address(host, port).into_iter().chain(error).collect::<Vec<_>>())
        };
        Self {
            active: open("active"),
            idle: open("idle"),
            opened: connects(None),
            refused: connects(Some(Failure::Connect(std::io::ErrorKind::ConnectionRefused.into()))),
            late: connects(Some(Failure::ConnectTimeout)),
            untrusted: connects(Some(Failure::Tls(String::new()))),
        }
    }

    /// Records an attempt to open one.
    pub fn tried(&self, outcome: Result<(), &Failure>) {
        match outcome {
            Ok(()) => self.opened.add(1),
            Err(Failure::ConnectTimeout) => self.late.add(1),
            Err(Failure::Tls(_)) => self.untrusted.add(1),
            Err(_) => self.refused.add(1),
        }
    }
}

/// Counts one connection while it exists. It starts in use.
pub(super) struct Counted {
    connections: Arc<TargetConnections>,
    idle: bool,
}

impl Counted {
    pub fn new(connections: &Arc<TargetConnections>) -> Self {
        connections.active.add(1);
        Self { connections: Arc::clone(connections), idle: false }
    }

    /// Marks it as idle or in use.
    pub fn turn(&mut self, idle: bool) {
        if self.idle != idle {
            self.level().add(-1);
            self.idle = idle;
            self.level().add(1);
        }
    }

    fn level(&self) -> &Level {
        if self.idle { &self.connections.idle } else { &self.connections.active }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.level().add(-1);
    }
}

fn address(host: &str, port: u16) -> [Attribute; 2] {
    [("server.address", host.to_owned().into()), ("server.port", port.into())]
}
