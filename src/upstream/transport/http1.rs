//! HTTP/1.1 over pooled connections: a request takes an idle connection or opens one.

mod connection;
mod head_limit;
mod incoming;
mod pool;
mod signal;

use super::{Lost, Outgoing, Sending, Switched, download, head};
use crate::upstream::broken;
use crate::upstream::failure::Failure;
use crate::upstream::headers;
use crate::upstream::load::Lease;
use crate::upstream::upgrade::{self, Upgrade};
use crate::upstream::upload::Upload;
use connection::Connection;
use gatewright_sdk::{Body, Response};
pub(in crate::upstream) use head_limit::LimitedStream;
use http::header::{HeaderName, HeaderValue};
use http::{Extensions, Method, StatusCode, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
pub(in crate::upstream) use pool::{Cap, Pool};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio_util::either::Either;

/// A request that must not be sent twice uses an idle connection only if it was used within this time. An upstream
/// closes idle connections, and that may cross the request on the wire.
const SURELY_OPEN: Duration = Duration::from_millis(500);

/// The outcome of a request without a response.
enum Broken {
    /// Nothing was sent: the request is returned.
    Unsent(Outgoing),
    /// It was sent on a connection that ended without a byte of a response.
    Silent(Failure),
    Failed(Failure),
}

/// Sends `request` over an idle connection of `pool`, or a new one.
pub(super) async fn send(pool: &Arc<Pool>, mut request: Outgoing, sending: &mut Sending) -> Result<Response, Lost> {
    // A safe request without a body may be sent again if the idle connection turns out to be closed.
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let repeatable = safe && sending.spare_resends > 0 && request.body().is_end_stream();
    // An upgraded connection is never used again, so it may as well be a new one, which is certainly open.
    let wanted = if repeatable { Duration::MAX } else { SURELY_OPEN };
    let mut idle = sending.upgrade.is_none().then(|| pool.take(wanted)).flatten();
    // A new connection is the second turn, so that the large future of an exchange is here only once.
    loop {
        let is_new = idle.is_none();
        let connection = match idle.take() {
            Some(connection) => connection,
            None => match Box::pin(pool.connect()).await {
                Ok(connection) => connection,
                Err(failure) => return Err(Lost::Unsent(failure, request)),
            },
        };
        let spare = (repeatable && !is_new).then(|| Spare::of(&request));
        request = match exchange(pool, connection, request, sending).await {
            Ok(response) => return Ok(response),
            Err(Broken::Unsent(request)) if is_new => {
                return Err(Lost::Unsent(Failure::Reset(broken::CLOSED), request));
            }
            Err(Broken::Unsent(request)) => request,
            Err(Broken::Silent(failure)) => match spare {
                Some(spare) => {
                    sending.resends += 1;
                    sending.spare_resends -= 1;
                    spare.into_request()
                }
                None => return Err(Lost::Failed(failure)),
            },
            Err(Broken::Failed(failure)) => return Err(Lost::Failed(failure)),
        };
    }
}

/// Sends `request` over `connection`, and waits for the head of the response.
async fn exchange(
    pool: &Arc<Pool>,
    mut connection: Box<Connection>,
    request: Outgoing,
    sending: &mut Sending,
) -> Result<Response, Broken> {
    let progress = request.body().progress();
    connection.switches = sending.upgrade.is_some();
    let mut timer = connection.timer.take();
    let mut answer = pin!(connection.send(*request));
    let answered = head::wait(progress.as_ref(), sending.response_header, &mut timer, |cx| {
        connection.drive();
        let answered = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if answered.is_pending() {
            connection.watch(cx);
        }
        answered
    })
    .await;
    connection.timer = timer;
    match answered {
        Some(Ok(response)) => {
            connection.head_limit.head_ends();
            let early = progress.is_some_and(|progress| !progress.is_complete());
            let held = (sending.lease.take(), sending.stream_idle);
            if let (StatusCode::SWITCHING_PROTOCOLS, Some(upgrade), false) =
                (response.status(), &mut sending.upgrade, early)
            {
                let invalid = Failure::Invalid("it switches to a protocol that was not offered".into());
                return switch(response, connection, upgrade, held).ok_or(Broken::Failed(invalid));
            }
            receive(pool, response, connection, held).map_err(Broken::Failed)
        }
        Some(Err(mut error)) => match error.take_message() {
            Some(request) => Err(Broken::Unsent(Box::new(request))),
            None => {
                let failure = Failure::from(error.into_error());
                let silent = connection.head_limit.silent() && matches!(failure, Failure::Reset(_));
                Err(if silent { Broken::Silent(failure) } else { Broken::Failed(failure) })
            }
        },
        None => Err(Broken::Failed(Failure::Timeout)),
    }
}

/// The response to a request for another protocol, when the upstream has switched. `None` if it is not valid.
#[cold]
fn switch(
    response: http::Response<Incoming>,
    connection: Box<Connection>,
    upgrade: &mut Upgrade,
    (lease, idle): (Option<Lease>, Duration),
) -> Option<Response> {
    let (mut parts, _) = response.into_parts();
    let chosen = upgrade.chosen(&parts.headers)?;
    if !headers::inbound(&mut parts.headers) {
        return None;
    }
    upgrade::confirm(&mut parts.headers, chosen);
    parts.extensions = Extensions::new();
    let (stream, ahead, guard) = connection.switched()?;
    upgrade.switched = Some(Switched { stream: Either::Left(stream), ahead, idle, guards: (lease, Some(guard)) });
    Some(Response::from_parts(parts, Body::empty()))
}

fn receive(
    pool: &Arc<Pool>,
    response: http::Response<Incoming>,
    connection: Box<Connection>,
    held: (Option<Lease>, Duration),
) -> Result<Response, Failure> {
    let (mut parts, incoming) = response.into_parts();
    head::accept(&mut parts).map_err(|why| Failure::Invalid(why.into()))?;
    let incoming = incoming::Incoming { body: incoming, connection: Some(connection), pool: Arc::clone(pool) };
    let body = download::body(incoming, held).map_err(|why| Failure::Invalid(why.into()))?;
    Ok(Response::from_parts(parts, body))
}

/// What a request without a body consists of, in case it must be sent again. A list is copied faster than a map.
struct Spare {
    method: Method,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Spare {
    fn of(request: &Outgoing) -> Self {
        let headers = request.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { method: request.method().clone(), uri: request.uri().clone(), headers }
    }

    #[cold]
    fn into_request(self) -> Outgoing {
        let mut request = Box::new(http::Request::new(Upload::empty()));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        for (name, value) in self.headers {
            request.headers_mut().append(name, value);
        }
        request
    }
}
