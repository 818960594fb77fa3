//! HTTP/2: requests share the connections of their worker, one stream each.

mod incoming;
mod link;
mod multiplexed;
mod pump;
mod tunnel;

use super::{Lost, Outgoing, Sending, Switched, download, head};
use crate::upstream::broken::{self, Words};
use crate::upstream::failure::Failure;
use crate::upstream::trust;
use crate::upstream::upgrade;
use crate::upstream::upload::Upload;
use bytes::Bytes;
use gatewright_sdk::{Body, Response};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, SEC_WEBSOCKET_ACCEPT, TRANSFER_ENCODING, UPGRADE};
use http::response::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, StatusCode, Uri, Version};
use http_body::Body as _;
use incoming::Incoming;
use link::{Seat, Waiting};
pub(in crate::upstream) use multiplexed::Multiplexed;
use pump::Pump;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio_util::either::Either;
pub(in crate::upstream) use tunnel::Tunnel;

/// How often a request is sent to a target that does not process it.
const MOST_TRIES: u32 = 3;

/// How much of a request body is kept in case the target does not process it, in bytes.
const KEPT_BODY: usize = 64 * 1024;

/// The maximum number of informational responses (1xx) to one request. They are discarded.
const MOST_INFORMATIONAL: u32 = 32;

/// The outcome of a request without a response.
enum Broken {
    /// The target certainly did not process it (RFC 9113 section 8.7). This is what happened instead.
    Unprocessed(Words),
    /// The target demands HTTP/1.1. It may have processed the request, if that is `false`.
    Http1Required {
        unprocessed: bool,
    },
    /// The connection ended.
    Silent(Failure),
    Failed(Failure),
}

