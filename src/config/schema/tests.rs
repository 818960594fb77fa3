//! The published schema describes every key and rejects unknown ones.

use super::*;
use crate::config::sources::Sources;
use gatewright_sdk::{ByteSize, HumanDuration};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

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
    let published = ConfigSchema::new([&kind as &dyn PluginKind]).published(Published::Document);
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
    each(&schema.published(Published::Document), &mut |object| {
        assert_ne!(object.get("type"), Some(&json!("null")), "{object:?}");
    });
}

#[test]
fn it_is_a_valid_schema_that_editors_can_use() {
    let published = ConfigSchema::new([]).published(Published::Document);
    let validator = jsonschema::validator_for(&published).unwrap();
    let good = json!({
        "version": 1,
        "listeners": { "web": { "address": "127.0.0.1:3000", "limits": { "headers": "${env.HEADERS}" } } },
        "routes": { "a": { "path": "/", "respond": { "status": 200 } } }
    });
    assert!(validator.is_valid(&good), "{:?}", validator.iter_errors(&good).map(|e| e.to_string()).collect::<Vec<_>>());
    assert!(!validator.is_valid(&json!({ "version": 1, "listeners": {}, "rotes": {} })));
}

fn shipped() -> ConfigSchema {
    ConfigSchema::new(gatewright_plugins::ALL.iter().copied())
}

/// Every configuration of the repository that is good, and the files that some of them include.
fn good_documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = |name: &str| std::fs::read_dir(root.join(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        folder("config").chain(folder("config/examples")).chain(folder("tests/golden/documents")).collect();
    files.extend(["benches/gateway.yaml", "src/config/schema/examples.yaml"].map(|name| root.join(name)));
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.retain(|path| !path.ends_with("shop-routes.yaml"));
    assert!(files.len() > 10);
    files
}

fn faults(validator: &jsonschema::Validator, document: &Value) -> Vec<String> {
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Puts `${…}` in place of the scalar with this number, counted from 0. Whether there is one.
fn put_outside(value: &mut Value, number: &mut usize) -> bool {
    match value {
        Value::Object(map) => map.values_mut().any(|value| put_outside(value, number)),
        Value::Array(items) => items.iter_mut().any(|value| put_outside(value, number)),
        Value::Null => false,
        scalar if *number == 0 => {
            *scalar = "${env.X:-default}".into();
            true
        }
        _ => {
            *number -= 1;
            false
        }
    }
}

#[test]
fn each_good_document_is_valid_also_with_any_value_from_outside() {
    let schema = shipped();
    let whole = jsonschema::validator_for(&schema.published(Published::Document)).unwrap();
    let fragment = jsonschema::validator_for(&schema.published(Published::Fragment)).unwrap();
    let mut scalars = 0;
    for file in good_documents() {
        let document = Sources::read(&file).0.tree().to_json();
        assert_eq!(faults(&whole, &document), [""; 0], "{}", file.display());
        assert_eq!(faults(&fragment, &document), [""; 0], "{}", file.display());
        for index in 0.. {
            let mut changed = document.clone();
            if !put_outside(&mut changed, &mut { index }) {
                break;
            }
            assert_eq!(faults(&whole, &changed), [""; 0], "{}: scalar {index}", file.display());
            scalars += 1;
        }
    }
    assert!(scalars > 500, "{scalars}");
}

#[test]
fn nothing_that_is_not_implemented_is_published() {
    let text = shipped().published(Published::Document).to_string();
    for word in ["envelope", "x-pending"] {
        assert!(!text.contains(&format!("\"{word}\"")), "{word}");
    }
}

#[test]
fn every_choice_is_one_of_known_keys() {
    let published = shipped().published(Published::Document);
    for (definition, keys, _) in publish::CHOICES {
        let properties = &published["definitions"][definition]["properties"];
        let known: Vec<_> = keys.iter().filter(|key| properties.get(key).is_some()).collect();
        assert!(known.len() >= keys.len().min(2), "{definition}: {known:?}");
    }
}

proptest! {
    /// As long as a number is not too large, which no pattern can tell.
    #[test]
    fn the_patterns_of_durations_and_sizes_accept_what_is_read(
        text in " ?([0-9]{1,3} ?(\\.[0-9]{1,3})? ?(nanos|ns|us|µs|ms|s|sec|secs|m|min|h|hr|d|day|w|wk|M|y|B|kB|KiB|MiB|GB|x)? ?){0,3}"
    ) {
        let matches = |pattern: &str| regex::Regex::new(pattern).unwrap().is_match(&text);
        let too_large = |fault: &gatewright_sdk::Fault| fault.message.contains("too long");
        match text.parse::<HumanDuration>() {
            Ok(_) => prop_assert!(matches(HumanDuration::PATTERN), "{text:?}"),
            // A fraction must come to whole seconds or nanoseconds.
            Err(fault) if too_large(&fault) || text.contains('.') => {}
            Err(_) => prop_assert!(!matches(HumanDuration::PATTERN), "{text:?}"),
        }
        prop_assert_eq!(text.parse::<ByteSize>().is_ok(), matches(ByteSize::PATTERN), "{:?}", text);
    }
}
