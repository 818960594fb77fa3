//! Parameters of an operation: where they are, how they are written, and what they may be.

use super::kinds::Kinds;
use super::names::{self, Names};
use super::pairs;
use super::schema::Schemas;
use crate::request_validation::invalid::Unusable;
use crate::request_validation::{MOST, faults, json, media};
use gatewright_openapi::Spec;
use gatewright_sdk::{Detail, Request};
use http::HeaderName;
use http::header::COOKIE;
use jsonschema::Validator;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A parameter of an operation.
pub struct Parameter {
    name: Box<str>,
    place: Place,
    required: bool,
    /// Whether `name=` is enough.
    empty: bool,
    reading: Reading,
    /// `None` if it can be anything.
    validator: Option<Arc<Validator>>,
}

enum Place {
    Query,
    /// By its position in the path.
    Path(usize),
    Header(HeaderName),
    Cookie,
}

/// How the text of a parameter becomes a value.
enum Reading {
    /// It is JSON.
    Json,
    Text {
        kinds: Kinds,
        /// The types of elements.
        elements: Kinds,
        /// The types of the members that are known, and of others.
        members: Vec<(Box<str>, Kinds)>,
        style: Style,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Each element has the name of the parameter; each member its own.
    Exploded,
    /// Elements with this character between them.
    Joined(char),
    /// `name[member]=value`.
    Deep,
}

/// Fields that are described elsewhere (OpenAPI 3.1, section 4.8.12.1).
const ELSEWHERE: [&str; 3] = ["accept", "content-type", "authorization"];

impl Parameter {
    /// `None` if it is not validated. `names` are the parameters of the path, in order.
    ///
    /// # Errors
    /// What is not supported.
    pub fn new(
        spec: &Spec,
        given: &Value,
        names: &[&str],
        schemas: &mut Schemas<'_>,
    ) -> Result<Option<Self>, Unusable> {
        let given = spec.resolved(given);
        let text = |key: &str| given.get(key).and_then(Value::as_str).unwrap_or_default();
        let yes = |key: &str| given.get(key) == Some(&Value::Bool(true));
        if given.get("required").is_some_and(|required| !required.is_boolean()) {
            return Err("`required` must be `true` or `false`, without quotes".to_owned().into());
        }
        let name = text("name");
        let (place, usual) = match text("in") {
            "query" => (Place::Query, "form"),
            "path" => match names.iter().position(|known| *known == name) {
                Some(index) => (Place::Path(index), "simple"),
                None => return Ok(None),
            },
            "header" if ELSEWHERE.iter().any(|known| name.eq_ignore_ascii_case(known)) => return Ok(None),
            "header" => match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) => (Place::Header(name), "simple"),
                Err(_) => return Err("its name is not a valid header name".to_owned().into()),
            },
            _ => (Place::Cookie, "form"),
        };
        let required = yes("required") || matches!(place, Place::Path(_));
        let content = given.get("content").and_then(Value::as_object).and_then(|content| content.iter().next());
        let (reading, schema) = match content {
            Some((media, content)) => {
                let is_json = media::is_json(&media.to_ascii_lowercase());
                (Reading::Json, content.get("schema").filter(|_| is_json))
            }
            None => {
                let style = if text("style").is_empty() { usual } else { text("style") };
                let exploded = given.get("explode").and_then(Value::as_bool).unwrap_or(style == "form");
                let style = match (&place, style) {
                    (Place::Query, "form") if exploded => Style::Exploded,
                    (Place::Query | Place::Cookie, "form") | (Place::Path(_) | Place::Header(_), "simple") => {
                        Style::Joined(',')
                    }
                    (Place::Query, "spaceDelimited") => Style::Joined(' '),
                    (Place::Query, "pipeDelimited") => Style::Joined('|'),
                    (Place::Query, "deepObject") => Style::Deep,
                    (_, other) => {
                        return Err(format!("the style `{}` is not supported there", other.escape_debug()).into());
                    }
                };
                let schema = given.get("schema");
                (Reading::of(spec, schema, style), schema)
            }
        };
        let validator = schema.map(|schema| schemas.validator(schema)).transpose()?;
        Ok(Some(Self { name: name.into(), place, required, empty: yes("allowEmptyValue"), reading, validator }))
    }

    /// Adds the names that it has in the query.
    pub fn name(&self, names: &mut Names) {
        if !matches!(self.place, Place::Query) {
            return;
        }
        names.add(&self.name, matches!(self.reading, Reading::Text { style: Style::Deep, .. }));
        if let Reading::Text { style: Style::Exploded, members, .. } = &self.reading {
            members.iter().for_each(|(member, _)| names.add(member, false));
        }
    }

    /// Adds what is wrong with it in a request.
    pub fn check(&self, request: &Request, sent: &Sent<'_>, found: &mut Vec<Detail>) {
        let texts = match self.texts(request, sent) {
            Ok(texts) => texts,
            Err(message) => return found.push(self.detail("encoding", message)),
        };
        if texts.is_missing() {
            if self.required {
                found.push(self.detail("required", "is required"));
            }
            return;
        }
        let Some(validator) = &self.validator else { return };
        if self.empty && matches!(&texts, Texts::Several(list) if list.iter().all(|text| text.is_empty())) {
            return;
        }
        let values = match self.values(&texts) {
            Ok(values) => values,
            Err((code, message)) => return found.push(self.detail(code, message)),
        };
        if values.iter().any(|value| validator.is_valid(value)) {
            return;
        }
        let Some(value) = values.first() else { return };
        let left = MOST.saturating_sub(found.len());
        found.extend(faults(validator, value).take(left).map(|detail| {
            let join = if detail.field.is_empty() || detail.field.starts_with('[') { "" } else { "." };
            Detail::parameter(format!("{}{join}{}", self.name, detail.field), detail.code, detail.message)
        }));
    }

    fn detail(&self, code: &'static str, message: impl Into<String>) -> Detail {
        Detail::parameter(&*self.name, code, message)
    }

    /// What the request has under its name.
    fn texts<'a>(&self, request: &'a Request, sent: &'a Sent<'a>) -> Result<Texts<'a>, &'static str> {
        let several = |list: Vec<String>| Ok(Texts::Several(list));
        match &self.place {
            Place::Path(index) => several(sent.path.get(*index).cloned().into_iter().collect()),
            Place::Header(name) => {
                let values = request
                    .headers()
                    .get_all(name)
                    .iter()
                    .map(|value| value.to_str().map(|text| text.trim().to_owned()));
                values.collect::<Result<_, _>>().map_or(Err("is not ASCII"), several)
            }
            Place::Cookie => cookies(request, &self.name).map(Texts::Several),
            Place::Query => match &self.reading {
                Reading::Text { style: Style::Deep, .. } => {
                    let named = |name: &'a str| names::member(&self.name, name);
                    Ok(Texts::Named(
                        sent.query.iter().filter_map(|(name, value)| Some((named(name)?, value.as_str()))).collect(),
                    ))
                }
                Reading::Text { style: Style::Exploded, kinds, members, .. } if kinds.object() && !kinds.list() => {
                    let known = |name: &str| members.iter().any(|(known, _)| **known == *name);
                    let members = sent.query.iter().filter(|(name, _)| known(name));
                    Ok(Texts::Named(members.map(|(name, value)| (name.as_str(), value.as_str())).collect()))
                }
                _ => several(
                    sent.query
                        .iter()
                        .filter(|(name, _)| **name == *self.name)
                        .map(|(_, value)| value.clone())
                        .collect(),
                ),
            },
        }
    }

    /// The values that it can mean.
    fn values(&self, texts: &Texts<'_>) -> Result<Vec<Value>, (&'static str, String)> {
        const TWICE: (&str, &str) = ("repeated", "occurs more than once");
        let twice = || (TWICE.0, TWICE.1.to_owned());
        let list = match (texts, &self.reading) {
            (Texts::Named(pairs), Reading::Text { members, elements, .. }) => {
                return object(pairs, members, *elements).map(|object| vec![object]).ok_or_else(twice);
            }
            (Texts::Named(_), Reading::Json) => return Ok(Vec::new()),
            (Texts::Several(list), _) => list,
        };
        let only = match list.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        let (kinds, elements, style) = match &self.reading {
            Reading::Json => {
                let only = only.ok_or_else(twice)?;
                return json::read(only.as_bytes())
                    .map(|value| vec![value])
                    .map_err(|error| ("json", format!("is not valid JSON: {error}")));
            }
            Reading::Text { kinds, elements, style, .. } => (*kinds, *elements, *style),
        };
        let mut values = Vec::new();
        if kinds.list() {
            let parts: Vec<&str> = match (style, &self.place) {
                (Style::Joined(between), Place::Header(_)) => {
                    list.iter().flat_map(|text| text.split(between)).map(str::trim).collect()
                }
                (Style::Joined(between), _) => only.ok_or_else(twice)?.split(between).collect(),
                _ => list.iter().map(String::as_str).collect(),
            };
            let first = |text: &&str| elements.read(text).into_iter().next().unwrap_or_default();
            values.push(parts.iter().map(first).collect());
            if elements.text() {
                values.push(parts.iter().map(|text| Value::from(*text)).collect());
            }
        }
        if kinds.single() {
            match only {
                Some(only) => values.extend(kinds.read(only)),
                None if values.is_empty() => return Err(twice()),
                None => {}
            }
        }
        Ok(values)
    }
}

