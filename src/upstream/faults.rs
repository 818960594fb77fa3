//! What may be wrong with the settings of an upstream.

use crate::config::document::upstream::{ActiveCheck, Policy, Upstream};
use gatewright_sdk::{Code, Fault};

/// All faults of `spec`, with paths relative to it.
pub(super) fn of(spec: &Upstream) -> Vec<Fault> {
    let mut faults = Vec::new();
    if spec.targets.is_empty() {
        let fault = Fault::new("targets", "an upstream needs at least one target").code(Code::WRONG_LENGTH);
        faults.push(fault.help("write `targets: [{ url: \"http://10.0.1.11:8081\" }]`"));
    } else if spec.targets.iter().all(|target| target.weight == 0) {
        let fault = Fault::new("targets", "no target has a weight above 0, so none gets requests").code(Code::ZERO);
        faults.push(fault.help("give at least one target a `weight` of 1 or more"));
    }
    let timeouts = [
        ("connect", spec.timeouts.connect),
        ("response_header", spec.timeouts.response_header),
        ("stream_idle", spec.timeouts.stream_idle),
    ];
    for (key, _) in timeouts.iter().filter(|(_, time)| time.is_zero()) {
        let message = "a timeout of zero fails every request";
        faults.push(Fault::new(format!("timeouts.{key}"), message).code(Code::ZERO));
    }
    if spec.load_balancing.policy == Policy::RingHash && spec.load_balancing.key.is_none() {
        let fault = Fault::new("load_balancing", "the policy `ring_hash` needs a `key`").code(Code::MISSING_KEY);
        faults.push(fault.help("add what requests are hashed by, such as `key: header.x-tenant`"));
    }
    if let Some(checks) = &spec.health_checks {
        faults.extend(checks.active.iter().flat_map(active));
    }
    faults
}

fn active(check: &ActiveCheck) -> Vec<Fault> {
    let mut faults = Vec::new();
    let kinds = [check.path.is_some(), check.tcp, check.grpc.is_some()];
    if kinds.into_iter().filter(|given| *given).count() != 1 {
        let message = "an active check needs exactly one of `path`, `tcp` and `grpc`";
        let fault = Fault::new("health_checks.active", message).code(Code::MISSING_KEY);
        faults.push(fault.help("write `path: /health`, `tcp: true` or `grpc: {}`"));
    }
    for (key, time) in [("interval", check.interval), ("timeout", check.timeout)] {
        if time.is_zero() {
            let fault = Fault::new(format!("health_checks.active.{key}"), format!("`{key}` must be above zero"));
            faults.push(fault.code(Code::ZERO));
        }
    }
    faults
}
