//! Where in a schema the keys of a document are described: from `routes.*.path` to JSON pointers.

use serde_json::Value;

/// The definition that a schema refers to, if it does.
pub fn reference(schema: &Value) -> Option<&str> {
    let direct = schema.get("$ref").or_else(|| {
        // How a reference with a description of its own is written in draft 7.
        let all = schema.get("allOf")?.as_array()?;
        all.first().filter(|_| all.len() == 1)?.get("$ref")
    });
    direct?.as_str()?.strip_prefix("#/definitions/")
}

/// Pointers to the schemas of a key: a path of keys, with `*` for any name or index.
pub fn of_key(schema: &Value, path: &str) -> Vec<String> {
    let mut places = vec![String::new()];
    for part in path.split('.') {
        let inner = |place: &String| match part {
            "*" => vec![format!("{place}/additionalProperties"), format!("{place}/items")],
            name => vec![format!("{place}/properties/{}", escaped(name))],
        };
        let inner = places.iter().flat_map(|place| branches(schema, place)).flat_map(|place| inner(&place));
        let exists = |place: &String| schema.pointer(place).is_some_and(Value::is_object);
        let mut found: Vec<String> = inner.filter(exists).collect();
        found.sort();
        found.dedup();
        places = found;
    }
    places
}

/// Pointers to the ways in which a value at this pointer may be written: references are followed.
pub fn branches(schema: &Value, place: &str) -> Vec<String> {
    let Some(here) = schema.pointer(place) else { return Vec::new() };
    if let Some(name) = reference(here) {
        return branches(schema, &format!("/definitions/{}", escaped(name)));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(ways) = here.get(key).and_then(Value::as_array) {
            return (0..ways.len()).flat_map(|way| branches(schema, &format!("{place}/{key}/{way}"))).collect();
        }
    }
    vec![place.to_owned()]
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
