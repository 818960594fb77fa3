//! A listening socket: accepts connections within their limits, hands them to the workers, and ends them.

use super::application::{Application, Arrival, ListenerId};
use super::closed::Closed;
use super::connection;
use super::connection_limit::{ConnectionLimit, Connections};
use super::listening::{Listening, Stage};
use super::workers::{Worker, Workers};
use crate::terms::ConnectionTerms;
#[cfg(target_os = "linux")]
use socket2::SockFilter;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Connections that are accepted after the end was asked for, at most: as many as the kernel holds.
const BACKLOG: i32 = 1024;

/// How long accepting pauses when the system has no descriptor or memory for another connection.
const PAUSE: Duration = Duration::from_millis(50);

/// How long to wait for one more connection that the kernel has completed, before the socket is closed.
const LAST_CALL: Duration = Duration::from_millis(1);

/// A packet filter that takes none.
#[cfg(target_os = "linux")]
const DROP_ALL: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// How long connections that are cut may take to be gone.
const CUT: Duration = Duration::from_secs(1);

impl Listening {
    /// Enters `stage`, unless it is in a later one already, and lets every connection know.
    pub(super) fn enter(&self, stage: Stage, workers: &Workers) {
        self.set_stage(stage);
        workers.stage_changed();
    }

    /// Stops accepting, lets requests finish for `within`, then cuts. Gives how many connections were cut.
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

    /// Whether the last connection ends `within` that time.
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

/// A listening socket that is being served. Dropping it stops accepting and lets requests finish, without a deadline.
pub struct Acceptor {
    listening: Arc<Listening>,
    workers: Arc<Workers>,
    task: JoinHandle<()>,
}

impl Acceptor {
    pub(super) fn start<A: Application>(
        workers: Arc<Workers>,
        limit: Arc<ConnectionLimit>,
        application: Arc<A>,
        id: ListenerId,
        socket: Arc<TcpListener>,
        terms: ConnectionTerms,
    ) -> Self {
        let listening = Arc::new(Listening::new(terms, Connections::new(limit)));
        let door = AcceptLoop {
            application,
            id,
            socket,
            listening: Arc::clone(&listening),
            workers: Arc::clone(&workers),
            turn: 0,
        };
        let task = tokio::spawn(door.serve());
        Self { listening, workers, task }
    }

    pub(super) fn listening(&self) -> &Arc<Listening> {
        &self.listening
    }

    /// How many connections are open.
    #[cfg(test)]
    pub fn open(&self) -> usize {
        self.listening.connections.open()
    }

    /// Says how many connections are open, whenever it is asked.
    pub fn connections(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let listening = Arc::clone(&self.listening);
        move || listening.connections.open()
    }

    /// Says how many connections were closed for a reason, whenever it is asked.
    pub fn closed(&self) -> impl Fn(Closed) -> u64 + Clone + Send + Sync + use<> {
        let listening = Arc::clone(&self.listening);
        move |reason| listening.counts.of(reason)
    }

    /// How many connections were accepted since it was started.
    #[cfg(test)]
    pub fn accepted(&self) -> usize {
        self.listening.connections.accepted()
    }

    /// Holds new connections to other terms; open ones keep theirs.
    pub fn update(&self, terms: ConnectionTerms) {
        self.listening.set_terms(terms);
        // A higher limit may make room at once.
        self.listening.connections.limit().freed.notify_waiters();
    }

    /// Stops accepting and tells open connections to end. Returns when nothing is accepted any more. With `hand_over`,
    /// connections that still wait in the socket are left to the next one who holds it.
    pub async fn stop(&self, hand_over: bool) {
        self.listening.handed_over.store(hand_over, Relaxed);
        self.listening.enter(Stage::Draining, &self.workers);
        self.listening.closed.cancelled().await;
    }

    /// Stops accepting, lets requests finish for `within`, then cuts. Gives how many connections were cut.
    pub async fn drain(self, within: Duration) -> usize {
        self.listening.drain(within, &self.workers).await
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.listening.enter(Stage::Draining, &self.workers);
        // It may be inside `accept`; the socket is to be closed now and not when it is next polled.
        self.task.abort();
    }
}

/// What accepts.
struct AcceptLoop<A> {
    application: Arc<A>,
    id: ListenerId,
    socket: Arc<TcpListener>,
    listening: Arc<Listening>,
    workers: Arc<Workers>,
    /// Whose turn it is among workers with equally many connections.
    turn: usize,
}

impl<A: Application> AcceptLoop<A> {
    async fn serve(mut self) {
        let closed = self.listening.closed.clone().drop_guard();
        let stop = self.listening.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.accept() => {}
        }
        self.last_call().await;
        drop(self);
        drop(closed);
    }

    /// Clients whose connection the kernel has completed do not know that we end: those are accepted. Then the socket is
    /// made deaf before it is looked at once more, so that no connection begins between that look and the close. A client
    /// that knocks at that moment knocks again after a second, at whatever listens here by then.
    async fn last_call(&mut self) {
        for _ in 0..BACKLOG {
            if self.listening.handed_over.load(Relaxed) {
                return;
            }
            match tokio::time::timeout(LAST_CALL, self.socket.accept()).await {
                Ok(Ok((stream, peer))) if !self.listening.connections.limit().is_full() => self.seat(stream, peer),
                Ok(_) => return,
                Err(_) => break,
            }
        }
        #[cfg(target_os = "linux")]
        let _ = SockRef::from(&*self.socket).attach_filter(&[DROP_ALL]);
        while let Some((stream, peer)) = self.waiting() {
            self.seat(stream, peer);
        }
    }

    /// A connection that waits in the socket now.
    fn waiting(&self) -> Option<(TcpStream, SocketAddr)> {
        if self.listening.connections.limit().is_full() {
            return None;
        }
        let (stream, peer) = SockRef::from(&*self.socket).accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream.into()).ok()?, peer.as_socket()?))
    }

    /// Accepts for ever. No error ends it: a client that is gone or a lack of descriptors concerns one connection, not
    /// the next ones.
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
                        tracing::warn!(%error, "no connection can be accepted for now; raise the limit of open files");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Gives a connection to a worker, if its client may have one more.
    fn seat(&mut self, stream: TcpStream, peer: SocketAddr) {
        let per_client = self.listening.terms().connections_per_client;
        let Some(permit) = self.listening.connections.admit(peer.ip(), per_client) else {
            tracing::warn!(client = %peer.ip(), limit = per_client, "a client has all the connections it may have: another one is refused");
            return self.listening.counts.add(Closed::ClientLimit);
        };
        // It belongs to this runtime's event loop so far.
        let Ok(stream) = stream.into_std() else { return };
        let (application, listening) = (Arc::clone(&self.application), Arc::clone(&self.listening));
        let arrival = Arrival { listener: self.id, peer, tls: false };
        let Some(worker) = self.choose() else { return };
        let seat = worker.seat();
        worker.handle().spawn(connection::serve(application, arrival, stream, permit, listening, seat));
    }

    /// The worker with the fewest connections; among equals, each in turn.
    fn choose(&mut self) -> Option<&Arc<Worker>> {
        let workers = self.workers.all();
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn.checked_rem(workers.len())?;
        let (before, after) = workers.split_at_checked(turn)?;
        after.iter().chain(before).min_by_key(|worker| worker.load())
    }
}

/// Waits until this listener, and the process, may have one more connection. Clients wait in the backlog meanwhile.
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
            tracing::warn!(limit, ceiling, "no room for another connection: accepting pauses until one ends");
        }
        freed.await;
    }
}

/// Errors of accept(2) that are about the connection that was to be accepted, gone by now.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
