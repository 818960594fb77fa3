//! Gives every request an id that logs, traces, upstreams and the client share.

use bytes::Bytes;
use gatewright_sdk::fields::{self, NamedField, Use};
use gatewright_sdk::{
    AddedField, CheckContext, Compiled, Contract, Facts, Filter, Plugin, Request, Response, Traits, Verdict,
};
use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Gives every request an id. It is sent to upstreams and in the response, and appears in logs and error responses. With
/// two of these plugins, a request has an id in each header; upstreams and the client get both, logs and error responses
/// contain that of the last plugin. Two plugins with the same header share one id.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestId {
    /// The header with the id, on requests and responses. Headers with another meaning are not allowed.
    header: String,
    /// Whether to keep the id that a request contains, even from untrusted clients. The id from one of the listener's
    /// `trusted_proxies` is always kept. An id is kept only if it consists of 1 to 128 letters, digits, `.`, `_` or `-`;
    /// otherwise it is replaced.
    trust_incoming: bool,
    /// The format of new ids.
    format: IdFormat,
}

/// The format of new ids.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RequestIdFormat")]
enum IdFormat {
    /// UUID version 7: sorts by time.
    UuidV7,
    /// UUID version 4: random, reveals nothing about the time.
    UuidV4,
}

impl Default for RequestId {
    fn default() -> Self {
        Self { header: "x-request-id".to_owned(), trust_incoming: false, format: IdFormat::UuidV7 }
    }
}

impl Plugin for RequestId {
    const NAME: &'static str = "request_id";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let header = match fields::named(&self.header, Use::Id, "header") {
            Ok(NamedField { name, .. }) => name,
            Err(fault) => return fault.into(),
        };
        let traits = Traits {
            exposes: vec![header.as_str().to_owned()],
            request_id_header: Some(header.clone()),
            contract: contract(&header),
            ..Traits::default()
        };
        Compiled::filter(Stamp { header, trust_incoming: self.trust_incoming, format: self.format }).traits(traits)
    }
}

fn contract(header: &HeaderName) -> Contract {
    let description = "The id of the request, which logs and traces contain too.";
    let example = "01a22510-357c-72a9-84c8-411555ce7244";
    Contract { adds: vec![AddedField { name: header.clone(), description, example }], ..Contract::default() }
}

struct Stamp {
    header: HeaderName,
    trust_incoming: bool,
    format: IdFormat,
}

impl Filter for Stamp {
    type Ticket = HeaderValue;

    fn decide(&self, request: &Request) -> Verdict<HeaderValue> {
        let facts = Facts::of(request);
        if let Some(earlier) = facts.request_id.as_ref().filter(|earlier| earlier.header == self.header) {
            return Verdict::Continue(earlier.value.clone());
        }
        let kept = if self.trust_incoming || facts.client.trusted { self.incoming(request) } else { None };
        Verdict::Continue(kept.unwrap_or_else(|| fresh(self.format)))
    }

    fn admit(&self, id: &mut HeaderValue, request: &mut Request) {
        let decided = gatewright_sdk::RequestId { header: self.header.clone(), value: id.clone() };
        let earlier = Facts::of_mut(request).request_id.replace(decided);
        if request.headers().contains_key(&self.header) {
            // The chosen id is added when the request is forwarded.
            request.headers_mut().remove(&self.header);
        }
        if let Some(earlier) = earlier.filter(|earlier| earlier.header != self.header) {
            // The facts hold only one id, which is added on forwarding; this one is added now.
            request.headers_mut().insert(earlier.header, earlier.value);
        }
    }

    fn response(&self, id: HeaderValue, response: &mut Response) {
        response.headers_mut().insert(&self.header, id);
    }
}

impl Stamp {
    /// The id in the request, if there is exactly one and it is safe to log.
    fn incoming(&self, request: &Request) -> Option<HeaderValue> {
        let mut values = request.headers().get_all(&self.header).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let id = value.as_bytes();
        ((1..=128).contains(&id.len()) && id.iter().all(harmless)).then(|| value.clone())
    }
}

/// A version 7 UUID of the current time. Unlike [`Uuid::now_v7`] it takes no lock to stay monotonic: ids within one
/// millisecond are in any order.
fn ordered() -> Uuid {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let [a, b, c, d, e, f, _, _, _, _, g, h, i, j, _, _] = Uuid::new_v4().into_bytes();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    uuid::Builder::from_unix_timestamp_millis(millis, &[a, b, c, d, e, f, g, h, i, j]).into_uuid()
}

