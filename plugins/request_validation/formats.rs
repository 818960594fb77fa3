//! Makes validators of schemas, and decides what `format` means in them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonschema::{Draft, EmailOptions, PatternOptions, Validator};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What `format` in a schema means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Formats {
    /// Values must have the formats that JSON Schema and OpenAPI define. Other names mean nothing.
    #[default]
    Check,
    /// Nothing: it only describes the value.
    Ignore,
}

/// The largest automaton of one `pattern`.
const PATTERN_SIZE: usize = 1 << 20;

/// The validator of a schema. Nothing is fetched, and patterns take linear time.
///
/// # Errors
/// Where the schema is not valid, and why: ` at /type: …`.
pub fn validator(schema: &Value, formats: Formats) -> Result<Validator, String> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_SIZE);
    let mut options = jsonschema::options().with_draft(Draft::Draft202012).with_pattern_options(patterns).offline();
    options = options.should_validate_formats(formats == Formats::Check);
    if formats == Formats::Check {
        // An address, without the name of its owner in front. A `regex` would be compiled, at the expense of the gateway.
        options = options
            .with_email_options(EmailOptions::default().without_display_text())
            .with_format("byte", |text: &str| STANDARD.decode(text).is_ok())
            .with_format("regex", |_: &str| true);
    }
    options.build(schema).map_err(|error| {
        let place = error.instance_path().as_str();
        let place = if place.is_empty() { String::new() } else { format!(" at `{place}`") };
        format!("{place}: {error}")
    })
}

/// Makes bounds of `int32` and `int64` in an object of a schema: validators check `format` only of text.
pub fn bound(schema: &mut Map<String, Value>, formats: Formats) {
    let format = schema.get("format").and_then(Value::as_str).filter(|_| formats == Formats::Check);
    let (least, most) = match format {
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Some("int64") => (i64::MIN, i64::MAX),
        _ => return,
    };
    let range = json!({ "minimum": least, "maximum": most });
    match schema.get_mut("allOf") {
        None => drop(schema.insert("allOf".to_owned(), json!([range]))),
        Some(Value::Array(all)) => all.push(range),
        // The schema is not valid.
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_valid(schema: Value, formats: Formats, value: &Value) -> bool {
        let mut schema = schema;
        gatewright_openapi::parts::each(&mut schema, &mut |part| bound(part, formats));
        validator(&schema, formats).unwrap().is_valid(value)
    }

    #[test]
    fn formats_are_checked_unless_they_only_describe() {
        for (format, good, bad) in [
            ("date", json!("2028-02-29"), json!("2026-02-29")),
            ("date-time", json!("2026-11-30T08:00:00.5+01:00"), json!("2026-11-30 08:00:00")),
            ("time", json!("08:00:00Z"), json!("8:00")),
            ("duration", json!("P1DT2H"), json!("1 day")),
            ("uuid", json!("2EB8AA08-AA98-11EA-B4AA-73B441D16380"), json!("2eb8aa08aa9811eab4aa73b441d16380")),
            ("email", json!("ada@example.com"), json!("Ada <ada@example.com>")),
            ("email", json!("\"ada b\"@example.com"), json!("ada@")),
            ("hostname", json!("a.example"), json!("a_b.example")),
            ("ipv4", json!("192.0.2.1"), json!("192.0.2.01")),
            ("ipv6", json!("2001:db8::1"), json!("2001:db8::1%eth0")),
            ("uri", json!("https://a.example/b?c#d"), json!("/b")),
            ("uri-reference", json!("/b"), json!("\\\\b")),
            ("byte", json!("YWI="), json!("YWI")),
            ("byte", json!(""), json!("YW I=")),
            ("int32", json!(-2_147_483_648_i64), json!(2_147_483_648_i64)),
            ("int64", json!(9_223_372_036_854_775_807_i64), json!(9_223_372_036_854_775_808_u64)),
            ("int64", json!(i64::MIN), json!(-1e19)),
        ] {
            let schema = json!({ "format": format });
            assert!(is_valid(schema.clone(), Formats::Check, &good), "{format} {good}");
            assert!(!is_valid(schema.clone(), Formats::Check, &bad), "{format} {bad}");
            assert!(is_valid(schema, Formats::Ignore, &bad), "{format} {bad}");
        }
        for format in ["regex", "phone", "password", "binary", "float"] {
            assert!(is_valid(json!({ "format": format }), Formats::Check, &json!("(a")), "{format}");
        }
    }

    #[test]
    fn the_range_of_a_format_adds_to_the_bounds_of_a_schema() {
        let schema = json!({ "properties": { "a": { "format": "int32", "minimum": 5, "allOf": [{ "maximum": 7 }] } } });
        for (value, wanted) in [(4, false), (5, true), (7, true), (8, false)] {
            assert_eq!(is_valid(schema.clone(), Formats::Check, &json!({ "a": value })), wanted, "{value}");
        }
        assert!(is_valid(schema, Formats::Check, &json!({ "a": "text" })), "a format is for one type");
        assert!(validator(&json!({ "format": "int32", "allOf": 5 }), Formats::Check).is_err());
    }
}
