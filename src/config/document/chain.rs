//! Plugins: their configuration, and their use in chains.

use gatewright_sdk::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// A configured plugin: one key, the plugin's type, and under it the settings.
#[derive(Clone, PartialEq)]
pub struct PluginSpec {
    pub kind: String,
    pub settings: Value,
}

/// Only the plugin knows which settings are secrets, so none is printed.
impl fmt::Debug for PluginSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginSpec").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for PluginSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneKind;
        impl<'de> Visitor<'de> for OneKind {
            type Value = PluginSpec;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one plugin type with its settings, such as `timeout: { request: 10s }`")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PluginSpec, A::Error> {
                let Some((kind, settings)) = map.next_entry()? else {
                    return Err(A::Error::custom("has no plugin type"));
                };
                match map.next_entry::<String, Value>()? {
                    None => Ok(PluginSpec { kind, settings }),
                    Some((other, _)) => Err(A::Error::custom(format!("has two plugin types, `{kind}` and `{other}`"))),
                }
            }
        }
        deserializer.deserialize_map(OneKind)
    }
}

/// `config::schema`, which has the registry, adds the settings of each plugin type.
impl JsonSchema for PluginSpec {
    fn schema_name() -> Cow<'static, str> {
        "Plugin".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "One plugin type with its settings, such as `timeout: { request: 10s }`.",
            "minProperties": 1,
            "maxProperties": 1,
            "properties": {},
            "additionalProperties": false
        })
    }
}

/// One step of a chain: the name of a plugin, or the name with conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainEntry {
    /// The plugin's name.
    pub plugin: String,
    /// A condition under which it runs.
    pub when: Option<Condition>,
    /// Whether it decides or only observes.
    pub mode: Option<Mode>,
}

/// A step of a chain in its long form.
#[derive(serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    /// The name of the plugin.
    r#use: String,
    /// A condition in CEL: `request.path.startsWith('/internal')`. The plugin runs only for requests for which it holds.
    /// Requests for which it cannot be evaluated get 403. See docs/expressions.md.
    #[serde(default)]
    when: Option<Condition>,
    /// `observe`: what the plugin would reject is counted, logged and traced, and passes.
    #[serde(default)]
    mode: Option<Mode>,
}

/// Whether a plugin decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The plugin decides.
    Enforce,
    /// The plugin rejects nothing and changes nothing. What it would reject is counted, logged and traced.
    Observe,
}

impl<'de> Deserialize<'de> for ChainEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrStep;
        impl<'de> Visitor<'de> for NameOrStep {
            type Value = ChainEntry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a plugin, or `{ use: NAME, when: …, mode: … }`")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<ChainEntry, E> {
                Ok(ChainEntry { plugin: name.to_owned(), when: None, mode: None })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ChainEntry, A::Error> {
                let step: Step = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ChainEntry { plugin: step.r#use, when: step.when, mode: step.mode })
            }
        }
        deserializer.deserialize_any(NameOrStep)
    }
}

impl Serialize for ChainEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self { plugin, when: None, mode: None } => plugin.serialize(serializer),
            Self { plugin, when, mode } => {
                Step { r#use: plugin.clone(), when: when.clone(), mode: *mode }.serialize(serializer)
            }
        }
    }
}

impl JsonSchema for ChainEntry {
    fn schema_name() -> Cow<'static, str> {
        "ChainEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let step = generator.subschema_for::<Step>();
        json_schema!({
            "description": "The name of a plugin, or `{ use: NAME, when: CONDITION, mode: observe }`.",
            "anyOf": [{ "type": "string" }, step]
        })
    }
}
