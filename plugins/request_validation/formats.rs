//! Makes validators of schemas, and decides what `format` means in them.

use super::invalid::{self, Unusable};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatewright_openapi::json_schema;
use gatewright_sdk::nearest;
use jsonschema::{EmailOptions, Keyword, ValidationError, Validator};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

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

/// The formats that are checked.
const CHECKED: [&str; 22] = [
    "byte",
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "int32",
    "int64",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
    "regex",
];

/// Formats of the OpenAPI registry and of well-known tools that are not checked, and look like a typo of one that is.
#[rustfmt::skip]
const FOREIGN: [&str; 23] = [
    "cuid", "data", "guid", "int24", "int128", "mime", "rate", "sint32", "sint64", "uid", "uint24", "uint32", "uint64", "ulid", "urn",
    "uuid1", "uuid2", "uuid3", "uuid4", "uuid5", "uuid6", "uuid7", "uuid8",
];

/// The format that was probably meant by a name that means nothing. Formats are an open set: others are what their authors say.
pub fn meant(format: &str) -> Option<&'static str> {
    let is_foreign = FOREIGN.iter().any(|known| known.eq_ignore_ascii_case(format));
    nearest(format, CHECKED.into_iter()).filter(|near| *near != format && !is_foreign)
}

/// The validator of a schema. Nothing is fetched, and patterns take linear time.
///
/// # Errors
/// Where the schema is not valid, and why: ` at /type: …`.
pub fn validator(schema: &Value, formats: Formats) -> Result<Validator, Unusable> {
    let mut options = json_schema().should_validate_formats(formats == Formats::Check);
    if formats == Formats::Check {
        // An address, without the name of its owner in front. A `regex` would be compiled, at the expense of the gateway.
        options = options
            .with_email_options(EmailOptions::default().without_display_text())
            .with_format("byte", |text: &str| STANDARD.decode(text).is_ok())
            .with_format("regex", |_: &str| true)
            .with_keyword(RANGE, |_, format, _| Ok(Box::new(Range::named(format.as_str().unwrap_or_default()))));
    }
    options.build(schema).map_err(|error| invalid::schema(&error))
}

/// The keyword of the gateway for numbers with a `format`: validators check it only of text.
const RANGE: &str = "x-gatewright-range";

/// Adds the keyword for `int32` and `int64` to an object of a schema.
pub fn bound(schema: &mut Map<String, Value>, formats: Formats) {
    let format = schema.get("format").and_then(Value::as_str).filter(|_| formats == Formats::Check);
    if let Some(format @ ("int32" | "int64")) = format {
        let format = Value::from(format);
        schema.insert(RANGE.to_owned(), format);
    } else {
        schema.shift_remove(RANGE);
    }
}

/// The numbers of a format.
enum Range {
    Int32,
    Int64,
    All,
}

impl Range {
    fn named(format: &str) -> Self {
        match format {
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            _ => Self::All,
        }
    }

    /// Integers are compared exactly. One that fits into neither 64 bits with a sign nor without one was read as a double, as numbers with
    /// a fraction or an exponent are. Below `int64` it can have become the smallest number of it, which such a number therefore is not.
    fn has(&self, number: &Number) -> bool {
        match (self, number.as_i64(), number.as_f64().filter(|_| number.is_f64())) {
            (Self::All, ..) | (Self::Int64, Some(_), _) => true,
            (Self::Int32, Some(whole), _) => i32::try_from(whole).is_ok(),
            (Self::Int32, _, Some(double)) => (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&double),
            (Self::Int64, _, Some(double)) => -TWO_TO_63 < double && double < TWO_TO_63,
            // Only without a sign.
            (Self::Int32 | Self::Int64, None, None) => false,
        }
    }
}

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

impl Keyword for Range {
    fn validate<'i>(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        let name = match self {
            Self::Int32 => "int32",
            Self::Int64 | Self::All => "int64",
        };
        if self.is_valid(value) { Ok(()) } else { Err(ValidationError::custom(name)) }
    }

    fn is_valid(&self, value: &Value) -> bool {
        value.as_number().is_none_or(|number| self.has(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
            ("int32", json!(i32::MAX), json!(-2_147_483_649_i64)),
            ("int32", json!(-2_147_483_648.0), json!(2_147_483_648.0)),
            ("int64", json!(i64::MIN), json!(-1e19)),
            ("int64", json!(1e18), json!(u64::MAX)),
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
    fn the_ends_of_a_range_are_exact_however_a_number_is_written() {
        for (format, text, wanted) in [
            ("int64", "-9223372036854775808", true),
            ("int64", "-9223372036854775809", false),
            ("int64", "-9223372036854776000", false),
            ("int64", "9223372036854775807", true),
            ("int64", "9223372036854775808", false),
            ("int64", "18446744073709551616", false),
            ("int64", "-9223372036854774784.0", true),
            ("int64", "9.2e18", true),
            ("int64", "9.3e18", false),
            ("int32", "-2147483648", true),
            ("int32", "-2147483649", false),
            ("int32", "2147483647", true),
            ("int32", "2147483648", false),
            ("int32", "-1e400000", false),
        ] {
            let read = super::super::json::read(text.as_bytes());
            let schema = json!({ "type": "integer", "format": format });
            let found = read.is_ok_and(|value| is_valid(schema, Formats::Check, &value));
            assert_eq!(found, wanted, "{format} {text}");
        }
    }

    #[test]
    fn typos_of_formats_are_found_and_other_names_are_not() {
        for (format, near) in [
            ("int46", "int64"),
            ("int-64", "int64"),
            ("date-tme", "date-time"),
            ("datetime", "date-time"),
            ("DateTime", "date-time"),
            ("Date", "date"),
            ("emial", "email"),
            ("host-name", "hostname"),
            ("uiud", "uuid"),
            ("url", "uri"),
            ("bytes", "byte"),
        ] {
            assert_eq!(meant(format), Some(near), "{format}");
        }
        for format in FOREIGN {
            assert!(nearest(format, CHECKED.into_iter()).is_some(), "`{format}` need not be listed");
        }
        let others = ["phone", "timestamp", "json", "ipvanyaddress", "full-date", "int16", "float", "id", ""];
        for format in CHECKED.into_iter().chain(FOREIGN).chain(others) {
            assert_eq!(meant(format), None, "{format}");
        }
    }

    #[test]
    fn the_range_of_a_format_adds_to_the_bounds_of_a_schema() {
        let schema = json!({ "properties": { "a": { "format": "int32", "minimum": 5, "allOf": [{ "maximum": 7 }] } } });
        for (value, wanted) in [(4, false), (5, true), (7, true), (8, false)] {
            assert_eq!(is_valid(schema.clone(), Formats::Check, &json!({ "a": value })), wanted, "{value}");
        }
        assert!(is_valid(schema, Formats::Check, &json!({ "a": "text" })), "a format is for one type");
        let own = json!({ "x-gatewright-range": "int32" });
        assert!(is_valid(own, Formats::Check, &json!(1e12)), "a file cannot use the keyword");
    }
}
