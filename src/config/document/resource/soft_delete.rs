//! Whether deleted items are kept.

use gatewright_sdk::HumanDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// Whether deleted items are kept, so that they can be restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SoftDelete {
    pub on: bool,
    /// For how long. `None` is for ever.
    pub keep: Option<HumanDuration>,
}

impl SoftDelete {
    pub(super) const fn is_off(&self) -> bool {
        !self.on
    }
}

/// How deleted items are kept.
#[derive(Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct SoftDeleteRule {
    /// How long after its delete an item is removed for good. Default: never.
    keep: Option<HumanDuration>,
}

impl<'de> Deserialize<'de> for SoftDelete {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(on) => Ok(Self { on, keep: None }),
            rule => {
                let SoftDeleteRule { keep } = serde_json::from_value(rule).map_err(D::Error::custom)?;
                Ok(Self { on: true, keep })
            }
        }
    }
}

impl Serialize for SoftDelete {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.keep {
            Some(keep) if self.on => SoftDeleteRule { keep: Some(keep) }.serialize(serializer),
            _ => self.on.serialize(serializer),
        }
    }
}

impl JsonSchema for SoftDelete {
    fn schema_name() -> Cow<'static, str> {
        "SoftDelete".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rule = generator.subschema_for::<SoftDeleteRule>();
        json_schema!({
            "description": "`true`, or settings: `{ keep: 90d }`.",
            "anyOf": [{ "type": "boolean" }, rule]
        })
    }
}
