//! Metrics about the state of an upstream: values that are read at each scrape.

use super::backend::Backend;
use super::breaker::Breaker;
use super::health::TargetHealth;
use crate::telemetry::instruments::{UPSTREAM_ACTIVE, UPSTREAM_CIRCUIT, UPSTREAM_EJECTED, UPSTREAM_HEALTHY};
use gatewright_sdk::metrics::{Attribute, Observed, number, observe};
use std::sync::Arc;

/// The series of the upstream `name`, which end with the returned values.
pub(super) fn series(name: &str, backends: &[Arc<Backend>], breaker: Option<&Arc<Breaker>>) -> Vec<Arc<Observed>> {
    let flag = |is_set: bool| f64::from(u8::from(is_set));
    let mut all = Vec::with_capacity(3 * backends.len() + 1);
    for backend in backends {
        let attributes = || -> Vec<Attribute> {
            let upstream = ("gateway.upstream", name.to_owned().into());
            let (address, port) = (backend.name.to_string().into(), backend.port.into());
            vec![upstream, ("server.address", address), ("server.port", port)]
        };
        let target = || Arc::clone(backend);
        let (healthy, ejected, active) = (target(), target(), target());
        all.push(observe(&UPSTREAM_HEALTHY, attributes(), move || flag(healthy.is_available())));
        all.push(observe(&UPSTREAM_EJECTED, attributes(), move || flag(ejected.health() == TargetHealth::Ejected)));
        all.push(observe(&UPSTREAM_ACTIVE, attributes(), move || number(active.load.active())));
    }
    all.extend(breaker.map(Arc::clone).map(|breaker| {
        observe(&UPSTREAM_CIRCUIT, [("gateway.upstream", name.to_owned().into())], move || flag(breaker.is_open()))
    }));
    all
}
