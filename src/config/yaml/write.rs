//! Writes values as YAML that every parser reads correctly.

use serde_json::Value;
use std::collections::BTreeSet;

/// Texts that older YAML parsers read as `true` and `false`, case-insensitively. This gateway's own parser requires
/// quotes around them.
pub const BOOLEANS: [&str; 4] = ["yes", "no", "on", "off"];

/// Marks such a text until everything is written, because the YAML writer leaves it unquoted. It is in the private use
/// area, so other texts are unlikely to contain it.
const MARK: char = '\u{e000}';

/// Writes `value` as a document.
///
/// # Errors
/// A value that YAML cannot represent.
pub fn write(value: &Value) -> Result<String, serde_yaml::Error> {
    let mut words = BTreeSet::new();
    let text = serde_yaml::to_string(&marked(value, &mut words))?;
    Ok(words.iter().fold(text, |text, word| text.replace(&around(word), &format!("\"{word}\""))))
}

fn around(word: &str) -> String {
    format!("{MARK}{word}{MARK}")
}

fn marked(value: &Value, words: &mut BTreeSet<String>) -> Value {
    match value {
        Value::String(text) => Value::String(mark(text, words)),
        Value::Array(items) => items.iter().map(|item| marked(item, words)).collect(),
        Value::Object(entries) => entries.iter().map(|(key, value)| (mark(key, words), marked(value, words))).collect(),
        other => other.clone(),
    }
}

fn mark(text: &str, words: &mut BTreeSet<String>) -> String {
    // `<<` merges maps in older parsers.
    if text != "<<" && !BOOLEANS.iter().any(|word| word.eq_ignore_ascii_case(text)) {
        return text.to_owned();
    }
    words.insert(text.to_owned());
    around(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml::parse;
    use proptest::prelude::*;
    use serde_json::{Map, json};

    #[test]
    fn what_older_readers_take_for_something_else_is_quoted() {
        let value = json!({ "no": ["On", "one", "true"], "text": "no: yes\n- off" });
        let text = "\"no\":\n- \"On\"\n- one\n- 'true'\ntext: |-\n  no: yes\n  - off\n";
        assert_eq!(write(&value).unwrap(), text);
    }

    fn value() -> impl Strategy<Value = Value> {
        let word =
            prop_oneof!["[ -~]{0,8}", "[a-z ]{0,40}", "[a-z0-9.eExX_+-]{1,5}", "\\PC{0,4}", "[a-z: #\n\t-]{0,12}"]
                // Line ends in YAML 1.1, which the writer follows.
                .prop_filter("no other line ends", |word| !word.contains(['\u{2028}', '\u{2029}']));
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
            let text = write(&value).unwrap();
            let (node, flaws) = parse(&text, 0);
            prop_assert!(flaws.is_empty(), "{flaws:?}\n{text}");
            let read = node.map(|node| node.to_json()).unwrap_or_default();
            prop_assert_eq!(&read, &value, "{}", text);
            let other: Value = serde_yaml::from_str(&text).unwrap();
            prop_assert_eq!(other, value, "{}", text);
        }
    }
}
