//! One HTTP/2 connection, the task that drives it, and the streams that use it.

use crate::upstream::broken::{self, Words};
use crate::upstream::measure::Counted;
use crate::upstream::transport::deaf::Deaf;
use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use h2::{Ping, PingPong};
use parking_lot::Mutex;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

/// How often a connection in use is checked. gRPC servers close connections that are checked more often than every five
/// minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(310);

/// How long the response to a ping may take.
const PONG: Duration = Duration::from_secs(5);

/// How long a response that is given up must have been waited for to make us check the connection. Clients that leave
/// sooner cause no pings.
const SUSPICIOUS: Duration = Duration::from_millis(250);

/// How long a connection that responded to a ping is not checked again. Servers close connections that are checked often.
const TRUSTED: Duration = Duration::from_secs(30);

/// How long the last frames may take when a connection closes.
const GOODBYE: Duration = Duration::from_secs(1);

pub(super) struct Link {
    sender: SendRequest<Bytes>,
    state: Arc<State>,
    usage: Mutex<Usage>,
    /// Its place among the connections that there may be.
    _permit: Option<OwnedSemaphorePermit>,
    /// Ends the task when the link is dropped.
    _alive: oneshot::Sender<()>,
}

/// What the task and the streams share.
struct State {
    /// How many streams the target allows at a time.
    most: AtomicUsize,
    /// Whether no stream may begin: it closes, or the target asked for that.
    retired: AtomicBool,
    /// Notified when a response does not arrive.
    suspected: Notify,
    /// How the target ended it, if it said so.
    farewell: OnceLock<Words>,
}

/// The use of a connection.
struct Usage {
    streams: usize,
    /// When the last stream ended.
    since: Instant,
    counted: Counted,
}

impl Link {
    /// Starts the task of `connection`, whose settings have arrived.
    pub fn start(
        (sender, connection): (SendRequest<Bytes>, Connection<Deaf, Bytes>),
        counted: Counted,
        permit: Option<OwnedSemaphorePermit>,
        (ended, idle): (Box<dyn Fn() + Send + Sync>, Duration),
    ) -> Arc<Self> {
        let most = AtomicUsize::new(connection.max_concurrent_send_streams());
        let (retired, suspected) = (AtomicBool::new(false), Notify::new());
        let state = Arc::new(State { most, retired, suspected, farewell: OnceLock::new() });
        let (alive, gone) = oneshot::channel();
        let link = Arc::new(Self {
            sender,
            state: Arc::clone(&state),
            usage: Mutex::new(Usage { streams: 0, since: Instant::now(), counted }),
            _permit: permit,
            _alive: alive,
        });
        let task = Task { link: Arc::downgrade(&link), ended, state, idle };
        tokio::spawn(task.run(connection, gone));
        link
    }

    pub fn is_retired(&self) -> bool {
        self.state.retired.load(Relaxed)
    }

    /// How many streams are in use.
    pub fn streams(&self) -> usize {
        self.usage.lock().streams
    }

    /// A place for one stream, if there is one, or if it may wait for one.
    pub fn seat(self: &Arc<Self>, waits: bool) -> Option<Seat> {
        let mut usage = self.usage.lock();
        if self.is_retired() || (!waits && usage.streams >= self.state.most.load(Relaxed)) {
            return None;
        }
        usage.streams += 1;
        usage.counted.turn(false);
        drop(usage);
        Some(Seat(Arc::clone(self)))
    }

    /// Retires it, if it was not used for `idle`. Otherwise returns when to look again.
    fn retire_idle(&self, idle: Duration) -> Option<Instant> {
        let usage = self.usage.lock();
        let end = usage.since + idle;
        if usage.streams > 0 {
            return Some(Instant::now() + idle);
        }
        if Instant::now() < end {
            return Some(end);
        }
        self.state.retired.store(true, Relaxed);
        None
    }
}

/// The place of one stream. Dropped after the stream.
pub(super) struct Seat(Arc<Link>);

impl Seat {
    pub fn sender(&self) -> SendRequest<Bytes> {
        self.0.sender.clone()
    }

