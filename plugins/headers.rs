//! Sets, adds and removes headers of requests and responses.

use gatewright_sdk::fields::{self, NamedField, Use};
use gatewright_sdk::{
    CheckContext, Code, Compiled, Facts, Fault, Filter, IDENTITY, NamedPlaceholder, Plugin, Request, Response, Secret,
    Template, Traits, Verdict,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// Changes headers of requests and responses. Values are secrets and never shown. Headers that the gateway sets itself
/// are not allowed: connection and framing headers, `host` and `date`; on requests also `x-forwarded-for`,
/// `x-forwarded-host`, `x-forwarded-proto`, `via` and trace headers; on responses `traceresponse`; and the header of a
/// `request_id` plugin in the same chain.
///
/// Values in `request` may contain `{auth.subject}`, `{auth.method}`, `{auth.roles}`, `{auth.scopes}`, claims
/// (`{auth.claims.plan}`), `{client.ip}`, `{request.id}`, and parameters of the route. If one of them is missing, the header is not set,
/// and what the client sent is removed. `{{name}}` is the literal text `{name}`.
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
    /// Headers to set: `{ x-tenant: acme, x-user: "{auth.subject}" }`. Existing values are replaced.
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
        let mut traits = Traits { fields, ..Traits::default() };
        for (path, name, template) in self.request.templates() {
            let named = |name: &str| NamedPlaceholder { path: path.clone(), name: name.to_owned() };
            let id = template.uses_request_id().then_some("request.id");
            traits.placeholders.extend(template.parameters().chain(id).map(named));
            if template.asks_who() {
                traits.uses = &[IDENTITY];
                traits.asserts.extend(HeaderName::from_bytes(name.as_bytes()));
            }
        }
        let compiled = match (self.request.compile(REQUEST), self.response.compile(RESPONSE)) {
            (Ok(request), Ok(response)) if request.is_empty() && response.is_empty() => {
                Fault::new("", "no headers to change")
                    .code(Code::NOTHING_TO_DO)
                    .help("write `request: { set: { x-name: value } }`, or the same under `response`")
                    .into()
            }
            (Ok(request), Ok(response)) if response.is_empty() => Compiled::filter(Inward(request)),
            (Ok(request), Ok(response)) => Compiled::filter(BothWays { request, response }),
            (request, response) => {
                Compiled::from([request.err(), response.err()].into_iter().flatten().flatten().collect::<Vec<_>>())
            }
        };
        let unread: Vec<_> = self.response.unread(RESPONSE.0).chain(self.request.claims(REQUEST.0)).collect();
        compiled.traits(traits).warnings(unread)
    }
}

/// Whether a value looks like `{name}`, as in requests, paths and other gateways.
fn is_template(value: &str) -> bool {
    let braced = value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    braced.is_some_and(is_name) || is_claim(value)
}

/// Whether a value looks like `$claims.sub`, as in resources.
fn is_claim(value: &str) -> bool {
    value.strip_prefix("$claims.").is_some_and(is_name)
}

fn is_name(name: &str) -> bool {
    let named = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    named && name.starts_with(|first: char| first.is_ascii_alphabetic())
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

    /// The values to set or add, with their paths and names.
    fn values(&self, way: &'static str) -> impl Iterator<Item = (String, &str, &Secret)> {
        let values = [("set", &self.set), ("add", &self.add)];
        let values = values.into_iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
        values.map(move |(key, (name, value))| (format!("{way}.{key}.{name}"), name.as_str(), value))
    }

    /// The values of requests that contain placeholders.
    fn templates(&self) -> impl Iterator<Item = (String, &str, Template)> {
        let parsed = self.values(REQUEST.0).map(|(path, name, value)| (path, name, Template::parse(value.expose())));
        parsed.filter(|(_, _, template)| template.literal().is_none())
    }

    /// Warns of values for responses that look like templates: they are sent literally.
    fn unread(&self, way: &'static str) -> impl Iterator<Item = Fault> {
        self.values(way).filter(|(_, _, value)| is_template(value.expose())).map(|(path, _, _)| {
            Fault::new(path, "placeholders are not expanded here: the value is sent literally")
                .code(Code::LITERAL_PLACEHOLDER)
                .help("write a literal value, or remove the header")
        })
    }

    /// Warns of claims that are written as in resources.
    fn claims(&self, way: &'static str) -> impl Iterator<Item = Fault> {
        self.values(way).filter(|(_, _, value)| is_claim(value.expose())).map(|(path, _, value)| {
            let claim = value.expose().trim_start_matches("$claims.");
            Fault::new(path, "`$claims.` is not expanded here: the value is sent literally")
                .code(Code::LITERAL_PLACEHOLDER)
                .help(format!("write `{{auth.claims.{claim}}}`"))
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
            let value = value.map(|value| Value::of(value, way.0 == REQUEST.0));
            match value {
                None => edit.remove.push(name),
                Some(Some(Value::Filled(template))) if added && template.asks_who() => {
                    let message =
                        format!("clients could send `{name}` too, and upstreams could not tell which is true");
                    let help = "use `set`, which replaces what the client sends";
                    faults.push(Fault::new(path, message).help(help));
                }
                Some(Some(value)) if added => edit.add.push((name, value)),
                Some(Some(value)) => edit.set.push((name, value)),
                Some(None) => {
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
    set: Vec<(HeaderName, Value)>,
    add: Vec<(HeaderName, Value)>,
}

/// A value to set or add.
enum Value {
    Fixed(HeaderValue),
    Filled(Template),
}

impl Value {
    /// `None` if a header must not contain it.
    fn of(value: &Secret, is_template: bool) -> Option<Self> {
        let fixed = |text: &str| {
            let mut value = HeaderValue::from_str(text).ok()?;
            // Makes the header print as "Sensitive".
            value.set_sensitive(is_template);
            Some(Self::Fixed(value))
        };
        if !is_template {
            return fixed(value.expose());
        }
        let template = Template::parse(value.expose());
        match template.literal() {
            Some(text) => fixed(text),
            None if template.texts().all(|text| HeaderValue::from_str(text).is_ok()) => Some(Self::Filled(template)),
            None => None,
        }
    }

    fn get(&self, facts: Option<&Facts>) -> Option<HeaderValue> {
        match self {
            Self::Fixed(value) => Some(value.clone()),
            Self::Filled(template) => {
                let mut value = HeaderValue::try_from(template.fill(facts?)?).ok()?;
                value.set_sensitive(true);
                Some(value)
            }
        }
    }
}

impl Edit {
    fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// `facts` fills in the placeholders of requests.
    fn apply(&self, headers: &mut HeaderMap, facts: Option<&Facts>) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            if matches!(value, Value::Filled(_)) {
                fields::remove(headers, name);
            }
            match value.get(facts) {
                Some(value) => drop(headers.insert(name, value)),
                None => drop(headers.remove(name)),
            }
        }
        for (name, value) in &self.add {
            headers.extend(value.get(facts).map(|value| (name.clone(), value)));
        }
    }

    fn admit(&self, request: &mut Request) {
        let mut headers = std::mem::take(request.headers_mut());
        self.apply(&mut headers, Some(Facts::of(request)));
        *request.headers_mut() = headers;
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
        self.0.admit(request);
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
        self.request.admit(request);
    }

    fn response(&self, (): (), response: &mut Response) {
        self.response.apply(response.headers_mut(), None);
    }
}

#[cfg(test)]
mod tests;
