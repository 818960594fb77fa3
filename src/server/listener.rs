//! A listener: accepts connections within their limits, hands them to the workers, and ends them.

use super::application::{Application, Arrival, ListenerId};
use super::closed::Closed;
use super::connection;
use super::connection_limit::{ConnectionLimit, Connections};
use super::listening::{Leaving, Listening, Stage};
use super::workers::{Worker, Workers};
use crate::net::BoundSocket;
use crate::terms::ConnectionTerms;
use gatewright_sdk::Peer;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;

/// The maximum number of connections accepted after the end was requested: as many as the kernel queues.
const BACKLOG: usize = 1024;

/// How long accepting pauses when the system has no descriptors or memory for another connection.
const PAUSE: Duration = Duration::from_millis(50);

/// How long to wait for one more established connection before the socket is closed.
const LAST_CALL: Duration = Duration::from_millis(1);

/// How long a handshake that has begun may take, when its listener moves.
const HANDSHAKE: Duration = Duration::from_millis(200);

/// How long cut connections may take to close.
const CUT: Duration = Duration::from_secs(1);

impl Listening {
    /// Enters `stage`, unless already in a later one, and wakes every connection.
    pub(super) fn enter(&self, stage: Stage, workers: &Workers) {
        self.set_stage(stage);
        workers.stage_changed();
    }

    /// Stops accepting, lets requests finish for `within`, then cuts. Returns how many connections were cut.
    pub(super) async fn drain(&self, within: Duration, workers: &Workers) -> usize {
        self.enter(Stage::Draining, workers);
        self.closed.cancelled().await;
        if self.empty(within).await {
            return 0;
        }
        let cut = self.connections.open();
        self.enter(Stage::Cut, workers);
        self.empty(CUT).await;
        cut
    }

    /// Whether the last connection ends `within` this time.
    async fn empty(&self, within: Duration) -> bool {
        let emptied = async {
            loop {
                let freed = self.connections.limit().freed.notified();
                if self.connections.open() == 0 {
                    return;
                }
                freed.await;
            }
        };
        tokio::time::timeout(within, emptied).await.is_ok()
    }
}

/// A running listener. Dropping it stops accepting and lets requests finish, without a deadline.
pub struct Acceptor {
    listening: Arc<Listening>,
    workers: Arc<Workers>,
    /// One for each socket.
    tasks: Vec<JoinHandle<()>>,
}

impl Acceptor {
    pub(super) fn start<A: Application>(
        workers: Arc<Workers>,
        limit: Arc<ConnectionLimit>,
        application: Arc<A>,
        id: ListenerId,
        sockets: Vec<Arc<BoundSocket>>,
        terms: ConnectionTerms,
    ) -> Self {
        let listening = Arc::new(Listening::new(terms, Connections::new(limit)));
        let closed = Arc::new(listening.closed.clone().drop_guard());
        let accepting = sockets.into_iter().map(|socket| AcceptLoop {
            application: Arc::clone(&application),
            id,
            socket,
            listening: Arc::clone(&listening),
            workers: Arc::clone(&workers),
            turn: 0,
            closed: Arc::clone(&closed),
        });
        let tasks = accepting.map(|door| tokio::spawn(door.serve())).collect();
        Self { listening, workers, tasks }
    }

    pub(super) fn listening(&self) -> &Arc<Listening> {
        &self.listening
    }

    /// How many connections are open.
    #[cfg(test)]
    pub fn open(&self) -> usize {
        self.listening.connections.open()
    }

    /// Returns a function that counts the open connections.
    pub fn connections(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let listening = Arc::clone(&self.listening);
        move || listening.connections.open()
    }

    /// Returns a function that counts the connections closed for a reason.
    pub fn closed(&self) -> impl Fn(Closed) -> u64 + Clone + Send + Sync + use<> {
        let listening = Arc::clone(&self.listening);
        move |reason| listening.counts.of(reason)
    }

    /// How many connections were accepted since the start.
    #[cfg(test)]
    pub fn accepted(&self) -> usize {
        self.listening.connections.accepted()
    }

    /// Sets the terms of new connections; open ones keep theirs. If their handshake no longer suffices, they are told to close.
    pub fn update(&self, terms: ConnectionTerms) {
        if self.listening.set_terms(terms) {
            self.workers.stage_changed();
        }
        // A higher limit may allow another connection at once.
        self.listening.connections.limit().freed.notify_waiters();
    }

    /// Stops accepting and tells open connections to end. Returns once nothing is accepted any more.
    pub async fn stop(&self, leaving: Leaving) {
        let served = leaving.served;
        *self.listening.leaving.write() = leaving;
        self.listening.enter(if served { Stage::Closing } else { Stage::Draining }, &self.workers);
        self.listening.stop.cancel();
        self.listening.closed.cancelled().await;
    }

