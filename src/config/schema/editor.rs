//! What editors make of a schema, and how it is written so that completion, hover and marks are right.
//!
//! yaml-language-server shows the description that it finds first, and it looks at the innermost schema first. So the text of a
//! key is on the outermost schema of its value, and the ways to write a value have no text.

use super::choice::choose;
use serde_json::{Map, Value, json};

/// Any value that is text, a number or a truth value may come from outside.
const EXPANDED: &str = r"\$\{(env|file)\..+\}";

/// What belongs to the key, and not to one of the ways to write its value.
const OF_KEY: [&str; 7] =
    ["description", "markdownDescription", "default", "examples", "doNotSuggest", "writeOnly", "deprecationMessage"];

/// Formats that only this program reads.
const KNOWN_FORMATS: [&str; 1] = ["password"];

/// Writes words that have a branch each, so that each has a description, as one list with descriptions.
pub fn list_words(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(list_words);
            if let Some(Value::Array(values)) = object.remove("x-values") {
                let part =
                    |index: usize| values.iter().filter_map(|value| value.get(index).cloned()).collect::<Value>();
                object.extend([("enum".to_owned(), part(0)), ("enumDescriptions".to_owned(), part(1))]);
            }
            if let Some(Value::Array(branches)) = object.remove("oneOf") {
                merge(object, branches);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(list_words),
        _ => {}
    }
}

/// Joins the branches that are words, and the branches that are maps of one key.
fn merge(object: &mut Map<String, Value>, branches: Vec<Value>) {
    let (mut words, mut texts, mut keys, mut rest) = (Vec::new(), Vec::new(), Map::new(), Vec::new());
    for branch in branches {
        let text = branch.get("description").cloned().unwrap_or_else(|| "".into());
        if let Some(word) = branch.get("const") {
            words.push(word.clone());
            texts.push(text);
        } else if let Some(Value::Array(more)) = branch.get("enum") {
            words.extend(more.iter().cloned());
            texts.extend(more.iter().map(|_| text.clone()));
        } else if let Some(Value::Object(properties)) = branch.get("properties") {
            for (key, property) in properties {
                let mut property = property.clone();
                if let Some(property) = property.as_object_mut() {
                    property.insert("description".to_owned(), text.clone());
                }
                keys.insert(key.clone(), property);
            }
        } else {
            rest.push(branch);
        }
    }
    if !words.is_empty() {
        rest.push(json!({ "type": "string", "enum": words, "enumDescriptions": texts }));
    }
    if !keys.is_empty() {
        rest.push(json!({
            "type": "object", "properties": keys, "additionalProperties": false, "minProperties": 1, "maxProperties": 1
        }));
    }
    match (rest.len(), rest.pop()) {
        (1, Some(Value::Object(only))) => object.extend(only),
        (_, last) => {
            rest.extend(last);
            object.insert("anyOf".to_owned(), Value::Array(rest));
        }
    }
}

/// Everything else.
pub fn for_editors(schema: &mut Value) {
    let Some(root) = schema.as_object_mut() else { return };
    let definitions = root.get_mut("definitions").and_then(Value::as_object_mut);
    let ways = definitions.as_deref().map(ways_to_write).unwrap_or_default();
    for (name, definition) in definitions.into_iter().flatten() {
        if let Some(definition) = definition.as_object_mut().filter(|_| ways.contains(name)) {
            definition.shift_remove("description");
        }
        write(definition);
    }
    for property in root.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        write(property.1);
    }
}

/// The definitions of maps that are one of several ways to write a value.
fn ways_to_write(definitions: &Map<String, Value>) -> Vec<String> {
    let branches = definitions.values().filter_map(|definition| definition.get("anyOf")?.as_array()).flatten();
    let named = branches.filter_map(|branch| branch.get("$ref")?.as_str()?.rsplit('/').next());
    named.map(str::to_owned).collect()
}

fn write(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match value {
                    // What these hold goes by names of its own, one of which may be `default`.
                    Value::Object(named) if key == "properties" => named.values_mut().for_each(write),
                    _ if ["default", "examples", "enum", "dependencies", "allOf"].contains(&key.as_str()) => {}
                    Value::Array(ways) if key == "anyOf" => ways.iter_mut().for_each(write_way),
                    value => write(value),
                }
            }
            refer(object);
            one_key(object);
            one_value(object);
            texts(object);
            formats(object);
            expanded(object);
        }
        Value::Array(items) => items.iter_mut().for_each(write),
        _ => {}
    }
}

