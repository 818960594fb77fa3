//! The HTTP/2 connections to one target: kept across reloads, and separate for each worker, whose runtime drives them.

use super::link::{Link, Seat};
use crate::upstream::broken;
use crate::upstream::connector::Connector;
use crate::upstream::failure::Failure;
use crate::upstream::measure::Counted;
use crate::upstream::stream::Stream;
use crate::upstream::tls::Alpn;
use crate::upstream::transport::deaf::Deaf;
use crate::upstream::transport::opening::Opening;
use crate::upstream::trust;
use crate::worker;
use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use http::uri::Scheme;
use parking_lot::Mutex;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::timeout;

/// The maximum length of the header fields of a response, in bytes.
const LONGEST_HEAD: u32 = 64 * 1024;

/// How much of a response is buffered until the client reads it, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;

/// How much of all responses of a connection is buffered, in bytes.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// Stands for a target whose settings have not arrived.
const UNKNOWN: usize = usize::MAX - 1;

/// Maximum number of connections per worker and target.
const MOST_LINKS: usize = 64;

/// The shortest time for which an unused connection is kept.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);

pub(in crate::upstream) struct Multiplexed {
    connector: Arc<Connector>,
    scheme: Scheme,
    /// How long a target may take to begin.
    within: Duration,
    idle: Duration,
    slots: Box<[Slot]>,
    /// The connections that may still be opened, if there is a limit.
    room: Option<Arc<Semaphore>>,
    /// Notified when there is a new connection.
    opened: Notify,
}

/// Where a stream may begin.
enum Room {
    /// On a new connection.
    Permit(Option<OwnedSemaphorePermit>),
    Seat(Seat),
}

/// The connections of one worker.
#[derive(Default)]
struct Slot {
    links: Mutex<Vec<Arc<Link>>>,
    opening: Opening,
}

impl Multiplexed {
    /// `connections`: how many there may be, if there is a limit. A worker without one uses those of others.
    pub fn new(
        connector: Arc<Connector>,
        scheme: Scheme,
        (within, idle): (Duration, Duration),
        connections: Option<u32>,
    ) -> Self {
        let workers = worker::count().max(1);
        let room = connections.map(|most| {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
        });
        let slots = (0..workers).map(|_| Slot::default()).collect();
        Self { connector, scheme, within, idle: idle.max(SHORTEST_IDLE), slots, room, opened: Notify::new() }
    }

    pub fn scheme(&self) -> Scheme {
        self.scheme.clone()
    }

    /// A place on a connection of this worker. Opens one if all are full.
    pub(super) async fn seat(self: &Arc<Self>) -> Result<Seat, Failure> {
        let slot = self.slot();
        slot.opening.find_or_open(|| slot.seat(), self.open()).await
    }

    async fn open(self: &Arc<Self>) -> Result<Seat, Failure> {
        let slot = self.slot();
        if slot.links.lock().len() >= MOST_LINKS {
            return slot.wait().ok_or(Failure::Overloaded);
        }
        let permit = match timeout(self.within, self.room()).await {
            Ok(Room::Permit(permit)) => permit,
            Ok(Room::Seat(seat)) => return Ok(seat),
            Err(_) => return Err(Failure::Overloaded),
        };
        let (stream, counted) = self.connector.open(Alpn::Http2).await?;
        let link = Link::start(self.begin(stream).await?, counted, permit, (self.forgetting(), self.idle));
        slot.links.lock().push(Arc::clone(&link));
        self.opened.notify_waiters();
        link.seat(false).ok_or(Failure::Overloaded)
    }

    /// Uses `stream`, whose target chose HTTP/2.
    pub async fn adopt(self: &Arc<Self>, stream: Stream, counted: Counted) -> Result<(), Failure> {
        // Beyond the limit it is closed, and requests use the other connections.
        let Ok(permit) = self.permit() else { return Ok(()) };
        let link = Link::start(self.begin(stream).await?, counted, permit, (self.forgetting(), self.idle));
        self.slot().links.lock().push(link);
        self.opened.notify_waiters();
        Ok(())
    }

