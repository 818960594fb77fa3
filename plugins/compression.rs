//! Compresses responses for clients that accept it, if it pays off and leaks nothing.

mod body;
mod encoding;
mod tags;
#[cfg(test)]
mod tests;

use crate::vary;
use body::Compressed;
use encoding::Algorithm;
use gatewright_sdk::{
    Body, ByteSize, CheckContext, Code, Compiled, Fault, Filter, Plugin, Problem, Request, Response, Verdict,
};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, COOKIE, IF_MATCH,
    IF_NONE_MATCH, TRAILER,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body::Body as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tags::Listed;

/// Compresses text-like responses for clients that accept it. The following are not compressed: event streams, gRPC,
/// partial content, responses that are already compressed, responses with a digest (`Content-Digest`, `Repr-Digest`, `Digest`,
/// `Content-MD5`), and requests or responses with `Cache-Control: no-transform`. In a compressed response, the entity tag
/// `"v1"` becomes `"v1+gzip"`; the target receives it without the suffix.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Compression {
    /// The algorithms to use. The client's preferred one wins; ties go to this order.
    algorithms: Vec<Algorithm>,
    /// Smaller responses are not compressed.
    min_size: ByteSize,
    /// Whether responses to requests with cookies are compressed too. If such a response contains both a secret and text
    /// from the request, its length can leak the secret (BREACH attack).
    with_cookies: bool,
}

impl Default for Compression {
    fn default() -> Self {
        let algorithms = vec![Algorithm::Zstd, Algorithm::Br, Algorithm::Gzip];
        Self { algorithms, min_size: ByteSize::kib(1), with_cookies: false }
    }
}

impl Plugin for Compression {
    const NAME: &'static str = "compression";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let none = || {
            Fault::new("algorithms", "`algorithms` is empty")
                .code(Code::NOTHING_TO_DO)
                .help("write `algorithms: [zstd, br, gzip]`, or remove the plugin")
        };
        let fault = self.algorithms.is_empty().then(none);
        let Self { algorithms, min_size, with_cookies } = self;
        Compiled::filter(Press { algorithms, min_size: min_size.0, with_cookies }).faults(fault)
    }
}

struct Press {
    algorithms: Vec<Algorithm>,
    min_size: u64,
    with_cookies: bool,
}

/// The parts of a request that affect the encoding of its response.
struct Wish {
    algorithm: Option<Algorithm>,
    /// HEAD: the response has the headers of a GET, and no body.
    head: bool,
    /// The tags of the client's copies, if one of them belongs to a compressed response.
    copies: Vec<Listed>,
}

impl Filter for Press {
    type Ticket = Wish;

    fn decide(&self, request: &Request) -> Verdict<Wish> {
        let (head, headers) = (*request.method() == Method::HEAD, request.headers());
        let algorithm = encoding::choose(&self.algorithms, headers).filter(|_| {
            let guarded = !self.with_cookies && headers.contains_key(COOKIE);
            !guarded && headers.get_all(CACHE_CONTROL).iter().all(transformable)
        });
        Verdict::Continue(Wish { algorithm, head, copies: Vec::new() })
    }

    fn admit(&self, wish: &mut Wish, request: &mut Request) {
        let reads = wish.head || *request.method() == Method::GET;
        let headers = request.headers_mut();
        if !headers.keys().any(|name| [IF_MATCH, IF_NONE_MATCH].contains(name)) {
            return;
        }
        tags::unmark(headers, &IF_MATCH, |_| true);
        if tags::has_marks(headers, &IF_NONE_MATCH) {
            wish.copies = copies(headers, reads);
        }
    }

    fn response(&self, wish: Wish, response: &mut Response) {
        if response.status() == StatusCode::NOT_MODIFIED {
            // The headers that the 200 would have (RFC 9110 section 15.4.5). A 304 need not have a content type.
            let headers = response.headers_mut();
            tags::confirm(headers, &wish.copies, wish.algorithm);
            if may_change(headers) && (!headers.contains_key(CONTENT_TYPE) || shrinks(headers)) {
                vary::add(headers, "accept-encoding");
            }
            return;
        }
        if !has_content(response) || !shrinks(response.headers()) || !may_change(response.headers()) {
            return;
        }
        vary::add(response.headers_mut(), "accept-encoding");
        // Parts are of the uncompressed form (RFC 9110 section 14.2).
        if response.status() == StatusCode::PARTIAL_CONTENT || response.headers().contains_key(CONTENT_RANGE) {
            return;
        }
        let Some(algorithm) = wish.algorithm else { return };
        let announced = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let size = if wish.head { announced } else { announced.or(response.body().size_hint().exact()) };
        if size.is_some_and(|size| size < self.min_size) {
            return;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_ENCODING, algorithm.value());
        headers.remove(CONTENT_LENGTH);
        headers.remove(ACCEPT_RANGES);
        tags::mark(headers, algorithm);
        if !wish.head {
            let body = std::mem::take(response.body_mut());
            *response.body_mut() = Body::new(Compressed::new(algorithm, body));
        }
    }
}

/// The tags of copies that the client has. Copies in an encoding that it does not accept now are ignored, or a 304
/// would confirm them. Conditions of writes apply to the resource, whatever the client accepts.
fn copies(headers: &mut HeaderMap, reads: bool) -> Vec<Listed> {
    let known: Vec<_> =
        Algorithm::ALL.into_iter().filter(|algorithm| !reads || encoding::accepts(headers, *algorithm)).collect();
    tags::unmark(headers, &IF_NONE_MATCH, |algorithm| known.contains(&algorithm))
}

/// Digests of the bytes sent (RFC 9530, RFC 3230, RFC 1864), which compression would invalidate.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// Whether the response has content that may be compressed.
fn has_content(response: &Response) -> bool {
    let status = response.status();
    // Errors are small, and the engine may still rewrite them in another format, so they must not be compressed.
    let failed = status.is_client_error() || status.is_server_error();
    let plain = failed && response.extensions().get::<Arc<Problem>>().is_some();
    !status.is_informational() && status != StatusCode::NO_CONTENT && !plain
}

/// Whether compression shrinks content of this type.
fn shrinks(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE);
    media.is_some_and(|media| media.to_str().is_ok_and(encoding::shrinks))
}

/// Whether the response may be encoded. One pass, because a response has few fields.
fn may_change(headers: &HeaderMap) -> bool {
    headers.iter().all(|(name, value)| match name {
        name if *name == CONTENT_ENCODING || DIGESTS.contains(name) => false,
        name if *name == CACHE_CONTROL => transformable(value),
        name if *name == TRAILER => {
            !words(value).any(|word| DIGESTS.iter().any(|name| word.eq_ignore_ascii_case(name.as_str())))
        }
        _ => true,
    })
}

/// Whether a line of `Cache-Control` allows transformation (RFC 9111 sections 5.2.1.6 and 5.2.2.6). An invalid line
/// counts as forbidding it.
fn transformable(value: &HeaderValue) -> bool {
    value.to_str().is_ok() && !words(value).any(|word| word.eq_ignore_ascii_case("no-transform"))
}

fn words(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim)
}
