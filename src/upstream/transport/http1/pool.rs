//! The connections to one target: kept across reloads, and separate for each worker, so that workers never wait for
//! each other.

use super::connection::Connection;
use crate::upstream::connector::Connector;
use crate::upstream::failure::Failure;
use crate::upstream::measure::Counted;
use crate::upstream::stream::Stream;
use crate::upstream::tls::Alpn;
use crate::worker;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Maximum number of idle connections per worker and target.
const MOST_IDLE: usize = 256;

pub(in crate::upstream) struct Pool {
    connector: Arc<Connector>,
    idle: Duration,
    shelves: Box<[Mutex<Shelf>]>,
    cap: Option<Cap>,
}

/// The limit on the connections of a pool.
pub(in crate::upstream) struct Cap {
    connections: Arc<Semaphore>,
    waiting: AtomicU32,
    most_waiting: u32,
    patience: Duration,
}

impl Cap {
    /// At most `connections`, and `most_waiting` requests that wait for one for up to `patience`.
    pub fn new(connections: u32, most_waiting: u32, patience: Duration) -> Self {
        let connections = usize::try_from(connections).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { connections: Arc::new(Semaphore::new(connections)), waiting: AtomicU32::new(0), most_waiting, patience }
    }

    fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.connections).try_acquire_owned().ok()
    }
}

/// What a request at the limit got.
enum Room {
    /// It may open a connection.
    Permit(OwnedSemaphorePermit),
    Connection(Box<Connection>),
}

/// The idle connections of one worker, the most recently used last.
#[derive(Default)]
struct Shelf {
    connections: VecDeque<(Instant, Box<Connection>)>,
    /// Requests that wait for a connection, first come first served.
    waiting: VecDeque<oneshot::Sender<Box<Connection>>>,
    /// Closes connections that were idle for too long; runs only while there are any.
    sweeper: Option<AbortHandle>,
}

impl Pool {
    /// `idle`: how long an unused connection is kept.
    pub fn new(connector: Arc<Connector>, idle: Duration, cap: Option<Cap>) -> Self {
        let shelves = (0..worker::count().max(1)).map(|_| Mutex::default()).collect();
        Self { connector, idle, shelves, cap }
    }

    /// An idle connection of this worker that is still open and was used within `within`.
    pub(super) fn take(&self, within: Duration) -> Option<Box<Connection>> {
        let is_recent = |(since, _): &mut (Instant, _)| within >= self.idle || since.elapsed() <= within;
        loop {
            // If the most recently used one is too old, so are all others; the sweeper closes them.
            let mut shelf = self.shelf(worker::current());
            let (_, mut connection) = shelf.connections.pop_back_if(is_recent)?;
            drop(shelf);
            if connection.ready() {
                connection.counted.turn(false);
                return Some(connection);
            }
        }
    }

    /// Keeps `connection` for the next request, unless its last response did not end cleanly.
    pub(super) fn give_back(self: &Arc<Self>, mut connection: Box<Connection>) {
        if !connection.ready() {
            return;
        }
        let home = connection.home;
        let mut shelf = self.shelf(home);
        while let Some(waiter) = shelf.waiting.pop_front() {
            match waiter.send(connection) {
                Ok(()) => return,
                Err(returned) => connection = returned,
            }
        }
        // Requests of other workers wait for it to close.
        if self.idle.is_zero() || self.cap.as_ref().is_some_and(|cap| cap.waiting.load(Relaxed) > 0) {
            return;
        }
        connection.counted.turn(true);
        if shelf.connections.len() >= MOST_IDLE {
            return;
        }
        shelf.connections.push_back((Instant::now(), connection));
        if shelf.sweeper.as_ref().is_none_or(AbortHandle::is_finished) {
            let task = tokio::spawn(sweep(Arc::downgrade(self), home, self.idle));
            shelf.sweeper = Some(task.abort_handle());
        }
    }

    pub(super) async fn connect(&self) -> Result<Box<Connection>, Failure> {
        let permit = match &self.cap {
            None => None,
            Some(cap) => match self.room(cap).await? {
                Room::Permit(permit) => Some(permit),
                Room::Connection(connection) => return Ok(connection),
            },
        };
        let (stream, counted) = self.connector.open(Alpn::Http1).await?;
        let connection = Connection::new(stream, counted, permit).await;
        connection.map(Box::new).map_err(|error| Failure::Connect(std::io::Error::other(error)))
    }

    /// Keeps `stream`, whose target chose HTTP/1.1, for the next request. It closes if there are as many as there may be.
    pub async fn adopt(self: &Arc<Self>, stream: Stream, counted: Counted) -> Result<(), Failure> {
        let permit = self.cap.as_ref().map(Cap::permit);
        if permit.as_ref().is_none_or(Option::is_some) {
            let connection = Connection::new(stream, counted, permit.flatten()).await;
            self.give_back(Box::new(connection.map_err(|error| Failure::Connect(std::io::Error::other(error)))?));
        }
        Ok(())
    }

    /// Waits, if there are as many connections as there may be: for one to close, or for one that has become idle.
    async fn room(&self, cap: &Cap) -> Result<Room, Failure> {
        if let Some(permit) = cap.permit().or_else(|| self.close_one().then(|| cap.permit()).flatten()) {
            return Ok(Room::Permit(permit));
        }
        let joins = |waiting: u32| (waiting < cap.most_waiting).then_some(waiting + 1);
        if cap.waiting.fetch_update(Relaxed, Relaxed, joins).is_err() {
            return Err(Failure::Overloaded);
        }
        let _waiting = Waiting(&cap.waiting);
        let (sender, receiver) = oneshot::channel();
        self.shelf(worker::current()).waiting.push_back(sender);
        tokio::select! {
            biased;
            Ok(connection) = receiver => Ok(Room::Connection(connection)),
            Ok(permit) = Arc::clone(&cap.connections).acquire_owned() => Ok(Room::Permit(permit)),
            () = tokio::time::sleep(cap.patience) => Err(Failure::Overloaded),
        }
    }

    /// Closes an idle connection of another worker, if there is one.
    fn close_one(&self) -> bool {
        let oldest = self.shelves.iter().find_map(|shelf| shelf.lock().connections.pop_front());
        oldest.is_some()
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is smaller than the length, which is never 0")]
    fn shelf(&self, worker: usize) -> MutexGuard<'_, Shelf> {
        self.shelves[worker % self.shelves.len()].lock()
    }

    /// Closes connections that were idle for too long; returns how long the oldest remaining one may stay.
    fn close_expired(&self, worker: usize) -> Option<Duration> {
        let mut shelf = self.shelf(worker);
        let expired = shelf.connections.partition_point(|(since, _)| since.elapsed() >= self.idle);
        let kept = shelf.connections.split_off(expired);
        let expired = std::mem::replace(&mut shelf.connections, kept);
        let next = shelf.connections.front().map(|(since, _)| self.idle.saturating_sub(since.elapsed()));
        if next.is_none() {
            shelf.sweeper = None;
        }
        drop(shelf);
        drop(expired);
        next
    }
}

/// A waiting request.
struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

async fn sweep(pool: Weak<Pool>, worker: usize, idle: Duration) {
    let mut wait = idle;
    loop {
        tokio::time::sleep(wait).await;
        let Some(pool) = pool.upgrade() else { return };
        let Some(next) = pool.close_expired(worker) else { return };
        wait = next;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for shelf in &mut self.shelves {
            if let Some(sweeper) = &shelf.get_mut().sweeper {
                sweeper.abort();
            }
        }
    }
}
