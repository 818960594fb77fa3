//! Another address: where a path has moved to.

use crate::config::document::route::Redirect;
use gatewright_sdk::{Body, Facts, Fault, HttpService, Problem, Reply, Request, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;

/// A piece of `to`: text as written, or a parameter of the route.
enum Piece {
    Text(String),
    Parameter(String),
}

struct Moved {
    status: StatusCode,
    to: Vec<Piece>,
    names_query: bool,
}

/// Compiles `spec` for a route whose path has `parameters`.
pub fn redirect(spec: &Redirect, parameters: &[Arc<str>]) -> Result<HttpService, Vec<Fault>> {
    let status = match spec.status {
        301 | 302 | 303 | 307 | 308 => StatusCode::from_u16(spec.status).unwrap_or(StatusCode::TEMPORARY_REDIRECT),
        other => {
            let fault = Fault::new("status", format!("{other} is no redirect"));
            return Err(vec![fault.help("use 301, 302, 303, 307 or 308")]);
        }
    };
    let to = pieces(&spec.to, parameters).map_err(|fault| vec![fault])?;
    let moved = Arc::new(Moved { status, to, names_query: spec.to.contains('?') });
    Ok(HttpService::from_call(move |request| Reply::ready(moved.response(&request))))
}

fn pieces(to: &str, parameters: &[Arc<str>]) -> Result<Vec<Piece>, Fault> {
    let absolute = to.starts_with("http://") || to.starts_with("https://");
    let plain = to.bytes().all(|byte| byte.is_ascii_graphic()) && (absolute || to.starts_with('/'));
    if !plain || to.starts_with("//") {
        return Err(Fault::new("to", "must be a path or an http(s) address without spaces"));
    }
    let mut pieces = Vec::new();
    let mut rest = to;
    while let Some((text, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return Err(Fault::new("to", "has a `{` without `}`"));
        };
        if !parameters.iter().any(|known| **known == *name) {
            let known = parameters.iter().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "this route has none".to_owned() } else { format!("it has {known}") };
            return Err(Fault::new("to", format!("`{{{name}}}` is no parameter of the route")).help(known));
        }
        pieces.push(Piece::Text(text.to_owned()));
        pieces.push(Piece::Parameter(name.to_owned()));
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

impl Moved {
    fn response(&self, request: &Request) -> Response {
        let facts = Facts::of(request);
        let mut location = String::with_capacity(128);
        for piece in &self.to {
            match piece {
                Piece::Text(text) => location.push_str(text),
                // A parameter that begins a path must not turn it into an address of another host.
                Piece::Parameter(name) => {
                    let value = facts.parameter(name).unwrap_or_default();
                    if !location.is_empty() && !location.ends_with('/') && name == "rest" && !value.is_empty() {
                        location.push('/');
                    }
                    let value = if location.ends_with('/') { value.trim_start_matches('/') } else { value };
                    location.push_str(value);
                }
            }
        }
        if let Some(query) = request.uri().query().filter(|_| !self.names_query) {
            location.push('?');
            location.push_str(query);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn location(to: &str, uri: &str, rest: &str) -> String {
        let spec = Redirect { to: to.into(), status: 308 };
        let service = redirect(&spec, &["rest".into()]).ok().unwrap();
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri.parse().unwrap();
        Facts::of_mut(&mut request).parameters.push(("rest".into(), rest.into()));
        let Reply::Ready(Some(response)) = service.call(request) else { panic!("not ready") };
        response.headers()[LOCATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_rest_of_the_path_and_the_query_are_kept() {
        assert_eq!(location("https://a.example/api{rest}", "/v0/x/y?q=1", "x/y"), "https://a.example/api/x/y?q=1");
        assert_eq!(location("/new/{rest}", "/v0/x", "x"), "/new/x");
        assert_eq!(location("/new{rest}", "/v0", ""), "/new");
        assert_eq!(location("/fixed?a=1", "/v0/x?q=1", "x"), "/fixed?a=1");
    }

    #[test]
    fn a_path_cannot_lead_to_another_host() {
        assert_eq!(location("/{rest}", "/v0//evil.example", "/evil.example"), "/evil.example");
    }

    #[test]
    fn what_cannot_be_filled_in_is_a_fault() {
        for to in ["", "b", "//evil", "/a b", "/{nope}", "/{rest", "ftp://x"] {
            let spec = Redirect { to: to.into(), status: 308 };
            assert!(redirect(&spec, &["rest".into()]).is_err(), "{to}");
        }
        assert!(redirect(&Redirect { to: "/b".into(), status: 200 }, &[]).is_err());
    }
}
