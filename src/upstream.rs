//! Upstreams: groups of servers that requests are proxied to, streaming both ways over pooled connections.

mod attempt;
mod backend;
mod balance;
mod failure;
mod forward;
mod headers;
mod load;
mod measure;
mod rewrite;
#[cfg(test)]
mod tests;
mod transport;
mod upload;

use crate::config::document::server_url::ServerUrl;
use crate::config::document::{route, upstream as document};
use arc_swap::ArcSwap;
use backend::{Backend, Backends};
use balance::{Balance, Turns};
use document::Policy;
use gatewright_sdk::{Code, Fault, HttpService, Keep, Reply};
use std::sync::Arc;
use std::time::Duration;

/// The validated configuration of an upstream.
pub struct Compiled {
    name: Box<str>,
    servers: Vec<ServerUrl>,
    weights: Vec<u32>,
    timeouts: document::Timeouts,
}

impl Compiled {
    /// Reads the settings of upstream `name`.
    ///
    /// # Errors
    /// All faults, with paths relative to the upstream's settings.
    pub fn new(name: &str, spec: &document::Upstream) -> Result<Self, Vec<Fault>> {
        let mut faults = unavailable(spec);
        let mut servers = Vec::with_capacity(spec.targets.len());
        for (index, target) in spec.targets.iter().enumerate() {
            if target.url.tls {
                let message = "https:// to upstreams is not implemented yet";
                let fault = Fault::new(format!("targets[{index}].url"), message).code(Code::NOT_IMPLEMENTED);
                faults.push(fault.help("until then, point `url` at a local proxy that adds TLS"));
            }
            servers.push(target.url.clone());
            if target.weight == 0 {
                let fault = Fault::new(format!("targets[{index}].weight"), "`weight` must be at least 1");
                faults.push(fault.code(Code::ZERO).help("to send it no requests, remove the target"));
            }
        }
        if spec.targets.is_empty() {
            faults.push(
                Fault::new("targets", "an upstream needs at least one target")
                    .code(Code::WRONG_LENGTH)
                    .help("write `targets: [{ url: \"http://10.0.1.11:8081\" }]`"),
            );
        }
        for (key, time) in [("connect", spec.timeouts.connect), ("response_header", spec.timeouts.response_header)] {
            if time.is_zero() {
                faults.push(
                    Fault::new(format!("timeouts.{key}"), "a timeout of zero fails every request").code(Code::ZERO),
                );
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let weights = spec.targets.iter().map(|target| target.weight).collect();
        Ok(Self { name: name.into(), servers, weights, timeouts: spec.timeouts.clone() })
    }

    pub fn servers(&self) -> impl Iterator<Item = &ServerUrl> {
        self.servers.iter()
    }

    /// Creates the upstream. Connections are pooled through `keep`, and none is opened: the first request finds out
    /// whether a target is down.
    pub fn install(&self, keep: &Keep) -> Upstream {
        let backend = |server| Arc::new(Backend::new(&self.name, server, &self.timeouts, keep));
        let backends = Backends {
            list: self.servers.iter().map(backend).collect(),
            balance: Balance::RoundRobin(Turns::new(&self.weights)),
        };
        Upstream {
            name: self.name.clone(),
            backends: ArcSwap::from_pointee(backends),
            response_header: self.timeouts.response_header.get(),
        }
    }
}

/// A group of interchangeable servers.
pub struct Upstream {
    name: Box<str>,
    backends: ArcSwap<Backends>,
    response_header: Duration,
}

/// Settings that this version does not implement: rejected rather than ignored.
fn unavailable(spec: &document::Upstream) -> Vec<Fault> {
    let settings = [
        ("load_balancing.policy", spec.load_balancing.policy != Policy::RoundRobin),
        ("health_checks", spec.health_checks.is_some()),
        ("circuit_breaker", spec.circuit_breaker.is_some()),
        ("tls", spec.tls.is_some()),
    ];
    let faults = settings.into_iter().filter(|(_, used)| *used);
    faults.map(|(path, _)| Fault::pending(path)).collect()
}

/// The target of a route: proxies its requests to `upstream`.
pub fn service(upstream: Arc<Upstream>, rewrite: Option<&route::Rewrite>) -> HttpService {
    let stripped = rewrite::Stripped::new(rewrite);
    HttpService::from_call(move |mut request| {
        headers::outbound(&mut request);
        *request.uri_mut() = stripped.apply(request.uri());
        let upstream = Arc::clone(&upstream);
        Reply::pending(async move { upstream.answer(request).await })
    })
}
