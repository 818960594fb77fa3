//! Fields as JSON Schema: as clients write them, and as responses show them.

use super::{Around, pattern};
use crate::config::document::resource::{IdKind, UnknownFields};
use crate::openapi::Components;
use crate::resource::email::LONGEST;
use crate::resource::field::{Bound, Field, LONGEST_PASSWORD, Source};
use crate::resource::field_type::FieldType;
use crate::resource::model::Model;
use crate::resource::model::deleted::DELETED_AT;
use crate::resource::validate::{Purpose, accepts, demands};
use serde_json::{Map, Value, json};

/// An item in a response. With `is_whole` it has all its fields; otherwise it may have only those that were asked for.
pub(super) fn shown(
    model: &Model,
    (name, is_whole): (&str, bool),
    around: Option<Around<'_>>,
    components: &mut Components,
) -> Value {
    let mut properties = Map::new();
    properties.insert("id".to_owned(), described(id(model.id), "Identifies the item.", true));
    for field in model.fields.iter().filter(|field| field.visible()) {
        let mut schema = kind(field, name, components);
        if let Some(description) = &field.description {
            schema.insert("description".to_owned(), description.as_str().into());
        }
        if field.read_only {
            schema.insert("readOnly".to_owned(), true.into());
        }
        add_example(field, &mut schema);
        properties.insert(field.name.clone(), or_null(field, schema));
    }
    if let Some(expand) = around.and_then(|around| expanded(model, around, components)) {
        properties.insert("expand".to_owned(), expand);
    }
    if !is_whole && model.shows_deleted() {
        let text = "When it was deleted: with `deleted=only`.";
        let time = json!({ "type": "string", "format": "date-time", "description": text, "readOnly": true });
        properties.insert(DELETED_AT.to_owned(), time);
    }
    let mut schema = object_of("An item.", properties, &[]);
    if let Some(schema) = schema.as_object_mut() {
        if is_whole {
            let names: Vec<_> = model.fields.iter().filter(|f| f.visible()).map(|field| field.name.as_str()).collect();
            schema.insert("required".to_owned(), std::iter::once("id").chain(names).collect());
        } else {
            let text = "An item. With `fields`, it has only those.";
            schema.insert("description".to_owned(), text.into());
        }
    }
    schema
}

/// The items that an item refers to, if the request asks for them.
fn expanded(model: &Model, around: Around<'_>, components: &mut Components) -> Option<Value> {
    let mut properties = Map::new();
    for field in model.fields.iter().filter(|field| field.expands()) {
        let Some((target, naming)) = around.target(field) else { continue };
        let item = shown(target, (&naming.one, true), None, components);
        let item = components.schema(&naming.one, item);
        properties.insert(field.name.clone(), json!({ "anyOf": [item, { "type": "null" }] }));
    }
    let text =
        "The items that fields refer to, by field: those that `expand` names. Null if the caller may not read it.";
    (!properties.is_empty()).then(|| object_of(text, properties, &[]))
}

/// The body of a request. The field `under` may be in the path instead.
pub(super) fn written(
    model: &Model,
    name: &str,
    (purpose, under): (Purpose, Option<&str>),
    components: &mut Components,
) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    if model.id == IdKind::String && purpose == Purpose::Create {
        properties.insert("id".to_owned(), described(id(model.id), "Identifies the item.", false));
        required.push("id");
    }
    for field in model.fields.iter().filter(|field| accepts(field, purpose)) {
        properties.insert(field.name.clone(), or_null(field, of_request(field, name, purpose, components)));
        if demands(field, purpose) && Some(&*field.name) != under {
            required.push(field.name.as_str());
        }
    }
    if purpose == Purpose::Create
        && let Some((preset, field)) = model.excepted()
    {
        let mut schema = of_request(field, name, purpose, components);
        let text = format!(
            "Whose item it is. Only callers who may create items of any {} can send it; by default it is the claim `{}`.",
            preset.whose(),
            preset.claim
        );
        schema.insert("description".to_owned(), text.into());
        properties.insert(field.name.clone(), schema.into());
    }
    let text = match purpose {
        Purpose::Create => "A new item.",
        Purpose::Replace => "An item that replaces another.",
        Purpose::Merge => "Changes of an item. Fields that are missing stay as they are.",
    };
    let mut schema = object_of(text, properties, &required);
    if let (UnknownFields::Reject, Some(schema)) = (model.unknown, schema.as_object_mut()) {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    schema
}

