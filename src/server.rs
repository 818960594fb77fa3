//! The HTTP server: listening sockets, client connections, their limits, and how they end.
//!
//! A connection is accepted on the runtime of the process and handed to a worker thread, which serves all its requests:
//! see `docs/decisions/005-own-accept-loop.md`. Requests go to an [`Application`], which calls [`admit`] first.

mod application;
mod body;
mod client_ip;
mod clock;
mod closed;
mod connection;
mod connection_limit;
mod cookies;
mod deadlines;
mod handshake;
mod lingering;
mod listener;
mod listening;
mod notice;
mod requests;
mod rest;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod workers;

pub use application::{Application, Arrival, ListenerId, Outdated};
pub use closed::Closed;
pub use listener::Acceptor;
pub use listening::Leaving;

use crate::admission;
use crate::net::BoundSocket;
use crate::path::Spelling;
use crate::terms::{ConnectionTerms, RequestTerms};
use axum::response::IntoResponse;
use connection_limit::ConnectionLimit;
use futures_util::future::join_all;
use gatewright_sdk::{Body, ByteSize, Client, Problem, Request, Response};
use http::Version;
use hyper::body::Incoming;
use listening::{Listening, Stage};
use parking_lot::Mutex;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use workers::Workers;

/// A request that was admitted.
pub struct Admitted {
    pub request: Request,
    /// How its path was spelled; the path is now in normal form.
    pub spelling: Spelling,
}

/// A request that was not admitted, without its body, and the error for its client.
pub struct RefusedRequest {
    pub request: Request,
    pub response: Response,
}

/// Admits a request: determines the client, rejects anything ambiguous, removes header fields that only trusted proxies
/// may set, puts the path into normal form, and limits the body to what `body_bytes` returns for the head, or else to
/// the listener's limit. A refusal is boxed because it is rare and larger than a request.
pub fn admit(
    arrival: &Arrival,
    terms: &RequestTerms,
    request: http::Request<Incoming>,
    body_bytes: impl FnOnce(&http::request::Parts, Spelling) -> Option<ByteSize>,
) -> (Client, Result<Admitted, Box<RefusedRequest>>) {
    let (mut head, incoming) = request.into_parts();
    let client = client_ip::decide(arrival.peer, &head.headers, &terms.trusted_proxies, arrival.tls);
    if head.version == Version::HTTP_2 {
        cookies::join(&mut head.headers);
    }
    let checked = admission::head(&mut head, terms, client.trusted).and_then(|spelling| {
        Ok((
            spelling,
            body::limited((incoming, &arrival.rest, &arrival.answering), terms, || {
                body_bytes(&head, spelling).unwrap_or(terms.body_bytes)
            })?,
        ))
    });
    match checked {
        Ok((spelling, body)) => (client, Ok(Admitted { request: Request::from_parts(head, body), spelling })),
        Err(problem) => (client, Err(refuse(head, *problem))),
    }
}

#[cold]
fn refuse(head: http::request::Parts, problem: Problem) -> Box<RefusedRequest> {
    Box::new(RefusedRequest { request: Request::from_parts(head, Body::empty()), response: problem.into_response() })
}

/// The process may open too few files for the connections of a listener.
#[derive(Debug, Clone, Copy)]
pub struct TooFewFiles {
    /// The connections that the configuration allows.
    pub connections: u32,
    /// The connections that the limit allows.
    pub ceiling: usize,
    /// The limit that would allow all of them.
    pub needed: usize,
}

/// The worker threads and all listeners they serve. Dropping it ends everything, including open connections.
///
/// The listeners of one server share its threads and its connections, which use at most half of the file descriptors. A
/// listener that must stay reachable when clients hold all of them, such as the admin address, gets its own server.
pub struct Server {
    workers: Arc<Workers>,
    limit: Arc<ConnectionLimit>,
    listeners: Mutex<Vec<Weak<Listening>>>,
    /// Set, under the lock of `listeners`, when all of them begin to end.
    ending: AtomicBool,
}

impl Server {
    /// Starts `workers` threads, or one per core. Call this before anything calls [`crate::worker::count`].
    ///
    /// # Errors
    /// The system cannot create a thread or an event queue.
    pub fn start(workers: Option<usize>) -> io::Result<Self> {
        let count = workers.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
        let (workers, limit) = (Arc::new(Workers::start(count)?), Arc::new(ConnectionLimit::of_process()));
        Ok(Self { workers, limit, listeners: Mutex::default(), ending: AtomicBool::new(false) })
    }

    /// Returns a function that counts the open connections.
    pub fn connections(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let limit = Arc::clone(&self.limit);
        move || limit.open()
    }

    /// Waits until every worker thread has run something, as it runs requests.
    pub fn responds(&self) -> impl Future<Output = ()> + Send + use<> {
        let asked: Vec<_> = self.workers.all().iter().map(|worker| worker.handle().spawn(async {})).collect();
        async move { drop(join_all(asked).await) }
    }

    /// Whether the process may not open enough file descriptors for the connections of a listener.
    pub fn too_few_files(&self, terms: &ConnectionTerms) -> Option<TooFewFiles> {
        let wanted = usize::try_from(terms.connections).unwrap_or(usize::MAX);
        let (ceiling, needed) = (self.limit.ceiling(), ConnectionLimit::descriptors_for(wanted));
        (wanted > ceiling).then_some(TooFewFiles { connections: terms.connections, ceiling, needed })
    }

    /// Accepts connections on `sockets` for `application`, on the current runtime. They are closed once accepting has
    /// ended, unless they are held elsewhere. A server that is ending accepts nothing new.
    pub fn listen<A: Application>(
        &self,
        application: Arc<A>,
        id: ListenerId,
        sockets: Vec<Arc<BoundSocket>>,
        terms: ConnectionTerms,
    ) -> Acceptor {
        let (workers, limit) = (Arc::clone(&self.workers), Arc::clone(&self.limit));
        let acceptor = Acceptor::start(workers, limit, application, id, sockets, terms);
        let mut listeners = self.listeners.lock();
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(acceptor.listening()));
        if self.ending.load(Ordering::Relaxed) {
            acceptor.listening().enter(Stage::Draining, &self.workers);
        }
        acceptor
    }

    /// Ends all listeners: connections are accepted and told to close for `grace`, then requests may finish for
    /// `drain`, then the rest are cut. Returns how many connections were cut.
    pub async fn shutdown(&self, grace: Duration, drain: Duration) -> usize {
        let listeners: Vec<_> = {
            let listeners = self.listeners.lock();
            self.ending.store(true, Ordering::Relaxed);
            listeners.iter().filter_map(Weak::upgrade).collect()
        };
        if !grace.is_zero() {
            listeners.iter().for_each(|listener| listener.enter(Stage::Closing, &self.workers));
            tokio::time::sleep(grace).await;
        }
        join_all(listeners.iter().map(|listener| listener.drain(drain, &self.workers))).await.into_iter().sum()
    }
}
