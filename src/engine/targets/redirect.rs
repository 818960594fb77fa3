//! A redirect to another address.

use super::{Act, Reached, RouteTarget, TargetContext};
use crate::config::document::Document;
use crate::config::document::route::{Redirect, RedirectScheme, Route};
use crate::config::location::Location;
use crate::engine::plan::PlannedTarget;
use crate::engine::reach::Reach;
use gatewright_sdk::host::host;
use gatewright_sdk::{Body, Code, Facts, Fault, HttpService, Problem, Reply, Request, Response};
use http::header::LOCATION;
use http::{HeaderValue, Method, StatusCode};
use std::sync::Arc;

pub(super) struct Target<'a> {
    pub redirect: &'a Redirect,
    pub route: &'a Route,
}

struct Moved {
    status: StatusCode,
    to: Location,
    /// The scheme and port of the new address, if it has the host of the request.
    on_host: Option<(RedirectScheme, Option<u16>)>,
    /// Whether only the path of the route decides what it takes. Otherwise another header field may end a loop.
    by_path: bool,
}

impl RouteTarget for Target<'_> {
    fn compile(&self, _: &TargetContext<'_>) -> Result<Option<Act>, Vec<Fault>> {
        let status = match self.redirect.status {
            301 | 302 | 303 | 307 | 308 => StatusCode::from_u16(self.redirect.status),
            other => {
                let fault = Fault::new("status", format!("{other} is not a redirect status")).code(Code::REDIRECT);
                return Err(vec![fault.help("write 301, 302, 303, 307 or 308")]);
            }
        };
        let status = status.unwrap_or(StatusCode::TEMPORARY_REDIRECT);
        // Already reported when the file was checked.
        if self.route.path.is_none() && self.route.path_prefix.is_none() {
            return Ok(None);
        }
        let to = Location::new(&self.redirect.to, self.route);
        let to = to.map_err(|fault| vec![Fault { path: "to".to_owned(), ..fault }])?;
        let on_host = self.redirect.scheme.map(|scheme| (scheme, self.redirect.port));
        let by_path = self.route.headers.is_empty();
        let moved = Arc::new(Moved { status, to, on_host, by_path });
        Ok(Some(Act::Ready(HttpService::from_call(move |request| Reply::ready(moved.response(&request))))))
    }

    fn plan(&self, _: &Document) -> PlannedTarget {
        let Redirect { status, to, scheme, port } = self.redirect;
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let to = scheme.map_or_else(|| to.to_string(), |scheme| format!("{}://{{host}}{port}{to}", scheme.as_str()));
        PlannedTarget { status: Some(*status), to: Some(to), ..PlannedTarget::of("redirect") }
    }

    fn reach(&self, reached: &mut Reached<'_>) -> Arc<Reach> {
        reached.nothing()
    }
}

impl Moved {
    fn response(&self, request: &Request) -> Response {
        let parameters = &Facts::of(request).parameters;
        let value = |index: usize| parameters.get(index).map_or("", |(_, value)| &**value);
        let mut location = self.to.render(request.uri().path(), value, request.uri().query());
        let is_same = || {
            let to = location.split('#').next().unwrap_or_default();
            request.uri().path_and_query().is_some_and(|target| target.as_str() == to)
        };
        // After 301, 302 and 303, a POST becomes a GET.
        let is_repeated = matches!(*request.method(), Method::GET | Method::HEAD)
            || matches!(self.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        if self.on_host.is_none() && self.by_path && is_repeated && is_same() {
            return Problem::not_found().reason("redirect_loop").into();
        }
        if let Some((scheme, port)) = self.on_host {
            let Some(host) = host(request.uri(), request.headers()).filter(|host| !host.is_empty()) else {
                return Problem::validation("host: is required").into();
            };
            if is_same() && port.is_none() && Facts::of(request).client.scheme.as_str() == scheme.as_str() {
                return Problem::not_found().reason("redirect_loop").into();
            }
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            location.insert_str(0, &format!("{}://{host}{port}", scheme.as_str()));
        }
        let Ok(location) = HeaderValue::try_from(location) else {
            return Problem::validation("path: cannot be redirected").into();
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.headers_mut().insert(LOCATION, location);
        response
    }
}