fn object_of(description: &str, properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut schema = crate::openapi::object([
        ("type", "object".into()),
        ("description", description.into()),
        ("properties", properties.into()),
    ]);
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.into()
}

/// A field in a request: its type, and every rule.
pub(super) fn of_request(
    field: &Field,
    item: &str,
    purpose: Purpose,
    components: &mut Components,
) -> Map<String, Value> {
    let mut schema = kind(field, item, components);
    let own = schema.remove("description").and_then(|text| text.as_str().map(str::to_owned));
    let mut notes: Vec<String> = field.description.clone().or(own).into_iter().collect();
    if matches!(field.kind, FieldType::Integer) {
        schema.insert("minimum".to_owned(), i64::MIN.into());
        schema.insert("maximum".to_owned(), i64::MAX.into());
    }
    let (least, most) =
        if matches!(field.kind, FieldType::Json(_)) { ("minItems", "maxItems") } else { ("minLength", "maxLength") };
    for (bound, count, number) in [(&field.min, least, "minimum"), (&field.max, most, "maximum")] {
        match bound {
            Some(Bound::Count(bound)) => drop(schema.insert(count.to_owned(), json!(bound))),
            Some(Bound::Integer(bound)) => drop(schema.insert(number.to_owned(), json!(bound))),
            Some(Bound::Real(bound)) => drop(schema.insert(number.to_owned(), json!(bound))),
            Some(Bound::Decimal(_, text)) => {
                notes.push(format!("At {} {text}.", if number == "minimum" { "least" } else { "most" }));
            }
            None => {}
        }
    }
    add_pattern(field, &mut schema, &mut notes);
    let default = match &field.default {
        Some(Source::Constant(value)) => field.json(value),
        Some(Source::Now | Source::Today) => {
            notes.push("Default: the current time.".to_owned());
            None
        }
        Some(Source::Uuid) => {
            notes.push("Default: a new UUID.".to_owned());
            None
        }
        Some(Source::Claim(_)) | None => None,
    };
    if let (Some(default), true) = (default, purpose != Purpose::Merge) {
        schema.insert("default".to_owned(), default);
    }
    if field.trim {
        notes.push("White space at both ends is removed.".to_owned());
    }
    if field.lowercase {
        notes.push("It is converted to lower case.".to_owned());
    }
    if field.taken.is_some() {
        notes.push("No two items have the same value.".to_owned());
    }
    if matches!(field.kind, FieldType::Password) {
        schema.insert("writeOnly".to_owned(), true.into());
    }
    if !notes.is_empty() {
        schema.insert("description".to_owned(), notes.join(" ").into());
    }
    add_example(field, &mut schema);
    schema
}

/// The length and pattern of a text, apart from `min` and `max`.
fn add_pattern(field: &Field, schema: &mut Map<String, Value>, notes: &mut Vec<String>) {
    let shorter = |schema: &mut Map<String, Value>, most: usize| {
        let own = schema.get("maxLength").and_then(Value::as_u64).and_then(|own| usize::try_from(own).ok());
        schema.insert("maxLength".to_owned(), json!(own.unwrap_or(most).min(most)));
    };
    let mut own = match &field.kind {
        FieldType::String | FieldType::Text => Some(pattern::WITHOUT_NUL.to_owned()),
        FieldType::Password => {
            shorter(schema, LONGEST_PASSWORD);
            Some(pattern::WITHOUT_NUL.to_owned())
        }
        FieldType::Email => {
            shorter(schema, LONGEST);
            Some(pattern::email(field.trim))
        }
        FieldType::Url => {
            schema.insert("not".to_owned(), json!({ "pattern": pattern::NO_HOST }));
            Some(pattern::URL.to_owned())
        }
        FieldType::Decimal { precision, scale } => {
            shorter(schema, pattern::LONGEST_DECIMAL);
            Some(pattern::decimal(*precision, *scale))
        }
        _ => None,
    };
    if let Some(written) = &field.pattern {
        if pattern::is_portable(written.as_str()) {
            own = Some(written.as_str().to_owned());
        } else {
            notes.push(format!("Must match the regular expression `{written}`."));
        }
    } else if field.trim && field.min.is_some() && matches!(field.kind, FieldType::String | FieldType::Text) {
        // What is left without white space has a length too.
        let least = if let Some(Bound::Count(least)) = field.min { least } else { 0 };
        own = Some(pattern::trimmed(least));
    }
    if let Some(own) = own {
        schema.insert("pattern".to_owned(), own.into());
    }
}

