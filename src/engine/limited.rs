//! Concurrency limits in front of a chain: requests beyond them get 503 at once.

use crate::concurrency::{Gate, Limits, Permit};
use crate::config::document::listener;
use gatewright_sdk::{
    Facts, HeldByUpgrade, HttpService, HumanDuration, Keep, Problem, Reply, Request, RouteLimits, hold,
};
use http::header::UPGRADE;
use std::sync::Arc;
use std::time::Duration;

/// How long a request waits by default.
const PATIENCE: Duration = Duration::from_millis(100);

fn limits(concurrency: Option<u32>, queue: Option<u32>, timeout: Option<HumanDuration>) -> Option<Limits> {
    let patience = timeout.map_or(PATIENCE, HumanDuration::get);
    concurrency.map(|requests| Limits { requests, queue: queue.unwrap_or(0), patience })
}

/// What counts the requests of a listener or route, and its limit.
pub type Limited = (Arc<Gate>, u32);

/// `chain` within the limits of the listener `name`. `refused` serves the requests beyond them.
pub fn listener(
    name: &str,
    spec: &listener::Limits,
    keep: &Keep,
    chain: HttpService,
    refused: &HttpService,
) -> (HttpService, Option<Limited>) {
    let Some(limits) = limits(spec.concurrency, spec.queue, spec.queue_timeout) else { return (chain, None) };
    let (refused, overloaded) = (refused.clone(), overloaded());
    let refuse = move |mut request: Request| {
        Facts::of_mut(&mut request).answering = Some(overloaded.clone());
        refused.call(request)
    };
    let gate = keep.get_or_make(&format!("concurrency of listener {name}"), Gate::default);
    (within(limits, Arc::clone(&gate), chain, refuse), Some((gate, limits.requests)))
}

/// `chain` within the limits of the route `name`. `refused` makes what serves the requests beyond them.
pub fn route(
    name: &str,
    spec: Option<&RouteLimits>,
    keep: &Keep,
    chain: HttpService,
    refused: &mut dyn FnMut() -> HttpService,
) -> (HttpService, Option<Limited>) {
    let limits = spec.and_then(|spec| limits(spec.concurrency, spec.queue, spec.queue_timeout));
    let Some(limits) = limits else { return (chain, None) };
    let refused = refused();
    let refuse = move |request| refused.call(request);
    let gate = keep.get_or_make(&format!("concurrency of route {name}"), Gate::default);
    (within(limits, Arc::clone(&gate), chain, refuse), Some((gate, limits.requests)))
}

/// Rejects requests.
pub fn overloaded() -> HttpService {
    HttpService::from_call(|_| Reply::ready(Problem::unavailable(1).reason("overloaded")))
}

fn within(
    limits: Limits,
    gate: Arc<Gate>,
    chain: HttpService,
    refuse: impl Fn(Request) -> Reply + Clone + Send + Sync + 'static,
) -> HttpService {
    HttpService::from_call(move |request| match gate.try_enter(&limits) {
        Some(permit) => enter(&chain, request, permit),
        None if limits.queue == 0 => refuse(request),
        None => {
            let (gate, chain, refuse) = (Arc::clone(&gate), chain.clone(), refuse.clone());
            Reply::pending(async move {
                match gate.enter(&limits).await {
                    Some(permit) => enter(&chain, request, permit).await,
                    None => refuse(request).await,
                }
            })
        }
    })
}

/// The request is in progress until its response has ended, or the connection that it upgrades.
fn enter(chain: &HttpService, mut request: Request, permit: Permit) -> Reply {
    if request.headers().contains_key(UPGRADE) {
        let permit = Arc::new(permit);
        HeldByUpgrade::of(&mut request).push(permit.clone());
        return held(chain.call(request), permit);
    }
    held(chain.call(request), permit)
}

fn held(reply: Reply, permit: impl Send + Unpin + 'static) -> Reply {
    reply.map(|response| {
        let whole = std::mem::take(response);
        *response = hold(whole, permit);
    })
}