/// The values of a cookie. Servers ignore spaces around its name, and what other cookies contain.
fn cookies(request: &Request, name: &str) -> Result<Vec<String>, &'static str> {
    let fields = request.headers().get_all(COOKIE).iter();
    let pairs = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    let values = pairs.filter_map(|pair| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        parts.next().filter(|own| own.trim_ascii() == name.as_bytes())?;
        Some(parts.next().ok_or("has no `=`").and_then(|value| {
            let value = str::from_utf8(value.trim_ascii()).map_err(|_| "is not UTF-8")?;
            Ok(value.trim_matches('"').to_owned())
        }))
    });
    values.collect()
}

fn object(pairs: &[(&str, &str)], members: &[(Box<str>, Kinds)], others: Kinds) -> Option<Value> {
    let mut object = Map::new();
    for (name, text) in pairs {
        let kinds = members.iter().find(|(known, _)| **known == **name).map_or(others, |(_, kinds)| *kinds);
        let value = kinds.read(text).into_iter().next().unwrap_or_default();
        if kinds.list() {
            let list = object.entry(*name).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut().into_iter().for_each(|list| list.push(value.clone()));
        } else if object.insert((*name).to_owned(), value).is_some() {
            return None;
        }
    }
    Some(object.into())
}

impl Reading {
    fn of(spec: &Spec, schema: Option<&Value>, style: Style) -> Self {
        let Some(schema) = schema else {
            return Self::Text { kinds: Kinds::ALL, elements: Kinds::ALL, members: Vec::new(), style };
        };
        let elements = spec.resolved(schema).get("items").map_or(Kinds::ALL, |items| Kinds::of(spec, items));
        let mut members = Vec::new();
        collect(spec, schema, &mut members, 8);
        Self::Text { kinds: Kinds::of(spec, schema), elements, members, style }
    }
}

/// The members that a schema names.
fn collect(spec: &Spec, schema: &Value, members: &mut Vec<(Box<str>, Kinds)>, depth: usize) {
    let schema = spec.resolved(schema);
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        members.push((name.as_str().into(), Kinds::of(spec, property)));
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten().filter(|_| depth > 0) {
        collect(spec, part, members, depth - 1);
    }
}

/// What a request has under the name of a parameter.
enum Texts<'a> {
    Several(Vec<String>),
    /// By the names of members.
    Named(Vec<(&'a str, &'a str)>),
}

impl Texts<'_> {
    fn is_missing(&self) -> bool {
        match self {
            Self::Several(list) => list.is_empty(),
            Self::Named(pairs) => pairs.is_empty(),
        }
    }
}

/// The parameters of a request.
pub struct Sent<'a> {
    pub path: &'a [String],
    query: Vec<(String, String)>,
}

impl<'a> Sent<'a> {
    /// The names in the query.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.query.iter().map(|(name, _)| name.as_str())
    }

    /// `None` if a name or value of the query is not UTF-8: servers read such ones differently.
    pub fn new(path: &'a [String], query: Option<&str>) -> Option<Self> {
        Some(Self { path, query: pairs::read(query.unwrap_or_default())? })
    }
}