/// Sends `request` on a stream of its own. It is sent again if the target did not process it.
pub(super) async fn send(
    connections: &Arc<Multiplexed>,
    request: Outgoing,
    sending: &mut Sending,
) -> Result<Response, Lost> {
    let (parts, body) = request.into_parts();
    let original = Request::from_parts(parts, ());
    let safe = matches!(*original.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let replay = (!body.is_end_stream()).then(|| body.into_replay(KEPT_BODY));
    let upload = || replay.as_ref().map_or_else(Upload::empty, Upload::replayed);
    let unsent = |failure, original: Request<()>| {
        let (parts, ()) = original.into_parts();
        Lost::Unsent(failure, Box::new(Request::from_parts(parts, upload())))
    };
    let Some(mut outgoing) = outgoing(&original, connections.scheme()) else {
        // The `Host` that the target gets.
        return Err(Lost::Failed(Failure::Invalid("the request has a `Host` that HTTP/2 cannot send".into())));
    };
    let accept = match &sending.upgrade {
        Some(upgrade) if upgrade.is_websocket() => {
            tunnel::connect(&mut outgoing);
            let accept = crate::tunnel::accept(original.headers());
            Some(accept.ok_or(Lost::Failed(Failure::WebSocketKey))?)
        }
        // Other protocols are not defined for HTTP/2, so they are not offered.
        _ => None,
    };
    let mut repeatable = safe && sending.spare_resends > 0 && replay.is_none() && accept.is_none();
    for number in 1.. {
        let seat = match connections.seat().await {
            Ok(seat) => seat,
            Err(failure) => return Err(unsent(failure, original)),
        };
        if accept.is_some() && !seat.has_tunnels() {
            return Err(unsent(Failure::NoWebSocket, original));
        }
        match exchange(seat, outgoing.clone(), (upload(), accept.as_ref()), sending).await {
            Ok(response) => return Ok(response),
            Err(Broken::Unprocessed(how)) if replay.as_ref().is_none_or(|replay| replay.is_whole()) => {
                if number == MOST_TRIES {
                    return Err(unsent(Failure::Reset(how), original));
                }
            }
            Err(Broken::Unprocessed(how)) => return Err(Lost::Failed(Failure::Reset(how))),
            Err(Broken::Http1Required { unprocessed }) => {
                // Nothing guarantees that a write has had no effect.
                let is_whole = replay.as_ref().is_none_or(|replay| replay.is_whole());
                return Err(match (safe || unprocessed) && is_whole {
                    true => unsent(Failure::Http1Required, original),
                    false => Lost::Failed(Failure::Http1Required),
                });
            }
            Err(Broken::Silent(_)) if repeatable => {
                repeatable = false;
                sending.spare_resends -= 1;
            }
            Err(Broken::Silent(failure) | Broken::Failed(failure)) => return Err(Lost::Failed(failure)),
        }
        sending.resends += 1;
    }
    Err(Lost::Failed(Failure::Reset(broken::CLOSED)))
}

/// The head of `request` for HTTP/2: with an absolute target, and without the fields that belong to a connection
/// (RFC 9113 section 8.2.2).
fn outgoing(request: &Request<()>, scheme: http::uri::Scheme) -> Option<Request<()>> {
    let host = request.headers().get(HOST)?;
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(scheme);
    uri.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
    let path = request.uri().path_and_query().cloned();
    uri.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    let mut outgoing = Request::new(());
    *outgoing.method_mut() = request.method().clone();
    *outgoing.uri_mut() = Uri::from_parts(uri).ok()?;
    *outgoing.version_mut() = Version::HTTP_2;
    let headers = outgoing.headers_mut();
    headers.clone_from(request.headers());
    for name in [HOST, CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    Some(outgoing)
}

/// Sends `request`, and waits for the head of the response. With `accept`, it opens a WebSocket, and this goes into the
/// response.
async fn exchange(
    seat: Seat,
    request: Request<()>,
    (upload, accept): (Upload, Option<&HeaderValue>),
    sending: &mut Sending,
) -> Result<Response, Broken> {
    let progress = upload.progress();
    let is_head = *request.method() == Method::HEAD;
    let ends = accept.is_none() && upload.is_end_stream();
    let (mut response, stream) = match seat.sender().send_request(request, ends) {
        Ok(begun) => begun,
        // The connection has ended, or carried as many streams as it can.
        Err(error) => {
            seat.retire();
            return Err(Broken::Unprocessed(words(&error, &seat)));
        }
    };
    let mut pump = Pump::new(stream, upload, ends);
    let mut informational = 0;
    let mut timer = None;
    let waiting = Waiting::new(&seat);
    let answered = head::wait(progress.as_ref(), sending.response_header, &mut timer, |cx| {
        // The stream of a WebSocket stays open.
        if accept.is_none()
            && let Err(problem) = pump.poll(cx)
        {
            return Poll::Ready(Err(Broken::Failed(Failure::Client(problem))));
        }
        while let Poll::Ready(Some(Ok(_))) = response.poll_informational(cx) {
            informational += 1;
            if informational > MOST_INFORMATIONAL {
                let why = format!("more than {MOST_INFORMATIONAL} informational responses");
                return Poll::Ready(Err(Broken::Failed(Failure::Invalid(why.into()))));
            }
        }
        Pin::new(&mut response).poll(cx).map_err(|error| lost(&error, &seat))
    });
    let answered = answered.await;
    waiting.ends();
    let response = match answered {
        Some(answered) => answered?,
        None => {
            seat.suspect();
            return Err(Broken::Failed(Failure::Timeout));
        }
    };
    let (mut parts, stream) = response.into_parts();
    head::accept(&mut parts).map_err(|why| Broken::Failed(Failure::Invalid(why.into())))?;
    if let (Some(accept), Some(upgrade), true) = (accept, &mut sending.upgrade, parts.status.is_success()) {
        let stream = Either::Right(Tunnel::new(pump.into_stream(), stream, seat));
        let guards = (sending.lease.take(), None);
        upgrade.switched = Some(Switched { stream, ahead: Bytes::new(), idle: sending.stream_idle, guards });
        return Ok(switch(parts, accept.clone()));
    }
    let bodiless = is_head || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if bodiless {
        Body::empty()
    } else {
        let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let incoming = Incoming::new(stream, pump, seat, (length, ends));
        let held = (sending.lease.take(), sending.stream_idle);
        download::body(incoming, held).map_err(|why| Broken::Failed(Failure::Invalid(why.into())))?
    };
    Ok(Response::from_parts(parts, body))
}

/// The response to a request for a WebSocket that the target has accepted: what it would be over HTTP/1.1.
#[cold]
fn switch(mut parts: Parts, accept: HeaderValue) -> Response {
    parts.status = StatusCode::SWITCHING_PROTOCOLS;
    upgrade::confirm(&mut parts.headers, HeaderValue::from_static(tunnel::WEBSOCKET));
    parts.headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Response::from_parts(parts, Body::empty())
}

/// What `error` means for a request without a response.
fn lost(error: &h2::Error, seat: &Seat) -> Broken {
    let words = words(error, seat);
    if let Some(error) = error.get_io() {
        seat.retire();
        return match trust::tls_error(error) {
            Some(error) => Broken::Failed(Failure::Tls(trust::describe(error))),
            None => Broken::Silent(Failure::Reset(words)),
        };
    }
    if error.is_go_away() {
        seat.retire();
    }
    if error.is_remote() && error.reason() == Some(h2::Reason::HTTP_1_1_REQUIRED) {
        // GOAWAY is an error only of streams above the last one that was processed.
        return Broken::Http1Required { unprocessed: error.is_go_away() };
    }
    let refused = error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM);
    if error.is_remote() && refused {
        return Broken::Unprocessed(words);
    }
    Broken::Failed(if error.is_library() { Failure::Invalid(words) } else { Failure::Reset(words) })
}

/// What `error` says in words. A stream that ends with its connection has only the error of that; a GOAWAY before says more.
fn words(error: &h2::Error, seat: &Seat) -> Words {
    let told = if error.is_io() { seat.farewell() } else { None };
    told.unwrap_or_else(|| broken::http2(error))
}
