//! The page that shows a document in browsers: Swagger UI, compiled into the program.

use crate::etag::Tags;
use bytes::Bytes;
use flate2::read::GzDecoder;
use gatewright_sdk::{Body, Problem, Response};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::io::Read;
use std::sync::LazyLock;

/// The document, below the path of the page.
pub const DOCUMENT: &str = "openapi.json";

/// What is served below the path of the page.
pub const FILES: &[&str] = &[DOCUMENT, STYLE, BUNDLE, SCRIPT];

const STYLE: &str = "swagger-ui.css";
const BUNDLE: &str = "swagger-ui-bundle.js";
const SCRIPT: &str = "page.js";

/// The version of Swagger UI, and the entity tag of its files.
const VERSION: &str = "5.35.0";

/// Scripts and styles of this page alone, requests to this server alone, and no page around it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const STYLE_GZ: &[u8] = include_bytes!("../../assets/swagger-ui/swagger-ui.css.gz");
const BUNDLE_GZ: &[u8] = include_bytes!("../../assets/swagger-ui/swagger-ui-bundle.js.gz");

/// For clients that do not accept gzip: decompressed once, when the first of them asks.
static PLAIN_STYLE: LazyLock<Bytes> = LazyLock::new(|| decompressed(STYLE_GZ));
static PLAIN_BUNDLE: LazyLock<Bytes> = LazyLock::new(|| decompressed(BUNDLE_GZ));

/// The files are part of the program, and a test reads them.
fn decompressed(file: &[u8]) -> Bytes {
    let mut plain = Vec::new();
    let read = GzDecoder::new(file).read_to_end(&mut plain);
    read.expect("the files in assets/swagger-ui are gzip");
    plain.into()
}

const HTML: &str = include_str!("page.html");

/// The page. `last` is the last segment of its path: its files are below it.
pub fn page(last: &str) -> Response {
    let here = if last.is_empty() { String::new() } else { format!("{}/", escaped(last)) };
    let mut response = whole(HTML.replace("{here}", &here).into(), "text/html; charset=utf-8");
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// A text in an attribute of HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

/// One of [`FILES`] other than the document.
pub fn file(name: &str, request: &HeaderMap) -> Response {
    let (compressed, plain, media) = match name {
        STYLE => (STYLE_GZ, &PLAIN_STYLE, "text/css; charset=utf-8"),
        BUNDLE => (BUNDLE_GZ, &PLAIN_BUNDLE, "text/javascript; charset=utf-8"),
        SCRIPT => return whole(Bytes::from_static(include_bytes!("page.js")), "text/javascript; charset=utf-8"),
        _ => return Problem::not_found().into(),
    };
    let is_compressed = accepts_gzip(request);
    let tag = format!("\"{VERSION}{}\"", if is_compressed { "-gzip" } else { "" });
    // A malformed `If-None-Match` matches nothing.
    let known = Tags::of(request, &IF_NONE_MATCH).ok().flatten();
    if known.is_some_and(|known| known.have(tag.trim_matches('"'))) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        add_tag(response.headers_mut(), &tag);
        return response;
    }
    let mut response = if is_compressed {
        let mut response = whole(Bytes::from_static(compressed), media);
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        whole((**plain).clone(), media)
    };
    add_tag(response.headers_mut(), &tag);
    response
}

fn add_tag(headers: &mut HeaderMap, tag: &str) {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
}

fn whole(body: Bytes, media: &'static str) -> Response {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Whether the client accepts gzip (RFC 9110 section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        named && weight.is_none_or(|weight| weight.parse().is_ok_and(|weight: f32| weight > 0.0))
    })
}
