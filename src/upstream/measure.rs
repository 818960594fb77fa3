//! Metrics about an upstream: how long each target takes to respond, and the connections to it.

use super::failure::Failure;
use crate::telemetry::METHOD_NAMES;
use crate::telemetry::instruments::{UPSTREAM_CONNECTIONS, UPSTREAM_CONNECTS, UPSTREAM_DURATION, UPSTREAM_EJECTIONS};
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

/// Why a target is ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EjectionReason {
    ConsecutiveFailures,
    FailureRatio,
}

impl EjectionReason {
    /// For the log.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive failures",
            Self::FailureRatio => "failure ratio",
        }
    }
}

/// The ejections of one target from one upstream.
pub(super) struct Ejections {
    consecutive: Arc<Counter>,
    ratio: Arc<Counter>,
}

impl Ejections {
    pub fn new(upstream: &str, host: &str, port: u16) -> Self {
        let ejections = |reason: &'static str| {
            let attributes = [("gateway.upstream", upstream.to_owned().into()), ("gateway.reason", reason.into())];
            counter(&UPSTREAM_EJECTIONS, attributes.into_iter().chain(address(host, port)).collect::<Vec<_>>())
        };
        Self { consecutive: ejections("consecutive_failures"), ratio: ejections("failure_ratio") }
    }

    pub fn count(&self, reason: EjectionReason) {
        match reason {
            EjectionReason::ConsecutiveFailures => self.consecutive.add(1),
            EjectionReason::FailureRatio => self.ratio.add(1),
        }
    }
}

/// The connections to one target.
pub(super) struct TargetConnections {
    active: Arc<Level>,
    idle: Arc<Level>,
    opened: Arc<Counter>,
    refused: Arc<Counter>,
    unresolved: Arc<Counter>,
    late: Arc<Counter>,
    untrusted: Arc<Counter>,
}

impl TargetConnections {
    pub fn new(host: &str, port: u16) -> Self {
        let open = |state: &'static str| {
            let state: Attribute = ("http.connection.state", state.into());
            level(&UPSTREAM_CONNECTIONS, [state].into_iter().chain(address(host, port)).collect::<Vec<_>>())
        };
        let connects = |reason: Option<&'static str>| {
            let error = reason.map(|reason| ("error.type", reason.into()));
            counter(&UPSTREAM_CONNECTS, address(host, port).chain(error).collect::<Vec<_>>())
        };
        Self {
            active: open("active"),
            idle: open("idle"),
            opened: connects(None),
            refused: connects(Some("upstream_connect")),
            unresolved: connects(Some("upstream_unresolved")),
            late: connects(Some("upstream_connect_timeout")),
            untrusted: connects(Some("upstream_tls")),
        }
    }

    /// Records an attempt to open one.
    pub fn tried(&self, outcome: Result<(), &Failure>) {
        match outcome {
            Ok(()) => self.opened.add(1),
            Err(Failure::ConnectTimeout) => self.late.add(1),
            Err(Failure::Tls(_)) => self.untrusted.add(1),
            Err(Failure::Unresolved(_)) => self.unresolved.add(1),
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

/// A Unix socket has no port, which is 0 then.
fn address(host: &str, port: u16) -> impl Iterator<Item = Attribute> {
    let port = (port != 0).then(|| ("server.port", port.into()));
    std::iter::once(("server.address", host.to_owned().into())).chain(port)
}
