//! The plain addresses that redirect to https.

use super::removed;
use crate::engine::exchange::Exchange;
use crate::engine::live::Live;
use crate::server::{Admitted, Application, Arrival, admit};
use gatewright_sdk::host::host;
use gatewright_sdk::{Body, Problem, Request, Response};
use http::header::LOCATION;
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;

/// The port that URLs of https leave out.
const HTTPS: u16 = 443;

/// Redirects the requests that arrive on `redirect_from` addresses.
pub struct Redirects {
    pub live: Arc<Live>,
}

impl Application for Redirects {
    type Future = Exchange;

    fn call(&self, arrival: Arrival, request: http::Request<Incoming>) -> Exchange {
        let snapshot = self.live.load();
        let Some(listener) = snapshot.redirect_on(arrival.listener.0) else { return removed() };
        // As the client wrote it.
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        match admit(&arrival, &listener.terms, request, |_, _| None).1 {
            Ok(Admitted { request, .. }) => {
                match redirect(&request, &path, listener.socket.address().ip().map_or(HTTPS, |address| address.port()))
                {
                    Some(response) => Exchange::answered(response),
                    None => Exchange::answered(Problem::validation("host: is required")),
                }
            }
            Err(refused) => Exchange::answered(refused.response),
        }
    }
}

/// The same URL with https. `None` if the request names no host.
fn redirect(request: &Request, path: &str, port: u16) -> Option<Response> {
    let host = host(request.uri(), request.headers()).filter(|host| !host.is_empty())?;
    // `OPTIONS *` has no path.
    let path = if path.starts_with('/') { path } else { "/" };
    let port = if port == HTTPS { String::new() } else { format!(":{port}") };
    let location = HeaderValue::try_from(format!("https://{host}{port}{path}")).ok()?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    Some(response)
}
