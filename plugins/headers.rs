//! Sets, adds and removes headers of requests and responses.

use gatewright_sdk::fields::{self, NamedField, Use};
use gatewright_sdk::{CheckContext, Code, Compiled, Fault, Filter, Plugin, Request, Response, Secret, Traits, Verdict};
use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// Changes headers of requests and responses. Values are secrets and never shown. Headers that the gateway sets itself
/// are not allowed: connection and framing headers, `host` and `date`; on requests also `x-forwarded-for`,
/// `x-forwarded-host`, `x-forwarded-proto`, `via` and trace headers; on responses `traceresponse`; and the header of a
/// `request_id` plugin in the same chain.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Headers {
    /// Changes to requests, before the rest of the chain sees them.
    request: Changes,
    /// Changes to responses, including error responses of later plugins.
    response: Changes,
}

/// Changes to headers: first `remove`, then `set`, then `add`.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HeaderChanges")]
struct Changes {
    /// Headers to set: `{ x-tenant: acme }`. Existing values are replaced.
    set: BTreeMap<String, Secret>,
    /// Headers to add. Existing values are kept.
    add: BTreeMap<String, Secret>,
    /// Headers to remove: `[server, x-powered-by]`.
    remove: Vec<String>,
}

impl Plugin for Headers {
    const NAME: &'static str = "headers";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let fields = self.request.named(REQUEST).chain(self.response.named(RESPONSE)).filter_map(Result::ok).collect();
        let compiled = match (self.request.compile(REQUEST), self.response.compile(RESPONSE)) {
            (Ok(request), Ok(response)) if request.is_empty() && response.is_empty() => {
                Fault::new("", "no headers to change")
                    .code(Code::NOTHING_TO_DO)
                    .help("write `request: { set: { x-name: value } }`, or the same under `response`")
                    .into()
            }
            (Ok(mut request), Ok(response)) => {
                // Makes the header print as "Sensitive".
                request.set.iter_mut().chain(&mut request.add).for_each(|(_, value)| value.set_sensitive(true));
                if response.is_empty() {
                    Compiled::filter(Inward(request))
                } else {
                    Compiled::filter(BothWays { request, response })
                }
            }
            (request, response) => {
                Compiled::from([request.err(), response.err()].into_iter().flatten().flatten().collect::<Vec<_>>())
            }
        };
        let unread = [(&self.request, REQUEST), (&self.response, RESPONSE)];
        let unread: Vec<_> = unread.into_iter().flat_map(|(changes, (way, ..))| changes.unread(way)).collect();
        compiled.traits(Traits { fields, ..Traits::default() }).warnings(unread)
    }
}

/// Whether a value looks like `$claims.sub` or `{name}`, as in resources, paths and other gateways.
fn is_template(value: &str) -> bool {
    let is_name = |name: &str| {
        let named = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
        named && name.starts_with(|first: char| first.is_ascii_alphabetic())
    };
    let braced = value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    value.strip_prefix("$claims.").or(braced).is_some_and(is_name)
}

/// A direction through the chain: its key, and the [`Use`] of setting or adding a field there, and of removing one.
type Way = (&'static str, Use, Use);
const REQUEST: Way = ("request", Use::Request, Use::Request);
const RESPONSE: Way = ("response", Use::Response, Use::Removal);

impl Changes {
    /// Every named field, in the order of [`Changes::compile`], or its fault.
    fn named(&self, (way, change, removal): Way) -> impl Iterator<Item = Result<NamedField, Fault>> {
        let removed = self.remove.iter().enumerate();
        let removed = removed.map(move |(index, name)| fields::named(name, removal, format!("{way}.remove[{index}]")));
        let set = self.set.keys().map(move |name| fields::named(name, change, format!("{way}.set.{name}")));
        let added = self.add.keys().map(move |name| fields::named(name, change, format!("{way}.add.{name}")));
        removed.chain(set).chain(added)
    }

    /// Warns of values that look like templates: they are sent literally.
    fn unread(&self, way: &'static str) -> impl Iterator<Item = Fault> {
        let values = [("set", &self.set), ("add", &self.add)];
        let values = values.into_iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
        values.filter(|(_, (_, value))| is_template(value.expose())).map(move |(key, (name, _))| {
            let message = "placeholders are not expanded here: the value is sent literally";
            Fault::new(format!("{way}.{key}.{name}"), message)
                .code(Code::LITERAL_PLACEHOLDER)
                .help("write a literal value, or remove the header")
        })
    }

    /// The edit for these settings, or all their faults.
    fn compile(&self, way: Way) -> Result<Edit, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut edit = Edit::default();
        let mut touched = HashSet::new();
        let values =
            std::iter::repeat_n(None, self.remove.len()).chain(self.set.values().chain(self.add.values()).map(Some));
        for (position, (named, value)) in self.named(way).zip(values).enumerate() {
            let NamedField { path, name, .. } = match named {
                Ok(named) => named,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            let added = position >= self.remove.len() + self.set.len();
            if !added && !touched.insert(name.clone()) {
                let fault = Fault::new(path, format!("`{name}` is listed twice")).code(Code::DUPLICATE_HEADER);
                faults.push(fault.help("use `set` to replace a header, or `remove` to drop it"));
                continue;
            }
            match value.map(|value| HeaderValue::from_str(value.expose())) {
                None => edit.remove.push(name),
                Some(Ok(value)) if added => edit.add.push((name, value)),
                Some(Ok(value)) => edit.set.push((name, value)),
                Some(Err(_)) => {
                    let message = "a header value must not contain a line break or control character";
                    faults.push(
                        Fault::new(path, message).code(Code::INVALID_HEADER_VALUE).help("write the value on one line"),
                    );
                }
            }
        }
        if faults.is_empty() { Ok(edit) } else { Err(faults) }
    }
}

/// Prepared changes.
#[derive(Default)]
struct Edit {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
}

impl Edit {
    fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
    }
}