    /// Counts one more connection, if there is a limit. `Err` if that is reached.
    fn permit(&self) -> Result<Option<OwnedSemaphorePermit>, TryAcquireError> {
        self.room.as_ref().map(|room| Arc::clone(room).try_acquire_owned()).transpose()
    }

    /// Room for one more connection, or a place on another. Waits for one of them: a connection that counts already may
    /// still be opening.
    async fn room(&self) -> Room {
        loop {
            let mut opened = pin!(self.opened.notified());
            opened.as_mut().enable();
            if let Ok(permit) = self.permit() {
                return Room::Permit(permit);
            }
            if let Some(seat) = self.share() {
                return Room::Seat(seat);
            }
            let Some(room) = &self.room else { return Room::Permit(None) };
            tokio::select! {
                () = opened => {}
                Ok(permit) = Arc::clone(room).acquire_owned() => return Room::Permit(Some(permit)),
            }
        }
    }

    /// A place on a connection of this worker, or else on one of another, even if the stream must wait there.
    fn share(&self) -> Option<Seat> {
        let others = || self.slots.iter();
        self.slot().wait().or_else(|| others().find_map(Slot::seat)).or_else(|| others().find_map(Slot::wait))
    }

    /// Begins HTTP/2, and waits for the settings of the target, which say how many streams it allows.
    async fn begin(&self, stream: Stream) -> Result<(SendRequest<Bytes>, Connection<Deaf, Bytes>), Failure> {
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .max_header_list_size(LONGEST_HEAD)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(UNKNOWN);
        let begun = timeout(self.within, async {
            let (sender, mut connection) = builder.handshake(Deaf::new(stream)).await?;
            poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
                Poll::Ready(ended) => Poll::Ready(ended.and(Err(h2::Reason::NO_ERROR.into()))),
                Poll::Pending if connection.max_concurrent_send_streams() == UNKNOWN => Poll::Pending,
                Poll::Pending => Poll::Ready(Ok(())),
            })
            .await?;
            Ok((sender, connection))
        });
        begun.await.map_err(|_| Failure::ConnectTimeout)?.map_err(|error: h2::Error| {
            if let Some(error) = error.get_io().and_then(trust::tls_error) {
                return Failure::Tls(trust::describe(error));
            }
            Failure::Connect(io::Error::other(if error.is_library() {
                // Often it responds to the preface with a 400.
                "the target does not support HTTP/2".to_owned()
            } else {
                format!("{} before the target began HTTP/2", broken::http2(&error))
            }))
        })
    }

    /// Called when a connection has ended.
    fn forgetting(self: &Arc<Self>) -> Box<dyn Fn() + Send + Sync> {
        let owner = Arc::downgrade(self);
        Box::new(move || {
            if let Some(owner) = owner.upgrade() {
                owner.forget_retired();
            }
        })
    }

    /// Drops the connections on which no stream may begin, as soon as their streams end.
    fn forget_retired(&self) {
        for slot in &self.slots {
            slot.links.lock().retain(|link| !link.is_retired());
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is smaller than the length, which is never 0")]
    fn slot(&self) -> &Slot {
        &self.slots[worker::current() % self.slots.len()]
    }
}

impl Slot {
    /// A free place.
    fn seat(&self) -> Option<Seat> {
        let mut links = self.links.lock();
        if links.iter().any(|link| link.is_retired()) {
            links.retain(|link| !link.is_retired());
        }
        links.iter().find_map(|link| link.seat(false))
    }

    /// A place on the least busy connection, once one of its streams ends.
    fn wait(&self) -> Option<Seat> {
        let links = self.links.lock();
        links.iter().min_by_key(|link| link.streams())?.seat(true)
    }
}
