//! Validates request heads before anything else sees them: anything that two servers might interpret differently is
//! rejected.

mod host;
mod transfer_coding;
mod upgrade;

use crate::path::{self, Spelling};
use crate::terms::RequestTerms;
use crate::tunnel;
use gatewright_sdk::Problem;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
    UPGRADE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri, Version};
pub use upgrade::is_requested as is_upgrade_requested;

/// The maximum length of a request target, in bytes (RFC 9110 section 4.1 asks for at least 8,000).
const LONGEST_TARGET: usize = 8 * 1024;

/// The `Allow` of a 405 for methods that no route can have.
const SERVED: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

type Checked = Result<(), Box<Problem>>;

/// Rejects a head that is invalid or ambiguous, puts its path into normal form, and removes header fields that the
/// client may not set. Returns how the path is spelled; the listener and the route decide which ambiguous spellings to
/// accept. One pass over the path, one over the field names, and no allocation for a valid head.
///
/// # Errors
/// The error for the client.
pub fn head(head: &mut Parts, terms: &RequestTerms, trusted: bool) -> Result<Spelling, Box<Problem>> {
    method(&head.method)?;
    let tunnel = tunnel::enter(head);
    if matches!(head.method, Method::TRACE | Method::CONNECT) {
        return Err(closing(Problem::method_not_allowed(SERVED)));
    }
    let spelling = target(&head.method, &mut head.uri, head.version)?;
    authority(&head.uri, &head.headers, head.version)?;
    if head.headers.len() > terms.headers {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(closing(Problem::new(status, "headers_too_large", "Too many header fields")));
    }
    let (mut length, mut drops, mut controls) = (0, false, false);
    for (name, value) in &head.headers {
        // Credentials do not count: the plugin that reads them has its own limit, and rejects an oversized token like any
        // other invalid one.
        if *name != AUTHORIZATION {
            length += name.as_str().len() + value.len() + ": \r\n".len();
        }
        drops |= is_dropped(name, terms, trusted);
        controls |= [CONNECTION, EXPECT, TRANSFER_ENCODING, UPGRADE].contains(name);
    }
    if length > terms.header_bytes {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(closing(Problem::new(status, "headers_too_large", "The header fields are too long")));
    }
    // HTTP/1.1 has one by now. Upstreams reject several, also if they are equal (RFC 9110 section 8.6).
    if head.headers.len() > head.headers.keys_len() && head.headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err(bad("content-length: must be sent once"));
    }
    if drops {
        drop_fields(&mut head.headers, terms, trusted);
    }
    // Reading all names once is cheaper than looking up each of these.
    if controls {
        expectation(&head.headers)?;
        transfer_coding::check(head)?;
        // Before plugins add fields: `Connection` in the request must not be able to remove those.
        upgrade::settle(head)?;
    }
    if let Some(protocol) = tunnel {
        upgrade::offer(head, protocol)?;
    }
    Ok(spelling)
}

/// Methods are case-sensitive, and all registered ones are in upper case (RFC 9110 section 9.1). Some servers read `delete` as DELETE, so
/// what is said about DELETE must hold for it.
fn method(method: &Method) -> Checked {
    if method.as_str().bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(bad("method: must be in upper case"));
    }
    Ok(())
}

/// The only expectation is `100-continue` (RFC 9110 section 10.1.1).
fn expectation(headers: &HeaderMap) -> Checked {
    if headers.get(EXPECT).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        let message = "The only supported expectation is 100-continue";
        return Err(closing(Problem::new(StatusCode::EXPECTATION_FAILED, "expectation_failed", message)));
    }
    Ok(())
}

