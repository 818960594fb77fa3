//! The types of fields: what a value of each looks like in JSON, in a query and in the store.

use super::decimal::Decimal;
use super::email;
use super::json::Json;
use super::moment;
use super::store::Param;
use super::table::ColumnType;
use std::sync::Arc;
use url::Url;
use uuid::Uuid;

/// The type of a field, compiled.
#[derive(Clone)]
pub enum FieldType {
    String,
    Text,
    Email,
    Uuid,
    Url,
    Integer,
    Number,
    Decimal { precision: u32, scale: u32 },
    Boolean,
    Datetime,
    Date,
    Enum(Vec<String>),
    Json(Option<Arc<jsonschema::Validator>>),
    Password,
}

/// Why a value does not match a type: `type` if the JSON type is wrong, otherwise `format`, `values` or `schema`.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub code: &'static str,
    /// A text that is more specific than [`FieldType::demand`].
    pub text: Option<String>,
}

impl Mismatch {
    const fn of(code: &'static str) -> Self {
        Self { code, text: None }
    }

    fn because(code: &'static str, text: &str) -> Self {
        Self { code, text: Some(text.to_owned()) }
    }
}

impl FieldType {
    /// The value from a body as it is stored. A password is returned unchanged.
    pub fn read(&self, value: impl Into<Json>) -> Result<Param, Mismatch> {
        match (self, value.into()) {
            (Self::Integer, Json::Number(text)) => integer(&text),
            (Self::Number, Json::Number(text)) => real(&text),
            (Self::Boolean, Json::Bool(truth)) => Ok(Param::Integer(i64::from(truth))),
            (Self::Json(schema), value) => json(schema.as_deref(), &value),
            (Self::Integer | Self::Number | Self::Boolean, _) => Err(Mismatch::of("type")),
            (_, Json::String(text)) => self.text(text),
            _ => Err(Mismatch::of("type")),
        }
    }

    /// The text of a filter as it is stored; `None` if it does not match the type. Numbers are written as in JSON, and integers without a
    /// fraction and without an exponent: `05`, `+5` and `1e1` are different numbers to different programs.
    pub fn parse(&self, text: &str) -> Option<Param> {
        match self {
            Self::Integer | Self::Number if !Json::is_number(text) => None,
            Self::Integer => text.parse().ok().map(Param::Integer),
            Self::Number => text.parse().ok().filter(|real: &f64| real.is_finite()).map(Param::Real),
            Self::Boolean => text.parse().ok().map(|truth: bool| Param::Integer(i64::from(truth))),
            // A date is the start of its day in UTC.
            Self::Datetime => {
                let midnight = || moment::datetime(&format!("{}T00:00:00Z", moment::date(text)?));
                moment::datetime(text).or_else(midnight).map(Param::Text)
            }
            // A text that is not an address equals no item's address, but it can be a bound.
            Self::Email => Some(Param::Text(email::normal(text).unwrap_or_else(|| email::normal_piece(text)))),
            _ => self.text(text.to_owned()).ok(),
        }
    }

    fn text(&self, text: String) -> Result<Param, Mismatch> {
        let wrong = Mismatch::of("format");
        let text = match self {
            Self::Email => email::normal(&text).ok_or(wrong)?,
            Self::Url if !is_url(&text) => return Err(wrong),
            Self::Uuid => uuid(&text).ok_or(wrong)?,
            Self::Datetime => moment::datetime(&text).ok_or(wrong)?,
            Self::Date => moment::date(&text).ok_or(wrong)?,
            Self::Decimal { precision, scale } => {
                let decimal = Decimal::parse(&text).filter(|decimal| decimal.fits(*precision, *scale));
                decimal.ok_or(wrong)?.canonical(*scale)
            }
            Self::Enum(values) if !values.contains(&text) => return Err(Mismatch::of("values")),
            _ => text,
        };
        Ok(Param::Text(text))
    }

    /// The message about a value of the wrong type or format.
    pub fn demand(&self) -> String {
        match self {
            Self::String | Self::Text | Self::Password => "must be a string".into(),
            Self::Email => "must be an e-mail address".into(),
            Self::Uuid => "must be a UUID".into(),
            Self::Url => "must be an absolute URL".into(),
            Self::Integer => "must be an integer".into(),
            Self::Number => "must be a number".into(),
            Self::Decimal { precision, scale } => {
                format!(
                    "must be a decimal as a string, with at most {precision} digits, {scale} of them after the point"
                )
            }
            Self::Boolean => "must be true or false".into(),
            Self::Datetime => "must be an RFC 3339 date-time".into(),
            Self::Date => "must be an RFC 3339 date".into(),
            Self::Enum(values) => format!("must be one of {}", values.join(", ")),
            Self::Json(_) => "does not match the schema".into(),
        }
    }

