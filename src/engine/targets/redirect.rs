//! Another address: where a path has moved to.

use crate::config::document::route::{Redirect, Route};
use crate::config::location::Location;
use gatewright_sdk::{Body, Facts, Fault, HttpService, Problem, Reply, Request, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;

struct Moved {
    status: StatusCode,
    to: Location,
}

/// Compiles `spec`, the redirect of `route`.
pub(super) fn compile(spec: &Redirect, route: &Route) -> Result<HttpService, Vec<Fault>> {
    let status = match spec.status {
        301 | 302 | 303 | 307 | 308 => StatusCode::from_u16(spec.status).unwrap_or(StatusCode::TEMPORARY_REDIRECT),
        other => {
            let fault = Fault::new("status", format!("{other} is not a status of a redirect"));
            return Err(vec![fault.help("write 301, 302, 303, 307 or 308")]);
        }
    };
    let to = Location::new(&spec.to, route).map_err(|(message, help)| vec![Fault::new("to", message).help(help)])?;
    let moved = Arc::new(Moved { status, to });
    Ok(HttpService::from_call(move |request| Reply::ready(moved.response(&request))))
}

impl Moved {
    fn response(&self, request: &Request) -> Response {
        let parameters = &Facts::of(request).parameters;
        let value = |index: usize| parameters.get(index).map_or("", |(_, value)| &**value);
        let Ok(location) = HeaderValue::try_from(self.to.render(value, request.uri().query())) else {
            return Problem::validation("path: cannot be redirected").into();
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.headers_mut().insert(LOCATION, location);
        response
    }
}
