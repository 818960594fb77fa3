//! The request target that the upstream sees: the rewritten path, and the query byte for byte.

use crate::config::rewriting::{Invalid, Rewriting};
use gatewright_sdk::{Facts, Request};
use http::Uri;
use http::uri::PathAndQuery;

/// The target of `request` in origin form (RFC 9112 section 3.2.1).
pub(super) fn target(rewriting: &Rewriting, request: &Request) -> Result<Uri, Invalid> {
    let uri = request.uri();
    let parameter = |index: usize| Facts::of(request).parameters.get(index).map_or("", |(_, value)| &**value);
    let Some(mut made) = rewriting.apply(uri.path(), parameter)? else {
        let target = uri.path_and_query().cloned();
        return Ok(Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/"))));
    };
    if let Some(query) = uri.query() {
        made.push('?');
        made.push_str(query);
    }
    PathAndQuery::try_from(made).map(Uri::from).map_err(|_| Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn the_query_and_the_bytes_of_the_rest_are_kept() {
        let strip = Rewriting::Prefix { strip: "/api".into(), add: "".into() };
        let seen = |rewriting: &Rewriting, uri: &str| {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = Uri::try_from(uri).unwrap();
            target(rewriting, &request).unwrap().to_string()
        };
        assert_eq!(seen(&strip, "/api?x=1&y=%2F"), "/?x=1&y=%2F");
        assert_eq!(seen(&strip, "/api/orders/1?"), "/orders/1?");
        assert_eq!(seen(&strip, "/apix/1?a"), "/apix/1?a");
        assert_eq!(seen(&strip, "/api//a%2fb/../c;v=1"), "//a%2fb/../c;v=1");
        assert_eq!(seen(&strip, "http://example.com/api/x?q"), "/x?q");
        assert_eq!(seen(&strip, "*"), "*");
        assert_eq!(seen(&Rewriting::Nothing, "http://example.com/a?b"), "/a?b");
    }
}
