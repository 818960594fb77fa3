//! The connections to one target: kept across reloads, and separate for each worker, so that workers never wait for
//! each other.

use super::connection::Connection;
use crate::upstream::failure::Failure;
use crate::upstream::measure::{Counted, TargetConnections};
use crate::worker;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Maximum number of idle connections per worker and target.
const MOST_IDLE: usize = 256;

/// The address of a target.
#[derive(Clone, Debug)]
pub(in crate::upstream) enum Address {
    Socket(SocketAddr),
    /// Resolved whenever a connection is opened.
    Name(Box<str>, u16),
}

pub(in crate::upstream) struct Pool {
    address: Address,
    connect: Duration,
    idle: Duration,
    connections: Arc<TargetConnections>,
    shelves: Box<[Mutex<Shelf>]>,
}

/// The idle connections of one worker, the most recently used last.
#[derive(Default)]
struct Shelf {
    connections: VecDeque<(Instant, Connection)>,
    /// Closes connections that were idle for too long; runs only while there are any.
    sweeper: Option<AbortHandle>,
}

impl Pool {
    /// `connect`: how long connecting may take; `idle`: how long an unused connection is kept.
    pub fn new(address: Address, connect: Duration, idle: Duration, connections: TargetConnections) -> Self {
        let shelves = (0..worker::count().max(1)).map(|_| Mutex::default()).collect();
        Self { address, connect, idle, connections: Arc::new(connections), shelves }
    }

    /// An idle connection of this worker that is still open and was used within `within`.
    pub(super) fn take(&self, within: Duration) -> Option<Connection> {
        let within = within.min(self.idle);
        loop {
            // If the most recently used one is too old, so are all others; the sweeper closes them.
            let mut shelf = self.shelf(worker::current());
            let (_, mut connection) = shelf.connections.pop_back_if(|(since, _)| since.elapsed() <= within)?;
            drop(shelf);
            if connection.ready() {
                connection.counted.turn(false);
                return Some(connection);
            }
        }
    }

    /// Keeps `connection` for the next request, unless its last response did not end cleanly.
    pub(super) fn give_back(self: &Arc<Self>, mut connection: Connection) {
        if self.idle.is_zero() || !connection.ready() {
            return;
        }
        connection.counted.turn(true);
        let home = connection.home;
        let mut shelf = self.shelf(home);
        if shelf.connections.len() >= MOST_IDLE {
            return;
        }
        shelf.connections.push_back((Instant::now(), connection));
        if shelf.sweeper.as_ref().is_none_or(AbortHandle::is_finished) {
            let task = tokio::spawn(sweep(Arc::downgrade(self), home, self.idle));
            shelf.sweeper = Some(task.abort_handle());
        }
    }

    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let connection = self.open().await;
        self.connections.tried(connection.as_ref().map(|_| ()));
        connection
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let open = async {
            let stream = match &self.address {
                Address::Socket(address) => TcpStream::connect(address).await,
                Address::Name(host, port) => TcpStream::connect((&**host, *port)).await,
            };
            stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream)).map_err(Failure::Connect)
        };
        let stream = tokio::time::timeout(self.connect, open).await.map_err(|_| Failure::ConnectTimeout)??;
        let connection = Connection::new(stream, Counted::new(&self.connections)).await;
        connection.map_err(|error| Failure::Connect(std::io::Error::other(error)))
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
