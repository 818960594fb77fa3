//! Defaults of columns: expressions of a database as values of fields.

use super::{Column, Kind};

/// The value that a new item has without one.
#[derive(Debug, PartialEq, Eq)]
pub enum Default {
    None,
    /// As YAML.
    Constant(String),
    Now,
    Uuid,
    Unknown(String),
}

/// What the default of a column means for a field.
pub fn default(column: &Column) -> Default {
    let Some(written) = column.default.as_deref().map(str::trim) else { return Default::None };
    let bare = written.trim_start_matches('(').trim_end_matches(')').trim().to_ascii_lowercase();
    if bare == "null" || bare.starts_with("null::") {
        return Default::None;
    }
    let time = matches!(column.kind, Kind::Datetime | Kind::Date);
    let now = ["now(", "current_timestamp", "current_date", "datetime('now'", "date('now'", "clock_timestamp("];
    if time && now.contains(&&*bare) {
        return Default::Now;
    }
    if column.kind == Kind::Uuid && (bare.ends_with("gen_random_uuid(") || bare.ends_with("uuid_generate_v4(")) {
        return Default::Uuid;
    }
    let literal = literal(written);
    let value = match &column.kind {
        Kind::Text { .. } | Kind::Uuid | Kind::Enum(_) => {
            literal.filter(|_| written.starts_with('\'')).map(|text| quoted(&text))
        }
        Kind::Integer { .. } => literal.and_then(|text| text.parse::<i64>().ok()).map(|number| number.to_string()),
        Kind::Number => literal
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|number| number.is_finite())
            .map(|number| number.to_string()),
        Kind::Decimal { .. } => literal.filter(|text| text.parse::<f64>().is_ok()).map(|text| quoted(&text)),
        Kind::Boolean => match bare.split("::").next().unwrap_or_default().trim_matches('\'') {
            "true" | "1" | "t" => Some("true".to_owned()),
            "false" | "0" | "f" => Some("false".to_owned()),
            _ => None,
        },
        Kind::Json => {
            literal.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok()).map(|json| json.to_string())
        }
        Kind::Datetime | Kind::Date | Kind::Other => None,
    };
    // The configuration would replace it.
    match value.filter(|value| !value.contains("${")) {
        Some(value) => Default::Constant(value),
        None => Default::Unknown(written.to_owned()),
    }
}

/// The text of a literal: `'draft'::text`, `0`, `(-1)`.
fn literal(written: &str) -> Option<String> {
    let Some(rest) = written.strip_prefix('\'') else {
        let plain = written.trim_matches(['(', ')']).split("::").next().unwrap_or_default();
        return Some(plain.to_owned());
    };
    let mut text = String::new();
    let mut letters = rest.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != '\'' {
            text.push(letter);
        } else if letters.next_if(|(_, next)| *next == '\'').is_some() {
            text.push('\'');
        } else {
            let after = rest.get(at + 1..).unwrap_or_default();
            return (after.is_empty() || after.starts_with("::")).then_some(text);
        }
    }
    None
}

/// A YAML text in double quotes, which JSON's escapes fit.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_of_the_database_becomes_a_value_or_is_kept_as_it_is() {
        let of = |kind: Kind, written: &str| {
            let default = Some(written.to_owned());
            super::default(&Column {
                name: "x".into(),
                written: "x".into(),
                kind,
                nullable: true,
                default,
                generated: false,
            })
        };
        let text = || Kind::Text { max: None };
        let constant = |value: &str| Default::Constant(value.to_owned());
        let unknown = |value: &str| Default::Unknown(value.to_owned());
        assert_eq!(of(text(), "'it''s'::character varying"), constant("\"it's\""));
        assert_eq!(of(text(), "'a' || 'b'"), unknown("'a' || 'b'"));
        assert_eq!(of(text(), "NULL::text"), Default::None);
        assert_eq!(of(text(), "'${env.HOME}'"), unknown("'${env.HOME}'"));
        assert_eq!(of(Kind::Integer { bits: 64 }, "'-5'::integer"), constant("-5"));
        assert_eq!(of(Kind::Integer { bits: 64 }, "(-5)"), constant("-5"));
        assert_eq!(of(Kind::Integer { bits: 64 }, "nextval('s'::regclass)"), unknown("nextval('s'::regclass)"));
        assert_eq!(of(Kind::Boolean, "(0)"), constant("false"));
        assert_eq!(of(Kind::Datetime, "CURRENT_TIMESTAMP"), Default::Now);
        assert_eq!(of(Kind::Datetime, "(datetime('now'))"), Default::Now);
        assert_eq!(of(Kind::Datetime, "(now() + '1 day'::interval)"), unknown("(now() + '1 day'::interval)"));
        assert_eq!(of(Kind::Uuid, "gen_random_uuid()"), Default::Uuid);
    }
}