/// A new id: one allocation, and cloning it is free.
fn fresh(format: IdFormat) -> HeaderValue {
    let id = match format {
        IdFormat::UuidV7 => ordered(),
        IdFormat::UuidV4 => Uuid::new_v4(),
    };
    let mut text = [0_u8; uuid::fmt::Hyphenated::LENGTH];
    id.as_hyphenated().encode_lower(&mut text);
    HeaderValue::from_maybe_shared(Bytes::from_owner(text)).expect("a UUID is made of header characters")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewright_sdk::HttpService;
    use gatewright_sdk::testing::{answers, bytes, faults, header, install, request};
    use serde_json::json;

    /// Returns the chosen id, and whether the client's own was removed.
    fn echo() -> HttpService {
        answers(|request| {
            let decided = Facts::of(&request).request_id.clone().unwrap();
            let gone = !request.headers().contains_key(&decided.header);
            format!("{} {gone}", decided.value.to_str().unwrap())
        })
    }

    #[tokio::test]
    async fn an_untrusted_id_is_replaced_everywhere() {
        let service = install::<RequestId>(json!({}), echo());
        let response = service.call(request("GET", &[("x-request-id", "a1"), ("x-request-id", "b2")])).await;
        let id = header(&response, "x-request-id");
        assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 7);
        assert_eq!(bytes(response).await, format!("{id} true").into_bytes());
    }

    #[tokio::test]
    async fn an_id_from_a_trusted_proxy_is_kept_by_default() {
        let service = install::<RequestId>(json!({}), echo());
        let mut from_proxy = request("GET", &[("x-request-id", "abc-1.2_3")]);
        Facts::of_mut(&mut from_proxy).client.trusted = true;
        assert_eq!(header(&service.call(from_proxy).await, "x-request-id"), "abc-1.2_3");
    }

    #[tokio::test]
    async fn only_a_single_safe_id_is_kept() {
        let service = install::<RequestId>(json!({ "trust_incoming": true, "format": "uuid_v4" }), echo());
        let long = "a".repeat(129);
        for (id, kept) in
            [("abc", true), (&long[1..], true), (&long, false), ("", false), ("a b", false), ("\"}", false)]
        {
            let given = header(&service.call(request("GET", &[("x-request-id", id)])).await, "x-request-id");
            assert_eq!(given == id, kept, "{id:?}");
            assert!(kept || Uuid::parse_str(&given).unwrap().get_version_num() == 4);
        }
        let twice = service.call(request("GET", &[("x-request-id", "a"), ("x-request-id", "a")])).await;
        assert_eq!(header(&twice, "x-request-id").len(), 36);
    }

    #[tokio::test]
    async fn two_headers_carry_two_ids_and_one_header_one() {
        let seen = answers(|request| {
            let last = Facts::of(&request).request_id.clone().unwrap();
            let first = request.headers().get("x-first").map(|id| id.to_str().unwrap().to_owned());
            format!("{} {} {}", first.unwrap_or_default(), last.header, last.value.to_str().unwrap())
        });
        let inner = install::<RequestId>(json!({ "header": "x-second", "format": "uuid_v4" }), seen);
        let both = install::<RequestId>(json!({ "header": "x-first" }), inner);
        let response = both.call(request("GET", &[("x-first", "a"), ("x-second", "b")])).await;
        let (first, second) = (header(&response, "x-first"), header(&response, "x-second"));
        let versions = [&first, &second].map(|id| Uuid::parse_str(id).unwrap().get_version_num());
        assert_eq!(versions, [7, 4]);
        assert_eq!(bytes(response).await, format!("{first} x-second {second}").into_bytes());
        let twice = install::<RequestId>(json!({}), install::<RequestId>(json!({}), echo()));
        let response = twice.call(request("GET", &[])).await;
        let id = header(&response, "x-request-id");
        assert_eq!(bytes(response).await, format!("{id} true").into_bytes());
    }

    #[test]
    fn an_id_needs_a_field_without_another_meaning() {
        for name in
            ["content-length", "Host", "connection", "traceparent", "x-forwarded-for", "etag", "set-cookie", "via"]
        {
            assert!(faults::<RequestId>(json!({ "header": name }), false)[0].starts_with("header: "), "{name}");
        }
        for name in ["x-request-id", "Request-Id", "cf-ray", "x-correlation-id"] {
            assert!(faults::<RequestId>(json!({ "header": name }), false).is_empty(), "{name}");
        }
    }

    #[test]
    fn faults_name_the_setting() {
        assert!(faults::<RequestId>(json!({ "header": "x y" }), false)[0].starts_with("header: `x y`"));
        assert!(faults::<RequestId>(json!({ "format": "ulid" }), false)[0].contains("uuid_v7"));
    }
}
