//! Rejects requests that pages of other sites make browsers send.

use crate::origins::{self, Origins};
use gatewright_sdk::{
    CheckContext, Code, Compiled, Contract, Facts, Fault, Filter, Plugin, Problem, Request, Scheme, Traits, Verdict,
};
use http::header::{HOST, ORIGIN, UPGRADE};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rejects requests that a page of another site makes a browser send (cross-site request forgery) with 403. It matters where
/// browsers authenticate by themselves: with cookies, client certificates or basic authentication. It needs no token in forms:
/// browsers report where a request comes from in `Sec-Fetch-Site` and `Origin`. Requests with neither pass, because they do
/// not come from a page.
///
/// GET, HEAD and OPTIONS pass, except to open a WebSocket: servers must not change anything on these methods. Other
/// subdomains count as other sites. The rules follow `http.CrossOriginProtection` in Go.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Csrf {
    /// Other origins whose pages may send any request: `https://app.example.com`; `https://*.example.com` for every
    /// subdomain; `http://localhost:*` for every port.
    trusted_origins: Vec<String>,
}

impl Plugin for Csrf {
    const NAME: &'static str = "csrf";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let mut faults = Vec::new();
        let trusted = Origins::compile("trusted_origins", &self.trusted_origins, &mut faults);
        if trusted.any {
            let fault = Fault::new("trusted_origins", "`*` would trust the pages of every site");
            faults.push(fault.code(Code::INVALID_ORIGIN).help("list the origins, or remove the plugin"));
        }
        let traits = Traits { restricts: true, contract: Contract::rejects(&[403]), ..Traits::default() };
        Compiled::filter(Gate { trusted }).traits(traits).faults(faults)
    }
}

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

struct Gate {
    trusted: Origins,
}

/// The values of a header that must occur only once.
enum Sent<'a> {
    Nothing,
    One(&'a [u8]),
    Several,
}

impl<'a> Sent<'a> {
    /// An empty value counts as none.
    fn of(headers: &'a HeaderMap, name: &HeaderName) -> Self {
        let mut values = headers.get_all(name).iter().map(|value| value.as_bytes()).filter(|value| !value.is_empty());
        match (values.next(), values.next()) {
            (None, _) => Self::Nothing,
            (Some(value), None) => Self::One(value),
            _ => Self::Several,
        }
    }
}

impl Filter for Gate {
    type Ticket = ();
    const RESPONDS: bool = false;

    fn decide(&self, request: &Request) -> Verdict<()> {
        // Scripts can read what a WebSocket receives whatever its origin, and browsers send cookies with its handshake.
        let upgrades = request.headers().contains_key(UPGRADE);
        let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) && !upgrades;
        if safe || self.admits(request) {
            return Verdict::Continue(());
        }
        let problem = Problem::new(StatusCode::FORBIDDEN, "forbidden", "Requests from other origins are not allowed");
        Verdict::refuse(problem.reason("cross_origin"))
    }
}

impl Gate {
    fn admits(&self, request: &Request) -> bool {
        let origin = Sent::of(request.headers(), &ORIGIN);
        if let Sent::One(origin) = origin
            && self.trusted.contains(origin)
        {
            return true;
        }
        match (Sent::of(request.headers(), &FETCH_SITE), origin) {
            (Sent::One(b"same-origin" | b"none"), _) | (Sent::Nothing, Sent::Nothing) => true,
            // Browsers send `Sec-Fetch-Site` only over https and to localhost, and only since 2023.
            (Sent::Nothing, Sent::One(origin)) => is_own(origin, request),
            _ => false,
        }
    }
}

