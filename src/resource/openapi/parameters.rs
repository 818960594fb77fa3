//! The parameters of requests for items and lists.

use super::pattern::{self, listed as listed_values, quoted_list};
use super::{Around, schema};
use crate::config::document::resource::{Concurrency, Count, FilterOp};
use crate::resource::field::Field;
use crate::resource::field_type::FieldType;
use crate::resource::model::Model;
use crate::resource::model::deleted::DELETED_AT;
use crate::resource::operator::operator_word;
use crate::resource::query::filter::MOST_VALUES;
use crate::resource::query::last_page;
use serde_json::{Map, Value, json};

/// The id in the path.
pub(super) fn id(model: &Model) -> Value {
    json!({
        "name": "id",
        "in": "path",
        "required": true,
        "description": "Identifies the item.",
        "schema": schema::id(model.id)
    })
}

/// The parameter of the path with the item that those of `model` are under, if they are.
pub fn parent(model: &Model, around: Around<'_>) -> Option<Value> {
    let field = model.fields.iter().find(|field| Some(&*field.name) == around.under)?;
    let reference = field.reference.as_ref()?;
    Some(json!({
        "name": field.name,
        "in": "path",
        "required": true,
        "description": format!("Identifies the item of `{}` that the others belong to.", reference.to),
        "schema": schema::id(reference.id)
    }))
}

/// Those of a list.
pub(super) fn list(model: &Model) -> Vec<Value> {
    let pages = &model.pagination;
    let mut all = vec![
        query(
            "page",
            "The number of the page. To go further, follow the link with `rel=\"next\"` in the `Link` header.",
            json!({ "type": "integer", "format": "int64", "minimum": 1, "maximum": last_page(pages), "default": 1 }),
        ),
        query(
            "per_page",
            &format!("The number of items on a page. More than {} are reduced to it.", pages.max_per_page),
            json!({ "type": "integer", "minimum": 1, "default": pages.per_page }),
        ),
    ];
    all.push(sort(model));
    all.push(fields(model));
    all.extend(expand(model));
    all.extend(deleted(model));
    let default = match model.count {
        Count::Capped(_) => "capped",
        Count::Exact => "exact",
        Count::None => "none",
    };
    let counted = json!({ "type": "string", "enum": ["exact", "capped", "none"], "default": default });
    all.push(query("count", "How the total in `X-Total-Count` is counted.", counted));
    for field in &model.fields {
        all.extend(field.filter.iter().map(|operator| filter(field, *operator)));
    }
    all.extend(deleted_at(model));
    all.push(if_none_match());
    all
}

/// The fields in the response.
pub(super) fn fields(model: &Model) -> Value {
    let names = model.fields.iter().filter(|field| field.visible()).map(|field| field.name.as_str());
    let names: Vec<&str> = std::iter::once("id").chain(names).collect();
    let mut parameter = query(
        "fields",
        "The fields in the response, separated by commas. Default: all.",
        json!({ "type": "array", "minItems": 1, "items": { "type": "string", "enum": names } }),
    );
    comma_separated(&mut parameter);
    parameter
}

/// The fields whose items the response has too, if there are any.
pub(super) fn expand(model: &Model) -> Option<Value> {
    let names: Vec<&str> = model.fields.iter().filter(|field| field.expands()).map(|field| &*field.name).collect();
    let mut parameter = query(
        "expand",
        "The fields whose items are in the response too, under `expand`, separated by commas. Default: none.",
        json!({ "type": "array", "minItems": 1, "items": { "type": "string", "enum": names } }),
    );
    comma_separated(&mut parameter);
    (!names.is_empty()).then_some(parameter)
}

/// Whether deleted items are meant, if they are kept.
pub(super) fn deleted(model: &Model) -> Option<Value> {
    let description = "With `only`, deleted items instead of those that exist. They have `deleted_at`, by which lists can be sorted and \
                       filtered.";
    model.shows_deleted().then(|| query("deleted", description, only()))
}

/// Whether an item is meant that is deleted already, and is then removed for good.
pub(super) fn for_good(model: &Model) -> Option<Value> {
    let description = "With `only`, an item that is deleted already is removed for good, with what was deleted with it. It takes the rights \
                       to delete and to restore it.";
    model.shows_deleted().then(|| query("deleted", description, only()))
}

fn only() -> Value {
    json!({ "type": "string", "enum": ["only"] })
}

