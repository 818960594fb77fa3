//! Compresses answers for clients that can read them, where it is worth it and gives nothing away.

mod encoding;
#[cfg(test)]
mod tests;

use crate::vary;
use encoding::Algorithm;
use futures_util::FutureExt;
use gatewright_sdk::plugin::Setting;
use gatewright_sdk::{Body, ByteSize, Context, Fault, Filter, HttpService, Plugin, Problem, Request, Response};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, COOKIE, ETAG,
    IF_MATCH, IF_NONE_MATCH,
};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use http_body::Body as _;
use http_body_util::BodyExt;
use schemars::JsonSchema;
use serde::Deserialize;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use tower::{Layer, Service, service_fn};
use tower_http::compression::CompressionLayer;

/// Compresses text-like answers for clients that accept it. Event streams, gRPC, parts of a file, what is compressed
/// already and what says `Cache-Control: no-transform` stay as they are.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Compression {
    /// The algorithms to use; the first that a client likes as well as any other is taken.
    algorithms: Vec<Algorithm>,
    /// Answers smaller than this are not worth it.
    min_size: ByteSize,
    /// Whether answers to requests with cookies are compressed too. Where an answer repeats something of the request next
    /// to a secret, its length then gives the secret away, letter by letter (the BREACH attack).
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

    fn install(&self, context: &Context<'_>, next: HttpService) -> Result<HttpService, Fault> {
        let press =
            Press { algorithms: self.algorithms.clone(), min_size: self.min_size.0, with_cookies: self.with_cookies };
        Ok(context.filter(next, press))
    }

    fn validate(&self, _: &Setting<'_>) -> Vec<Fault> {
        let none = || Fault::new("algorithms", "no algorithm is named").help("name one, or remove the plugin");
        self.algorithms.is_empty().then(none).into_iter().collect()
    }
}

struct Press {
    algorithms: Vec<Algorithm>,
    min_size: u64,
    with_cookies: bool,
}

/// What a request said that matters for its answer.
#[derive(Clone, Copy)]
struct Wish {
    algorithm: Option<Algorithm>,
    /// HEAD: the answer has the headers of a GET, and no body.
    head: bool,
    /// The entity tags of the request had the mark of this algorithm.
    marked: Option<Algorithm>,
}

impl Filter for Press {
    type Ticket = Wish;

    fn request(&self, request: &mut Request) -> ControlFlow<Response, Wish> {
        let guarded = |request: &Request| !self.with_cookies && request.headers().contains_key(COOKIE);
        let algorithm = encoding::choose(&self.algorithms, request.headers()).filter(|_| !guarded(request));
        let head = *request.method() == Method::HEAD;
        let marked = [IF_MATCH, IF_NONE_MATCH].map(|name| unmark(request.headers_mut(), &name));
        ControlFlow::Continue(Wish { algorithm, head, marked: marked.into_iter().flatten().next() })
    }

    fn response(&self, wish: Wish, response: &mut Response) {
        if let (StatusCode::NOT_MODIFIED, Some(marked)) = (response.status(), wish.marked) {
            // The client's copy is a compressed one: confirm the tag it knows.
            mark(response.headers_mut(), marked);
            return vary::add(response.headers_mut(), "accept-encoding");
        }
        if !shrinks(response) || !may_change(response.headers()) {
            return;
        }
        vary::add(response.headers_mut(), "accept-encoding");
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
        mark(headers, algorithm);
        if !wish.head {
            let body = std::mem::take(response.body_mut());
            *response.body_mut() = compress(algorithm, body);
        }
    }
}

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// Whether the answer has a body that compression makes smaller.
fn shrinks(response: &Response) -> bool {
    let status = response.status();
    let whole = !status.is_informational() && status != StatusCode::NO_CONTENT && status != StatusCode::PARTIAL_CONTENT;
    // Errors are small, and the engine may still write them in another format: it must find them plain.
    let failed = status.is_client_error() || status.is_server_error();
    let plain = failed && response.extensions().get::<Arc<Problem>>().is_some();
    let media = response.headers().get(CONTENT_TYPE);
    whole && !plain && media.is_some_and(|media| media.to_str().is_ok_and(encoding::shrinks))
}

/// Whether whoever made the answer lets others encode it. One pass: an answer has few fields.
fn may_change(headers: &HeaderMap) -> bool {
    let transformable = |value: &HeaderValue| {
        value.to_str().is_ok_and(|value| !value.split(',').any(|word| word.trim().eq_ignore_ascii_case("no-transform")))
    };
    headers.iter().all(|(name, value)| {
        let fixed = *name == CONTENT_ENCODING || *name == CONTENT_RANGE || *name == CONTENT_DIGEST;
        !fixed && (*name != CACHE_CONTROL || transformable(value))
    })
}

/// Marks a strong entity tag as that of the compressed form: another sequence of bytes has another tag (RFC 9110
/// section 8.8.3.3).
fn mark(headers: &mut HeaderMap, algorithm: Algorithm) {
    let Some(tag) = headers.get(ETAG).and_then(|tag| tag.to_str().ok()) else { return };
    let Some(opaque) = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) else { return };
    if let Ok(tag) = HeaderValue::try_from(format!("\"{opaque}{}", algorithm.mark())) {
        headers.insert(ETAG, tag);
    }
}

/// Removes the marks from the tags in `name`, so that whoever made the tags knows them again. Gives a mark it removed.
fn unmark(headers: &mut HeaderMap, name: &HeaderName) -> Option<Algorithm> {
    let value = headers.get_mut(name)?;
    let mut text = value.to_str().ok().filter(|text| text.contains('+'))?.to_owned();
    let mut found = None;
    for algorithm in [Algorithm::Zstd, Algorithm::Br, Algorithm::Gzip] {
        if text.contains(algorithm.mark()) {
            text = text.replace(algorithm.mark(), "\"");
            found = Some(algorithm);
        }
    }
    *value = HeaderValue::try_from(text).ok()?;
    found
}

/// `body`, compressed as it comes; every piece is flushed, so that streams stay prompt.
fn compress(algorithm: Algorithm, body: Body) -> Body {
    fn always(_: StatusCode, _: Version, _: &HeaderMap, _: &Extensions) -> bool {
        true
    }
    // tower-http asks a body once more after its end, which not every body survives: hence the fuse.
    let mut answer = Some(http::Response::new(body.fuse()));
    let once = service_fn(move |_: http::Request<()>| {
        let answer = answer.take().expect("the service is called once");
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let layer = CompressionLayer::new().quality(algorithm.level()).compress_when(always);
    let mut request = http::Request::new(());
    request.headers_mut().insert(http::header::ACCEPT_ENCODING, algorithm.value());
    let Ok(answer) = layer.layer(once).call(request).now_or_never().expect("a service that never waits is ready");
    Body::new(answer.into_body())
}
