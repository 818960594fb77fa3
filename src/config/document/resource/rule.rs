//! Access rules of a resource.

use crate::config::named::Named;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// Who may do what. An operation that is not named falls under `default`; without one it is a fault.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// For operations that are not named.
    #[serde(default)]
    pub default: Option<Rule>,
    /// For the list.
    #[serde(default)]
    pub list: Option<Rule>,
    /// For reading an item.
    #[serde(default)]
    pub read: Option<Rule>,
    /// For creating an item.
    #[serde(default)]
    pub create: Option<Rule>,
    /// For changing an item. The rule holds twice: for the item as it is, and for the item as the change leaves it. Who
    /// may change their own items cannot give one away, or take it out of their tenant, unless `update_check` says so.
    #[serde(default)]
    pub update: Option<Rule>,
    /// For the item as an update leaves it, where that is to be another rule than `update`: the `WITH CHECK` of
    /// PostgreSQL's row security. With `update: { where: { owner: $claims.sub, status: draft } }` and
    /// `update_check: { where: { owner: $claims.sub } }` an owner may publish a draft; `public` allows any outcome.
    #[serde(default)]
    pub update_check: Option<Rule>,
    /// For deleting an item.
    #[serde(default)]
    pub delete: Option<Rule>,
}

/// Who may do one operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Everybody.
    Public,
    /// Everybody with a valid token.
    Authenticated,
    /// No one.
    None,
    /// Those who fulfil a condition.
    Condition(Condition),
}

/// A condition on who asks and on the item. All of what is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// One of these roles.
    pub role: Option<OneOrMany>,
    /// One of these scopes.
    pub scope: Option<OneOrMany>,
    /// Claims with exactly these values.
    pub claims: Named<Value>,
    /// Fields of the item: a value, `{ op: value }`, or a claim as `$claims.NAME`. Operators and values fit the field's
    /// type, as those of `filter` do. The text of a claim is read as the field's type, and a time such as `exp` as the
    /// moment for a datetime; a claim that is absent, or that is not a value of the type, matches nothing.
    pub r#where: Named<Value>,
    /// At least one of these holds.
    pub any: Vec<Condition>,
    /// All of these hold.
    pub all: Vec<Condition>,
}

/// A word, or a list of words.
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
            "description": "`public`, `authenticated`, `none`, or a condition.",
            "anyOf": [{ "type": "string", "enum": ["public", "authenticated", "none"] }, condition]
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
            "description": "A word, or a list of words.",
            "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 }]
        })
    }

    fn inline_schema() -> bool {
        true
    }
}