/// The type of a field, without its rules: items that were stored under other rules are shown too.
fn kind(field: &Field, item: &str, components: &mut Components) -> Map<String, Value> {
    let schema = match &field.kind {
        FieldType::String | FieldType::Text => json!({ "type": "string" }),
        FieldType::Password => json!({ "type": "string", "format": "password" }),
        // The formats `email` and `uri` of JSON Schema accept other texts than these types do.
        FieldType::Email => {
            json!({ "type": "string", "description": "An e-mail address. The domain may also be international." })
        }
        FieldType::Uuid => json!({ "type": "string", "format": "uuid" }),
        FieldType::Url => json!({ "type": "string", "description": "An absolute URL." }),
        FieldType::Integer => json!({ "type": "integer", "format": "int64" }),
        FieldType::Number => json!({ "type": "number", "format": "double" }),
        FieldType::Decimal { .. } => json!({ "type": "string", "format": "decimal" }),
        FieldType::Boolean => json!({ "type": "boolean" }),
        FieldType::Datetime => json!({ "type": "string", "format": "date-time" }),
        FieldType::Date => json!({ "type": "string", "format": "date" }),
        FieldType::Enum(values) => json!({ "type": "string", "enum": values }),
        FieldType::Json(_) => match &field.schema {
            Some(Value::Object(schema)) => {
                let name = format!("{item}{}", crate::openapi::names::pascal(&field.name));
                components.schema(&name, moved(&Value::Object(schema.clone()), &name))
            }
            _ if field.nullable => any_json(components),
            _ => components.schema_once("JsonValue", |components| {
                any_json(components);
                no_null()
            }),
        },
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// A schema from the configuration at its place in the document: what it refers to in itself is there.
fn moved(schema: &Value, name: &str) -> Value {
    match schema {
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| {
                let here = value.as_str().filter(|_| key == "$ref").and_then(|text| text.strip_prefix('#'));
                let value = match here {
                    Some(rest) => format!("#/components/schemas/{name}{rest}").into(),
                    None => moved(value, name),
                };
                (key.clone(), value)
            });
            Value::Object(members.filter(|(key, _)| key != "$schema" && key != "$id").collect())
        }
        Value::Array(items) => items.iter().map(|item| moved(item, name)).collect(),
        other => other.clone(),
    }
}

/// Any JSON that can be stored.
fn any_json(components: &mut Components) -> Value {
    components.schema_once("JsonValue", |_| no_null());
    let value = json!({ "$ref": "#/components/schemas/JsonValue" });
    components.schema_once(
        "Json",
        |_| json!({ "description": "Any JSON value, up to 31 levels deep.", "anyOf": [value, { "type": "null" }] }),
    )
}

fn no_null() -> Value {
    let text = json!({ "type": "string", "pattern": pattern::WITHOUT_NUL });
    let any = json!({ "$ref": "#/components/schemas/Json" });
    json!({
        "description": "Any JSON value but null, up to 31 levels deep.",
        "anyOf": [
            { "type": ["boolean", "number"] },
            text,
            { "type": "array", "items": any },
            { "type": "object", "propertyNames": text, "additionalProperties": any }
        ]
    })
}

/// The same schema for a field that may be null.
fn or_null(field: &Field, mut schema: Map<String, Value>) -> Value {
    // Any JSON includes null.
    if !field.nullable || (matches!(field.kind, FieldType::Json(_)) && field.schema.is_none()) {
        return schema.into();
    }
    if let Some(reference) = schema.remove("$ref") {
        schema.insert("anyOf".to_owned(), json!([{ "$ref": reference }, { "type": "null" }]));
        return schema.into();
    }
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
    schema.into()
}

fn add_example(field: &Field, schema: &mut Map<String, Value>) {
    if let Some(example) = &field.example {
        schema.insert("examples".to_owned(), json!([example]));
    }
}

fn described(schema: Value, description: &str, read_only: bool) -> Value {
    let mut schema = schema;
    if let Some(members) = schema.as_object_mut() {
        members.insert("description".to_owned(), description.into());
        if read_only {
            members.insert("readOnly".to_owned(), true.into());
        }
    }
    schema
}

/// The schema of an id.
pub(super) fn id(kind: IdKind) -> Value {
    match kind {
        IdKind::Uuid => json!({ "type": "string", "format": "uuid" }),
        IdKind::Integer => json!({ "type": "integer", "format": "int64", "minimum": 1, "maximum": i64::MAX }),
        IdKind::String => json!({ "type": "string", "pattern": pattern::ID }),
    }
}
