//! One connection: detects its protocol, serves it, and ends it.

use super::application::{Application, Arrival};
use super::closed::Closed;
use super::connection_limit::Permit;
use super::deadlines::{Deadlines, Ending};
use super::handshake::{self, Encrypted};
use super::lingering::linger;
use super::listening::{Listening, Stage};
use super::requests::Front;
use super::socket::Socket;
use super::stream::Io;
use super::workers::Seat;
use crate::terms::ConnectionTerms;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The first bytes of HTTP/2 (RFC 9113 section 3.4). No HTTP/1 request can begin with them.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// HTTP/2 counts this on top of the bytes of each field (RFC 9113 section 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// The smallest buffer that hyper accepts for a request head.
const LEAST_BUFFER: usize = 8 * 1024;

/// The maximum number of header fields that hyper reads without allocating.
const USUAL_HEADERS: usize = 100;

/// The limits of one HTTP/2 connection; for the reasons see `docs/decisions/005-own-accept-loop.md`.
const STREAMS: u32 = 100;
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const SEND_BUFFER: usize = 64 * 1024;
const PENDING_RESETS: usize = 20;
const ERROR_RESETS: usize = 128;
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves `stream` until it ends, on the worker that received the connection.
pub(super) async fn serve<A: Application>(
    application: Arc<A>,
    mut arrival: Arrival,
    stream: std::net::TcpStream,
    permit: Permit,
    listening: Arc<Listening>,
    seat: Seat,
) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let (handshakes, terms) = (listening.handshakes(), listening.terms());
    let deadlines = Deadlines::new((listening, handshakes), seat.clock(), terms.times);
    seat.watch(&deadlines);
    let (mut http1, mut http2, mut presented) = (terms.http1, terms.http2, None);
    let io = match &terms.tls {
        None => Io::Left(stream),
        Some(tls) => match handshake::perform(tls, stream, &deadlines).await {
            Ok(Encrypted { io, http2: negotiated, certificate, chain }) => {
                presented = chain;
                if let Some(is_http2) = negotiated {
                    (http1, http2) = (!is_http2, is_http2);
                }
                (arrival.tls, arrival.certificate) = (true, certificate);
                io
            }
            Err(reason) => return reason.into_iter().for_each(|reason| deadlines.count(reason)),
        },
    };
    let mut socket = Socket::new(io, Arc::clone(&deadlines), permit);
    let front = Front { application, arrival, presented, deadlines: Arc::clone(&deadlines) };
    let multiplexed = match http2 {
        false => false,
        true => match find_protocol(&mut socket, &deadlines).await {
            Some(multiplexed) if multiplexed || http1 => multiplexed,
            Some(_) => return deadlines.count(Closed::Malformed),
            None => return count(&deadlines, None),
        },
    };
    if multiplexed {
        deadlines.multiplex();
        // Boxed, because it is several times the size of an HTTP/1 connection.
        Box::pin(serve_http2(&terms, socket, front, &deadlines)).await;
    } else {
        serve_http1(&terms, socket, front, &deadlines).await;
    }
}

/// Whether the first bytes are those of HTTP/2; they are put back to be read again. `None` if none arrived in time.
async fn find_protocol(socket: &mut Socket, deadlines: &Deadlines) -> Option<bool> {
    let mut first = [0; PREFACE.len()];
    let mut length = 0;
    {
        let mut reading = pin!(read_first(socket, &mut first, &mut length));
        poll_fn(|cx| {
            deadlines.waker.register(cx.waker());
            if deadlines.ending() != Ending::NotYet || deadlines.is_cut() {
                return Poll::Ready(None);
            }
            reading.as_mut().poll(cx)
        })
        .await?;
    }
    let first = first.get(..length)?;
    socket.unread(first);
    (length > 0).then_some(first == PREFACE)
}

/// Reads while the bytes match the HTTP/2 preface. `None` if the connection failed.
async fn read_first(socket: &mut Socket, first: &mut [u8; PREFACE.len()], length: &mut usize) -> Option<()> {
    while *length < first.len() {
        let read = socket.read(first.get_mut(*length..)?).await.ok()?;
        *length += read;
        if read == 0 || first.get(..*length) != PREFACE.get(..*length) {
            break;
        }
    }
    Some(())
}

