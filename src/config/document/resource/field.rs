//! A field of a resource: its type and its rules.

use crate::config::named::Named;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};
use std::borrow::Cow;

/// A field of a resource.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its type.
    pub r#type: FieldKind,
    /// Whether a new item must carry it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// Whether it may be null. Default: when it is not required. To take a field out that may not be null, write
    /// `nullable: true` first and reload.
    #[serde(default)]
    pub nullable: Option<bool>,
    /// What it is when a new item does not carry it: a constant, `now`, `uuid` or `$claims.NAME`.
    #[serde(default)]
    pub default: Option<Value>,
    /// When the server sets it: `on_create`, `on_write`, or `$claims.NAME`. Clients cannot. The text of a claim is read as
    /// the type, and a time such as `exp` as the moment for a datetime field. A number is not read as text: it does not fit a
    /// string field. Numbers with a fraction or beyond 64 bits are read as doubles. A create by a caller whose claim does not fit is 403, and the reason in the log names
    /// the claim and the type.
    #[serde(default)]
    pub set: Option<String>,
    /// Clients cannot set it. Always so with `set`.
    #[serde(default)]
    pub read_only: Option<bool>,
    /// Clients can set it and never see it. Always so for a password.
    #[serde(default)]
    pub write_only: Option<bool>,
    /// Clients can neither set nor see it; access rules can use it.
    #[serde(default)]
    pub hidden: Option<bool>,
    /// The requests that may carry it. Default: both.
    #[serde(default)]
    pub on: Option<Vec<Writes>>,
    /// The minimum of characters of a text, of a number's value, or of a list's items. A json field that holds
    /// something else than a list is not bounded by it.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub min: Option<Number>,
    /// The maximum of characters of a text, of a number's value, or of a list's items. A json field that holds
    /// something else than a list is not bounded by it.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub max: Option<Number>,
    /// The digits of a decimal.
    #[serde(default)]
    #[schemars(range(min = 1, max = 38))]
    pub precision: Option<u32>,
    /// The digits of a decimal after the point. Cannot change once there are items.
    #[serde(default)]
    #[schemars(range(min = 0, max = 38))]
    pub scale: Option<u32>,
    /// A regular expression that finds a match in it (linear-time syntax of Rust's regex crate).
    #[serde(default)]
    #[schemars(length(max = 512))]
    pub pattern: Option<String>,
    /// The values of an enum.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub values: Option<Vec<String>>,
    /// Take white space off both ends before it is judged. Cannot change once there are items.
    #[serde(default, skip_serializing_if = "is_false")]
    pub trim: bool,
    /// Lower its case, letter by letter, before it is judged. Cannot change once there are items.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lowercase: bool,
    /// What a client is told when a rule is broken.
    #[serde(default)]
    pub message: Option<Message>,
    /// No two items may have the same value. A rule that comes back to items that are equal by now holds for what is
    /// written from then on.
    #[serde(default, skip_serializing_if = "Unique::is_false")]
    pub unique: Unique,
    /// The comparisons a list may be filtered by, as in `?filter[name][prefix]=A`. Default: none. Values are compared in
    /// the form in which they are kept: trimmed, lowered, in UTC, the domain of an e-mail address in lower case and in
    /// ASCII. So are the pieces that `prefix` and `contains` take: of an e-mail address, what follows the `@`
    /// (international names by whole labels), of a trimmed field a `prefix` without blanks before it. `in` takes values
    /// with commas between them; a value that holds a comma or begins with a quote is written in quotes, where `\"` is a
    /// quote and `\\` a backslash: `?filter[name][in]="Doe, Jane",Ada`. Blanks are part of a value, and a blank beside a
    /// quote is 400.
    #[serde(default)]
    pub filter: Vec<FilterOp>,
    /// Whether a list may be sorted by it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sort: bool,
    /// Whether it has an index. One that is no longer declared stays until it is dropped in the database.
    #[serde(default, skip_serializing_if = "is_false")]
    pub index: bool,
    /// The name it had before; applied by `gatewright migrate`.
    #[serde(default)]
    pub renamed_from: Option<String>,
    /// The resource a ref points to.
    #[serde(default)]
    pub to: Option<String>,
    /// What becomes of this item when the one it points to is deleted.
    #[serde(default)]
    pub on_delete: Option<OnDelete>,
    /// Whether a request may ask for the item it points to.
    #[serde(default, skip_serializing_if = "is_false")]
    pub expand: bool,
    /// The JSON Schema (2020-12) of a json field.
    #[serde(default)]
    pub schema: Option<Value>,
    /// For the API's documentation.
    #[serde(default)]
    pub description: Option<String>,
    /// For the API's documentation.
    #[serde(default)]
    pub example: Option<Value>,
}