    /// Stops accepting, lets requests finish for `within`, then cuts. Returns how many connections were cut. Connections
    /// that are still served may be idle for as long before.
    pub async fn drain(self, within: Duration) -> usize {
        if self.listening.leaving.read().served && self.listening.empty(within).await {
            return 0;
        }
        self.listening.drain(within, &self.workers).await
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.listening.enter(Stage::Draining, &self.workers);
        // It may be waiting in `accept`; the socket must close now, not when the task is next polled.
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The state of the accepting task.
struct AcceptLoop<A> {
    application: Arc<A>,
    id: ListenerId,
    socket: Arc<BoundSocket>,
    listening: Arc<Listening>,
    workers: Arc<Workers>,
    /// The worker to prefer among those with equally many connections.
    turn: usize,
    /// Reports that accepting has ended, when the last task drops it. After the socket.
    closed: Arc<DropGuard>,
}

impl<A: Application> AcceptLoop<A> {
    async fn serve(mut self) {
        let closed = Arc::clone(&self.closed);
        let stop = self.listening.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.accept() => {}
        }
        self.last_call().await;
        drop(self);
        drop(closed);
    }

    /// Clients whose connection is established do not know that the listener is ending, so those are accepted, and no
    /// connection begins between the last look at the queue and the close.
    async fn last_call(&mut self) {
        let Leaving { handed_over, moved, .. } = self.listening.leaving.read().clone();
        if handed_over.iter().any(|socket| socket.as_ptr() == Arc::as_ptr(&self.socket)) {
            return;
        }
        if !self.socket.withdraw() {
            if moved {
                self.socket.drop_first_packets();
                // New connections begin elsewhere by now.
                let _ = tokio::time::timeout(HANDSHAKE, self.accept()).await;
            } else {
                self.accept_established().await;
                self.socket.drop_packets();
            }
        }
        while !self.listening.connections.limit().is_full()
            && let Some((stream, peer)) = self.socket.queued()
        {
            self.seat(stream, peer);
        }
    }

    /// Accepts what is established on a TCP socket.
    async fn accept_established(&mut self) {
        for _ in 0..BACKLOG {
            match tokio::time::timeout(LAST_CALL, self.socket.accept()).await {
                Ok(Ok((stream, peer))) if !self.listening.connections.limit().is_full() => self.seat(stream, peer),
                _ => return,
            }
        }
    }

    /// Accepts until aborted. No error ends it: a vanished client or a lack of descriptors affects one connection, not
    /// the next.
    async fn accept(&mut self) {
        let mut warned = false;
        loop {
            wait_for_room(&self.listening).await;
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    warned = false;
                    self.seat(stream, peer);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut warned, true) {
                        tracing::warn!(%error, "cannot accept connections; raise the limit of open files");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Hands a connection to a worker, unless its client has reached its limit.
    fn seat(&mut self, stream: TcpStream, peer: Peer) {
        let per_client = self.listening.terms().connections_per_client;
        let Some(permit) = self.listening.connections.admit(peer.address(), per_client) else {
            tracing::warn!(client = %peer.address(), limit = per_client, "client has reached its connection limit; rejecting another connection");
            return self.listening.counts.add(Closed::ClientLimit);
        };
        let (application, listening) = (Arc::clone(&self.application), Arc::clone(&self.listening));
        let arrival = Arrival {
            listener: self.id,
            peer,
            tls: false,
            certificate: None,
            rest: None,
            answering: None,
            outdated: None,
        };
        let Some(worker) = self.choose() else { return };
        let seat = worker.seat();
        worker.handle().spawn(connection::serve(application, arrival, stream, permit, listening, seat));
    }

    /// The worker with the fewest connections; round robin among equals.
    fn choose(&mut self) -> Option<&Arc<Worker>> {
        let workers = self.workers.all();
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn.checked_rem(workers.len())?;
        let (before, after) = workers.split_at_checked(turn)?;
        after.iter().chain(before).min_by_key(|worker| worker.load())
    }
}

/// Waits until the listener and the process may have another connection. Clients wait in the backlog.
async fn wait_for_room(listening: &Listening) {
    let mut warned = false;
    loop {
        let freed = listening.connections.limit().freed.notified();
        let most = usize::try_from(listening.terms().connections).unwrap_or(usize::MAX);
        let all = listening.connections.limit();
        if listening.connections.open() < most && !all.is_full() {
            return;
        }
        if !std::mem::replace(&mut warned, true) {
            let (limit, ceiling) = (most, all.ceiling());
            tracing::warn!(limit, ceiling, "connection limit reached; accepting again when a connection closes");
        }
        freed.await;
    }
}

/// Errors of accept(2) that concern a single connection which is already gone.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
