//! Texts with placeholders that are filled in for each request: `{auth.subject}`, `{client.ip}`, `{id}`.

use crate::{Facts, Identity};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;

/// A text with placeholders. `{{name}}` is the literal text `{name}`. Braces around anything but a name are literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Placeholder),
}

/// What a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Placeholder {
    Subject,
    Method,
    Roles,
    Scopes,
    /// A claim, and the members inside it.
    Claim(Vec<String>),
    ClientIp,
    RequestId,
    /// A parameter of the route's path, as it is spelled in the path.
    Parameter(String),
}

/// The names that every template may use. Claims and the parameters of the route come in addition.
pub const NAMES: [&str; 7] =
    ["auth.subject", "auth.method", "auth.roles", "auth.scopes", "auth.claims.NAME", "client.ip", "request.id"];

impl Template {
    /// Parses a text. Every text is a template: whether the parameters exist is checked with the routes, see
    /// [`Template::parameters`].
    pub fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            literal.push_str(before);
            if let Some((name, after)) = after.strip_prefix('{').and_then(|after| name(after, "}}")) {
                let _ = write!(literal, "{{{name}}}");
                rest = after;
            } else if let Some((name, after)) = name(after, "}") {
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Value(Placeholder::of(name)));
                rest = after;
            } else {
                literal.push('{');
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Self(pieces)
    }

    /// The text, if it has no placeholders.
    pub fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether its value depends on the identity.
    pub fn asks_who(&self) -> bool {
        let asks = |value: &Placeholder| {
            !matches!(value, Placeholder::ClientIp | Placeholder::RequestId | Placeholder::Parameter(_))
        };
        self.values().any(asks)
    }

    /// The names that must be parameters of the route.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.values().filter_map(|value| if let Placeholder::Parameter(name) = value { Some(&**name) } else { None })
    }

    /// Whether it contains the request id, which an earlier plugin has to assign.
    pub fn uses_request_id(&self) -> bool {
        self.values().any(|value| *value == Placeholder::RequestId)
    }

    /// The text pieces between the placeholders.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(&**text) } else { None })
    }

    fn values(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(|piece| if let Piece::Value(value) = piece { Some(value) } else { None })
    }

    /// The text for one request, in visible ASCII and spaces; `None` if one of the values is missing.
    ///
    /// In values, `%`, control characters and everything beyond ASCII are percent-encoded as UTF-8, and so are spaces
    /// at their ends. `,` is encoded in the members of lists, which it separates.
    pub fn fill(&self, facts: &Facts) -> Option<String> {
        let mut filled = String::with_capacity(32);
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Value(value) => value.write(facts, &mut filled)?,
            }
        }
        Some(filled)
    }
}

/// Splits `text` at the end of a name that is followed by `end`.
fn name<'a>(text: &'a str, end: &str) -> Option<(&'a str, &'a str)> {
    let mut quoted = false;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']');
    let close = text.find(|c| {
        quoted ^= c == '"';
        !quoted && c != '"' && !is_name(c)
    })?;
    let (name, rest) = text.split_at_checked(close)?;
    let plain = name.starts_with(|first: char| first.is_ascii_alphabetic());
    Some((name, rest.strip_prefix(end)?)).filter(|_| plain)
}

impl Placeholder {
    fn of(name: &str) -> Self {
        match name {
            "auth.subject" => Self::Subject,
            "auth.method" => Self::Method,
            "auth.roles" => Self::Roles,
            "auth.scopes" => Self::Scopes,
            "client.ip" => Self::ClientIp,
            "request.id" => Self::RequestId,
            other => match other.strip_prefix("auth.claims").and_then(members) {
                Some(members) => Self::Claim(members),
                None => Self::Parameter(other.to_owned()),
            },
        }
    }

    /// Appends the value.
    fn write(&self, facts: &Facts, to: &mut String) -> Option<()> {
        let identity = facts.identity.as_deref();
        match self {
            Self::Subject => text(&identity?.subject, to),
            Self::Method => text(identity?.method, to),
            Self::Roles => list(identity?.roles().map(Cow::Borrowed), ',', to),
            Self::Scopes => list(identity?.scopes().map(Cow::Borrowed), ' ', to),
            Self::Claim(members) => claim(claimed(identity?, members)?, to),
            Self::ClientIp => write!(to, "{}", facts.client.ip.ip()?).ok(),
            Self::RequestId => {
                to.push_str(facts.request_id.as_ref()?.value.to_str().ok()?);
                Some(())
            }
            // In the normal form of paths, which is visible ASCII.
            Self::Parameter(name) => text_as_is(facts.parameter(name)?, to),
        }
    }
}

/// The members in `.name` and `["name"]`.
fn members(mut path: &str) -> Option<Vec<String>> {
    let mut members = Vec::new();
    while !path.is_empty() {
        let (member, rest) = if let Some(rest) = path.strip_prefix("[\"") {
            rest.split_once("\"]")?
        } else {
            let rest = path.strip_prefix('.')?;
            rest.split_at_checked(rest.find(['.', '[']).unwrap_or(rest.len()))?
        };
        if member.is_empty() || member.contains(['"', ']']) && !path.starts_with('[') {
            return None;
        }
        members.push(member.to_owned());
        path = rest;
    }
    (!members.is_empty()).then_some(members)
}

fn claimed<'a>(identity: &'a Identity, members: &[String]) -> Option<&'a Value> {
    let (first, inner) = members.split_first()?;
    inner.iter().try_fold(identity.claims.get(first)?, |value, member| value.get(member))
}

/// Texts, numbers, truth values, and lists of them.
fn claim(value: &Value, to: &mut String) -> Option<()> {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(scalar).collect::<Option<_>>()?;
            list(items.into_iter(), ',', to)
        }
        value => text(&scalar(value)?, to),
    }
}

fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Appends the members with `separator` between them; `None` if there are none.
fn list<'a>(members: impl Iterator<Item = Cow<'a, str>>, separator: char, to: &mut String) -> Option<()> {
    let mut found = None;
    for member in members.filter(|member| !member.is_empty()) {
        if found.is_some() {
            to.push(separator);
        }
        encode(&member, Some(separator), to);
        found = Some(());
    }
    found
}

/// Appends a value; `None` if it is empty.
fn text(value: &str, to: &mut String) -> Option<()> {
    encode(value, None, to);
    (!value.is_empty()).then_some(())
}

fn text_as_is(value: &str, to: &mut String) -> Option<()> {
    to.push_str(value);
    (!value.is_empty()).then_some(())
}

/// Percent-encodes what must not be in a header field, or would not be read as it was written.
fn encode(value: &str, separator: Option<char>, to: &mut String) {
    let inner = value.trim_matches(' ');
    let start = value.len() - value.trim_start_matches(' ').len();
    for (at, byte) in value.bytes().enumerate() {
        let legal = matches!(byte, b' '..=b'~') && byte != b'%' && Some(char::from(byte)) != separator;
        if legal && (start..start + inner.len()).contains(&at) {
            to.push(char::from(byte));
        } else {
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientAddress, RequestId};
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::Arc;

    fn facts(subject: &str, claims: Value) -> Facts {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        let mut facts = Facts::default();
        facts.client.ip = ClientAddress::Ip([192, 0, 2, 7].into());
        facts.identity = Some(Arc::new(Identity { subject: subject.into(), method: "jwt", claims }));
        facts.parameters = vec![("id".into(), "a%20b".into()), ("empty".into(), "".into())];
        facts
    }

    #[test]
    fn placeholders_are_filled_from_the_request() {
        let claims = json!({
            "plan": "pro", "level": 3, "admin": true, "none": null, "empty": "", "roles": ["a", "b, c", " d "],
            "scope": "read write", "address": { "country": "CH", "lines": ["x", 1] },
            "https://example.com/plan": "gold", "mixed": ["a", {}], "list": [],
        });
        let mut facts = facts("u1", claims);
        facts.request_id =
            Some(RequestId { header: HeaderName::from_static("x-request-id"), value: HeaderValue::from_static("r1") });
        for (template, filled) in [
            ("plain", Some("plain")),
            ("{auth.subject}", Some("u1")),
            ("user {auth.subject} by {auth.method}!", Some("user u1 by jwt!")),
            ("{auth.roles}|{auth.scopes}", Some("a,b%2C c,%20d%20|read write")),
            ("{auth.claims.plan}/{auth.claims.level}/{auth.claims.admin}", Some("pro/3/true")),
            ("{auth.claims.address.country}", Some("CH")),
            ("{auth.claims.address.lines}", Some("x,1")),
            (r#"{auth.claims["https://example.com/plan"]}"#, Some("gold")),
            (r#"{auth.claims.address["country"]}"#, Some("CH")),
            ("{client.ip} {request.id} {id}", Some("192.0.2.7 r1 a%20b")),
            ("{{auth.subject}} {auth.subject}", Some("{auth.subject} u1")),
            (r#"{"group":{"a":1}} {} { x } {"#, Some(r#"{"group":{"a":1}} {} { x } {"#)),
            ("{auth.claims.none}", None),
            ("{auth.claims.empty}", None),
            ("{auth.claims.missing}", None),
            ("{auth.claims.address}", None),
            ("{auth.claims.address.city}", None),
            ("{auth.claims.mixed}", None),
            ("{auth.claims.list}", None),
            ("a {empty}", None),
            ("{other}", None),
        ] {
            assert_eq!(Template::parse(template).fill(&facts).as_deref(), filled, "{template}");
        }
        assert_eq!(Template::parse("{auth.subject}").fill(&Facts::default()), None);
        assert_eq!(Template::parse("{request.id}").fill(&Facts::default()), None);
    }

    #[test]
    fn unknown_names_are_reported_as_parameters() {
        let unknown = |text: &str| Template::parse(text).parameters().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(unknown("{id} {auth.subjekt} {auth.claims} {auth.claims.} {auth.claims.a..b} {rest}").len(), 6);
        assert!(unknown("{auth.subject} {{id}} {\"id\"} {auth.claims.x-y_z}").is_empty());
        assert!(Template::parse("{auth.claims.a}").asks_who() && !Template::parse("{id} {client.ip}").asks_who());
    }

    proptest! {
        #[test]
        fn a_value_never_leaves_its_header_and_different_values_stay_different(one: String, other: String) {
            let fill = |subject: &str| Template::parse("{auth.subject}").fill(&facts(subject, json!({})));
            let (first, second) = (fill(&one), fill(&other));
            prop_assert_eq!(first.is_some(), !one.is_empty());
            prop_assert_eq!(first == second, one == other);
            let value = first.unwrap_or_default();
            prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')) && value.trim() == value);
            let listed = |text: &str| Template::parse("{auth.roles}").fill(&facts("u", json!({ "roles": [text, "z"] })));
            let parts = if one.is_empty() { 1 } else { 2 };
            prop_assert_eq!(listed(&one).unwrap_or_default().split(',').count(), parts);
        }

        #[test]
        fn no_text_makes_a_template_panic(text in "\\PC{0,20}|[{}a.\\[\\]\"]{0,20}") {
            let filled = Template::parse(&text).fill(&facts("u", json!({ "a": 1 })));
            prop_assert!(filled.is_none_or(|filled| filled.len() <= 4 * text.len() + 4));
        }
    }
}