/// Rules that are off are not shown, because a field has many.
const fn is_false(rule: &bool) -> bool {
    !*rule
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Text.
    String,
    /// Long text.
    Text,
    /// An e-mail address, by the rule of HTML's `input type=email`: ASCII only before the `@`, no quotes, no address
    /// literals such as `[127.0.0.1]`. The domain is kept in lower case and international ones in ASCII
    /// (`bücher.example` as `xn--bcher-kva.example`), so that its spellings are one; what stands before the `@` is kept
    /// as it is, see `lowercase` and `unique.ignore_case`.
    Email,
    /// A UUID.
    Uuid,
    /// An absolute URL, kept as it is. Blanks and line breaks must be percent-encoded.
    Url,
    /// A whole number of 64 bits.
    Integer,
    /// A finite number of 64 bits; the nearest one to what was sent.
    Number,
    /// An exact decimal; a string in JSON.
    Decimal,
    /// True or false.
    Boolean,
    /// A point in time (RFC 3339), from year 0000 to 9999; kept in UTC to the microsecond. A leap second is kept as the
    /// second after it.
    Datetime,
    /// A day (RFC 3339).
    Date,
    /// One of `values`.
    Enum,
    /// Any JSON, up to 31 levels deep. Numbers are kept as they were written, with every digit. A `schema` judges
    /// fractions by the nearest number of 64 bits, and values with numbers beyond 64 bits are refused.
    Json,
    /// A password: never shown, kept as an Argon2id hash.
    Password,
    /// The id of an item of another resource.
    Ref,
}

/// A request that may carry a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Writes {
    /// POST.
    Create,
    /// PUT and PATCH.
    Update,
}

/// A comparison of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilterOp {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// One of a list.
    In,
    /// Null or not.
    Null,
    /// Begins with.
    Prefix,
    /// Holds.
    Contains,
}

/// What becomes of an item when the one it points to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// The other one cannot be deleted.
    Restrict,
    /// It is deleted too.
    Cascade,
    /// The field becomes null.
    SetNull,
}

/// What a client is told when a rule is broken: one text for all rules, or one for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    All(String),
    Each(Named<String>),
}

/// The rules that can have their own message.
pub const MESSAGE_RULES: [&str; 8] = ["required", "type", "null", "format", "min", "max", "pattern", "values"];

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(all) => Ok(Self::All(all)),
            each => serde_json::from_value(each).map(Self::Each).map_err(D::Error::custom),
        }
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All(all) => all.serialize(serializer),
            Self::Each(each) => each.serialize(serializer),
        }
    }
}

impl JsonSchema for Message {
    fn schema_name() -> Cow<'static, str> {
        "Message".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let rules: serde_json::Map<_, _> = MESSAGE_RULES
            .iter()
            .map(|rule| {
                (
                    (*rule).to_owned(),
                    serde_json::json!({ "type": "string", "description": "The text when this rule is broken." }),
                )
            })
            .collect();
        json_schema!({
            "description": "One text for every rule of the field, or a map from rule to text.",
            "anyOf": [{ "type": "string" }, { "type": "object", "properties": rules, "additionalProperties": false }]
        })
    }
}

/// Whether no two items may have the same value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unique {
    pub unique: bool,
    /// Compare ASCII letters without case.
    pub ignore_case: bool,
    pub message: Option<String>,
    /// Unique together with these fields.
    pub with: Vec<String>,
}

impl Unique {
    const fn is_false(&self) -> bool {
        !self.unique
    }
}

#[derive(Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct UniqueRule {
    /// Compare ASCII letters without case.
    ignore_case: bool,
    /// What a client is told.
    message: Option<String>,
    /// Unique together with these fields.
    with: Vec<String>,
}

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(unique) => Ok(Self { unique, ..Self::default() }),
            rule => {
                let UniqueRule { ignore_case, message, with } =
                    serde_json::from_value(rule).map_err(D::Error::custom)?;
                Ok(Self { unique: true, ignore_case, message, with })
            }
        }
    }
}

impl Serialize for Unique {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { unique, ignore_case, message, with } = self.clone();
        let rule = UniqueRule { ignore_case, message, with };
        if !unique || rule == UniqueRule::default() { unique.serialize(serializer) } else { rule.serialize(serializer) }
    }
}

impl JsonSchema for Unique {
    fn schema_name() -> Cow<'static, str> {
        "Unique".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rule = generator.subschema_for::<UniqueRule>();
        json_schema!({
            "description": "`true`, or a map with `ignore_case`, `message`, `with`.",
            "anyOf": [{ "type": "boolean" }, rule]
        })
    }
}