    /// Its name in the file.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Text => "text",
            Self::Email => "email",
            Self::Uuid => "uuid",
            Self::Url => "url",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Decimal { .. } => "decimal",
            Self::Boolean => "boolean",
            Self::Datetime => "datetime",
            Self::Date => "date",
            Self::Enum(_) => "enum",
            Self::Json(_) => "json",
            Self::Password => "password",
        }
    }

    /// Whether its values are JSON strings with arbitrary content.
    pub const fn is_free_text(&self) -> bool {
        matches!(self, Self::String | Self::Text | Self::Email | Self::Url | Self::Password)
    }

    /// Whether a value can contain a comma or a quote, so that quotes are needed where several are in one text.
    pub fn is_quoted_in_lists(&self) -> bool {
        match self {
            Self::Enum(values) => values.iter().any(|value| value.contains([',', '"'])),
            other => other.is_free_text(),
        }
    }

    pub const fn is_email(&self) -> bool {
        matches!(self, Self::Email)
    }

    /// The number of digits that a decimal has after the point.
    pub const fn scale(&self) -> Option<u32> {
        match self {
            Self::Decimal { scale, .. } => Some(*scale),
            _ => None,
        }
    }

    /// The maximum number of digits of a decimal.
    pub const fn precision(&self) -> Option<u32> {
        match self {
            Self::Decimal { precision, .. } => Some(*precision),
            _ => None,
        }
    }

    /// Whether stored values of some other types can become its values without a loss.
    pub const fn is_wide(&self) -> bool {
        matches!(self, Self::String | Self::Text | Self::Number | Self::Decimal { .. } | Self::Datetime)
    }

    /// Whether a list can be sorted by it. Values of `text` may be too long to sort many of them.
    pub const fn is_sortable(&self) -> bool {
        !matches!(self, Self::Text | Self::Json(_) | Self::Password)
    }

    /// Whether the order of values in memory is the order of their meaning, and says something.
    pub const fn is_ordered(&self) -> bool {
        !matches!(self, Self::Text | Self::Json(_) | Self::Decimal { .. } | Self::Boolean | Self::Password)
    }

    pub const fn column(&self) -> ColumnType {
        match self {
            Self::Uuid => ColumnType::Uuid,
            Self::Integer => ColumnType::Integer,
            Self::Number => ColumnType::Number,
            Self::Decimal { .. } => ColumnType::Decimal,
            Self::Boolean => ColumnType::Boolean,
            Self::Datetime => ColumnType::Datetime,
            Self::Date => ColumnType::Date,
            Self::Json(_) => ColumnType::Json,
            Self::Password => ColumnType::Password,
            _ => ColumnType::Text,
        }
    }
}

/// A UUID with hyphens in lower case: one spelling per value, so one URL per item.
pub fn uuid(text: &str) -> Option<String> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(|uuid| uuid.hyphenated().to_string())
}

/// Whether it is an absolute URL exactly as written. The library would remove line breaks, and spaces at the ends.
fn is_url(text: &str) -> bool {
    !text.contains(|letter: char| letter.is_whitespace() || letter.is_control()) && Url::parse(text).is_ok()
}

/// An integer, which JSON Schema also knows as `1.0` and `1e3`: some programs write every number so.
fn integer(text: &str) -> Result<Param, Mismatch> {
    if text.contains(['.', 'e', 'E']) {
        return whole(text).map(Param::Integer).ok_or_else(|| Mismatch::of("type"));
    }
    let out_of_range = || Mismatch::because("type", "must be an integer of 64 bits, from -2^63 to 2^63-1");
    text.parse().map(Param::Integer).map_err(|_| out_of_range())
}

/// 2^63, which no integer of 64 bits with a sign is. Programs that read the number as a double must not read it as this one.
const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;

/// The integer that a number with a fraction or an exponent is, exactly.
fn whole(text: &str) -> Option<i64> {
    text.parse::<f64>().ok().filter(|double| double.abs() < TOO_LARGE)?;
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    // Zeros at the end are part of the exponent.
    let short = all.trim_end_matches('0');
    let Ok(number) = short.parse::<i64>() else { return Some(0).filter(|_| matches!(short, "" | "-")) };
    let moved = i64::try_from(all.len() - short.len()).ok()? - i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.parse::<i64>().ok()?.checked_add(moved)?;
    number.checked_mul(10_i64.checked_pow(u32::try_from(exponent).ok()?)?)
}

fn real(text: &str) -> Result<Param, Mismatch> {
    let finite = text.parse().ok().filter(|real: &f64| real.is_finite());
    // The store does not keep the sign of zero.
    finite
        .map(|real| Param::Real(if real == 0.0 { 0.0 } else { real }))
        .ok_or_else(|| Mismatch::because("type", "must be a number of 64 bits, below 1.8e308"))
}

