//! What is measured of an upstream: how long each of its targets takes, and the connections to it.

use super::failure::Failure;
use super::target::Target;
use crate::telemetry::instruments::{UPSTREAM_CONNECTIONS, UPSTREAM_CONNECTS, UPSTREAM_DURATION};
use crate::telemetry::metrics::List;
use crate::telemetry::{METHOD_NAMES, method_index};
use gatewright_sdk::metrics::{Attribute, Counter, Histogram, Level, counter, histogram, level};
use http::{Method, StatusCode};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// `error.type` of a request whose answer nobody waited for: the client left, or a deadline of ours was over.
const CANCELLED: &str = "cancelled";

/// How long a target takes to answer for one upstream. It outlives reloads.
pub(super) struct Durations {
    upstream: Box<str>,
    host: Box<str>,
    port: u16,
    outcomes: List<(usize, Ended), Arc<Histogram>>,
    /// By method, for outcomes beyond those that are kept apart: a target may answer with any of 500 status codes.
    rest: [OnceLock<Arc<Histogram>>; METHOD_NAMES.len()],
}

/// With which status a target answered, or why it did not.
type Ended = Result<StatusCode, &'static str>;

impl Durations {
    pub fn new(upstream: &str, host: &str, port: u16) -> Self {
        Self {
            upstream: upstream.into(),
            host: host.into(),
            port,
            outcomes: List::default(),
            rest: [const { OnceLock::new() }; METHOD_NAMES.len()],
        }
    }

    fn record(&self, method: usize, ended: Ended, nanoseconds: u64) {
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

/// A request on its way. It is measured when this ends, also where nobody waits for the answer any more.
pub(super) struct Attempt<'a> {
    targets: &'a [Target],
    /// The index of the target that was asked last.
    pub target: usize,
    /// How often it was sent again after it had been sent.
    pub resends: u32,
    method: usize,
    started: Instant,
    ended: Ended,
}

impl<'a> Attempt<'a> {
    pub fn new(targets: &'a [Target], target: usize, method: &Method) -> Self {
        let method = method_index(method);
        Self { targets, target, resends: 0, method, started: Instant::now(), ended: Err(CANCELLED) }
    }

    pub fn ends(mut self, ended: Ended) {
        self.ended = ended;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(target) = self.targets.get(self.target) {
            let nanoseconds = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            target.durations.record(self.method, self.ended, nanoseconds);
        }
    }
}

/// The connections to one target.
pub(super) struct Connections {
    active: Arc<Level>,
    idle: Arc<Level>,
    opened: Arc<Counter>,
    refused: Arc<Counter>,
    late: Arc<Counter>,
}

impl Connections {
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
            refused: connects(Some(Failure::Connect)),
            late: connects(Some(Failure::ConnectTimeout)),
        }
    }

    /// Takes note of a try to open one.
    pub fn tried(&self, outcome: Result<(), &Failure>) {
        match outcome {
            Ok(()) => self.opened.add(1),
            Err(Failure::ConnectTimeout) => self.late.add(1),
            Err(_) => self.refused.add(1),
        }
    }
}

/// Counts one connection for as long as it is there. It begins in use.
pub(super) struct Counted {
    connections: Arc<Connections>,
    idle: bool,
}

impl Counted {
    pub fn new(connections: &Arc<Connections>) -> Self {
        connections.active.add(1);
        Self { connections: Arc::clone(connections), idle: false }
    }

    /// From now on it is kept for the next request, or it carries one.
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
