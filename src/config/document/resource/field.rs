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
    /// The type of the field.
    pub r#type: FieldKind,
    /// Whether a new item must have it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// Whether it may be null. Default: yes, unless it is required. To remove a field that may not be null, write
    /// `nullable: true` first and reload.
    #[serde(default)]
    pub nullable: Option<bool>,
    /// The value in a new item that does not set it: a constant, `now`, `uuid` or `$claims.NAME`.
    #[serde(default)]
    pub default: Option<Value>,
    /// The value that the server sets; clients cannot set it. `on_create` sets the current time or date, or a new UUID,
    /// when an item is created. `on_write` sets the current time or date at every write. `$claims.NAME` sets a claim of
    /// the caller when an item is created.
    ///
    /// A claim is converted to the type of the field, a time such as `exp` to a datetime. A number is not converted to
    /// text. Numbers with a fraction or of more than 64 bits become doubles. If the caller's claim does not fit, a create
    /// is rejected with 403, and the reason in the log names the claim and the type.
    #[serde(default)]
    #[schemars(extend("examples" = ["on_create", "on_write", "$claims.sub"]))]
    pub set: Option<String>,
    /// Clients cannot set it. Implied by `set`.
    #[serde(default)]
    pub read_only: Option<bool>,
    /// Clients can set it and never see it. Implied by the type `password`.
    #[serde(default)]
    pub write_only: Option<bool>,
    /// Clients can neither set nor see it. Access rules can use it.
    #[serde(default)]
    pub hidden: Option<bool>,
    /// The requests that may set it: `[create]`, `[update]` or both. Default: both.
    #[serde(default)]
    pub accept_on: Option<Vec<Writes>>,
    /// Minimum length of a text in characters, minimum value of a number, or minimum number of items of a list in a
    /// `json` field.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub min: Option<Number>,
    /// Maximum length of a text in characters, maximum value of a number, or maximum number of items of a list in a
    /// `json` field.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub max: Option<Number>,
    /// Number of digits of a `decimal`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 38))]
    pub precision: Option<u32>,
    /// Number of digits of a `decimal` after the point. It cannot change once there are items.
    #[serde(default)]
    #[schemars(range(min = 0, max = 38))]
    pub scale: Option<u32>,
    /// A regular expression that must match somewhere in the value; anchor it with `^` and `$`. The syntax is that of
    /// Rust's regex crate.
    #[serde(default)]
    #[schemars(length(max = 512))]
    pub pattern: Option<String>,
    /// The values of an `enum`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub values: Option<Vec<String>>,
    /// Remove white space at both ends before the value is validated. It cannot change once there are items.
    #[serde(default, skip_serializing_if = "is_false")]
    pub trim: bool,
    /// Convert the value to lower case before it is validated. It cannot change once there are items.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lowercase: bool,
    /// The message for clients when a rule is violated: one text, or one for each rule.
    #[serde(default)]
    pub message: Option<Message>,
    /// No two items may have the same value. An edit that adds the rule is rejected while there are equal items.
    #[serde(default, skip_serializing_if = "Unique::is_false")]
    pub unique: Unique,
    /// The operators with which a list can be filtered by this field, as in `?filter[name][prefix]=A`. Default: none.
    ///
    /// Values are compared in the form in which they are stored: trimmed, in lower case, in UTC, the domain of an e-mail
    /// address in lower case and ASCII. The same applies to the arguments of `prefix` and `contains`: for an e-mail
    /// address, the part after the `@` (international names in whole labels); for a trimmed field, a `prefix` without
    /// leading spaces.
    ///
    /// `in` accepts values separated by commas. A value that contains a comma or starts with a quote is quoted, with `\"`
    /// for a quote and `\\` for a backslash: `?filter[name][in]="Doe, Jane",Ada`. Spaces are part of a value; a space
    /// next to a quote is rejected with 400. Only texts take quotes, and enums with a comma or a quote in one of their values.
    #[serde(default)]
    pub filter: Vec<FilterOp>,
    /// Whether a list can be sorted by it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sort: bool,
    /// Whether it has an index. An index that is no longer configured is kept until you drop it in the database.
    #[serde(default, skip_serializing_if = "is_false")]
    pub index: bool,
    /// Its previous name, whose values it takes: `gatewright migrate --apply` renames the column. Afterwards it has no effect,
    /// and can be removed.
    #[serde(default)]
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]{0,47}$"))]
    pub renamed_from: Option<String>,
    /// The resource that a `ref` refers to, in the same store. A value is the id of one of its items that is there, and that
    /// the caller may read; otherwise the request is rejected with 400.
    #[serde(default)]
    pub to: Option<String>,
    /// What happens to this item when the item that a `ref` refers to is deleted. Default: `restrict`. It can be changed at any
    /// time. A caller who may delete that item need not be allowed to delete or change this one.
    #[serde(default)]
    pub on_delete: Option<OnDelete>,
    /// Whether `?expand=FIELD` adds the item that a `ref` refers to to responses, if the caller may read it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub expand: bool,
    /// The JSON Schema (2020-12) of a `json` field.
    #[serde(default)]
    pub schema: Option<Value>,
    /// A description for API documentation.
    #[serde(default)]
    pub description: Option<String>,
    /// An example for API documentation.
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
    /// An e-mail address, as in `input type=email` of HTML: ASCII only before the `@`, no quotes, no address literals
    /// such as `[127.0.0.1]`. The domain is stored in lower case and ASCII (`bücher.example` as `xn--bcher-kva.example`).
    /// The part before the `@` is stored unchanged; see `lowercase` and `unique.ignore_case`.
    Email,
    /// A UUID.
    Uuid,
    /// An absolute URL, stored unchanged. Spaces and line breaks must be percent-encoded.
    Url,
    /// A 64-bit integer.
    Integer,
    /// A finite 64-bit floating-point number.
    Number,
    /// An exact decimal; a string in JSON.
    Decimal,
    /// True or false.
    Boolean,
    /// A point in time (RFC 3339) from year 0001 to 9999, stored in UTC with microseconds. A leap second is stored as the
    /// following second.
    Datetime,
    /// A date (RFC 3339).
    Date,
    /// One of `values`.
    Enum,
    /// Any JSON value, up to 31 levels deep. Numbers are stored as sent, with all digits. A `schema` compares fractions
    /// as 64-bit floating-point numbers, and rejects numbers of more than 64 bits.
    Json,
    /// A password. It is stored as an Argon2id hash and never shown.
    Password,
    /// The id of an item of another resource, or of this one: see `to`. It has the type of that id, an index, and a foreign key.
    Ref,
}