async fn serve_http1<A: Application>(terms: &ConnectionTerms, socket: Socket, front: Front<A>, deadlines: &Deadlines) {
    let mut builder = http1::Builder::new();
    // Doubled: fields alone may take `header_bytes`, see `check`; the target and credentials come on top.
    let room = terms.header_bytes.saturating_mul(2).max(LEAST_BUFFER);
    builder.max_buf_size(room).max_header_size(room);
    if terms.headers != USUAL_HEADERS {
        builder.max_headers(terms.headers);
    }
    builder.half_close(true);
    let mut connection = builder.serve_connection(TokioIo::new(socket), front).with_upgrades();
    let served = run(Http1(&mut connection), deadlines).await;
    let failed = served.is_err();
    count(deadlines, served.err().filter(hyper::Error::is_parse).map(|_| Closed::Malformed));
    // An upgraded connection has moved on; a closed one has left only its socket.
    if deadlines.is_cut() || deadlines.ending() >= Ending::Close || deadlines.is_upgraded() {
        return;
    }
    // Keep only the socket: the read buffer and the rest of the connection are as large as a request head.
    let Some(socket) = connection.into_parts().map(|parts| parts.io.into_inner()) else { return };
    if failed || deadlines.has_leftovers() {
        linger(socket, deadlines).await;
    }
}

async fn serve_http2<A: Application>(terms: &ConnectionTerms, socket: Socket, front: Front<A>, deadlines: &Deadlines) {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    // The same as for HTTP/1, plus the overhead of each field; `check` is equally strict for both.
    let overhead = terms.headers.saturating_mul(2 * FIELD_OVERHEAD);
    let header_list = terms.header_bytes.saturating_mul(2).saturating_add(overhead);
    let header_list = u32::try_from(header_list).unwrap_or(u32::MAX);
    builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(header_list)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(ERROR_RESETS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    let connection = pin!(builder.serve_connection(TokioIo::new(socket), front));
    // The client already knows what failed: GOAWAY carries the reason.
    let failed = run(Http2(connection), deadlines).await.err();
    count(deadlines, failed.filter(|error| !is_lost(error)).map(|_| Closed::Http2Error));
}

/// Whether the connection itself failed, rather than what was sent over it.
fn is_lost(error: &hyper::Error) -> bool {
    error.source().is_some_and(|cause| cause.is::<io::Error>())
}

/// Counts a finished connection if it was closed because of its client: for an error (`failed`) or a timeout.
fn count(deadlines: &Deadlines, failed: Option<Closed>) {
    let late = match deadlines.ending() {
        Ending::Reset => Some(Closed::WriteTimeout),
        Ending::Close if deadlines.awaits_head() => Some(Closed::HeaderTimeout),
        _ => None,
    };
    if let Some(reason) = late.or(failed) {
        deadlines.count(reason);
    }
}

/// A connection of either protocol.
trait Serve {
    /// Ready when it has ended, with the result.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>>;
    /// Accepts no new requests, and ends once the current ones have finished.
    fn end(&mut self);
    /// Whether it is told to end as soon as shutdown is announced, once it has had a request.
    fn ends_early(&self) -> bool;
}

struct Http1<'a, A: Application>(&'a mut http1::UpgradeableConnection<TokioIo<Socket>, Front<A>>);

impl<A: Application> Serve for Http1<'_, A> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Pin::new(&mut *self.0).poll(cx)
    }

    fn end(&mut self) {
        Pin::new(&mut *self.0).graceful_shutdown();
    }

    /// No: the next response carries `Connection: close`. Closing earlier could cross a request on its way.
    fn ends_early(&self) -> bool {
        false
    }
}

struct Http2<'a, A: Application>(Pin<&'a mut http2::Connection<TokioIo<Socket>, Front<A>, TokioExecutor>>);

impl<A: Application> Serve for Http2<'_, A> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.as_mut().poll(cx)
    }

    fn end(&mut self) {
        self.0.as_mut().graceful_shutdown();
    }

    /// GOAWAY lets requests on their way through (RFC 9113 section 6.8).
    fn ends_early(&self) -> bool {
        true
    }
}

/// Runs a connection until it ends, it times out, or its listener ends.
async fn run(mut connection: impl Serve, deadlines: &Deadlines) -> hyper::Result<()> {
    let mut ending = false;
    poll_fn(|cx| {
        deadlines.waker.register(cx.waker());
        let stage = deadlines.listening.stage();
        if stage == Stage::Cut || deadlines.ending() >= Ending::Close {
            return Poll::Ready(Ok(()));
        }
        // First what has arrived: a shutdown must not cut off a request that came before it.
        let served = connection.poll(cx);
        if served.is_pending() && deadlines.ending() >= Ending::Close {
            return Poll::Ready(Ok(()));
        }
        let early = connection.ends_early();
        let last = if early { Stage::Closing } else { Stage::Draining };
        let closing = stage >= last || (early && deadlines.is_outdated());
        let end = deadlines.ending() == Ending::Retire || (closing && deadlines.is_used());
        if served.is_pending() && !ending && end {
            ending = true;
            connection.end();
            return connection.poll(cx);
        }
        served
    })
    .await
}
