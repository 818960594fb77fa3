//! Settings of a REST resource: fields, access, and how its API behaves.

mod field;
mod rule;
mod soft_delete;

pub use field::{Field, FieldKind, FilterOp, Message, OnDelete, Writes};
pub use rule::{Access, Condition, OneOrMany, Preset, Rule};
pub use soft_delete::SoftDelete;

use crate::config::named::Named;
use gatewright_sdk::{ByteSize, HumanDuration};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// A REST resource: a table with an API to list, read, create, update and delete its items.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// The store that keeps its items.
    pub store: String,
    /// The name of the table. Default: the name of the resource.
    #[serde(default)]
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]{0,47}$"))]
    pub table: Option<String>,
    /// The identifier of an item, `id`.
    #[serde(default)]
    pub id: Id,
    /// The operations to serve. Default: all.
    #[serde(default)]
    pub operations: Option<Vec<Operation>>,
    /// What PUT does.
    #[serde(default)]
    pub put: Put,
    /// What PATCH does.
    #[serde(default)]
    pub patch: Patch,
    /// Who may do what, such as `{ default: authenticated }`.
    pub access: Access,
    /// Whether writes need `If-Match`. Reads honor `If-Match` too, unless this is `none`. `If-None-Match` is always
    /// honored. `If-Modified-Since` and `If-Unmodified-Since` are ignored, because items have an entity tag and no
    /// `Last-Modified`.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// Creates that clients repeat with the same `Idempotency-Key`: the item is made once, and the response is sent again.
    #[serde(default)]
    pub idempotency: Idempotency,
    /// The pages of a list.
    #[serde(default)]
    pub pagination: Pagination,
    /// How the total number of items in a list is determined. Default: `capped`. The result is reused until something is
    /// written to the table.
    #[serde(default)]
    pub count: Count,
    /// The default order of a list: fields separated by commas, `-` for descending, such as `-created_at,name`. Default:
    /// by id.
    #[serde(default)]
    pub sort: Option<String>,
    /// Maximum size of a request body.
    #[serde(default = "default_body_limit")]
    pub body_limit: ByteSize,
    /// What happens to keys in a request body that are not fields.
    #[serde(default)]
    pub unknown_fields: UnknownFields,
    /// The format of a list.
    #[serde(default)]
    pub envelope: Option<Envelope>,
    /// Several items in one request.
    #[serde(default)]
    pub bulk: Bulk,
    /// Whether deleted items are kept, so that POST of `/restore` below an item brings it back: `true`, or `{ keep: 90d }` to remove
    /// them for good after a time. The rule `restore` in `access` says who may restore and see them.
    #[serde(default, skip_serializing_if = "SoftDelete::is_off")]
    pub soft_delete: SoftDelete,
    /// Additional indexes, as lists of fields: `[[status, created_at]]`.
    #[serde(default)]
    pub indexes: Vec<Vec<String>>,
    /// Calls made after writes.
    #[serde(default)]
    pub events: Option<Vec<Event>>,
    /// How long a database statement may take. Then the response is 503.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
    /// The fields of an item, in the order in which they appear in responses.
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
    /// The type of the identifier.
    pub r#type: IdKind,
    /// How identifiers are generated. Default: `v7` for `uuid`, `auto` for `integer`. For `string`, the client chooses.
    pub generate: Option<Generate>,
}

/// The type of an identifier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdKind {
    /// A UUID.
    #[default]
    Uuid,
    /// A number that the store increments.
    Integer,
    /// Text that the client chooses.
    String,
}

/// How identifiers are generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Generate {
    /// UUID version 7, ordered by time.
    V7,
    /// UUID version 4, random.
    V4,
    /// A number that increases.
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
    /// POST of `/restore` below a deleted item, with `soft_delete`.
    Restore,
}

/// What PUT does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Put {
    /// Replaces the item (RFC 9110, section 9.3.4). Fields that are not sent are reset to their defaults.
    #[default]
    Replace,
    /// Changes only the fields that are sent.
    Merge,
    /// PUT is not allowed (405).
    None,
}

/// What PATCH does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Patch {
    /// JSON Merge Patch (RFC 7396).
    #[default]
    Merge,
    /// PATCH is not allowed (405).
    None,
}

/// Whether writes need `If-Match`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Concurrency {
    /// `If-Match` is ignored.
    None,
    /// `If-Match` is honored if it is sent.
    #[default]
    Optional,
    /// A write without `If-Match` is rejected with 428.
    Required,
}

/// Creates that clients repeat with the same `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Idempotency {
    /// How long a response is remembered.
    pub ttl: HumanDuration,
    /// Whether a create must have a key. Without one it is rejected with 400.
    pub required: bool,
}

impl Default for Idempotency {
    fn default() -> Self {
        Self { ttl: HumanDuration::from_secs(24 * 3600), required: false }
    }
}

/// The pages of a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pagination {
    /// Number of items on a page if the request does not set `per_page`.
    #[schemars(range(min = 1, max = 1000))]
    pub per_page: u32,
    /// Maximum number of items on a page. Larger values in a request are reduced to it.
    #[schemars(range(min = 1, max = 1000))]
    pub max_per_page: u32,
    /// How many items `page` can skip. The last page that can be requested by number is `max_offset / max_per_page + 1`,
    /// whatever the `per_page` of the request. Beyond that, clients follow the cursor.
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

/// Up to how many items are counted.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CountCap {
    /// Maximum number of items to count.
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
            "description": "`capped`, `exact`, `none` or `{ cap: N }`.",
            "anyOf": [{
                "type": "string",
                "enum": ["capped", "exact", "none"],
                "enumDescriptions": [
                    "Up to 10000 items are counted. The default.",
                    "All items are counted. Expensive for large tables.",
                    "Items are not counted."
                ]
            }, cap]
        })
    }
}

/// What happens to keys in a request body that are not fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// The request is rejected with 400.
    #[default]
    Reject,
    /// They are ignored.
    Ignore,
}

/// The format of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// A plain array; information about pages is in the header.
    None,
    /// `{"data": […], "page": {…}}`.
    Page,
}

/// Several items in one request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bulk {
    /// Whether POST accepts a list. All items are created or, if one cannot be, none.
    pub create: bool,
    /// The field by which PUT of the collection knows the items of a list: those with a value that exists are changed as `put`
    /// says, the others are created. A field with `unique: true`, or `id` if clients choose it.
    pub upsert: Option<String>,
    /// Maximum number of items in a list. `body_limit` applies too.
    #[schemars(range(min = 1, max = 10000))]
    pub max: u32,
}

impl Default for Bulk {
    fn default() -> Self {
        Self { create: false, upsert: None, max: 100 }
    }
}

/// A call made after writes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The operations after which the call is made.
    pub after: Vec<Operation>,
    /// Where the call is sent.
    pub webhook: String,
    /// The key that signs the call.
    #[serde(default)]
    pub secret: Option<gatewright_sdk::Secret>,
}