fn json(schema: Option<&jsonschema::Validator>, value: &Json) -> Result<Param, Mismatch> {
    if let Some(schema) = schema {
        let too_long = || Mismatch::because("schema", "holds a number that is too large for its schema to judge");
        let judged = value.to_value().ok_or_else(too_long)?;
        if let Err(error) = schema.validate(&judged) {
            // The library's message contains the value; the location is enough.
            let place: String = error.instance_path().as_str().chars().take(64).collect();
            let text = (!place.is_empty()).then(|| format!("does not match the schema at {place}"));
            return Err(Mismatch { code: "schema", text });
        }
    }
    // Stores other than SQLite cannot store NUL in JSON.
    if value.holds_nul() {
        return Err(Mismatch::because("nul", "must not contain NUL"));
    }
    Ok(Param::Text(value.write()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_url_is_absolute_and_holds_no_blank_or_line_break() {
        for good in ["https://a.example/x?y#z", "HTTP://ü.example", "mailto:a@x.com", "urn:x:y"] {
            assert!(FieldType::Url.read(json!(good)).is_ok(), "{good}");
        }
        for bad in
            ["/x", "x.com", "", " http://x", "http://x ", "ht\ntp://x", "http://x/\r\nSet-Cookie: a", "http://x/a b"]
        {
            assert_eq!(FieldType::Url.read(json!(bad)), Err(Mismatch::of("format")), "{bad}");
        }
    }

    #[test]
    fn numbers_are_exact_and_finite() {
        assert_eq!(FieldType::Integer.read(json!(7)), Ok(Param::Integer(7)));
        for (text, number) in [
            ("1.0", 1),
            ("1e3", 1000),
            ("-2.50e1", -25),
            ("-0.0", 0),
            ("0e999", 0),
            ("100e-2", 1),
            ("1E+3", 1000),
            ("1e18", 1_000_000_000_000_000_000),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("-9223372036854774784.0", -9_223_372_036_854_774_784),
        ] {
            assert_eq!(FieldType::Integer.read(Json::Number(text.into())), Ok(Param::Integer(number)), "{text}");
        }
        for bad in [
            "1.5",
            "1e19",
            "1e-1",
            "10e-2",
            "1e999",
            "9223372036854775807.0",
            "-9223372036854775808.0",
            "1e-99999999999",
        ] {
            assert_eq!(FieldType::Integer.read(Json::Number(bad.into())), Err(Mismatch::of("type")), "{bad}");
        }
        for bad in [json!("7"), json!(1.5), json!(true), json!([1])] {
            assert_eq!(FieldType::Integer.read(bad), Err(Mismatch::of("type")));
        }
        let mismatch = FieldType::Integer.read(json!(18_446_744_073_709_551_615_u64)).unwrap_err();
        assert!(mismatch.text.unwrap().contains("64 bits"));
        assert_eq!(FieldType::Number.read(json!(0.5)), Ok(Param::Real(0.5)));
        for bad in ["NaN", "inf", "05", "+5", ".5", "5.", "1_0", " 5", "5 ", "", "-", "0x1", "1e400"] {
            assert_eq!((FieldType::Number.parse(bad), FieldType::Integer.parse(bad)), (None, None), "{bad}");
        }
        assert_eq!(FieldType::Number.parse("-5.0e1"), Some(Param::Real(-50.0)));
        assert_eq!((FieldType::Integer.parse("5.0"), FieldType::Integer.parse("1e1")), (None, None));
        assert_eq!(FieldType::Integer.parse("-0"), Some(Param::Integer(0)));
        let money = FieldType::Decimal { precision: 12, scale: 2 };
        assert_eq!(money.read(json!("12.5")), Ok(Param::Text("12.50".into())));
        assert_eq!(money.read(json!(12.5)), Err(Mismatch::of("type")));
        assert_eq!(money.read(json!("1e400")), Err(Mismatch::of("format")));
    }

    #[test]
    fn a_schema_is_obeyed_and_its_refusal_keeps_the_value_to_itself() {
        let schema = jsonschema::options().build(&json!({"type": "object", "maxProperties": 1})).unwrap();
        let kind = FieldType::Json(Some(Arc::new(schema)));
        assert_eq!(kind.read(json!({"a": 1})), Ok(Param::Text("{\"a\":1}".into())));
        let refused = kind.read(json!(["secret"])).unwrap_err();
        assert!(!format!("{refused:?}").contains("secret"));
        assert_eq!(FieldType::Json(None).read(json!({"a": "\0"})).unwrap_err().code, "nul");
    }
}
