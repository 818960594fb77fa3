//! Writes values as YAML that every reader takes for what they are: short maps and lists in one line, as people write them.

use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The longest line with a map or list in it.
const WIDTH: usize = 120;

/// The document that `value` is.
pub fn write(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(sections) if !sections.is_empty() => entries(sections, 0, &mut text),
        other => {
            flow(other, &mut text);
            text.push('\n');
        }
    }
    text
}

/// The entries of a map, each in lines of its own.
fn entries(map: &Map<String, Value>, indent: usize, text: &mut String) {
    for (key, value) in map {
        let _ = write!(text, "{:indent$}{}:", "", scalar(key));
        let named = indent == 0 && value.as_object().is_some_and(|entries| entries.values().any(Value::is_object));
        let line = line_length(text);
        below(value, line, named, indent, text);
    }
}

/// A value behind its key or dash: in the same line where it fits, unless `apart`.
fn below(value: &Value, line: usize, apart: bool, indent: usize, text: &mut String) {
    let start = text.len();
    text.push(' ');
    flow(value, text);
    let fits = line + (text.len() - start) <= WIDTH && !apart;
    match value {
        Value::Object(map) if !fits => {
            text.truncate(start);
            text.push('\n');
            entries(map, indent + 2, text);
        }
        Value::Array(items) if !fits && !items.iter().any(holds_more) => {
            text.truncate(start);
            wrapped(items, indent + 2, text);
        }
        Value::Array(items) if !fits => {
            text.truncate(start);
            text.push('\n');
            let indent = indent + 2;
            for item in items {
                let _ = write!(text, "{:indent$}-", "");
                below(item, indent + 1, false, indent, text);
            }
        }
        _ => text.push('\n'),
    }
}

/// A list of scalars, in as many lines as it takes.
fn wrapped(items: &[Value], indent: usize, text: &mut String) {
    text.push_str(" [");
    for (index, item) in items.iter().enumerate() {
        let start = text.len();
        text.push_str(if index > 0 { ", " } else { "" });
        flow(item, text);
        if index > 0 && line_length(text) >= WIDTH {
            text.truncate(start);
            let _ = write!(text, ",\n{:indent$}", "");
            flow(item, text);
        }
    }
    text.push_str("]\n");
}

fn holds_more(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

fn line_length(text: &str) -> usize {
    text.len() - text.rfind('\n').map_or(0, |end| end + 1)
}

/// The value in one line.
fn flow(value: &Value, text: &mut String) {
    match value {
        Value::String(word) => text.push_str(&scalar(word)),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                flow(item, text);
            }
            text.push(']');
        }
        Value::Object(entries) if entries.is_empty() => text.push_str("{}"),
        Value::Object(entries) => {
            for (index, (key, value)) in entries.iter().enumerate() {
                let _ = write!(text, "{} {}: ", if index > 0 { "," } else { "{" }, scalar(key));
                flow(value, text);
            }
            text.push_str(" }");
        }
        other => drop(write!(text, "{other}")),
    }
}

/// A text, in quotes unless it is a word that nothing takes for anything else.
fn scalar(word: &str) -> String {
    if is_plain(word) {
        return word.to_owned();
    }
    let quoted = Value::from(word).to_string();
    // JSON leaves some characters alone that YAML cannot have.
    let special =
        |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    if !quoted.contains(special) {
        return quoted;
    }
    quoted.chars().fold(String::with_capacity(quoted.len() + 8), |mut text, c| {
        let _ = if special(c) { write!(text, "\\u{:04x}", u32::from(c)) } else { write!(text, "{c}") };
        text
    })
}

/// What some reader of YAML takes for something else than text.
const MEANT: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];

fn is_plain(word: &str) -> bool {
    let within = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '$');
    let begins = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/' | '$');
    let digits = word.trim_start_matches(|c: char| c.is_ascii_digit());
    // A number with a unit: `10s`, `64KiB`; not `0x1F` or `1e3`.
    let measure = !digits.is_empty()
        && digits.len() < word.len()
        && digits.chars().all(|c| c.is_ascii_alphabetic())
        && !digits.starts_with(['x', 'X', 'o', 'O', 'b', 'e', 'E']);
    word.chars().all(within)
        && (word.starts_with(begins) || measure)
        && !MEANT.iter().any(|meant| word.eq_ignore_ascii_case(meant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml::parse;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn it_is_written_as_people_write_it() {
        let value = json!({
            "version": 1,
            "errors": { "format": "auto" },
            "chains": { "api": ["id", { "use": "login" }], "none": [] },
            "plugins": { "id": { "request_id": {} } },
            "routes": {
                "root": { "path": "/", "respond": { "status": 200, "text": "two\nlines" } },
                "long": { "hosts": ["alpha.example.com", "beta.example.com", "gamma.example.com", "delta.example.com", "epsilon.example.com",
                          "zeta.example.com"], "plugins": ["one", { "use": "two" }],
                          "respond": { "json": { "yes": "no", "at": "127.0.0.1:80", "after": "10s", "at most": "64KiB", "hex": "0x1F" } } },
            },
        });
        let text = "version: 1
errors: { format: auto }
chains: { api: [id, { use: login }], none: [] }
plugins:
  id: { request_id: {} }
routes:
  root: { path: /, respond: { status: 200, text: \"two\\nlines\" } }
  long:
    hosts: [alpha.example.com, beta.example.com, gamma.example.com, delta.example.com, epsilon.example.com,
      zeta.example.com]
    plugins: [one, { use: two }]
    respond: { json: { \"yes\": \"no\", at: \"127.0.0.1:80\", after: 10s, \"at most\": 64KiB, hex: \"0x1F\" } }
";
        assert_eq!(write(&value), text);
    }

    fn value() -> impl Strategy<Value = Value> {
        let word = prop_oneof!["[ -~]{0,8}", "[a-z ]{0,40}", "[a-z0-9.eExX_+-]{1,5}", "\\PC{0,4}", any::<String>()];
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            word.clone().prop_map(Value::from),
        ];
        scalar.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec((word.clone(), inner), 0..6)
                    .prop_map(|entries| entries.into_iter().collect::<Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_what_it_was(value in value()) {
            let (node, flaws) = parse(&write(&value), 0);
            prop_assert!(flaws.is_empty(), "{flaws:?}\n{}", write(&value));
            let read = node.map(|node| node.to_json()).unwrap_or_default();
            prop_assert_eq!(read, value.clone(), "{}", write(&value));
            let other: Value = serde_yaml::from_str(&write(&value)).unwrap();
            prop_assert_eq!(other, value.clone(), "{}", write(&value));
        }
    }
}