/// The filters by the time of the delete.
fn deleted_at(model: &Model) -> Vec<Value> {
    let deleted = model.deleted.as_ref().filter(|_| model.shows_deleted());
    let field = deleted.and_then(|deleted| deleted.fields.iter().find(|field| field.name == DELETED_AT));
    let filters = field.iter().flat_map(|field| field.filter.iter().map(|operator| filter(field, *operator)));
    let noted = filters.map(|mut filter| {
        if let Some(text) = filter.get_mut("description") {
            *text = format!("{} Only with `deleted=only`.", text.as_str().unwrap_or_default()).into();
        }
        filter
    });
    noted.collect()
}

fn sort(model: &Model) -> Value {
    let names = model.fields.iter().filter(|field| field.sort).map(|field| field.name.as_str());
    let names = names.chain(std::iter::once("id"));
    let names: Vec<&str> = names.chain(model.shows_deleted().then_some(DELETED_AT)).collect();
    let descending: Vec<String> = names.iter().map(|name| format!("-{name}")).collect();
    let words: Vec<&str> = names.iter().copied().chain(descending.iter().map(String::as_str)).collect();
    // A field can be named once: in one direction.
    let both = names.iter().zip(&descending);
    let both: Vec<Value> = both
        .map(|(up, down)| json!({ "allOf": [{ "contains": { "const": up } }, { "contains": { "const": down } }] }))
        .collect();
    let deleted = if model.shows_deleted() { " `deleted_at` only with `deleted=only`." } else { "" };
    let mut parameter = query(
        "sort",
        &format!("The order: fields separated by commas, each with `-` in front for descending.{deleted}"),
        json!({
            "type": "array",
            "minItems": 1,
            "uniqueItems": true,
            "items": { "type": "string", "enum": words },
            "not": { "anyOf": both }
        }),
    );
    comma_separated(&mut parameter);
    parameter
}

fn comma_separated(parameter: &mut Value) {
    if let Some(parameter) = parameter.as_object_mut() {
        parameter.insert("style".to_owned(), "form".into());
        parameter.insert("explode".to_owned(), false.into());
    }
}

fn filter(field: &Field, operator: FilterOp) -> Value {
    let name = &field.name;
    let parameter = match operator {
        FilterOp::Eq => format!("filter[{name}]"),
        other => format!("filter[{name}][{}]", operator_word(other)),
    };
    let (description, schema) = match operator {
        FilterOp::Eq => (format!("Only items whose `{name}` is this."), value(field)),
        FilterOp::Ne => (format!("Only items whose `{name}` is not this."), value(field)),
        FilterOp::Lt => (format!("Only items whose `{name}` is less."), value(field)),
        FilterOp::Lte => (format!("Only items whose `{name}` is less or equal."), value(field)),
        FilterOp::Gt => (format!("Only items whose `{name}` is greater."), value(field)),
        FilterOp::Gte => (format!("Only items whose `{name}` is greater or equal."), value(field)),
        FilterOp::Null => (format!("Only items whose `{name}` is null, or is not."), json!({ "type": "boolean" })),
        FilterOp::Prefix => (format!("Only items whose `{name}` starts with this."), text()),
        FilterOp::Contains => (format!("Only items whose `{name}` contains this."), text()),
        FilterOp::In if field.kind.is_quoted_in_lists() => (
            format!(
                "Only items whose `{name}` is one of these, separated by commas. Quote a value that contains a comma or \
                 starts with a quote: `\"a,b\",c`."
            ),
            listed(field),
        ),
        FilterOp::In => (
            format!("Only items whose `{name}` is one of these, separated by commas."),
            json!({ "type": "array", "minItems": 1, "maxItems": MOST_VALUES, "items": value(field) }),
        ),
    };
    let is_list = schema.get("type").is_some_and(|kind| kind == "array");
    let mut shown = query(&parameter, &description, schema);
    if is_list {
        comma_separated(&mut shown);
    }
    shown
}

/// Several texts in one.
fn listed(field: &Field) -> Value {
    match &field.kind {
        FieldType::Enum(values) => json!({ "type": "string", "pattern": listed_values(values, MOST_VALUES) }),
        FieldType::Url => json!({ "type": "string", "pattern": pattern::url_list(MOST_VALUES) }),
        _ => json!({ "type": "string", "pattern": quoted_list(MOST_VALUES) }),
    }
}

