//! What a client can send instead of a parameter that was rejected.

use crate::resource::field::Field;
use crate::resource::field_type::FieldType;
use crate::resource::model::Model;
use crate::resource::operator::operator_word;

pub const NONE: &str = "this request takes no query parameters";
pub const CURSOR: &str =
    "take the cursor from the Link header with rel=\"next\", and keep sort and filters as they were";
pub const REPEATED: &str = "send it once; filter[FIELD][in]=a,b takes several values";
pub const PAGE: &str = "send a whole number; the first page is 1";
pub const PAGE_OR_CURSOR: &str =
    "send one of them; the link with rel=\"next\" in the Link header already has what it needs";
pub const DELETED: &str = "send deleted=only for deleted items, or leave it out";
pub const OF_DELETED: &str = "only deleted items have this field";
pub const ASK_FOR_DELETED: &str = "add deleted=only, for a list of the deleted items";
pub const OF_DELETE: &str =
    "the only parameter is deleted=only, which removes an item for good that is deleted already";
pub const COUNT: &str = "send count=exact, count=capped or count=none, or leave it out";
pub const ENCODING: &str = "write other characters as UTF-8 bytes in hex, such as %C3%BC, and a percent sign as %25";
pub const NUL: &str = "send the text without %00";
pub const DATETIME: &str = "send a date-time such as 2026-01-31T12:00:00Z, or a date, which is midnight UTC";
pub const LIMITS: &str = "a list takes at most 16 filters";

const PARAMETERS: [&str; 7] = ["page", "per_page", "cursor", "sort", "fields", "expand", "count"];

/// Names that other APIs have for the same things.
const ELSEWHERE: [(&str, &[&str]); 4] = [
    ("per_page", &["limit", "size", "page_size", "pagesize", "top", "take", "first"]),
    ("page", &["offset", "skip", "start", "pagenumber", "page_number"]),
    ("sort", &["order", "order_by", "orderby", "sort_by", "sortby"]),
    ("fields", &["select", "include", "only"]),
];

/// Longer names are not compared with known ones.
const LONGEST_NAME: usize = 32;

/// Names listed in one help text; more would not be read.
const LISTED: usize = 40;

/// The parameters of a list.
pub fn of_list(model: &Model) -> String {
    let (expand, deleted) = own(model);
    format!(
        "known parameters: page, per_page, cursor, sort, fields{expand}, count{deleted}, filter[FIELD], filter[FIELD][OPERATOR]"
    )
}

/// The parameters of an item.
pub fn of_item(model: &Model) -> String {
    match own(model) {
        ("", "") => "known parameter: fields".to_owned(),
        (expand, deleted) => format!("known parameters: fields{expand}{deleted}"),
    }
}

/// The parameters that not every resource has.
fn own(model: &Model) -> (&'static str, &'static str) {
    let expand = if fields(model).any(Field::expands) { ", expand" } else { "" };
    let deleted = if model.shows_deleted() || model.is_of_deleted() { ", deleted" } else { "" };
    (expand, deleted)
}

/// How to send several values of a parameter that was sent twice.
pub fn once(name: &str) -> &'static str {
    match name {
        "fields" => "send it once, with all fields: fields=a,b",
        "expand" => "send it once, with all fields: expand=a,b",
        "sort" => "send it once, with each field once: sort=a,-b",
        _ => "send it once",
    }
}

pub fn page_sizes(max: u32) -> String {
    format!("send a whole number from 1 to {max}")
}

/// How to write a filter that was sent without a value.
pub fn no_value(key: &str) -> String {
    format!("send {key}=VALUE; an empty VALUE compares with the empty text")
}

/// What a value of a filter can look like.
pub fn value(kind: &FieldType) -> Option<&'static str> {
    Some(match kind {
        FieldType::Integer => "send a whole number, such as 42 or -7",
        FieldType::Number => "send a number, such as 42 or -1.5",
        FieldType::Decimal { .. } => "send a decimal number, such as 12.50",
        FieldType::Boolean => "send true or false",
        FieldType::Uuid => "send a UUID, such as 01a22510-357c-72a9-84c8-411555ce7244",
        FieldType::Date => "send a date, such as 2026-01-31",
        FieldType::Datetime => DATETIME,
        _ => return None,
    })
}

/// The parameter of a list that was probably meant by `name`, and the ones there are.
pub fn list(model: &Model, name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let by_other_name = ELSEWHERE.iter().find(|(_, names)| names.contains(&&*lower)).map(|(known, _)| *known);
    let near = || {
        if lower.len() > LONGEST_NAME {
            return None;
        }
        let distance = |known: &&str| strsim::osa_distance(&lower, known);
        let most = |known: &&str| if known.len() > 4 { 2 } else { 1 };
        PARAMETERS.into_iter().min_by_key(distance).filter(|known| distance(known) <= most(known))
    };
    match fields(model).find(|field| field.name == name) {
        Some(field) if field.filter.is_empty() => return operators(model, field),
        Some(field) => return format!("to filter by `{name}`, send filter[{name}]{}=VALUE", first_operator(field)),
        None => {}
    }
    match by_other_name.or_else(near) {
        Some(known) => format!("did you mean `{known}`? {}", of_list(model)),
        None => of_list(model),
    }
}

/// `eq` needs no word.
fn first_operator(field: &Field) -> String {
    match field.filter.iter().map(|operator| operator_word(*operator)).collect::<Vec<_>>().as_slice() {
        words if words.contains(&"eq") => String::new(),
        [first, ..] => format!("[{first}]"),
        [] => String::new(),
    }
}

/// The operators of a field that can be filtered, otherwise the fields that can.
pub fn operators(model: &Model, field: &Field) -> String {
    if field.filter.is_empty() {
        format!("`{}` cannot be filtered; {}", field.name, filters(model))
    } else {
        format!("operators of `{}`: {}", field.name, words(field))
    }
}

/// The fields that can be filtered, each with its operators.
pub fn filters(model: &Model) -> String {
    let filterable = fields(model).filter(|field| !field.filter.is_empty());
    let listed = filterable.map(|field| format!("{} ({})", field.name, words(field)));
    named("fields that can be filtered", listed)
}

/// The fields that a list can be sorted by.
pub fn sortable(model: &Model) -> String {
    let sortable = fields(model).filter(|field| field.sort).map(|field| field.name.clone());
    named("fields to sort by", std::iter::once("id".to_owned()).chain(sortable)) + "; a leading - reverses the order"
}

/// The fields that a response can show.
pub fn shown(model: &Model) -> String {
    named("known fields", std::iter::once("id".to_owned()).chain(fields(model).map(|field| field.name.clone())))
}

/// The fields whose items a response can show.
pub fn expandable(model: &Model) -> String {
    named("fields that can be expanded", fields(model).filter(|field| field.expands()).map(|field| field.name.clone()))
}

fn fields(model: &Model) -> impl Iterator<Item = &Field> {
    model.fields.iter().filter(|field| field.visible())
}

fn words(field: &Field) -> String {
    field.filter.iter().map(|operator| operator_word(*operator)).collect::<Vec<_>>().join(", ")
}

pub fn named(what: &str, mut names: impl Iterator<Item = String>) -> String {
    let listed: Vec<_> = names.by_ref().take(LISTED).collect();
    match (listed.is_empty(), names.next()) {
        (true, _) => format!("{what}: none"),
        (false, None) => format!("{what}: {}", listed.join(", ")),
        (false, Some(_)) => format!("{what}: {}, and more", listed.join(", ")),
    }
}