    /// Whether the target accepts requests for tunnels (RFC 8441 section 3).
    pub fn has_tunnels(&self) -> bool {
        self.0.sender.is_extended_connect_protocol_enabled()
    }

    /// No other stream begins on this connection.
    pub fn retire(&self) {
        self.0.state.retired.store(true, Relaxed);
    }

    /// How the target ended the connection, if it said so.
    pub fn farewell(&self) -> Option<Words> {
        self.0.state.farewell.get().cloned()
    }

    /// Checks the connection, because a response did not arrive.
    pub fn suspect(&self) {
        self.0.state.suspected.notify_one();
    }
}

/// A wait for a response. If it is given up after a while, the connection is checked: it may be dead, and the request that
/// waits may not be there to notice.
pub(super) struct Waiting<'a> {
    seat: &'a Seat,
    since: Instant,
    over: bool,
}

impl<'a> Waiting<'a> {
    pub fn new(seat: &'a Seat) -> Self {
        Self { seat, since: Instant::now(), over: false }
    }

    /// There is an outcome.
    pub fn ends(mut self) {
        self.over = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.over && self.since.elapsed() >= SUSPICIOUS {
            self.seat.suspect();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut usage = self.0.usage.lock();
        usage.streams = usage.streams.saturating_sub(1);
        if usage.streams == 0 {
            usage.since = Instant::now();
            usage.counted.turn(true);
        }
    }
}

/// Drives one connection until it ends, is unused, or no longer responds.
struct Task {
    link: Weak<Link>,
    /// Called when it has ended.
    ended: Box<dyn Fn() + Send + Sync>,
    state: Arc<State>,
    idle: Duration,
}

impl Task {
    async fn run(self, mut connection: Connection<Deaf, Bytes>, mut gone: oneshot::Receiver<()>) {
        if let Some(pings) = connection.ping_pong() {
            self.drive(&mut connection, pings, &mut gone).await;
        }
        self.state.retired.store(true, Relaxed);
        (self.ended)();
    }

    async fn drive(
        &self,
        connection: &mut Connection<Deaf, Bytes>,
        mut pings: PingPong,
        gone: &mut oneshot::Receiver<()>,
    ) {
        let mut look = Instant::now() + self.idle;
        let mut checked = Instant::now();
        let mut pong_by = None;
        let mut trusted_until = None;
        loop {
            let wake = pong_by.unwrap_or_else(|| look.min(checked + KEEP_ALIVE));
            let driven = poll_fn(|cx| {
                let polled = Pin::new(&mut *connection).poll(cx);
                self.state.most.store(connection.max_concurrent_send_streams(), Relaxed);
                if let Poll::Ready(Err(error)) = &polled
                    && error.is_go_away()
                {
                    let _ = self.state.farewell.set(broken::http2(error));
                }
                polled
            });
            let mut check = false;
            tokio::select! {
                biased;
                _ = driven => return,
                _ = &mut *gone => {
                    // There are no streams, because they hold the link.
                    let _ = timeout(GOODBYE, connection).await;
                    return;
                }
                pong = poll_fn(|cx| pings.poll_pong(cx)), if pong_by.is_some() => {
                    if pong.is_err() {
                        return;
                    }
                    pong_by = None;
                    trusted_until = Some(Instant::now() + TRUSTED);
                }
                () = self.state.suspected.notified(), if pong_by.is_none() => {
                    check = trusted_until.is_none_or(|until| Instant::now() >= until);
                }
                () = sleep_until(wake) => {
                    if pong_by.is_some() {
                        return;
                    }
                    let Some(link) = self.link.upgrade() else { continue };
                    check = Instant::now() >= checked + KEEP_ALIVE;
                    match link.retire_idle(self.idle) {
                        Some(next) => look = next,
                        None => return,
                    }
                }
            }
            if check {
                checked = Instant::now();
                if pings.send_ping(Ping::opaque()).is_ok() {
                    pong_by = Some(checked + PONG);
                }
            }
        }
    }
}
