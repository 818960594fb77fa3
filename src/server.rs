//! The HTTP server: listening sockets, the connections of clients, what each may use, and how they end.
//!
//! A connection is accepted on the runtime of the process and handed to a worker thread, where all its requests are
//! answered: see `docs/decisions/005-own-accept-loop.md`. What answers is an [`Application`]; it calls [`admit`] first.

mod application;
mod body;
mod client_ip;
mod clock;
mod closed;
mod connection;
mod connection_limit;
mod cookies;
mod deadlines;
mod listener;
mod listening;
mod requests;
mod socket;
#[cfg(test)]
mod tests;
mod workers;

pub use application::{Application, Arrival, ListenerId};
pub use closed::Closed;
pub use listener::Acceptor;

use crate::admission;
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
use tokio::net::TcpListener;
use workers::Workers;

/// A request that was let in.
pub struct Admitted {
    pub request: Request,
    /// How its path is spelled, which is in normal form now.
    pub spelling: Spelling,
}

/// A request that was not let in, without its body, and what its client is told.
pub struct RefusedRequest {
    pub request: Request,
    pub response: Response,
}

/// Lets a request in: decides who its client is, refuses what could mean two things to two servers, takes away what
/// only trusted proxies may say, puts its path into normal form, and bounds its body: by what `body_bytes` gives for its
/// head, else by the listener's limit. A refusal is boxed: it is rare, and larger than a request.
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
        Ok((spelling, body::limited(incoming, terms, || body_bytes(&head, spelling).unwrap_or(terms.body_bytes))?))
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

/// The worker threads and all listeners they serve. Ends everything when it is dropped, open connections included.
///
/// Listeners of one server share its threads and its connections, which take at most half of the descriptors. What must
/// be reachable when clients have taken all of them, such as the admin address, gets a server of its own.
pub struct Server {
    workers: Arc<Workers>,
    limit: Arc<ConnectionLimit>,
    listeners: Mutex<Vec<Weak<Listening>>>,
    /// Set, under the lock of `listeners`, when all of them are about to end.
    ending: AtomicBool,
}

impl Server {
    /// Starts `workers` threads, or one per core. Do this before anything asks for [`crate::worker::count`].
    ///
    /// # Errors
    /// When the system gives no thread or event queue.
    pub fn start(workers: Option<usize>) -> io::Result<Self> {
        let count = workers.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
        let (workers, limit) = (Arc::new(Workers::start(count)?), Arc::new(ConnectionLimit::of_process()));
        Ok(Self { workers, limit, listeners: Mutex::default(), ending: AtomicBool::new(false) })
    }

    /// Says how many connections are open, whenever it is asked.
    pub fn connections(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let limit = Arc::clone(&self.limit);
        move || limit.open()
    }

    /// Says so where the process may not open as many descriptors as the connections of a listener need.
    pub fn compare(&self, listener: &str, terms: &ConnectionTerms) {
        let (connections, ceiling) = (terms.connections, self.limit.ceiling());
        let wanted = usize::try_from(connections).unwrap_or(usize::MAX);
        if wanted > ceiling {
            tracing::warn!(
                listener,
                connections,
                ceiling,
                needed = ConnectionLimit::descriptors_for(wanted),
                "fewer connections are served than `limits.connections` allows: let the process open the needed number \
                 of files (`ulimit -Hn`, `LimitNOFILE=`, `--ulimit nofile=`), or lower `connections` to the ceiling"
            );
        }
    }

    /// Accepts connections of `socket` for `application`, on the runtime that this is called on. Once accepting has
    /// ended the socket is closed, unless another holds it. While the server ends, nothing new is begun.
    pub fn listen<A: Application>(
        &self,
        application: Arc<A>,
        id: ListenerId,
        socket: Arc<TcpListener>,
        terms: ConnectionTerms,
    ) -> Acceptor {
        let (workers, limit) = (Arc::clone(&self.workers), Arc::clone(&self.limit));
        let acceptor = Acceptor::start(workers, limit, application, id, socket, terms);
        let mut listeners = self.listeners.lock();
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(acceptor.listening()));
        if self.ending.load(Ordering::Relaxed) {
            acceptor.listening().enter(Stage::Draining, &self.workers);
        }
        acceptor
    }

    /// Ends all listeners: for `grace` connections are still accepted and told to end, then for `drain` requests may
    /// finish, then what is left is cut. Gives how many connections were cut.
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
