//! Content negotiation: which bodies are accepted, and whether the client accepts ours.

use gatewright_sdk::Problem;
use gatewright_sdk::accept::{self, Wanted};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

/// A list of changes (RFC 6902), and not an item or what to merge into one.
const JSON_PATCH: &str = "application/json-patch+json";

/// Whether the body is JSON by its `Content-Type`: `application/json` or `application/*+json`, in UTF-8.
pub fn sends_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    if value == "application/json" {
        return true;
    }
    let Ok(value) = value.to_str() else { return false };
    let mut parts = value.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let json = media == "application/json"
        || media.strip_prefix("application/").and_then(|sub| sub.strip_suffix("+json")).is_some_and(|tree| {
            !tree.is_empty() && tree.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        });
    json && media != JSON_PATCH
        && parts.all(|part| match part.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// Whether the client accepts JSON. A client that asks for problem details does, unless it excludes JSON by name.
pub fn takes_json(headers: &HeaderMap) -> bool {
    match accept::wanted(headers, "application/json") {
        Wanted::Unnamed => accept::wanted(headers, "application/problem+json").is_acceptable(),
        wanted => wanted.is_acceptable(),
    }
}

/// Rejects a body with a content coding: it would be parsed as something it is not. `identity` is not a coding.
pub fn check_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let plain = |value: &HeaderValue| {
        let codings = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        codings.into_iter().all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
    };
    if headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        return Ok(());
    }
    // RFC 9110 section 15.5.16: the coding was the problem, and these are accepted.
    let problem = Problem::unsupported_media_type("Content-Encoding must be identity, or absent");
    Err(problem.header(ACCEPT_ENCODING, HeaderValue::from_static("identity")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;
    use http::header::ACCEPT;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn c17_c18_json_and_its_relatives_are_taken_and_nothing_else() {
        let good = [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/vnd.x+json",
            "application/merge-patch+json",
            "application/json;charset=\"UTF-8\"",
        ];
        for value in good {
            assert!(sends_json(&with(CONTENT_TYPE, value)), "{value}");
        }
        let bad = [
            "text/plain",
            "application/jsonx",
            ";;;",
            "application/json; charset=utf-16",
            "application/+json",
            "application/json-patch+json",
            "application/x-www-form-urlencoded",
            "text/json",
            "application/json, text/plain",
            "",
        ];
        for value in bad {
            assert!(!sends_json(&with(CONTENT_TYPE, value)), "{value}");
        }
        assert!(!sends_json(&HeaderMap::new()));
    }

    #[test]
    fn r9_accept_is_honoured() {
        let good = [
            "*/*",
            "application/*",
            "application/json;q=0.1",
            "text/html, */*;q=0.1",
            "application/problem+json",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/problem+json;q=0, */*",
            "",
            "text/html, application/problem+json",
            "*",
        ];
        for value in good {
            assert!(takes_json(&with(ACCEPT, value)), "{value}");
        }
        for value in [
            "text/html",
            "application/json;q=0, */*",
            "image/*",
            "application/xml",
            "*/*;q=0",
            "application/*;q=0.000, */*",
        ] {
            assert!(!takes_json(&with(ACCEPT, value)), "{value}");
        }
        assert!(takes_json(&HeaderMap::new()));
    }
}
