//! JSON and YAML as JSON values.

use crate::{Flaw, json};
use serde_json::{Map, Value};
use std::path::Path;

const SYNTAX: &str = "check the file with an editor, or with `npx @redocly/cli lint FILE`";

/// The content of the file at `path`. A file that is not called `.yaml` or `.yml` and begins with a brace is JSON. YAML may begin with
/// one, too: most JSON is YAML.
pub(crate) fn read(content: &[u8], path: &Path) -> Result<Value, Flaw> {
    let ends = |wanted: &str| path.extension().is_some_and(|end| end.eq_ignore_ascii_case(wanted));
    let is_json = ends("json");
    if is_json || content.trim_ascii_start().starts_with(b"{") {
        match json::read(content) {
            Ok(json) => return Ok(json),
            Err(error) if is_json || !(ends("yaml") || ends("yml")) => {
                return Err(Flaw::new(format!("not valid JSON: {error}"), SYNTAX));
            }
            Err(_) => {}
        }
    }
    let not_yaml = |error: serde_yaml::Error| Flaw::new(format!("not valid YAML: {error}"), SYNTAX);
    let mut yaml: serde_yaml::Value = serde_yaml::from_slice(content).map_err(not_yaml)?;
    yaml.apply_merge().map_err(not_yaml)?;
    value(yaml)
}

/// Numbers and truth values may be keys in YAML: `200:` of responses.
fn value(yaml: serde_yaml::Value) -> Result<Value, Flaw> {
    use serde_yaml::Value as Yaml;
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(truth) => truth.into(),
        Yaml::Number(number) => serde_json::to_value(number).unwrap_or_default(),
        Yaml::String(text) => text.into(),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(value).collect::<Result<_, _>>()?),
        Yaml::Mapping(entries) => {
            let mut object = Map::with_capacity(entries.len());
            for (key, entry) in entries {
                let key = match key {
                    Yaml::String(text) => text,
                    Yaml::Number(number) => number.to_string(),
                    Yaml::Bool(truth) => truth.to_string(),
                    _ => return Err(Flaw::new("a key is not text", SYNTAX)),
                };
                if object.insert(key, value(entry)?).is_some() {
                    return Err(Flaw::new("not valid YAML: a key occurs twice, as a number and as text", SYNTAX));
                }
            }
            object.into()
        }
        Yaml::Tagged(tagged) => value(tagged.value)?,
    })
}
