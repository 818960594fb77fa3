//! Why a schema cannot be used, and what to write instead.

use gatewright_sdk::nearest;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;
use std::borrow::Cow;

/// Why something cannot be validated, and what to do about it, if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    pub why: String,
    pub help: Option<String>,
}

impl From<String> for Unusable {
    fn from(why: String) -> Self {
        Self { why, help: None }
    }
}

/// The types of JSON Schema.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];

/// Words of programming languages and of Swagger 2.0, and what to write for them.
const MEANT: [(&[&str], &str); 10] = [
    (&["bool"], "type: boolean"),
    (&["text", "str", "char", "password", "binary", "byte"], "type: string"),
    (&["date"], "type: string, format: date"),
    (&["datetime", "date-time", "timestamp"], "type: string, format: date-time"),
    (&["uuid", "guid"], "type: string, format: uuid"),
    (&["file"], "type: string, format: binary"),
    (&["int", "long", "int32", "int64"], "type: integer"),
    (&["float", "double", "decimal"], "type: number"),
    (&["list", "tuple", "set"], "type: array"),
    (&["dict", "map", "struct", "record"], "type: object"),
];

/// What is wrong with a schema: ` at /type: …`, which follows what it is called.
pub fn schema(error: &ValidationError<'_>) -> Unusable {
    let (place, built) = (error.instance_path().as_str(), error.schema_path().as_str());
    let at = |place: &str| if place.is_empty() { String::new() } else { format!(" at `{place}`") };
    // What is found while a schema is compiled, and not before, has its place in the other path.
    let found = if place.is_empty() { built } else { place };
    match error.kind() {
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::Custom { .. } if found.ends_with("/type") => {
            if let Some((why, help)) = kind(error.instance()) {
                return Unusable { why: format!("{}: {why}", at(found)), help: Some(help) };
            }
        }
        ValidationErrorKind::Format { format } if format == "regex" => {
            // A name in `patternProperties` is a part of the path.
            let (text, found) = match (error.instance().as_str(), found.rsplit_once('/')) {
                (None, Some((above, name))) => (name.replace("~1", "/").replace("~0", "~").into(), above),
                (text, _) => (Cow::Borrowed(text.unwrap_or_default()), found),
            };
            let (why, help) = pattern(&text);
            return Unusable { why: format!("{}: {why}", at(found)), help: Some(help.to_owned()) };
        }
        _ => {}
    }
    format!("{}: {error}", at(place)).into()
}

/// What is wrong with a `type`.
fn kind(value: &Value) -> Option<(String, String)> {
    let listed = value.as_array().into_iter().flatten();
    let word = listed.chain([value]).filter_map(Value::as_str).find(|word| !TYPES.contains(word))?;
    let why = format!("`{}` is not a type of JSON", shown(word));
    let lower = word.to_ascii_lowercase();
    let known = MEANT.iter().find(|(words, _)| words.contains(&&*lower)).map(|(_, meant)| (*meant).to_owned());
    let near = || nearest(word, TYPES.into_iter()).map(|near| format!("type: {near}"));
    let help = match known.or_else(near) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if lower == "any" => "remove `type`: without it, every value is accepted".to_owned(),
        None => format!("write one of {}", TYPES.join(", ")),
    };
    Some((why, help))
}

/// What is wrong with a `pattern`.
fn pattern(text: &str) -> (String, &'static str) {
    let text_shown = shown(text);
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if has(&["(?=", "(?!", "(?<=", "(?<!"]) {
        let help = "what must match too is a second pattern: `allOf: [{ pattern: A }, { pattern: B }]`; what must not match is `not: { pattern: A }`";
        return (format!("the pattern `{text_shown}` has look-around, which can take very long"), help);
    }
    let refers = text.as_bytes().windows(2).any(|two| matches!(two, [b'\\', b'1'..=b'9' | b'k']));
    if refers {
        let help = "write the texts that are allowed, such as `(aa|bb)`";
        return (format!("the pattern `{text_shown}` has a back-reference, which can take very long"), help);
    }
    (
        format!("the pattern `{text_shown}` is not a regular expression that can be used, or is too large"),
        "close all brackets, and use smaller repetition counts; the syntax is that of Rust's regex crate",
    )
}