/// A value that a filter compares with.
fn value(field: &Field) -> Value {
    match &field.kind {
        FieldType::Uuid => json!({ "type": "string", "format": "uuid" }),
        FieldType::Integer => {
            json!({ "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX })
        }
        FieldType::Number => json!({ "type": "number", "format": "double" }),
        FieldType::Decimal { precision, scale } => {
            json!({
                "type": "string",
                "pattern": pattern::decimal(*precision, *scale),
                "maxLength": pattern::LONGEST_DECIMAL
            })
        }
        FieldType::Boolean => json!({ "type": "boolean" }),
        FieldType::Datetime => {
            json!({ "anyOf": [{ "type": "string", "format": "date-time" }, { "type": "string", "format": "date" }] })
        }
        FieldType::Date => json!({ "type": "string", "format": "date" }),
        FieldType::Enum(values) => json!({ "type": "string", "enum": values }),
        FieldType::Url => json!({ "type": "string", "pattern": pattern::URL, "not": { "pattern": pattern::NO_HOST } }),
        FieldType::String | FieldType::Text | FieldType::Email | FieldType::Json(_) | FieldType::Password => text(),
    }
}

fn text() -> Value {
    json!({ "type": "string", "pattern": pattern::WITHOUT_NUL })
}

fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

/// The entity tag of what the client has.
pub(super) fn if_none_match() -> Value {
    json!({
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of the response that the client has. If it is still valid, the status is 304.",
        "schema": { "type": "string" }
    })
}

/// The entity tag of the item to write, if writes need it.
pub(super) fn if_match(model: &Model) -> Option<Value> {
    (model.concurrency == Concurrency::Required).then(|| {
        json!({
            "name": "If-Match",
            "in": "header",
            "required": true,
            "description": "The `ETag` of the item as the client knows it. If it was changed, the status is 412.",
            "schema": { "type": "string" }
        })
    })
}

/// What the client prefers (RFC 7240). Other preferences are ignored, so any text is valid.
pub(super) fn prefer(minimal: Option<&str>, lenient: bool) -> Value {
    let mut description = "Preferences (RFC 7240).".to_owned();
    if let Some(text) = minimal {
        description.push_str(&format!(" `return=minimal`: {text}"));
    }
    if lenient {
        description.push_str(" `handling=lenient`: the items of a list are written one by one, and the status is 207.");
    }
    json!({ "name": "Prefer", "in": "header", "description": description, "schema": { "type": "string" } })
}

/// `Prefer` of a write of one item. It is no example where the response may be a 201, whose body tools would miss.
pub(super) fn prefer_minimal(is_example: bool) -> Value {
    let parameter = prefer(Some("the status is 204."), false);
    with_examples(parameter, if is_example { &["return=minimal"] } else { &[] })
}

/// `Prefer` of a PUT of a list.
pub(super) fn prefer_any() -> Value {
    with_examples(prefer(Some("the status is 204."), true), &["return=minimal", "handling=lenient"])
}

/// `Prefer` with `values` to try.
pub(super) fn with_examples(mut parameter: Value, values: &[&str]) -> Value {
    let examples = values.iter().map(|value| {
        let name = value.rsplit('=').next().unwrap_or_default();
        (name.to_owned(), json!({ "value": value }))
    });
    if let (false, Some(parameter)) = (values.is_empty(), parameter.as_object_mut()) {
        parameter.insert("examples".to_owned(), Value::Object(examples.collect()));
    }
    parameter
}

/// The key of a create, if creates need one.
pub(super) fn idempotency_key(model: &Model) -> Option<Value> {
    model.idempotency.required.then(|| {
        json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": true,
            "description": "A new value, such as a UUID. A request that is repeated with it gets the same response.",
            "schema": { "type": "string", "pattern": "^[!#-~][!-~]{0,254}$" }
        })
    })
}

/// The header fields of a response with a page.
pub(super) fn page_headers() -> Map<String, Value> {
    let header = |description: &str, schema: Value, example: Value| json!({ "description": description, "schema": schema, "example": example });
    let number = json!({ "type": "integer", "minimum": 0 });
    let text = json!({ "type": "string" });
    let links = "Links to other pages (RFC 8288): `first`, `next`, and with `page` also `prev` and `last`. Without `page`, the \
                 link to the next one has a `cursor`.";
    let link =
        "</api/users?per_page=20&cursor=AgADAAAAJDAxYTIy>; rel=\"next\", </api/users?per_page=20>; rel=\"first\"";
    crate::openapi::object([
        ("Link", header(links, text.clone(), link.into())),
        ("X-Total-Count", header("How many items match, on all pages.", number.clone(), 45.into())),
        (
            "X-Total-Count-Exceeds",
            header("Sent if counting stopped at this number: there are more items.", number, 10_000.into()),
        ),
        ("ETag", header("The entity tag of the page.", text, "W/\"hTbW4oJiAaZ0\"".into())),
    ])
}
