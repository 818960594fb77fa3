//! Access rules of a resource.

use crate::config::named::Named;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// Who may do what. Operations without a rule use `default`; an operation without either is an error.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// A restriction of every operation: `owner` to the items of the caller, `tenant` to those of the tenant of the caller. Rules of
    /// operations restrict it further. It needs `field`, and that field needs `set: $claims.NAME`.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// The field with the owner or the tenant of an item, for `preset`.
    #[serde(default)]
    pub field: Option<String>,
    /// The claim of the caller that the field must be equal to, for `preset`. Default: `sub` for `owner`.
    #[serde(default)]
    pub claim: Option<String>,
    /// Callers whom `preset` does not restrict, such as `{ role: admin }`, without `where`. In a POST, they say to whom a new item belongs.
    #[serde(default)]
    pub except: Option<Condition>,
    /// The rule for operations without a rule.
    #[serde(default)]
    pub default: Option<Rule>,
    /// Who may list items. With a `where` condition, a list contains only the items that match.
    #[serde(default)]
    pub list: Option<Rule>,
    /// Who may read an item.
    #[serde(default)]
    pub read: Option<Rule>,
    /// Who may create an item.
    #[serde(default)]
    pub create: Option<Rule>,
    /// Who may change an item. The rule must hold for the item before the change and after it, so that callers cannot
    /// give their own items away or move them to another tenant. `update_check` replaces the second check.
    #[serde(default)]
    pub update: Option<Rule>,
    /// The rule for an item after an update, if it differs from `update`; like `WITH CHECK` in PostgreSQL row security.
    /// With `update: { where: { owner: $claims.sub, status: draft } }` and `update_check: { where: { owner: $claims.sub }
    /// }` an owner may publish a draft. `public` allows any result.
    #[serde(default)]
    pub update_check: Option<Rule>,
    /// Who may delete an item.
    #[serde(default)]
    pub delete: Option<Rule>,
    /// Who may restore a deleted item, and list and read deleted items, with `soft_delete`. A `where` condition is about the
    /// deleted item. To remove it for good (`DELETE` with `?deleted=only`), callers must meet `delete` and `restore`.
    #[serde(default)]
    pub restore: Option<Rule>,
}

/// A restriction of every operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Items belong to the account that created them.
    Owner,
    /// Items belong to the tenant of the account that created them.
    Tenant,
}

/// Who may do one operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Anyone.
    Public,
    /// Anyone with a valid token.
    Authenticated,
    /// No one.
    None,
    /// Callers who meet a condition.
    Condition(Condition),
}

/// A condition on the caller and the item. Every part that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// A role, or a list of roles; any one is enough.
    pub role: Option<OneOrMany>,
    /// A scope, or a list of scopes; any one is enough.
    pub scope: Option<OneOrMany>,
    /// The caller's token has claims with exactly these values: `{ plan: pro }`.
    pub claims: Named<Value>,
    /// Fields of the item must have these values: `{ owner: $claims.sub, status: { ne: archived } }`. A value is a
    /// constant, `{ operator: value }`, or a claim as `$claims.NAME`. The operators and values are those of `filter` for
    /// the type of the field. A claim is converted to the type of the field, a time such as `exp` to a datetime; a claim
    /// that is missing or does not fit matches nothing.
    ///
    /// `{ list_id.owner_id: $claims.sub }` is about the item that the `ref` field `list_id` refers to.
    pub r#where: Named<Value>,
    /// At least one of these conditions holds.
    pub any: Vec<Condition>,
    /// All of these conditions hold.
    pub all: Vec<Condition>,
}

/// One text, or a list of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMany(pub Vec<String>);

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Public,
    Authenticated,
    None,
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.is_object() {
            return serde_json::from_value(value).map(Self::Condition).map_err(D::Error::custom);
        }
        Ok(match serde_json::from_value(value).map_err(D::Error::custom)? {
            Word::Public => Self::Public,
            Word::Authenticated => Self::Authenticated,
            Word::None => Self::None,
        })
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Public => Word::Public.serialize(serializer),
            Self::Authenticated => Word::Authenticated.serialize(serializer),
            Self::None => Word::None.serialize(serializer),
            Self::Condition(condition) => condition.serialize(serializer),
        }
    }
}

impl JsonSchema for Rule {
    fn schema_name() -> Cow<'static, str> {
        "AccessRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let condition = generator.subschema_for::<Condition>();
        json_schema!({
            "description": "`public`, `authenticated`, `none`, or a condition such as `{ role: admin }`.",
            "anyOf": [{
                "type": "string",
                "enum": ["public", "authenticated", "none"],
                "enumDescriptions": ["Anyone, without a token.", "Anyone with a valid token.", "No one."]
            }, condition]
        })
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(one) => Ok(Self(vec![one])),
            many => serde_json::from_value(many).map(Self).map_err(D::Error::custom),
        }
    }
}

impl Serialize for OneOrMany {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl JsonSchema for OneOrMany {
    fn schema_name() -> Cow<'static, str> {
        "OneOrMany".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 }]
        })
    }

    fn inline_schema() -> bool {
        true
    }
}
