//! The head of a response: how long it is waited for, and what is removed from it.

use crate::upstream::headers;
use crate::upstream::upload::Progress;
use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http::{Extensions, StatusCode, Version};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Waits for `poll`; `None` if that takes too long. The timeout counts from the last progress: the request was sent, or a
/// piece of its body was accepted. It stops while we wait for the client; the listener limits that time. `timer` may be one
/// that has served before, on the same runtime.
pub(super) async fn wait<T>(
    progress: Option<&Arc<Progress>>,
    within: Duration,
    timer: &mut Option<Pin<Box<Sleep>>>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let mut steps = 0;
    let mut running = false;
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        if !std::mem::replace(&mut running, true) {
            timer.as_mut().reset(Instant::now() + within);
        }
        if let Some(progress) = progress
            && progress.steps() != steps
        {
            steps = progress.steps();
            timer.as_mut().reset(Instant::now() + within);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if !progress.is_some_and(|progress| progress.waits_for_client()) {
                return Poll::Ready(None);
            }
            timer.as_mut().reset(Instant::now() + within);
        }
        Poll::Pending
    })
    .await
}

/// Turns the head of an upstream's response into the head of ours.
///
/// # Errors
/// Why it must not be forwarded.
pub(super) fn accept(parts: &mut Parts) -> Result<(), &'static str> {
    // No protocol switch was requested, and status codes end at 599 (RFC 9110 section 15).
    if parts.status.is_informational() {
        return Err("it switches protocols, and that was not requested");
    }
    if parts.status.as_u16() > 599 {
        return Err("the status is above 599");
    }
    if !headers::inbound(&mut parts.headers) {
        return Err("`transfer-encoding` is not `chunked`, or `content-length` contradicts it");
    }
    if parts.status == StatusCode::NO_CONTENT {
        parts.headers.remove(CONTENT_LENGTH);
    } else if !headers::unify_length(&mut parts.headers) {
        return Err("`content-length` is not a number, or there are different ones");
    }
    parts.version = Version::HTTP_11;
    parts.extensions = Extensions::new();
    Ok(())
}
