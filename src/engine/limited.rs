//! Concurrency limits in front of a chain: requests beyond them get 503 at once.

use crate::concurrency::{Gate, Limits, Permit, hold};
use crate::config::document::listener;
use gatewright_sdk::{Facts, HttpService, HumanDuration, Keep, Problem, Reply, Request, RouteLimits};
use std::sync::Arc;
use std::time::Duration;

/// How long a request waits by default.
const PATIENCE: Duration = Duration::from_millis(100);

fn limits(concurrency: Option<u32>, queue: Option<u32>, timeout: Option<HumanDuration>) -> Option<Limits> {
    let patience = timeout.map_or(PATIENCE, HumanDuration::get);
    concurrency.map(|requests| Limits { requests, queue: queue.unwrap_or(0), patience })
}

/// `chain` within the limits of the listener `name`. `refused` serves the requests beyond them.
pub fn listener(
    name: &str,
    spec: &listener::Limits,
    keep: &Keep,
    chain: HttpService,
    refused: &HttpService,
) -> HttpService {
    let Some(limits) = limits(spec.concurrency, spec.queue, spec.queue_timeout) else { return chain };
    let (refused, overloaded) = (refused.clone(), HttpService::from_call(|_| overloaded()));
    let refuse = move |mut request: Request| {
        Facts::of_mut(&mut request).answering = Some(overloaded.clone());
        refused.call(request)
    };
    within(limits, keep.get_or_make(&format!("concurrency of listener {name}"), Gate::default), chain, refuse)
}

/// `chain` within the limits of the route `name`.
pub fn route(name: &str, spec: Option<&RouteLimits>, keep: &Keep, chain: HttpService) -> HttpService {
    let limits = spec.and_then(|spec| limits(spec.concurrency, spec.queue, spec.queue_timeout));
    let Some(limits) = limits else { return chain };
    within(limits, keep.get_or_make(&format!("concurrency of route {name}"), Gate::default), chain, |_| overloaded())
}

fn overloaded() -> Reply {
    Reply::ready(Problem::unavailable(1).reason("overloaded"))
}

fn within(
    limits: Limits,
    gate: Arc<Gate>,
    chain: HttpService,
    refuse: impl Fn(Request) -> Reply + Clone + Send + Sync + 'static,
) -> HttpService {
    HttpService::from_call(move |request| match gate.try_enter(&limits) {
        Some(permit) => held(chain.call(request), permit),
        None if limits.queue == 0 => refuse(request),
        None => {
            let (gate, chain, refuse) = (Arc::clone(&gate), chain.clone(), refuse.clone());
            Reply::pending(async move {
                match gate.enter(&limits).await {
                    Some(permit) => held(chain.call(request), permit).await,
                    None => refuse(request).await,
                }
            })
        }
    })
}

/// The request is in progress until its response has ended.
fn held(reply: Reply, permit: Permit) -> Reply {
    reply.map(|response| {
        let whole = std::mem::take(response);
        *response = hold(whole, permit);
    })
}
