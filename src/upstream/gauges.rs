//! Metrics about the state of an upstream: values that are read at each scrape.

use super::backend::Backend;
use super::backends::Backends;
use super::breaker::Breaker;
use super::health::TargetHealth;
use crate::telemetry::instruments::{
    UPSTREAM_ACTIVE, UPSTREAM_CIRCUIT, UPSTREAM_EJECTED, UPSTREAM_HEALTHY, UPSTREAM_PANIC,
};
use gatewright_sdk::metrics::{Attribute, Observed, number, observe};
use std::sync::Arc;

/// The series of the upstream `name`, which end with the returned values. Those of a target are about all addresses of its
/// name.
pub(super) fn series(name: &str, backends: &Arc<Backends>, breaker: Option<&Arc<Breaker>>) -> Vec<Arc<Observed>> {
    let flag = |is_set: bool| f64::from(u8::from(is_set));
    let mut all = Vec::new();
    for (index, url) in backends.targets().enumerate() {
        let attributes = || -> Vec<Attribute> {
            let upstream = ("gateway.upstream", name.to_owned().into());
            let (address, port) = (url.name.to_string().into(), url.port.into());
            vec![upstream, ("server.address", address), ("server.port", port)]
        };
        let target = || Arc::clone(backends);
        let (healthy, ejected, active) = (target(), target(), target());
        all.push(observe(&UPSTREAM_HEALTHY, attributes(), move || share(&healthy, index, Backend::is_available)));
        let is_ejected = |backend: &Backend| backend.health() == TargetHealth::Ejected;
        all.push(observe(&UPSTREAM_EJECTED, attributes(), move || share(&ejected, index, is_ejected)));
        all.push(observe(&UPSTREAM_ACTIVE, attributes(), move || {
            let now = active.now();
            number(now.of(index).map(|backend| backend.load.active()).sum::<u64>())
        }));
    }
    let named = || [("gateway.upstream", name.to_owned().into())];
    let panicking = Arc::clone(backends);
    all.push(observe(&UPSTREAM_PANIC, named(), move || flag(panicking.panics())));
    all.extend(
        breaker.map(Arc::clone).map(|breaker| observe(&UPSTREAM_CIRCUIT, named(), move || flag(breaker.is_open()))),
    );
    all
}

/// The share of the addresses of target `index` that `holds` is true for.
fn share(backends: &Backends, index: usize, holds: impl Fn(&Backend) -> bool) -> f64 {
    let now = backends.now();
    let all = now.of(index).count().max(1);
    number(now.of(index).filter(|backend| holds(backend)).count()) / number(all)
}
