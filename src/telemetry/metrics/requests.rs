//! The metrics of the requests to one route: series are created on first use, and found again by comparing a number.

use super::known;
use super::list::KeyedList;
use crate::telemetry::instruments::{
    ACTIVE_REQUESTS, CALL_DURATION, DECISIONS, REQUEST_DURATION, REQUEST_SIZE, RESPONSE_SIZE,
};
use crate::telemetry::methods::METHOD_NAMES;
use crate::telemetry::observe::Decision;
use gatewright_sdk::Scheme;
use gatewright_sdk::metrics::{Attribute, Counter, Histogram, Level, OVERFLOW, Value, counter, histogram, level};
use http::StatusCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The series of the requests to one route, or of those that match no route. Kept across reloads.
#[derive(Debug)]
pub struct Requests {
    /// Name and path template.
    route: Option<(Arc<str>, Box<str>)>,
    /// By method, so that methods cannot crowd each other out.
    methods: [Outcomes; METHOD_NAMES.len()],
    decisions: KeyedList<Decision, Arc<Counter>>,
    /// By status and error, for gRPC calls.
    calls: KeyedList<(Option<&'static str>, Option<&'static str>), Arc<Histogram>>,
}

/// The series of one method.
#[derive(Debug, Default)]
struct Outcomes {
    kept: KeyedList<RequestLabels, RequestSeries>,
    /// For outcomes without their own series. Most routes never have any.
    rest: OnceLock<Box<RequestSeries>>,
}

/// The outcome of a request, as far as series distinguish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLabels {
    /// An index into [`METHOD_NAMES`].
    pub method: usize,
    pub scheme: Scheme,
    /// `None` if the client left before there was one.
    pub status: Option<StatusCode>,
    /// What ended the exchange early.
    pub cut: Option<&'static str>,
    /// Whether the status is a failure of the server.
    pub failed: bool,
}

/// The sizes and durations of a request.
#[derive(Debug, Clone, Copy)]
pub struct Amounts {
    pub duration: Duration,
    /// Bytes of the request body: its declared length, or what was read if it has none.
    pub request: u64,
    /// Bytes of the response body that were sent.
    pub response: u64,
    /// The trace and span that an exemplar refers to.
    pub trace: Option<([u8; 16], [u8; 8])>,
}

#[derive(Debug)]
struct RequestSeries {
    attributes: Vec<Attribute>,
    duration: Arc<Histogram>,
    /// Set once there was a body.
    request_size: OnceLock<Arc<Histogram>>,
    response_size: Arc<Histogram>,
}

impl Requests {
    /// For the route with this name and path template; `None` for requests that match no route.
    pub fn new(route: Option<(Arc<str>, &str)>) -> Self {
        let route = route.map(|(name, template)| (name, template.into()));
        Self { route, methods: Default::default(), decisions: KeyedList::default(), calls: KeyedList::default() }
    }

    /// Records a request that has ended.
    pub fn ended(&self, labels: RequestLabels, amounts: &Amounts) {
        let labels = RequestLabels { status: labels.status.map(known), ..labels };
        let Some(Outcomes { kept, rest }) = self.methods.get(labels.method) else { return };
        let kept = kept.get(&labels, || self.series(labels, false));
        let series = kept.unwrap_or_else(|| &**rest.get_or_init(|| Box::new(self.series(labels, true))));
        let nanoseconds = u64::try_from(amounts.duration.as_nanos()).unwrap_or(u64::MAX);
        match amounts.trace {
            Some((trace, span)) => series.duration.record_traced(nanoseconds, trace, span),
            None => series.duration.record(nanoseconds),
        }
        if amounts.request > 0 {
            let make = || histogram(&REQUEST_SIZE, series.attributes.clone());
            series.request_size.get_or_init(make).record(amounts.request);
        }
        series.response_size.record(amounts.response);
    }

    /// Records a gRPC call: its status, if there was one, and why it failed, if it did.
    pub fn called(&self, status: Option<&'static str>, error: Option<&'static str>, duration: Duration) {
        let series = self.calls.get(&(status, error), || {
            let mut attributes: Vec<Attribute> = vec![("rpc.system.name", "grpc".into())];
            attributes.extend(self.route.iter().map(|(name, _)| ("gateway.route", name.to_string().into())));
            attributes.extend(status.map(|status| ("rpc.status_code", status.into())));
            attributes.extend(error.map(|error| ("error.type", error.into())));
            histogram(&CALL_DURATION, attributes)
        });
        if let Some(series) = series {
            series.record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// Records a decision about a request.
    pub fn decided(&self, decision: &Decision) {
        let count = self.decisions.get(decision, || {
            let mut attributes: Vec<Attribute> = vec![("gateway.outcome", decision.outcome.as_str().into())];
            let plugin = decision.plugin.as_ref().map(|plugin| ("gateway.plugin", plugin.to_string().into()));
            let reason = decision.reason.clone().map(|reason| ("gateway.reason", reason.into_owned().into()));
            attributes.extend(plugin.into_iter().chain(reason));
            counter(&DECISIONS, attributes)
        });
        if let Some(count) = count {
            count.add(1);
        }
    }

    /// The series of one outcome, or of all those `beyond` the ones with their own.
    fn series(&self, labels: RequestLabels, beyond: bool) -> RequestSeries {
        let mut attributes = self.attributes(labels);
        if beyond {
            attributes.retain(|(name, _)| !matches!(*name, "http.response.status_code" | "error.type"));
            attributes.push((OVERFLOW, Value::Flag(true)));
        }
        RequestSeries {
            duration: histogram(&REQUEST_DURATION, attributes.clone()),
            request_size: OnceLock::new(),
            response_size: histogram(&RESPONSE_SIZE, attributes.clone()),
            attributes,
        }
    }

    fn attributes(&self, labels: RequestLabels) -> Vec<Attribute> {
        let method = METHOD_NAMES.get(labels.method).copied().unwrap_or_default();
        let mut attributes: Vec<Attribute> =
            vec![("http.request.method", method.into()), ("url.scheme", labels.scheme.as_str().into())];
        if let Some((name, template)) = &self.route {
            attributes.push(("http.route", template.to_string().into()));
            attributes.push(("gateway.route", name.to_string().into()));
        }
        attributes.extend(labels.status.map(|status| ("http.response.status_code", status.as_u16().into())));
        let failed = labels.status.filter(|_| labels.failed).map(|status| status.as_str().to_owned());
        let error = labels.cut.map(|cut| cut.to_owned()).or(failed);
        attributes.extend(error.map(|error| ("error.type", error.into())));
        attributes
    }
}

/// The number of requests in progress with this method and scheme.
pub fn active(method: usize, scheme: Scheme) -> Option<&'static Level> {
    static LEVELS: [[OnceLock<Arc<Level>>; METHOD_NAMES.len()]; 2] =
        [const { [const { OnceLock::new() }; METHOD_NAMES.len()] }; 2];
    let [http, https] = &LEVELS;
    let levels = if scheme == Scheme::Http { http } else { https };
    let make = || {
        let method = METHOD_NAMES.get(method).copied().unwrap_or_default();
        level(&ACTIVE_REQUESTS, [("http.request.method", method.into()), ("url.scheme", scheme.as_str().into())])
    };
    levels.get(method).map(|level| &**level.get_or_init(make))
}