/// One of several ways to write a value: its text is that of the key.
fn write_way(schema: &mut Value) {
    write(schema);
    let Some(way) = schema.as_object_mut() else { return };
    way.shift_remove("description");
    way.shift_remove("markdownDescription");
    // `${…}` is one way more beside all of them, and not a part of each.
    if let Some(Value::Array(inner)) = way.get("anyOf")
        && let [strict, outside] = inner.as_slice()
        && *outside == from_outside()
    {
        *schema = strict.clone();
    }
}

/// Editors read the keys beside a `$ref`, and let them win. Validators ignore them: they are texts and defaults.
fn refer(object: &mut Map<String, Value>) {
    let target = object.get("allOf").and_then(Value::as_array).filter(|all| all.len() == 1);
    let Some(target) = target.and_then(|all| all.first()?.get("$ref")).cloned() else { return };
    object.shift_remove("allOf");
    object.insert("$ref".to_owned(), target);
}

/// `maxProperties` counts the key that is being typed, and nothing is offered.
fn one_key(object: &mut Map<String, Value>) {
    if object.get("maxProperties").is_some_and(|most| most == 1) {
        object.shift_remove("maxProperties");
        let keys = object.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned();
        let keys: Vec<String> = keys.collect();
        choose(object, &keys.iter().map(String::as_str).collect::<Vec<_>>(), false);
    }
}

/// A number that can only be one is offered.
fn one_value(object: &mut Map<String, Value>) {
    if let Some(value) = object.get("minimum").filter(|least| object.get("maximum") == Some(least)).cloned() {
        object.retain(|key, _| !["minimum", "maximum", "format"].contains(&key.as_str()));
        object.insert("enum".to_owned(), json!([value]));
    }
}

/// Joins the lines of texts, and gives those with marks to editors as Markdown.
fn texts(object: &mut Map<String, Value>) {
    let joined = |text: &str| {
        let paragraphs = text.split("\n\n").map(|paragraph| paragraph.lines().collect::<Vec<_>>().join(" "));
        paragraphs.collect::<Vec<_>>().join("\n\n")
    };
    if let Some(text) = object.get("description").and_then(Value::as_str).map(joined) {
        if text.contains('`') {
            object.insert("markdownDescription".to_owned(), text.clone().into());
        }
        object.insert("description".to_owned(), text.into());
    }
    if let Some(Value::Array(all)) = object.get("enumDescriptions") {
        let all: Vec<String> = all.iter().map(|text| joined(text.as_str().unwrap_or_default())).collect();
        if all.iter().all(String::is_empty) {
            object.shift_remove("enumDescriptions");
            return;
        }
        if all.iter().any(|text| text.contains('`')) {
            object.insert("markdownEnumDescriptions".to_owned(), json!(all));
        }
        object.insert("enumDescriptions".to_owned(), json!(all));
    }
}

fn formats(object: &mut Map<String, Value>) {
    if object.get("format").and_then(Value::as_str).is_some_and(|format| !KNOWN_FORMATS.contains(&format)) {
        object.shift_remove("format");
    }
    let from_one = object.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 0);
    if from_one && object.get("default").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        object.shift_remove("default");
    }
}

fn from_outside() -> Value {
    json!({ "type": "string", "pattern": EXPANDED })
}

/// Whether a value with this schema is one that `${…}` may stand for, and is not any text anyway.
fn is_strict(schema: &Value) -> bool {
    let narrow = ["enum", "pattern", "const"].iter().any(|key| schema.get(key).is_some());
    match schema.get("type") {
        Some(Value::String(kind)) => match kind.as_str() {
            "integer" | "number" | "boolean" => true,
            "string" => narrow,
            _ => false,
        },
        Some(Value::Array(kinds)) => !kinds.contains(&"string".into()),
        _ => narrow,
    }
}

/// Lets a value also be text with `${`.
fn expanded(object: &mut Map<String, Value>) {
    if let Some(Value::Array(ways)) = object.get_mut("anyOf") {
        let any_text = |way: &Value| way.get("type").is_some_and(|kind| kind == "string") && !is_strict(way);
        if ways.iter().any(is_strict) && !ways.iter().any(any_text) && !ways.contains(&from_outside()) {
            ways.push(from_outside());
        }
        return;
    }
    let whole = Value::Object(std::mem::take(object));
    let strict = is_strict(&whole);
    if let Value::Object(whole) = whole {
        *object = whole;
    }
    if strict {
        let mut outer = Map::new();
        for key in OF_KEY {
            outer.extend(object.shift_remove(key).map(|value| (key.to_owned(), value)));
        }
        let inner = Value::Object(std::mem::take(object));
        outer.insert("anyOf".to_owned(), json!([inner, from_outside()]));
        *object = outer;
    }
}