/// A text of a file, in a message.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{}{more}", short.escape_debug())
}

#[cfg(test)]
mod tests {
    use crate::request_validation::formats::{Formats, validator};
    use serde_json::{Value, json};

    fn refused(schema: &Value) -> (String, String) {
        let found = validator(schema, Formats::Check).err().unwrap_or_else(|| panic!("{schema} is accepted"));
        (found.why, found.help.unwrap_or_default())
    }

    #[test]
    fn a_wrong_type_is_named_with_the_right_one() {
        for (kind, word, help) in [
            (json!("text"), "text", "did you mean `type: string`?"),
            (json!("strng"), "strng", "did you mean `type: string`?"),
            (json!("String"), "String", "did you mean `type: string`?"),
            (json!("int"), "int", "did you mean `type: integer`?"),
            (json!("bool"), "bool", "did you mean `type: boolean`?"),
            (json!("file"), "file", "did you mean `type: string, format: binary`?"),
            (json!("date"), "date", "did you mean `type: string, format: date`?"),
            (json!("any"), "any", "remove `type`: without it, every value is accepted"),
            (json!(["string", "nil"]), "nil", "write one of string, number, integer, boolean, object, array, null"),
        ] {
            let schema = json!({ "properties": { "a": { "type": kind } } });
            let why = format!(" at `/properties/a/type`: `{word}` is not a type of JSON");
            assert_eq!(refused(&schema), (why, help.to_owned()), "{schema}");
        }
        // Neither is about a word.
        for kind in [json!(5), json!(["string", "string"]), json!({ "type": "string" })] {
            let (why, help) = refused(&json!({ "type": kind }));
            assert!(why.starts_with(" at `/type`: ") && help.is_empty(), "{kind}: {why}");
        }
        let (why, help) = refused(&json!({ "properties": { "type": 5 } }));
        assert!(why.starts_with(" at `/properties/type`: 5 is not") && help.is_empty(), "{why}");
    }

    #[test]
    fn a_pattern_that_cannot_be_used_says_why_and_what_to_write() {
        for (pattern, why, help) in [
            ("^(?!admin)", "has look-around", "`not: { pattern: A }`"),
            ("^(?=.*[0-9]).{8,}$", "has look-around", "`allOf: [{ pattern: A }, { pattern: B }]`"),
            ("(?<=a)b", "has look-around", "`not: { pattern: A }`"),
            ("(a|b)\\1", "has a back-reference", "`(aa|bb)`"),
            ("(?<x>a|b)\\k<x>", "has a back-reference", "`(aa|bb)`"),
            ("(a", "is not a regular expression that can be used", "close all brackets"),
            ("a/(~b", "the pattern `a/(~b` is not a regular expression that can be used", "close all brackets"),
            ("((a{1000}){1000}){1000}", "or is too large", "smaller repetition counts"),
        ] {
            for (schema, place) in [
                (json!({ "pattern": pattern }), "/pattern".to_owned()),
                (json!({ "properties": { "a": { "pattern": pattern } } }), "/properties/a/pattern".to_owned()),
            ] {
                let (found, advice) = refused(&schema);
                assert!(found.starts_with(&format!(" at `{place}`: the pattern `")), "{schema}: {found}");
                assert!(found.contains(why) && advice.contains(help), "{schema}: {found} {advice}");
            }
            let (found, advice) = refused(&json!({ "patternProperties": { pattern: {} } }));
            assert!(found.starts_with(" at `/patternProperties`: "), "{pattern}: {found}");
            assert!(found.contains(why) && advice.contains(help), "{pattern}: {found} {advice}");
        }
    }
}
