//! Forms, `application/x-www-form-urlencoded`, as values that a schema validates. Clients send text: it depends on the schema whether
//! `5` is a number.

use super::kinds::Kinds;
use super::names::Names;
use super::pairs;
use gatewright_openapi::Spec;
use gatewright_sdk::Detail;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// The media type of forms.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// How deep schemas are looked into.
const DEEPEST: usize = 16;

/// How the fields of a form become a value.
pub struct Form {
    fields: HashMap<Box<str>, Field>,
    /// Those that the schema does not name.
    others: Kinds,
    names: Names,
}

struct Field {
    kinds: Kinds,
    /// The types of elements, if it can be a list.
    elements: Kinds,
}

impl Form {
    /// The form that a schema describes; `media` is the content of a request body for it.
    ///
    /// # Errors
    /// Why the fields of such a form cannot be read: it is not defined how they are written.
    pub fn new(spec: &Spec, media: &Value) -> Result<Self, String> {
        let schema = media.get("schema").unwrap_or(&Value::Null);
        let kinds = Kinds::of(spec, schema);
        if kinds != Kinds::ALL && !kinds.object() {
            return Err("its schema is not of `type: object`".to_owned());
        }
        let encoding = media.get("encoding").and_then(Value::as_object).into_iter().flatten();
        let plain = |(key, value): (&String, &Value)| match key.as_str() {
            "style" => value == "form",
            "explode" => *value == Value::Bool(true),
            "contentType" => value == "text/plain",
            _ => true,
        };
        let other = |encoding: &Value| encoding.as_object().is_some_and(|settings| !settings.iter().all(plain));
        if let Some((name, _)) = encoding.into_iter().find(|(_, encoding)| other(encoding)) {
            return Err(format!("its field `{}` has another `encoding`", name.escape_debug()));
        }
        let mut fields = HashMap::new();
        collect(spec, schema, &mut fields, DEEPEST);
        if let Some((name, _)) = fields.iter().filter(|(_, field)| !field.is_plain()).min_by_key(|(name, _)| *name) {
            return Err(format!("its field `{}` is an object, or a list of lists or objects", name.escape_debug()));
        }
        let mut names = Names::default();
        fields.keys().for_each(|name| names.add(name, false));
        let others = spec.resolved(schema).get("additionalProperties").filter(|others| others.is_object());
        let others = others.map_or(Kinds::ALL, |others| Kinds::of(spec, others));
        Ok(Self { fields, others, names })
    }

    /// The values that a form can mean, the likeliest first.
    ///
    /// # Errors
    /// What is wrong with the form itself.
    pub fn values(&self, body: &[u8]) -> Result<Vec<Value>, Vec<Detail>> {
        let text = str::from_utf8(body).ok().and_then(pairs::read);
        let Some(pairs) = text else { return Err(vec![Detail::at("", "encoding", "is not UTF-8")]) };
        let mut sent: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut places = HashMap::new();
        for (name, value) in &pairs {
            let place = *places.entry(name.as_str()).or_insert(sent.len());
            match sent.get_mut(place) {
                Some((_, values)) => values.push(value),
                None => sent.push((name, vec![value])),
            }
        }
        let misspelled = sent.iter().filter_map(|(name, _)| self.names.misspelled(name));
        let misspelled = misspelled.map(|detail| fault(&detail.field, detail.code, detail.message));
        let mut wrong: Vec<Detail> = misspelled.collect();
        let (mut likely, mut plain) = (Map::new(), Map::new());
        for (name, texts) in sent {
            match read(self.fields.get(name), self.others, &texts) {
                Some((first, second)) => {
                    likely.insert(name.to_owned(), first);
                    plain.insert(name.to_owned(), second);
                }
                None => wrong.push(fault(name, "repeated".into(), "occurs more than once".to_owned())),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let (likely, plain) = (Value::Object(likely), Value::Object(plain));
        Ok(if likely == plain { vec![likely] } else { vec![likely, plain] })
    }
}

fn fault(name: &str, code: Cow<'static, str>, message: String) -> Detail {
    Detail::at(&format!("/{}", name.replace('~', "~0").replace('/', "~1")), code, message)
}

/// A field as the value that it most likely is, and as text wherever it can be. `None` if it occurs more often than it may.
fn read(field: Option<&Field>, others: Kinds, texts: &[&str]) -> Option<(Value, Value)> {
    let one = |kinds: Kinds, text: &str| {
        let first = kinds.read(text).into_iter().next().unwrap_or_default();
        let second = if kinds.text() { text.into() } else { first.clone() };
        (first, second)
    };
    let list = |kinds: Kinds| texts.iter().map(|text| one(kinds, text)).unzip::<_, _, Vec<_>, Vec<_>>();
    let many = |kinds: Kinds| {
        let (first, second) = list(kinds);
        Some((first.into(), second.into()))
    };
    match (field, texts) {
        (Some(field), [text]) if field.kinds.single() && !field.kinds.list() => Some(one(field.kinds, text)),
        (Some(field), _) if field.kinds.list() => many(field.elements),
        (Some(_), _) => None,
        (None, [text]) => Some(one(others, text)),
        // Nothing says that it may not.
        (None, _) => many(others),
    }
}

impl Field {
    fn is_plain(&self) -> bool {
        let is_known = self.kinds.single() || self.kinds.list();
        is_known && (!self.kinds.list() || (self.elements.single() && !self.elements.list()))
    }
}

/// The fields that a schema names, in any of its alternatives.
fn collect(spec: &Spec, schema: &Value, fields: &mut HashMap<Box<str>, Field>, depth: usize) {
    let schema = spec.resolved(schema);
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let kinds = Kinds::of(spec, property);
        let elements = spec.resolved(property).get("items").map_or(Kinds::ALL, |items| Kinds::of(spec, items));
        let field = fields.entry(name.as_str().into()).or_insert(Field { kinds, elements });
        (field.kinds, field.elements) = (field.kinds | kinds, field.elements | elements);
    }
    if depth == 0 {
        return;
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        let parts = schema.get(key).and_then(Value::as_array).into_iter().flatten();
        parts.for_each(|part| collect(spec, part, fields, depth - 1));
    }
    for part in ["if", "then", "else"].into_iter().filter_map(|key| schema.get(key)) {
        collect(spec, part, fields, depth - 1);
    }
}
