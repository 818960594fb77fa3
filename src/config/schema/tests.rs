//! The published schema describes every key and rejects unknown ones.

use super::*;

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Greet {
    /// Whom.
    #[serde(default)]
    #[allow(dead_code)]
    name: Option<String>,
}

impl gatewright_sdk::Plugin for Greet {
    const NAME: &'static str = "greet";
    fn compile(self, _: &gatewright_sdk::CheckContext<'_>) -> gatewright_sdk::Compiled {
        gatewright_sdk::Compiled::layer(|_, next| next)
    }
}

fn each<'a>(schema: &'a Value, found: &mut impl FnMut(&'a Map<String, Value>)) {
    match schema {
        Value::Object(object) => {
            found(object);
            object.values().for_each(|value| each(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| each(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_has_a_manual_and_every_map_says_whether_it_is_closed() {
    let kind = gatewright_sdk::builtin::<Greet>();
    let published = ConfigSchema::new([&kind as &dyn PluginKind]).published();
    each(&published, &mut |object| {
        let Some(Value::Object(properties)) = object.get("properties") else { return };
        assert!(object.contains_key("additionalProperties"), "{object:?}");
        for (name, property) in properties {
            assert!(property.get("description").or(property.get("$ref")).is_some(), "{name}: {property}");
        }
    });
}

#[test]
fn it_holds_the_settings_of_every_kind_and_no_null() {
    let kind = gatewright_sdk::builtin::<Greet>();
    let schema = ConfigSchema::new([&kind as &dyn PluginKind]);
    assert_eq!(schema.kinds().collect::<Vec<_>>(), ["greet"]);
    let plugins = schema.entry(schema.root(), "plugins").unwrap();
    let greet = schema.entry(schema.entry(plugins, "any").unwrap(), "greet").unwrap();
    assert!(schema.entry(greet, "name").is_some());
    each(&schema.published(), &mut |object| {
        assert_ne!(object.get("type"), Some(&json!("null")), "{object:?}");
    });
}

#[test]
fn it_is_a_valid_schema_that_editors_can_use() {
    let published = ConfigSchema::new([]).published();
    let validator = jsonschema::validator_for(&published).unwrap();
    let good = json!({
        "version": 1,
        "listeners": { "web": { "address": "127.0.0.1:3000", "limits": { "headers": "${env.HEADERS}" } } },
        "routes": { "a": { "path": "/", "respond": { "status": 200 } } }
    });
    assert!(validator.is_valid(&good), "{:?}", validator.iter_errors(&good).map(|e| e.to_string()).collect::<Vec<_>>());
    assert!(!validator.is_valid(&json!({ "version": 1, "listeners": {}, "rotes": {} })));
}
