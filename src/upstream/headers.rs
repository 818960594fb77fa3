//! Which header fields are forwarded, and which are hop-by-hop (RFC 9110 section 7.6).

use crate::field_list::{elements, remove_connection};
use bytes::Bytes;
use gatewright_sdk::fields::server_owned;
use gatewright_sdk::{Client, Facts, Request, Scheme};
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use http_body::Body as _;
use std::fmt::{self, Write};
use std::net::IpAddr;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The fields that every intermediary removes, with those `Connection` names (RFC 9110 section 7.6.1).
static HOP_BY_HOP: [HeaderName; 5] = [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE];
/// Fields of a response that mean something only in its head, apart from those of the connection and of the server. In lower case.
const ONLY_IN_HEAD: [&str; 12] = [
    "age",
    "cache-control",
    "content-encoding",
    "content-range",
    "content-type",
    "expires",
    "location",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "vary",
    "www-authenticate",
];
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The origin by which the client reached the gateway.
pub(super) struct Outside {
    pub scheme: Scheme,
    pub host: Option<HeaderValue>,
}

/// Turns the head of a client's request into the head of ours, except for `Host`, which depends on the target. Returns the
/// origin that the client sees.
pub(super) fn outbound(request: &mut Request) -> Outside {
    let facts = Facts::of(request);
    let (client, id) = (facts.client, facts.request_id.clone());
    let host = request.headers().get(HOST).cloned().or_else(|| {
        // HTTP/2 has the host in the request target.
        let host = HeaderValue::from_str(request.uri().authority()?.as_str()).ok()?;
        request.headers_mut().insert(HOST, host.clone());
        Some(host)
    });
    let via = HeaderValue::from_static(match request.version() {
        Version::HTTP_2 => "2 gatewright",
        Version::HTTP_10 => "1.0 gatewright",
        _ => "1.1 gatewright",
    });
    let crumbled = request.version() == Version::HTTP_2;
    let bodiless = request.body().is_end_stream();
    let implied_none = matches!(*request.method(), Method::GET | Method::HEAD);
    let headers = request.headers_mut();

    if headers.keys().any(is_removed) {
        remove_from_request(headers);
    }
    if bodiless {
        // No body follows, whatever header a plugin left.
        if headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0") {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
    } else if implied_none && !headers.contains_key(CONTENT_LENGTH) {
        // Otherwise hyper assumes that a GET has no body.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if crumbled {
        join_cookies(headers);
    }
    headers.append(VIA, via);
    if let Some(id) = id {
        headers.insert(id.header, id.value);
    }
    forwarded(headers, client, host)
}

/// Whether a field may have to be removed. Reading all names once is much cheaper than looking up each of these, and
/// comparing texts is cheaper than comparing with a list of names.
fn is_removed(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "expect"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

#[cold]
fn remove_from_request(headers: &mut HeaderMap) {
    let wants_trailers = headers.get_all(TE).iter().any(|value| has_token(value, "trailers"));
    remove_hop_by_hop(headers);
    headers.remove(PROXY_AUTHORIZATION);
    // The upstream could merge announced trailers into the head, past every check, so they are dropped.
    headers.remove(TRAILER);
    // The listener sends `100 Continue` itself when the body is read.
    headers.remove(EXPECT);
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("TE"));
    }
}

/// HTTP/2 may send cookies separately; HTTP/1 requires a single field (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    if let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) {
        let whole = crumbs.fold([first, b"; ", second].concat(), |whole, crumb| [&*whole, b"; ", crumb].concat());
        if let Ok(whole) = HeaderValue::try_from(whole) {
            headers.insert(COOKIE, whole);
        }
    }
}

/// Identifies the client to the upstream (`X-Forwarded-*`). The listener has removed untrusted values; they are
/// overwritten here as well.
fn forwarded(headers: &mut HeaderMap, client: Client, host: Option<HeaderValue>) -> Outside {
    // A peer on a Unix socket has no address to add.
    let peer = client.peer.address().to_canonical().ip().map(address);
    match if client.trusted { with_earlier(headers, peer) } else { peer } {
        Some(chain) => drop(headers.insert(X_FORWARDED_FOR, chain)),
        None => drop(headers.remove(X_FORWARDED_FOR)),
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(client.scheme.as_str()));
    let told = if client.trusted { headers.get(X_FORWARDED_HOST).cloned() } else { None };
    if told.is_none() {
        match host.clone() {
            Some(host) => headers.insert(X_FORWARDED_HOST, host),
            None => headers.remove(X_FORWARDED_HOST),
        };
    }
    Outside { scheme: client.scheme, host: told.or(host) }
}

