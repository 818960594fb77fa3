//! Settings of a REST resource: fields, access, and how its API behaves.

mod field;
mod rule;

pub use field::{Field, FieldKind, FilterOp, Message, Writes};
pub use rule::{Access, Condition, OneOrMany, Rule};

use crate::config::named::Named;
use gatewright_sdk::{ByteSize, HumanDuration};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// A REST resource: a table behind a list, read, create, update, delete API.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// The store that keeps it.
    pub store: String,
    /// The table. Default: the resource's name.
    #[serde(default)]
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]{0,47}$"))]
    pub table: Option<String>,
    /// The identifier of an item.
    #[serde(default)]
    pub id: Id,
    /// The operations that exist. Default: all.
    #[serde(default)]
    pub operations: Option<Vec<Operation>>,
    /// What PUT does.
    #[serde(default)]
    pub put: Put,
    /// What PATCH does.
    #[serde(default)]
    pub patch: Patch,
    /// Who may do what. There is no default: say `{ default: public }` where that is meant.
    pub access: Access,
    /// Whether writes need `If-Match`. Reads honour it too, but for `none`; `If-None-Match` is always honoured, and
    /// `If-Modified-Since` and `If-Unmodified-Since` never are: items have an entity tag and no `Last-Modified`.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// Repeated creates with one `Idempotency-Key`.
    #[serde(default)]
    pub idempotency: Option<Idempotency>,
    /// Pages of a list.
    #[serde(default)]
    pub pagination: Pagination,
    /// How the total of a list is counted. It is counted once until something is written to the table.
    #[serde(default)]
    pub count: Count,
    /// The order of a list: fields separated by commas, `-` for descending. Default: by id.
    #[serde(default)]
    pub sort: Option<String>,
    /// The longest request body.
    #[serde(default = "default_body_limit")]
    pub body_limit: ByteSize,
    /// What becomes of keys in a body that are not fields.
    #[serde(default)]
    pub unknown_fields: UnknownFields,
    /// The form of a list.
    #[serde(default)]
    pub envelope: Option<Envelope>,
    /// Several items in one request.
    #[serde(default)]
    pub bulk: Option<Bulk>,
    /// Whether deleted items are kept.
    #[serde(default)]
    pub soft_delete: Option<bool>,
    /// Further indexes, as lists of fields.
    #[serde(default)]
    pub indexes: Vec<Vec<String>>,
    /// Calls made after writes.
    #[serde(default)]
    pub events: Option<Vec<Event>>,
    /// How long a statement may take; then the answer is 503.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
    /// The fields, in the order they are shown.
    pub fields: Named<Field>,
}

const fn default_body_limit() -> ByteSize {
    ByteSize::kib(256)
}

const fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(5)
}

/// The identifier of an item.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Id {
    /// Its type.
    pub r#type: IdKind,
    /// How it is made. Default: `v7` for uuid, `auto` for integer; a string is chosen by the client.
    pub generate: Option<Generate>,
}

/// The type of an identifier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdKind {
    /// A UUID.
    #[default]
    Uuid,
    /// A number the store counts up.
    Integer,
    /// A word the client chooses.
    String,
}

/// How an identifier is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Generate {
    /// UUID version 7: ordered by time.
    V7,
    /// UUID version 4: random.
    V4,
    /// Counted up.
    Auto,
}

/// An operation of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// GET of the collection.
    List,
    /// GET of an item.
    Read,
    /// POST to the collection.
    Create,
    /// PUT and PATCH of an item.
    Update,
    /// DELETE of an item.
    Delete,
}

/// What PUT does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Put {
    /// Replaces the item (RFC 9110 section 9.3.4): fields that are not given fall back to their defaults.
    #[default]
    Replace,
    /// Changes only the fields that are given.
    Merge,
    /// 405.
    None,
}

/// What PATCH does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Patch {
    /// Merge patch, RFC 7396.
    #[default]
    Merge,
    /// 405.
    None,
}

/// Whether writes need `If-Match`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Concurrency {
    /// `If-Match` is not looked at.
    None,
    /// `If-Match` is honoured where it is sent.
    #[default]
    Optional,
    /// A write without `If-Match` is answered 428.
    Required,
}

/// Repeated creates with one `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Idempotency {
    /// How long an answer is remembered.
    #[serde(default)]
    pub ttl: Option<HumanDuration>,
    /// Whether a create must carry a key.
    #[serde(default)]
    pub required: bool,
}

/// Pages of a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pagination {
    /// Items on a page when the request does not say.
    #[schemars(range(min = 1, max = 1000))]
    pub per_page: u32,
    /// The most items on a page; larger wishes get this many.
    #[schemars(range(min = 1, max = 1000))]
    pub max_per_page: u32,
    /// How deep `page` may go, in items; beyond it only the cursor leads.
    pub max_offset: u64,
}

impl Default for Pagination {
    fn default() -> Self {
        Self { per_page: 20, max_per_page: 100, max_offset: 100_000 }
    }
}

/// How the total of a list is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Up to this many.
    Capped(u64),
    /// Exactly.
    Exact,
    /// Not.
    None,
}

impl Default for Count {
    fn default() -> Self {
        Self::Capped(10_000)
    }
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum CountWord {
    Capped,
    Exact,
    None,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CountCap {
    /// Up to how many items are counted.
    #[schemars(range(min = 1))]
    cap: u64,
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.is_object() {
            let CountCap { cap } = serde_json::from_value(value).map_err(serde::de::Error::custom)?;
            return Ok(Self::Capped(cap));
        }
        Ok(match serde_json::from_value(value).map_err(serde::de::Error::custom)? {
            CountWord::Capped => Self::default(),
            CountWord::Exact => Self::Exact,
            CountWord::None => Self::None,
        })
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Capped(cap) => CountCap { cap: *cap }.serialize(serializer),
            Self::Exact => CountWord::Exact.serialize(serializer),
            Self::None => CountWord::None.serialize(serializer),
        }
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let cap = generator.subschema_for::<CountCap>();
        json_schema!({
            "description": "How the total is counted: `capped` (up to 10000), `{ cap: N }`, `exact` or `none`.",
            "anyOf": [{ "type": "string", "enum": ["capped", "exact", "none"] }, cap]
        })
    }
}

/// What becomes of keys in a body that are not fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// The request is answered 400.
    #[default]
    Reject,
    /// They are dropped.
    Ignore,
}

/// The form of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// A bare array; paging facts are in the header.
    None,
    /// `{"data": […], "page": {…}}`.
    Page,
}

/// Several items in one request.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// Whether POST takes a list.
    #[serde(default)]
    pub create: bool,
    /// The most items of a list.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max: Option<u32>,
}

/// A call made after writes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The writes.
    pub on: Vec<Operation>,
    /// Where the call goes.
    pub webhook: String,
    /// The key it is signed with.
    #[serde(default)]
    pub secret: Option<gatewright_sdk::Secret>,
}
