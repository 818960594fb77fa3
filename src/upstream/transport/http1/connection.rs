//! One connection to a target, driven by its user: it has no task, and dropping it closes it.

use super::head_limit::{HeadLimit, LONGEST_HEAD, LimitedStream};
use super::signal::Signal;
use crate::upstream::measure::Counted;
use crate::upstream::stream::Stream;
use crate::upstream::upload::Upload;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::coop::unconstrained;
use tokio::time::Sleep;

/// Used boxed, because it is large and passed on several times per request.
pub(super) struct Connection {
    sender: http1::SendRequest<Upload>,
    /// `None` once it has ended.
    driver: Option<http1::Connection<TokioIo<LimitedStream>, Upload>>,
    signal: Arc<Signal>,
    /// That of `signal`. The driver never gets that of a task.
    waker: Waker,
    /// How many wakes it has acted upon.
    seen: usize,
    pub head_limit: Arc<HeadLimit>,
    pub counted: Counted,
    /// Its place among the connections that the pool may have.
    permit: Option<OwnedSemaphorePermit>,
    /// Whether it carries a request for another protocol.
    pub switches: bool,
    /// What is left of it once it has switched.
    left: Option<Box<http1::Parts<TokioIo<LimitedStream>>>>,
    /// The worker whose runtime the socket belongs to.
    pub home: usize,
    /// Limits the wait for a response. Moving a running timer to a later time is much cheaper than starting one.
    pub timer: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    pub async fn new(stream: Stream, counted: Counted, permit: Option<OwnedSemaphorePermit>) -> hyper::Result<Self> {
        let head_limit = Arc::new(HeadLimit::default());
        let signal = Signal::new();
        let io = TokioIo::new(LimitedStream::new(stream, Arc::clone(&head_limit), Arc::clone(&signal)));
        let mut builder = http1::Builder::new();
        builder.max_buf_size(LONGEST_HEAD).max_header_size(LONGEST_HEAD);
        // A proxy removes the space in `Name : value` (RFC 9112, section 5.1). No other leniency is enabled.
        builder.allow_spaces_after_header_name_in_responses(true);
        let (sender, driver) = builder.handshake(io).await?;
        let home = crate::worker::current();
        Ok(Self {
            sender,
            driver: Some(driver),
            waker: Arc::clone(&signal).into(),
            signal,
            seen: 0,
            head_limit,
            counted,
            permit,
            switches: false,
            left: None,
            home,
            timer: None,
        })
    }

    /// Hands over `request`. It is sent, and the response received, by [`Connection::drive`].
    pub fn send(
        &mut self,
        request: Request<Upload>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Upload>>>> + use<> {
        self.head_limit.head_begins();
        // Only `drive` completes it, so it needs no waker, and must not pause because the task has used up its budget.
        unconstrained(self.sender.try_send_request(request))
    }

    /// Reads and writes what it can, if there is anything to do. Errors reach whatever awaits the response or reads the
    /// body.
    pub fn drive(&mut self) {
        let wakes = self.signal.wakes();
        if std::mem::replace(&mut self.seen, wakes) != wakes
            && let Some(driver) = &mut self.driver
            && Pin::new(driver).poll(&mut Context::from_waker(&self.waker)).is_ready()
        {
            let ended = self.driver.take();
            if self.switches {
                self.left = ended.map(|driver| Box::new(driver.into_parts()));
            }
        }
    }

    /// Wakes the task of `cx` when there is something to do.
    pub fn watch(&self, cx: &Context<'_>) {
        self.signal.watch(cx.waker(), self.seen);
    }

    /// The stream, once the upstream has switched to another protocol, what was read ahead of it, and what is held until it
    /// closes.
    pub fn switched(self: Box<Self>) -> Option<(LimitedStream, Bytes, (Counted, Option<OwnedSemaphorePermit>))> {
        let http1::Parts { io, read_buf, .. } = *self.left?;
        // A copy, because hyper's buffer is larger.
        let ahead = Bytes::copy_from_slice(&read_buf);
        Some((io.into_inner().without_signal(), ahead, (self.counted, self.permit)))
    }

    /// Whether it can carry a request now: the last response was read to a clean end, nothing followed it, and the
    /// upstream has not closed. It wakes no task: an idle connection is checked when it is needed.
    pub fn ready(&mut self) -> bool {
        self.signal.unwatch();
        self.drive();
        if self.driver.is_some() && !self.sender.is_ready() {
            // The end of the response was the last thing that it did.
            self.signal.raise();
            self.drive();
        }
        self.driver.is_some() && self.sender.is_ready()
    }
}
