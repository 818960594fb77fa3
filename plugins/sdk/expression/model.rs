//! What expressions can name, and its values for one request.

use super::check::Kind;
use super::functions::Compiled;
use crate::host::host;
use crate::{ClientAddress, Facts, Identity};
use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Sizer};
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelOptional, CelString, CelUInt, MAP_TYPE, Type,
};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use http::{HeaderMap, Method, Uri};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fmt;

/// A name that expressions may use.
pub struct Name {
    /// As it is written: `request.method`.
    pub name: &'static str,
    pub(super) kind: Kind,
    /// What it is, for the documentation.
    pub help: &'static str,
}

const fn name(name: &'static str, kind: Kind, help: &'static str) -> Name {
    Name { name, kind, help }
}

/// All names.
pub const NAMES: &[Name] = &[
    name("request.method", Kind::Text, "the method, such as `GET`"),
    name("request.path", Kind::Text, "the path, in normal form and still percent-encoded"),
    name("request.query", Kind::Text, "what follows the `?`, as sent; empty if there is none"),
    name("request.host", Kind::Text, "the host in lower case, without port"),
    name("request.scheme", Kind::Text, "`http` or `https`, as the client used it"),
    name("request.id", Kind::Text, "the request id, once `request_id` has set it"),
    name("request.headers", Kind::Map, "header fields by name; several fields with one name are joined by `, `"),
    name("client.ip", Kind::Text, "the address of the client; `unix:` if it has none"),
    name("auth.subject", Kind::Text, "whom the credentials identify"),
    name("auth.method", Kind::Text, "how the identity was proven: the type of the plugin, such as `jwt`"),
    name("auth.roles", Kind::List, "the roles"),
    name("auth.scopes", Kind::List, "the scopes"),
    name("auth.claims", Kind::Map, "every claim of the token"),
    name("route.name", Kind::Text, "the name of the route"),
    name("route.parameters", Kind::Map, "the parameters of the route's path"),
    name("listener.name", Kind::Text, "the name of the listener"),
];

/// What one request shows to expressions.
pub struct Seen<'r> {
    method: &'r Method,
    uri: &'r Uri,
    path: &'r str,
    headers: &'r HeaderMap,
    facts: &'r Facts,
    compiled: &'r [Compiled],
}

impl<'r> Seen<'r> {
    pub fn of<B>(request: &'r http::Request<B>, compiled: &'r [Compiled]) -> Self {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        Self { method, uri, path: uri.path(), headers, facts: Facts::of(request), compiled }
    }

    /// The same request with another path and other facts.
    pub fn at<'o>(&self, path: &'o str, facts: &'o Facts) -> Seen<'o>
    where
        'r: 'o,
    {
        Seen { path, facts, ..*self }
    }

    pub const fn facts(&self) -> &'r Facts {
        self.facts
    }

    fn identity(&self) -> Option<&'r Identity> {
        self.facts.identity.as_deref()
    }

    /// The value of `group.field`, unless this request has none.
    fn named<'b>(&'b self, group: &str, field: &str) -> Option<CowVal<'b, 'b>> {
        Some(match (group, field) {
            ("request", "method") => text(self.method.as_str()),
            ("request", "path") => text(self.path),
            ("request", "query") => text(self.uri.query().unwrap_or_default()),
            ("request", "host") => CowVal::owned(CelString::from(host(self.uri, self.headers)?.to_ascii_lowercase())),
            ("request", "scheme") => text(self.facts.client.scheme.as_str()),
            ("request", "id") => text(self.facts.request_id.as_ref()?.value.to_str().ok()?),
            ("request", "headers") => CowVal::owned(Lazy::Headers(self.headers)),
            ("client", "ip") => CowVal::owned(CelString::from(match self.facts.client.ip.to_canonical() {
                ClientAddress::Ip(ip) => ip.to_string(),
                ClientAddress::Unix => ClientAddress::Unix.to_string(),
            })),
            ("auth", "subject") => text(&self.identity()?.subject),
            ("auth", "method") => text(self.identity()?.method),
            ("auth", "roles") => texts(self.identity()?.roles()),
            ("auth", "scopes") => texts(self.identity()?.scopes()),
            ("auth", "claims") => CowVal::owned(Lazy::Claims(&self.identity()?.claims)),
            ("route", "name") => text(self.facts.route.as_deref()?),
            ("route", "parameters") => CowVal::owned(Lazy::Parameters(self.facts)),
            ("listener", "name") => text(&self.facts.listener),
            _ => return None,
        })
    }
}