/// Whether `origin` is the origin of `request` itself.
fn is_own(origin: &[u8], request: &Request) -> bool {
    let origin = std::str::from_utf8(origin).ok();
    let Some((scheme, authority)) = origin.and_then(|origin| origin.split_once("://")) else { return false };
    let default = match (scheme, Facts::of(request).client.scheme) {
        // A page that was loaded over plain http may be anyone's. The reverse is a proxy that ends TLS and is not trusted.
        ("http", Scheme::Http) => "80",
        ("https", _) => "443",
        _ => return false,
    };
    let own = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(HOST).and_then(|host| host.to_str().ok()),
    };
    let parts = |authority| {
        let (host, port) = origins::split_port(authority);
        (host, port.unwrap_or(default))
    };
    own.map(parts).is_some_and(|(own_host, own_port)| {
        let (host, port) = parts(authority);
        !host.is_empty() && host.eq_ignore_ascii_case(own_host) && port == own_port
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewright_sdk::Refusal;
    use gatewright_sdk::testing::{answers, faults, install, request};
    use serde_json::json;

    /// The status for a request to `https://api.example.com`, or over plain http.
    async fn status(scheme: Scheme, method: &str, headers: &[(&str, &str)]) -> u16 {
        let settings = json!({ "trusted_origins": ["https://app.example.com", "https://*.partner.example"] });
        let mut headers = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "host") {
            headers.push(("host", "api.example.com"));
        }
        let mut request = request(method, &headers);
        Facts::of_mut(&mut request).client.scheme = scheme;
        let response = install::<Csrf>(settings, answers(|_| "in")).call(request).await;
        let reason = response.extensions().get::<Refusal>().map(|refusal| refusal.reason.to_string());
        assert_eq!(reason.as_deref(), (response.status() == 403).then_some("cross_origin"));
        response.status().as_u16()
    }

    #[tokio::test]
    async fn browsers_report_where_a_request_comes_from() {
        for (method, headers, expected) in [
            ("POST", &[][..], 200),
            ("POST", &[("sec-fetch-site", "same-origin")], 200),
            ("POST", &[("sec-fetch-site", "none")], 200),
            ("POST", &[("sec-fetch-site", "cross-site")], 403),
            ("POST", &[("sec-fetch-site", "same-site")], 403),
            ("POST", &[("sec-fetch-site", "same-site"), ("origin", "https://api.example.com")], 403),
            ("POST", &[("sec-fetch-site", "Same-Origin")], 403),
            ("POST", &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], 403),
            // A proxy in front changed the host.
            ("POST", &[("sec-fetch-site", "same-origin"), ("origin", "https://public.example")], 200),
            ("POST", &[("sec-fetch-site", "cross-site"), ("origin", "https://app.example.com")], 200),
            ("POST", &[("sec-fetch-site", "cross-site"), ("origin", "https://a.partner.example")], 200),
            ("POST", &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], 403),
            ("POST", &[("sec-fetch-site", "cross-site"), ("origin", "null")], 403),
            ("GET", &[("sec-fetch-site", "cross-site")], 200),
            ("HEAD", &[("sec-fetch-site", "cross-site")], 200),
            ("OPTIONS", &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], 200),
            ("PUT", &[("sec-fetch-site", "cross-site")], 403),
            ("PATCH", &[("sec-fetch-site", "cross-site")], 403),
            ("DELETE", &[("sec-fetch-site", "cross-site")], 403),
            ("TRACE", &[("sec-fetch-site", "cross-site")], 403),
            ("PURGE", &[("sec-fetch-site", "cross-site")], 403),
            ("get", &[("sec-fetch-site", "cross-site")], 403),
        ] {
            assert_eq!(status(Scheme::Https, method, headers).await, expected, "{method} {headers:?}");
        }
    }

    #[tokio::test]
    async fn without_fetch_metadata_the_origin_must_be_the_own_one() {
        for (scheme, origin, host, expected) in [
            (Scheme::Https, "https://api.example.com", "api.example.com", 200),
            (Scheme::Https, "https://api.example.com", "API.example.com:443", 200),
            (Scheme::Https, "https://api.example.com:8443", "api.example.com:8443", 200),
            (Scheme::Https, "https://api.example.com:8443", "api.example.com", 403),
            (Scheme::Https, "http://api.example.com", "api.example.com", 403),
            (Scheme::Http, "http://api.example.com", "api.example.com", 200),
            (Scheme::Http, "http://api.example.com", "api.example.com:80", 200),
            (Scheme::Http, "https://api.example.com", "api.example.com", 200),
            (Scheme::Http, "http://[::1]:3000", "[::1]:3000", 200),
            (Scheme::Http, "http://[::1]", "[::1]:3000", 403),
            (Scheme::Https, "https://evil.example", "api.example.com", 403),
            (Scheme::Https, "https://evil@api.example.com", "api.example.com", 403),
            (Scheme::Https, "https://api.example.com/", "api.example.com", 403),
            (Scheme::Https, "https://api.example.com.evil.example", "api.example.com", 403),
            (Scheme::Https, "chrome-extension://api.example.com", "api.example.com", 403),
            (Scheme::Https, "null", "null", 403),
            (Scheme::Https, "https://", "", 403),
            (Scheme::Https, "https://app.example.com", "api.example.com", 200),
            (Scheme::Https, "", "api.example.com", 200),
        ] {
            let headers = [("origin", origin), ("host", host)];
            assert_eq!(status(scheme, "POST", &headers).await, expected, "{scheme:?} {headers:?}");
        }
        let twice = [("origin", "https://api.example.com"), ("origin", "https://evil.example")];
        assert_eq!(status(Scheme::Https, "POST", &twice).await, 403);
    }

    #[tokio::test]
    async fn a_page_of_another_site_opens_no_websocket() {
        for (origin, expected) in [("https://evil.example", 403), ("https://api.example.com", 200)] {
            let headers = [("upgrade", "websocket"), ("origin", origin)];
            assert_eq!(status(Scheme::Https, "GET", &headers).await, expected);
        }
        assert_eq!(status(Scheme::Https, "GET", &[("upgrade", "websocket")]).await, 200);
    }

    #[test]
    fn origins_that_no_browser_sends_are_faults() {
        for origin in ["https://app.example.com/", "app.example.com", "null", "*"] {
            let found = faults::<Csrf>(json!({ "trusted_origins": [origin] }), false);
            assert!(found.len() == 1 && found[0].starts_with("trusted_origins"), "{found:?}");
        }
        assert!(faults::<Csrf>(json!({}), false).is_empty());
    }
}