/// A request that may set a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Writes {
    /// POST.
    Create,
    /// PUT and PATCH.
    Update,
}

/// An operator of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilterOp {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less than.
    Lt,
    /// Less than or equal.
    Lte,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Gte,
    /// One of a list.
    In,
    /// Null or not null.
    Null,
    /// Starts with.
    Prefix,
    /// Contains.
    Contains,
}

/// What happens to an item when the item it refers to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// The referenced item cannot be deleted (409).
    Restrict,
    /// This item is deleted too.
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
                    serde_json::json!({ "type": "string", "description": "The message when this rule is violated." }),
                )
            })
            .collect();
        json_schema!({
            "description": "One text for all rules of the field, or a map from rule to text: `{ min: \"Too short\" }`.",
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
    /// Whether the file says that there are no such fields: that is intended, also beside a preset.
    pub across: bool,
}

impl Unique {
    const fn is_false(&self) -> bool {
        !self.unique
    }
}

/// How equal values are detected.
#[derive(Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct UniqueRule {
    /// Ignore the case of ASCII letters.
    ignore_case: bool,
    /// The message for clients.
    message: Option<String>,
    /// The value must be unique only together with these fields. `[]` says that it must be unique across all owners or
    /// tenants of a `preset`, about which there would be a warning otherwise.
    with: Option<Vec<String>>,
}

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(unique) => Ok(Self { unique, ..Self::default() }),
            rule => {
                let UniqueRule { ignore_case, message, with } =
                    serde_json::from_value(rule).map_err(D::Error::custom)?;
                let across = with.as_ref().is_some_and(Vec::is_empty);
                Ok(Self { unique: true, ignore_case, message, with: with.unwrap_or_default(), across })
            }
        }
    }
}

impl Serialize for Unique {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { unique, ignore_case, message, with, across } = self.clone();
        let with = (across || !with.is_empty()).then_some(with);
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
            "description": "`true`, or settings: `{ ignore_case: true, message: \"Already registered\" }`.",
            "anyOf": [{ "type": "boolean" }, rule]
        })
    }
}