impl VariableResolver for Seen<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(name) = variable.strip_prefix('?') {
            return Some(CowVal::owned(CelBool::from(self.resolve(name).is_some())));
        }
        if let Some(name) = variable.strip_prefix('~') {
            let value = self.resolve(name).map(CowVal::into_owned);
            return Some(CowVal::owned(value.map_or_else(CelOptional::none, CelOptional::of)));
        }
        if let Some(number) = variable.strip_prefix('@') {
            return Some(CowVal::Borrowed(self.compiled.get(number.parse::<usize>().ok()?)?));
        }
        let (group, rest) = variable.split_once('.')?;
        // The compiler turns `auth.claims.plan` and `auth.claims['plan']` into one name.
        match rest.split_once('.') {
            None => self.named(group, rest),
            Some((field, key)) => match (group, field) {
                ("auth", "claims") => Lazy::Claims(&self.identity()?.claims).value(key),
                ("request", "headers") => Lazy::Headers(self.headers).value(key),
                ("route", "parameters") => Lazy::Parameters(self.facts).value(key),
                _ => None,
            },
        }
    }
}

impl fmt::Debug for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seen")
    }
}

fn text(text: &str) -> CowVal<'_, '_> {
    CowVal::owned(CelString::from(text))
}

fn texts<'b>(texts: impl Iterator<Item = &'b str>) -> CowVal<'b, 'b> {
    let boxed = |text| Box::new(CelString::from(text)) as Box<dyn Val + 'b>;
    CowVal::owned(CelList::from(texts.map(boxed).collect::<Vec<_>>()))
}

/// A map whose values are made when they are asked for.
#[derive(Clone, Copy)]
pub enum Lazy<'r> {
    Headers(&'r HeaderMap),
    Claims(&'r serde_json::Map<String, Json>),
    Parameters(&'r Facts),
}

impl<'r> Lazy<'r> {
    fn value<'b>(self, key: &str) -> Option<CowVal<'b, 'r>> {
        match self {
            Self::Headers(headers) => {
                let mut values = headers.get_all(key).iter();
                let first = std::str::from_utf8(values.next()?.as_bytes()).ok()?;
                let Some(second) = values.next() else { return Some(CowVal::owned(CelString::from(first))) };
                let mut joined = first.to_owned();
                for value in std::iter::once(second).chain(values) {
                    joined.push_str(", ");
                    joined.push_str(std::str::from_utf8(value.as_bytes()).ok()?);
                }
                Some(CowVal::owned(CelString::from(joined)))
            }
            Self::Claims(claims) => claims.get(key).map(|claim| CowVal::Owned(json(claim))),
            Self::Parameters(facts) => facts.parameter(key).map(|value| CowVal::owned(CelString::from(value))),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Headers(headers) => headers.keys_len(),
            Self::Claims(claims) => claims.len(),
            Self::Parameters(facts) => facts.parameters.len(),
        }
    }
}

/// A claim as CEL sees it. Whole numbers are `int` if they fit.
fn json<'r>(value: &'r Json) -> Box<dyn Val + 'r> {
    match value {
        Json::Null => Box::new(CelNull),
        Json::Bool(truth) => Box::new(CelBool::from(*truth)),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Box::new(CelInt::from(whole)),
            (None, Some(natural)) => Box::new(CelUInt::from(natural)),
            _ => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Json::String(text) => Box::new(CelString::from(text.as_str())),
        Json::Array(items) => Box::new(CelList::from(items.iter().map(json).collect::<Vec<_>>())),
        Json::Object(entries) => {
            let entry = |(key, value): (&'r String, &'r Json)| (CelMapKey::from(key.as_str()), json(value));
            Box::new(CelMap::from(entries.iter().map(entry).collect::<HashMap<_, _>>()))
        }
    }
}

impl fmt::Debug for Lazy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never its values: they may be secret.
        f.write_str("map")
    }
}

impl Val for Lazy<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

fn key(index: &dyn Val) -> Result<&str, ExecutionError> {
    let text = index.downcast_ref::<CelString<'_>>().map(|text| text.inner());
    text.ok_or_else(|| ExecutionError::UnexpectedType {
        got: index.get_type().name().to_owned(),
        want: "string".to_owned(),
    })
}

impl Container for Lazy<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.value(key(value)?).is_some())
    }
}

impl Indexer for Lazy<'_> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let key = key(index)?;
        self.value(key).ok_or_else(|| ExecutionError::no_such_key(key))
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let key = key(index)?;
        self.value(key).map(CowVal::into_owned).ok_or_else(|| ExecutionError::no_such_key(key))
    }
}

impl Sizer for Lazy<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.len()).unwrap_or(i64::MAX))
    }
}