/// The addresses that a trusted proxy sent, and that of the proxy.
fn with_earlier(headers: &HeaderMap, peer: Option<HeaderValue>) -> Option<HeaderValue> {
    let hops: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().chain(&peer).map(HeaderValue::as_bytes).collect();
    HeaderValue::try_from(hops.join(&b", "[..])).ok().filter(|chain| !chain.is_empty())
}

/// An address as text. One allocation, and cloning it is free.
fn address(ip: IpAddr) -> HeaderValue {
    let mut text = AddressText { bytes: [0; LONGEST_ADDRESS], length: 0 };
    // Writing to memory cannot fail, and addresses are ASCII.
    let _ = match ip {
        // Faster than its `Display`.
        IpAddr::V4(ip) => ip.octets().into_iter().enumerate().try_for_each(|(place, octet)| {
            if place > 0 {
                text.write_char('.')?;
            }
            text.write_str(itoa::Buffer::new().format(octet))
        }),
        IpAddr::V6(ip) => write!(text, "{ip}"),
    };
    HeaderValue::from_maybe_shared(Bytes::from_owner(text)).expect("an address is made of header characters")
}

/// The length of the longest address, in bytes.
const LONGEST_ADDRESS: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();

struct AddressText {
    bytes: [u8; LONGEST_ADDRESS],
    length: usize,
}

impl AsRef<[u8]> for AddressText {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Write for AddressText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// The trailers of a request that reach an upstream: those that describe the body (RFC 9530). An upstream may merge trailers into the
/// head, so all others are dropped (RFC 9110 section 6.5.1): they would bypass the plugins that remove, set or check such a field.
pub(super) fn safe_trailers(sent: &HeaderMap) -> HeaderMap {
    let safe = sent.iter().filter(|(name, _)| ["content-digest", "repr-digest"].contains(&name.as_str()));
    safe.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Removes the trailers of a response that only the head may have: those that frame, route or control the response (RFC 9110 section
/// 6.5.1), and cookies.
pub(super) fn remove_unsafe_trailers(trailers: &mut HeaderMap) {
    server_owned().chain(ONLY_IN_HEAD).for_each(|name| drop(trailers.remove(name)));
}

/// Turns the head of an upstream's response into the head of ours. `false` if its framing is ambiguous or its transfer
/// coding is not decoded here, so it must not be used.
pub(super) fn inbound(headers: &mut HeaderMap) -> bool {
    if !headers.keys().any(is_removed) {
        return true;
    }
    if headers.contains_key(TRANSFER_ENCODING) && (headers.contains_key(CONTENT_LENGTH) || !is_chunked(headers)) {
        return false;
    }
    remove_hop_by_hop(headers);
    headers.remove(PROXY_AUTHENTICATE);
    true
}

/// Leaves one `Content-Length` of several equal ones, in fields or in a list. `false` if they differ or are no lengths (RFC 9110 section
/// 8.6).
pub(super) fn unify_length(headers: &mut HeaderMap) -> bool {
    let mut all = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = all.next() else { return true };
    let is_length = !first.is_empty() && first.as_bytes().iter().all(u8::is_ascii_digit);
    if is_length && all.next().is_none() {
        return true;
    }
    let length = |text: &[u8]| str::from_utf8(text).ok()?.parse::<u64>().ok();
    let one = {
        let mut lengths = elements(headers, &CONTENT_LENGTH).map(length);
        lengths.next().flatten().filter(|one| lengths.all(|other| other == Some(*one)))
    };
    let Some(one) = one else { return false };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(one));
    true
}

/// Whether `chunked` is the only transfer coding (RFC 9112 section 6.1).
fn is_chunked(headers: &HeaderMap) -> bool {
    let mut codings = elements(headers, &TRANSFER_ENCODING);
    codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove_connection(headers);
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

fn has_token(value: &HeaderValue, token: &str) -> bool {
    let mut members = value.as_bytes().split(|byte| *byte == b',');
    members.any(|member| {
        let name = member.split(|byte| *byte == b';').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(token.as_bytes())
    })
}
