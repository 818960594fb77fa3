//! Sends the body of a request on its stream, as far as the target has room for it.

use crate::upstream::headers;
use crate::upstream::upload::Upload;
use bytes::Bytes;
use gatewright_sdk::{Problem, body};
use h2::{Reason, SendStream};
use http_body::Body as _;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(super) struct Pump {
    stream: SendStream<Bytes>,
    upload: Upload,
    /// Whether everything was sent, or the target no longer reads.
    ended: bool,
}

impl Pump {
    pub fn new(stream: SendStream<Bytes>, upload: Upload, ended: bool) -> Self {
        Self { stream, upload, ended }
    }

    /// The stream, for something else than the body.
    pub fn into_stream(self) -> SendStream<Bytes> {
        self.stream
    }

    /// Sends what it can. Errors of the stream reach whatever awaits the response or reads its body.
    ///
    /// # Errors
    /// The client's body ended early or was rejected.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), Problem> {
        while !self.ended {
            // The body is read only when there is room, so that at most one piece is kept.
            self.stream.reserve_capacity(1);
            if self.stream.capacity() == 0 {
                match self.stream.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => continue,
                    Poll::Ready(Some(Err(_)) | None) => self.ended = true,
                    Poll::Pending => {}
                }
                return Ok(());
            }
            if self.stream.poll_reset(cx).is_ready() {
                self.ended = true;
                return Ok(());
            }
            match Pin::new(&mut self.upload).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => {
                        self.ended = self.upload.is_end_stream();
                        self.ended |= self.stream.send_data(piece, self.ended).is_err();
                    }
                    Err(frame) => {
                        self.ended = true;
                        let trailers = frame.trailers_ref().map(headers::safe_trailers).unwrap_or_default();
                        let _ = match trailers.is_empty() {
                            true => self.stream.send_data(Bytes::new(), true),
                            false => self.stream.send_trailers(trailers),
                        };
                    }
                },
                Poll::Ready(Some(Err(error))) => {
                    self.ended = true;
                    self.stream.send_reset(Reason::CANCEL);
                    return Err(body::problem(&error));
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    let _ = self.stream.send_data(Bytes::new(), true);
                }
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }
}
