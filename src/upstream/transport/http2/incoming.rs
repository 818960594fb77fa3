//! The body of an HTTP/2 response. The upload goes on meanwhile.

use super::link::Seat;
use super::pump::Pump;
use super::words;
use crate::upstream::broken;
use crate::upstream::transport::download::Source;
use axum::BoxError;
use bytes::Bytes;
use h2::{Reason, RecvStream};
use http_body::{Frame, SizeHint};
use std::task::{Context, Poll};

pub(super) struct Incoming {
    /// `None` once the body is complete or broken. If dropped earlier, the stream is reset.
    stream: Option<(RecvStream, Pump)>,
    seat: Seat,
    /// What is left of the announced length.
    left: Option<u64>,
    /// Whether only trailers may follow.
    trailers: bool,
    /// Whether the request ended with its head.
    bodiless: bool,
}

impl Incoming {
    pub fn new(stream: RecvStream, pump: Pump, seat: Seat, (length, bodiless): (Option<u64>, bool)) -> Self {
        Self { stream: Some((stream, pump)), seat, left: length, trailers: false, bodiless }
    }

    /// What `error` means for the body. A target that does not need the rest of the request ends the stream after the
    /// whole response with `NO_ERROR` (RFC 9113 section 8.1). If the request had no body, there was no such rest: the response is cut
    /// off. h2 does not say whether the stream had ended before.
    fn ended(&self, error: h2::Error) -> Option<Result<Frame<Bytes>, BoxError>> {
        let whole = error.is_remote() && error.is_reset() && error.reason() == Some(Reason::NO_ERROR);
        if whole && self.left.map_or(!self.bodiless, |left| left == 0) {
            return None;
        }
        if error.is_io() || error.is_go_away() {
            self.seat.retire();
        }
        Some(Err(broken::midway(&words(&error, &self.seat)).into()))
    }
}

impl Source for Incoming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some((stream, pump)) = &mut self.stream else { return Poll::Ready(None) };
        if pump.poll(cx).is_err() {
            return Poll::Ready(Some(Err("the client's body ended early".into())));
        }
        while !self.trailers {
            match stream.poll_data(cx) {
                Poll::Ready(Some(Ok(piece))) => {
                    // The next piece is read when this one was forwarded, so this one leaves room for it.
                    let _ = stream.flow_control().release_capacity(piece.len());
                    self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
                    if !piece.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(piece))));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(self.ended(error)),
                Poll::Ready(None) => self.trailers = true,
                Poll::Pending => return Poll::Pending,
            }
        }
        match stream.poll_trailers(cx) {
            Poll::Ready(Ok(Some(trailers))) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Poll::Ready(Ok(None)) => Poll::Ready(None),
            Poll::Ready(Err(error)) => Poll::Ready(self.ended(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.as_ref().is_none_or(|(stream, _)| stream.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::new(),
        }
    }

    fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    fn finish(&mut self, _clean: bool) {
        // Resets the stream if it has not ended.
        self.stream = None;
    }
}