/// Checks the form of the request target (RFC 9112 section 3.2), and puts its path into normal form.
fn target(method: &Method, uri: &mut Uri, version: Version) -> Result<Spelling, Box<Problem>> {
    let path = uri.path();
    if path.len() + uri.query().map_or(0, str::len) > LONGEST_TARGET {
        return Err(closing(Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", "The request target is too long")));
    }
    if path == "*" && *method == Method::OPTIONS {
        return Ok(Spelling::default());
    }
    if uri.scheme().is_none() && uri.authority().is_some() && version < Version::HTTP_2 {
        return Err(bad("target: must be a path or a URL"));
    }
    let reading = path::read(path).map_err(bad)?;
    if let Some(normal) = reading.normal {
        replace_path(uri, normal).ok_or_else(|| bad("path: is not valid"))?;
    }
    Ok(reading.spelling)
}

#[cold]
fn replace_path(uri: &mut Uri, mut path: String) -> Option<()> {
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    *uri = Uri::from_parts(parts).ok()?;
    Some(())
}

/// Checks that there is exactly one valid authority (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
fn authority(uri: &Uri, headers: &HeaderMap, version: Version) -> Checked {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (host, None) => host.map(HeaderValue::as_bytes),
        _ => return Err(bad("host: must be sent once")),
    };
    let target = uri.authority().map(|authority| authority.as_str().as_bytes());
    match (target, host) {
        (Some(target), Some(host)) if !target.eq_ignore_ascii_case(host) => {
            Err(bad("host: differs from the request target"))
        }
        (None, None) if version == Version::HTTP_10 => Ok(()),
        (None, None) => Err(bad("host: is required")),
        (Some(_), None) if version == Version::HTTP_11 => Err(bad("host: is required")),
        (Some(name), _) | (None, Some(name)) if host::is_valid(name) => Ok(()),
        _ => Err(bad("host: must be a name or an address, optionally with a port")),
    }
}

/// Whether a field is removed: names with an underscore look like other names to programs that turn them into variables
/// (RFC 3875 section 4.1.18), forwarding fields may come only from trusted proxies, and what plugins assert about clients
/// from no one. Neither may `Forwarded`: nothing here reads it, most proxies pass on what the client wrote into it, and an upstream may
/// believe it rather than our `X-Forwarded-For`. A proxy may remove it (RFC 7239 section 4).
fn is_dropped(field: &HeaderName, terms: &RequestTerms, trusted: bool) -> bool {
    let name = field.as_str().as_bytes();
    let spoken_by_proxies = match name.first() {
        Some(b'x') => {
            name.starts_with(b"x-forwarded-") || [&b"x-real-ip"[..], b"x-original-url", b"x-mirrored"].contains(&name)
        }
        Some(b'f') if name == b"forwarded" => return true,
        // RFC 9440 section 4.
        Some(b'c') => name == b"client-cert" || name == b"client-cert-chain",
        _ => false,
    };
    (spoken_by_proxies && !trusted) || name.contains(&b'_') || terms.asserted.has(field)
}

#[cold]
fn drop_fields(headers: &mut HeaderMap, terms: &RequestTerms, trusted: bool) {
    let dropped: Vec<HeaderName> = headers.keys().filter(|name| is_dropped(name, terms, trusted)).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
}

#[cold]
fn bad(message: &'static str) -> Box<Problem> {
    closing(Problem::validation(message))
}

/// A client that is this wrong may also be wrong about where its request ends.
#[cold]
fn closing(problem: Problem) -> Box<Problem> {
    Box::new(problem.header(CONNECTION, HeaderValue::from_static("close")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::AssertedFields;

    fn check(request: http::request::Builder) -> (u16, Parts) {
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let status = match head(&mut parts, &RequestTerms::default(), false) {
            Ok(_) => 200,
            Err(problem) => problem.status().as_u16(),
        };
        (status, parts)
    }

    fn get(target: &str) -> http::request::Builder {
        http::Request::get(target)
    }

    #[test]
    fn every_request_names_one_host() {
        assert_eq!(check(get("/")).0, 400, "none");
        assert_eq!(check(get("/").header("host", "a").header("host", "a")).0, 400, "two");
        assert_eq!(check(get("/").header("host", "a")).0, 200);
        assert_eq!(check(get("/").version(Version::HTTP_10)).0, 200, "HTTP/1.0 may leave it out");
        assert_eq!(check(get("/").version(Version::HTTP_10).header("host", "a b")).0, 400);
        assert_eq!(check(get("http://a:80/x").header("host", "A:80")).0, 200);
        assert_eq!(check(get("http://a/x").header("host", "b")).0, 400, "absolute form, other host");
        assert_eq!(check(get("http://a/x")).0, 400, "absolute form without Host");
        assert_eq!(check(get("http://a/x").version(Version::HTTP_2)).0, 200);
        assert_eq!(check(get("http://a/x").version(Version::HTTP_2).header("host", "b")).0, 400);
        assert_eq!(check(get("http://user@a/x").version(Version::HTTP_2)).0, 400);
        assert_eq!(check(get("/x").version(Version::HTTP_2).header("host", "b")).0, 200);
        assert_eq!(check(get("/x").version(Version::HTTP_2)).0, 400);
    }

    #[test]
    fn the_request_target_must_have_a_form_allowed_for_its_method() {
        let with_host = |method: &str, target: &str| {
            check(http::Request::builder().method(method).uri(target).header("host", "a")).0
        };
        assert_eq!(with_host("OPTIONS", "*"), 200);
        assert_eq!(with_host("GET", "*"), 400);
        assert_eq!(with_host("GET", "a"), 400, "authority form");
        assert_eq!(with_host("CONNECT", "a:80"), 405);
        assert_eq!(with_host("TRACE", "/"), 405);
        assert_eq!(with_host("GET", &format!("/?{}", "a".repeat(LONGEST_TARGET))), 414);
        assert_eq!(with_host("GET", &format!("/{}", "a".repeat(LONGEST_TARGET - 1))), 200);
        assert_eq!(with_host("GET", "/x/../y"), 400);
    }

    #[test]
    fn the_path_is_normalized_and_the_rest_of_the_target_is_unchanged() {
        let (_, parts) = check(get("/%61%2db/%c3%a9?q=%61").header("host", "a"));
        assert_eq!(parts.uri, "/a-b/%C3%A9?q=%61");
        let (_, parts) = check(get("http://a:80/%61?").header("host", "a:80"));
        assert_eq!(parts.uri, "http://a:80/a?");
    }

    #[test]
    fn only_100_continue_can_be_expected() {
        assert_eq!(check(get("/").header("host", "a").header("expect", "100-Continue")).0, 200);
        assert_eq!(check(get("/").header("host", "a").header("expect", "200-ok")).0, 417);
    }

    #[test]
    fn the_fields_are_counted() {
        let many = (1..100).fold(get("/").header("host", "a"), |request, n| request.header(format!("x-{n}"), "v"));
        let (status, parts) = check(many);
        assert_eq!((status, parts.headers.len()), (200, 100));
        let more = (1..=100).fold(get("/").header("host", "a"), |request, n| request.header(format!("x-{n}"), "v"));
        assert_eq!(check(more).0, 431);
    }

    #[test]
    fn the_length_of_the_fields_is_bounded_and_credentials_do_not_count() {
        let long = "v".repeat(RequestTerms::default().header_bytes);
        assert_eq!(check(get("/").header("host", "a").header("cookie", &long)).0, 431);
        assert_eq!(check(get("/").header("host", "a").header("authorization", &long)).0, 200);
    }

    #[test]
    fn fields_that_a_client_may_not_set_are_gone() {
        let names = [
            "x_user",
            "x-forwarded-for",
            "x-forwarded-client-cert",
            "x-real-ip",
            "forwarded",
            "x-original-url",
            "x-mirrored",
            "client-cert",
            "client-cert-chain",
        ];
        let spoofed = || names.iter().fold(get("/").header("host", "a").header("x-a", "b"), |r, n| r.header(*n, "v"));
        let (status, parts) = check(spoofed());
        assert_eq!((status, parts.headers.len()), (200, 2), "{:?}", parts.headers);
        let (mut parts, ()) = spoofed().body(()).unwrap().into_parts();
        head(&mut parts, &RequestTerms::default(), true).unwrap();
        assert_eq!(parts.headers.len(), 9, "a trusted proxy may say all but `forwarded` and what has an underscore");
        assert!(!parts.headers.contains_key("forwarded"));
    }

    #[test]
    fn no_one_may_send_what_plugins_assert_about_clients() {
        let asserted = AssertedFields::new([HeaderName::from_static("x-user")]);
        let terms = RequestTerms { asserted, ..RequestTerms::default() };
        let spellings = ["x-user", "X-USER", "x_user", "x.user", "x~user"];
        let sent =
            spellings.iter().fold(get("/").header("host", "a").header("x-users", "1"), |r, n| r.header(*n, "root"));
        let (mut parts, ()) = sent.body(()).unwrap().into_parts();
        head(&mut parts, &terms, true).unwrap();
        assert_eq!(parts.headers.len(), 2, "{:?}", parts.headers);
    }
}
