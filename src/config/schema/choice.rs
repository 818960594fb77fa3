//! Keys of which a map has only one, written so that editors mark the right one.

use serde_json::{Map, Value, json};

/// Keys that go together if one of them has another meaning then: `openapi` of a route to an upstream names a file.
const TOGETHER: [(&str, &str); 2] = [("upstream", "openapi"), ("split", "openapi")];

fn go_together(one: &str, other: &str) -> bool {
    TOGETHER.contains(&(one, other)) || TOGETHER.contains(&(other, one))
}

/// Lets a map have one of these keys. A second one is marked at its name, which `oneOf` would not do.
pub fn choose(map: &mut Map<String, Value>, keys: &[&str], required: bool) {
    let known = |key: &&str| map.get("properties").is_some_and(|properties| properties.get(key).is_some());
    let keys: Vec<&str> = keys.iter().copied().filter(known).collect();
    let listed = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    if required {
        let message = format!("One of these keys is required: {listed}.");
        let one: Vec<Value> = keys.iter().map(|key| json!({ "required": [key], "errorMessage": message })).collect();
        if let Some(all) = map.entry("allOf").or_insert_with(|| json!([])).as_array_mut() {
            all.push(json!({ "anyOf": one }));
        }
    }
    let message = format!("Only one of these keys is allowed: {listed}.");
    let all: Vec<String> =
        map.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned().collect();
    let dependencies = map.entry("dependencies").or_insert_with(|| json!({}));
    for key in &keys {
        let others = |name: &&String| *name == key || !keys.contains(&name.as_str()) || go_together(name, key);
        let names = json!({ "enum": all.iter().filter(others).collect::<Vec<_>>(), "errorMessage": message });
        if let Some(dependencies) = dependencies.as_object_mut() {
            dependencies.insert((*key).to_owned(), json!({ "propertyNames": names }));
        }
    }
}
