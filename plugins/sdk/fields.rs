//! Header fields that the gateway manages itself, with a table of what configuration may do with each.

use crate::{Code, Fault};
use http::{HeaderMap, HeaderName};

/// How a configuration uses a header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Sets, adds or removes it on requests.
    Request,
    /// Sets or adds it on responses.
    Response,
    /// Removes it from responses.
    Removal,
    /// Reads it from requests: the key of a rate limit, a condition of a route.
    Read,
    /// Carries an id in it, on requests and responses.
    Id,
}

/// A header field named by a plugin's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedField {
    /// The setting, as in [`Fault::path`].
    pub path: String,
    pub name: HeaderName,
    pub used: Use,
}

/// Connection-specific fields (RFC 9110 section 7.6.1), in lower case.
const CONNECTION: [&str; 9] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Connection-specific fields, and those that the server writes itself. In lower case.
pub fn server_owned() -> impl Iterator<Item = &'static str> {
    CONNECTION.into_iter().chain(["content-length", "date", "host"])
}

/// Which uses are rejected for which fields, and why: the setting would have no effect, or break the message.
/// Everything not listed here is allowed. Names are in lower case.
const REFUSED: [(&[&str], &[Use], &str); 10] = [
    (
        &CONNECTION,
        &[Use::Request, Use::Response, Use::Removal, Use::Read, Use::Id],
        "belongs to a single connection and is not forwarded",
    ),
    (
        &["content-length"],
        &[Use::Request, Use::Response, Use::Removal, Use::Read, Use::Id],
        "is computed by the gateway",
    ),
    (
        &["host"],
        &[Use::Request, Use::Response, Use::Removal, Use::Id],
        "is set by the gateway to the host of the upstream target",
    ),
    (&["host"], &[Use::Read], "is not sent in HTTP/2 requests; use `hosts` in the route instead"),
    (&["date"], &[Use::Request, Use::Response, Use::Removal, Use::Id], "is set by the sender of a message"),
    (
        &["expect", "proxy-authorization"],
        &[Use::Request, Use::Id],
        "applies between the client and the gateway and is not sent to upstreams",
    ),
    (
        &["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "via"],
        &[Use::Request, Use::Id],
        "is set by the gateway, from the connection and the `trusted_proxies` of the listener",
    ),
    (
        &["forwarded", "x-forwarded-for", "x-real-ip"],
        &[Use::Read],
        "can be forged by clients; use `client.ip`, which follows the `trusted_proxies` of the listener",
    ),
    (
        &[
            "b3",
            "traceparent",
            "tracestate",
            "x-b3-flags",
            "x-b3-parentspanid",
            "x-b3-sampled",
            "x-b3-spanid",
            "x-b3-traceid",
        ],
        &[Use::Request, Use::Id],
        "carries the trace and is set by the gateway: see `telemetry.traces.propagators`",
    ),
    (&["traceresponse"], &[Use::Response, Use::Removal, Use::Id], "carries the trace and is set by the gateway"),
];

/// `nosniff` is the default on every response, so removing it has no effect.
const ALWAYS_SENT: &str = "x-content-type-options";

/// Fields with a defined meaning: an id in one of them would be misread. In lower case, sorted.
const MEANINGFUL: [&str; 87] = [
    "a-im",
    "accept",
    "age",
    "allow",
    "alt-svc",
    "authentication-info",
    "authorization",
    "baggage",
    "cache-control",
    "cdn-cache-control",
    "cdn-loop",
    "cf-connecting-ip",
    "clear-site-data",
    "client-cert",
    "cookie",
    "critical-ch",
    "deprecation",
    "digest",
    "dnt",
    "document-policy",
    "dpop",
    "early-data",
    "etag",
    "expires",
    "forwarded",
    "from",
    "idempotency-key",
    "im",
    "last-event-id",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "nel",
    "origin",
    "origin-agent-cluster",
    "permissions-policy",
    "pragma",
    "prefer",
    "preference-applied",
    "priority",
    "range",
    "ratelimit",
    "ratelimit-policy",
    "referer",
    "referrer-policy",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "repr-digest",
    "retry-after",
    "save-data",
    "server",
    "server-timing",
    "set-cookie",
    "signature",
    "signature-input",
    "sourcemap",
    "strict-transport-security",
    "sunset",
    "surrogate-control",
    "timing-allow-origin",
    "true-client-ip",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "want-repr-digest",
    "warning",
    "www-authenticate",
    "x-api-key",
    "x-auth-token",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-content-type-options",
    "x-csrf-token",
    "x-frame-options",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-requested-with",
    "x-rewrite-url",
    "x-robots-tag",
    "x-sendfile",
    "x-xsrf-token",
    "x-xss-protection",
];

/// Prefixes of field names that all have such a meaning. In lower case.
const MEANINGFUL_FAMILIES: [&str; 9] =
    ["accept-", "access-control-", "content-", "cross-origin-", "if-", "proxy-", "sec-", "x-accel-", "x-forwarded-"];

/// Why the field `name` cannot be used this way, and how to fix it; `None` if it can.
pub fn refusal(name: &str, used: Use) -> Option<(String, &'static str)> {
    let name = name.to_ascii_lowercase();
    let refused = REFUSED.iter().find(|(names, uses, _)| uses.contains(&used) && names.contains(&&*name));
    if let Some((_, _, why)) = refused {
        return Some((format!("`{name}` {why}"), "remove it"));
    }
    match used {
        Use::Read if name.contains('_') => {
            let message = format!("`{name}` is never received: headers with an underscore are dropped from requests");
            Some((message, "use a name with `-`, also in requests"))
        }
        Use::Removal if name == ALWAYS_SENT => {
            let message = format!("`{name}` is sent with every response");
            Some((message, "remove it, or set another value"))
        }
        Use::Id if is_meaningful(&name) => {
            Some((format!("`{name}` is not suitable for a request ID"), "use a header such as `x-request-id`"))
        }
        _ => None,
    }
}

fn is_meaningful(name: &str) -> bool {
    MEANINGFUL.binary_search(&name).is_ok() || MEANINGFUL_FAMILIES.iter().any(|family| name.starts_with(family))
}

/// The field `name` of the setting `path`, if it is valid and may be used this way.
pub fn named(name: &str, used: Use, path: impl Into<String>) -> Result<NamedField, Fault> {
    let path = path.into();
    let Ok(known) = HeaderName::from_bytes(name.as_bytes()) else {
        let message = format!("`{}` is not a valid header name", name.escape_debug());
        return Err(Fault::new(path, message).code(Code::INVALID_HEADER_NAME).help("use letters, digits and `-`"));
    };
    match refusal(known.as_str(), used) {
        Some((message, help)) => Err(Fault::new(path, message).code(Code::MANAGED_HEADER).help(help)),
        None => Ok(NamedField { path, name: known, used }),
    }
}

/// Removes `name` from a client's request, in every spelling that an upstream may take for it: programs that turn names
/// into variables read `x-user`, `x_user` and `x.user` as the same one (RFC 3875 section 4.1.18).
pub fn remove(headers: &mut HeaderMap, name: &HeaderName) {
    headers.remove(name);
    let is_odd = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'-';
    if !headers.keys().any(|other| other.as_str().bytes().any(is_odd)) {
        return;
    }
    let same = |other: &&HeaderName| spelling(other).eq(spelling(name));
    let others: Vec<HeaderName> = headers.keys().filter(same).cloned().collect();
    for other in others {
        headers.remove(other);
    }
}

/// The name with `-` for everything but letters and digits.
pub fn spelling(name: &HeaderName) -> impl Iterator<Item = u8> {
    name.as_str().bytes().map(|byte| if byte.is_ascii_alphanumeric() { byte } else { b'-' })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_the_gateway_writes_itself_are_rejected() {
        for name in server_owned() {
            for used in [Use::Request, Use::Response, Use::Removal, Use::Id] {
                assert!(refusal(name, used).is_some(), "{name} {used:?}");
            }
        }
        for (name, refused) in [
            ("X-Forwarded-Proto", &[Use::Request, Use::Id][..]),
            ("x-forwarded-for", &[Use::Request, Use::Read, Use::Id]),
            ("x-forwarded-prefix", &[Use::Id]),
            ("X-HTTP-Method-Override", &[Use::Id]),
            ("x-api-key", &[Use::Id]),
            ("sec-websocket-key", &[Use::Id]),
            ("sec-fetch-site", &[Use::Id]),
            ("idempotency-key", &[Use::Id]),
            ("accept", &[Use::Id]),
            ("accept-ch", &[Use::Id]),
            ("nel", &[Use::Id]),
            ("report-to", &[Use::Id]),
            ("cross-origin-opener-policy", &[Use::Id]),
            ("origin-agent-cluster", &[Use::Id]),
            ("if-match", &[Use::Id]),
            ("Via", &[Use::Request, Use::Id]),
            ("traceparent", &[Use::Request, Use::Id]),
            ("traceresponse", &[Use::Response, Use::Removal, Use::Id]),
            ("x-content-type-options", &[Use::Removal, Use::Id]),
            ("vary", &[Use::Id]),
            ("content-encoding", &[Use::Id]),
            ("server", &[Use::Id]),
            ("x_api_key", &[Use::Read]),
            ("x-request-id", &[]),
            ("x-correlation-id", &[]),
            ("section-id", &[]),
            ("request-id", &[]),
        ] {
            for used in [Use::Request, Use::Response, Use::Removal, Use::Read, Use::Id] {
                assert_eq!(refusal(name, used).is_some(), refused.contains(&used), "{name} {used:?}");
            }
        }
    }

    #[test]
    fn names_are_in_lower_case_and_sorted() {
        assert!(
            MEANINGFUL.is_sorted()
                && MEANINGFUL.iter().chain(&MEANINGFUL_FAMILIES).all(|name| !name.contains(char::is_uppercase))
        );
        let refused = REFUSED.iter().flat_map(|(names, _, _)| names.iter().copied());
        assert!(refused.chain(server_owned()).all(|name| HeaderName::from_static(name).as_str() == name));
    }

    #[test]
    fn a_field_is_removed_in_every_spelling() {
        let mut headers = HeaderMap::new();
        for name in ["x-user", "x_user", "x.user", "x~user", "x-users", "xuser", "x-user-id"] {
            headers.append(name, http::HeaderValue::from_static("1"));
        }
        remove(&mut headers, &HeaderName::from_static("x-user"));
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["x-user-id", "x-users", "xuser"]);
    }
}
