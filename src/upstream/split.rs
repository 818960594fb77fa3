//! Several upstreams, by weight; a cookie may keep each client at one of them.

use crate::config::document::route::Sticky;
use crate::field_list::cookie;
use gatewright_sdk::{Facts, HttpService, Problem, Reply, Request, Scheme};
use http::HeaderValue;
use http::header::SET_COOKIE;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;

/// Everything that is not part of a cookie value in every program, and `%` itself.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One upstream of a split.
pub struct Share {
    pub upstream: String,
    pub weight: u32,
    pub service: HttpService,
}

/// A share, ready to use.
struct Part {
    /// Its name in the cookie.
    name: String,
    weight: u32,
    service: HttpService,
    /// The cookies that name it: for HTTP and for HTTPS.
    cookies: Option<[HeaderValue; 2]>,
}

struct Split {
    parts: Box<[Part]>,
    cookie: Option<Box<str>>,
}

/// The target of a route: sends each request to one of `shares`.
pub fn split(shares: Vec<Share>, sticky: Option<&Sticky>) -> HttpService {
    let parts = shares.into_iter().map(|share| {
        let Share { upstream, weight, service } = share;
        let name = utf8_percent_encode(&upstream, ENCODED).to_string();
        let cookies = sticky.and_then(|sticky| cookies(&sticky.cookie, &name));
        Part { name, weight, service, cookies }
    });
    let split = Arc::new(Split { parts: parts.collect(), cookie: sticky.map(|sticky| (&*sticky.cookie).into()) });
    HttpService::from_call(move |request| split.call(request))
}

fn cookies(cookie: &str, name: &str) -> Option<[HeaderValue; 2]> {
    let plain = format!("{cookie}={name}; Path=/; HttpOnly; SameSite=Lax");
    Some([HeaderValue::try_from(&plain).ok()?, HeaderValue::try_from(format!("{plain}; Secure")).ok()?])
}

impl Split {
    fn call(&self, request: Request) -> Reply {
        if let Some(part) = self.remembered(&request) {
            return part.service.call(request);
        }
        // At least one has a weight, which was checked.
        let Some(part) = self.draw() else { return Reply::ready(Problem::internal()) };
        let is_https = Facts::of(&request).client.scheme == Scheme::Https;
        let cookie = part.cookies.as_ref().map(|[plain, secure]| if is_https { secure } else { plain }).cloned();
        let reply = part.service.call(request);
        let Some(cookie) = cookie else { return reply };
        reply.map(move |response| {
            // A client is not kept at an upstream that does not work.
            if !response.status().is_server_error() {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
        })
    }

    /// The part that the client's cookie names.
    fn remembered(&self, request: &Request) -> Option<&Part> {
        let name = cookie(request.headers(), self.cookie.as_deref()?)?;
        self.parts.iter().find(|part| part.name.as_bytes() == name)
    }

    /// A part at random, by weight.
    fn draw(&self) -> Option<&Part> {
        let total: u64 = self.parts.iter().map(|part| u64::from(part.weight)).sum();
        let mut drawn = fastrand::u64(..total.max(1));
        self.parts.iter().find(|part| {
            let weight = u64::from(part.weight);
            let is_it = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            is_it
        })
    }
}