/// Changes only requests; the response is not touched.
struct Inward(Edit);

impl Filter for Inward {
    type Ticket = ();
    const RESPONDS: bool = false;

    fn decide(&self, _: &Request) -> Verdict<()> {
        Verdict::Continue(())
    }

    fn admit(&self, (): &mut (), request: &mut Request) {
        self.0.apply(request.headers_mut());
    }
}

struct BothWays {
    request: Edit,
    response: Edit,
}

impl Filter for BothWays {
    type Ticket = ();

    fn decide(&self, _: &Request) -> Verdict<()> {
        Verdict::Continue(())
    }

    fn admit(&self, (): &mut (), request: &mut Request) {
        self.request.apply(request.headers_mut());
    }

    fn response(&self, (): (), response: &mut Response) {
        self.response.apply(response.headers_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewright_sdk::HttpService;
    use gatewright_sdk::testing::{answers, faults, header, install, request};
    use serde_json::json;

    fn echo() -> HttpService {
        answers(|request| {
            let mut response = http::Response::builder().header("x-inner", "1").header("server", "inner");
            for (name, value) in request.headers() {
                response = response.header(format!("seen-{name}"), value);
            }
            response.body(gatewright_sdk::Body::empty()).unwrap()
        })
    }

    #[tokio::test]
    async fn requests_and_responses_are_changed() {
        let settings = json!({
            "request": { "set": { "X-A": "set" }, "add": { "x-b": "added" }, "remove": ["x-c"] },
            "response": { "set": { "x-inner": "2" }, "add": { "x-inner": "3" }, "remove": ["server"] },
        });
        let sent = [("x-a", "old"), ("x-b", "old"), ("x-c", "old")];
        let response = install::<Headers>(settings, echo()).call(request("GET", &sent)).await;
        assert_eq!(header(&response, "seen-x-a"), "set");
        assert_eq!(header(&response, "seen-x-b"), "old, added");
        assert_eq!(header(&response, "seen-x-c"), "");
        assert_eq!(header(&response, "x-inner"), "2, 3");
        assert_eq!(header(&response, "server"), "");
    }

    #[tokio::test]
    async fn changes_to_requests_alone_leave_responses_alone() {
        let settings = json!({ "request": { "set": { "x-a": "1" } } });
        let response = install::<Headers>(settings, echo()).call(request("GET", &[])).await;
        assert_eq!((header(&response, "seen-x-a"), header(&response, "server")), ("1".into(), "inner".into()));
    }

    #[test]
    fn all_faults_are_reported_at_once_and_name_the_header() {
        let found = faults::<Headers>(
            json!({
                "request": { "set": { "x y": "1", "x-a": "a\r\nb", "Transfer-Encoding": "chunked" } },
                "response": { "remove": ["content-length", "x-b", "X-B"] },
            }),
            false,
        );
        let starts = [
            "request.set.Transfer-Encoding: ",
            "request.set.x y: ",
            "request.set.x-a: a header value must not contain",
            "response.remove[0]: ",
            "response.remove[2]: ",
        ];
        assert_eq!(found.len(), starts.len(), "{found:?}");
        assert!(found.iter().zip(starts).all(|(fault, start)| fault.starts_with(start)), "{found:?}");
        assert_eq!(faults::<Headers>(json!({}), false), ["no headers to change"]);
    }

    #[test]
    fn settings_that_would_be_overwritten_are_rejected() {
        let set = |way: &str, name: &str| json!({ way: { "set": { name: "1" } } });
        let remove = |way: &str, name: &str| json!({ way: { "remove": [name] } });
        for (settings, refused) in [
            (set("request", "x-forwarded-proto"), true),
            (set("response", "x-forwarded-proto"), false),
            (remove("request", "X-Forwarded-For"), true),
            (set("request", "via"), true),
            (set("response", "via"), false),
            (set("request", "traceparent"), true),
            (set("response", "traceresponse"), true),
            (set("response", "x-content-type-options"), false),
            (remove("response", "x-content-type-options"), true),
            (set("request", "forwarded"), false),
            (set("response", "vary"), false),
            (set("request", "x-request-id"), false),
        ] {
            assert_eq!(!faults::<Headers>(settings.clone(), false).is_empty(), refused, "{settings}");
        }
    }

    #[tokio::test]
    async fn no_value_is_shown_by_a_fault_or_printed_with_the_request() {
        let found =
            faults::<Headers>(json!({ "request": { "set": { "x-key": "hush-hush\n7", "via": "hush-hush" } } }), false);
        assert!(found.len() == 2 && !found.concat().contains("hush"), "{found:?}");
        let found = faults::<Headers>(json!({ "response": { "add": { "x-key": ["hush-hush"] } } }), false);
        assert!(found.len() == 1 && !found.concat().contains("hush"), "{found:?}");
        let settings = json!({ "request": { "set": { "x-key": "hush" }, "add": { "x-more": "hush" } } });
        let printed = answers(|request| format!("{:?}", request.headers()));
        let response = install::<Headers>(settings, printed).call(request("GET", &[])).await;
        let printed = String::from_utf8(gatewright_sdk::testing::bytes(response).await).unwrap();
        assert!(printed.contains("x-key") && printed.contains("x-more") && !printed.contains("hush"), "{printed}");
    }
}
