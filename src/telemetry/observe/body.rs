//! A response body that is observed on its way out.

use super::{End, Observation};
use axum::Error;
use bytes::Bytes;
use gatewright_sdk::Body;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Counts bytes, and ends the observation together with the body.
pub(super) struct ObservedBody {
    inner: Body,
    /// `None` once the body has ended.
    observation: Option<Box<Observation>>,
}

impl ObservedBody {
    pub(super) const fn new(inner: Body, observation: Box<Observation>) -> Self {
        Self { inner, observation: Some(observation) }
    }

    fn done(&mut self) {
        if let Some(mut observation) = self.observation.take() {
            observation.end = End::Done;
        }
    }
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let sent = frame.data_ref().map_or(0, Bytes::len);
                if let Some(observation) = &mut self.observation {
                    observation.bytes += u64::try_from(sent).unwrap_or(u64::MAX);
                    if let Some(trailers) = frame.trailers_ref() {
                        observation.saw_status(trailers);
                    }
                }
                // A server does not poll again after trailers, or once it has everything if it knows the length and there
                // are no trailers.
                let is_call = self.observation.as_ref().is_some_and(|observation| observation.is_call);
                if frame.is_trailers()
                    || self.inner.is_end_stream()
                    || (self.inner.size_hint().exact() == Some(0) && !is_call)
                {
                    self.done();
                }
            }
            Some(Err(error)) => {
                if let Some(mut observation) = self.observation.take() {
                    observation.end = End::Broken;
                    observation.breaks(error);
                }
            }
            None => self.done(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
