//! Claims of the caller as values of fields: `$claims.NAME` in access rules, `set` and `default`.

use super::decimal::Decimal;
use super::field_type::FieldType;
use super::moment;
use gatewright_sdk::Identity;
use serde_json::{Number, Value};

/// The claims that are times, as seconds since 1970 (RFC 7519 section 2, OpenID Connect Core).
const TIMES: [&str; 5] = ["exp", "nbf", "iat", "auth_time", UPDATED];
/// Some issuers write it as text.
const UPDATED: &str = "updated_at";

/// Whether the claim `name` is a time.
pub fn is_time(name: &str) -> bool {
    TIMES.contains(&name)
}

/// Whether the claim `name` is a time, and [`claim`] never reads a time as a value of `kind`.
pub fn never_fits(name: &str, kind: &FieldType) -> bool {
    use FieldType as T;
    let takes_times = matches!(kind, T::Datetime | T::Integer | T::Number | T::Decimal { .. } | T::Json(_));
    TIMES.contains(&name) && name != UPDATED && !takes_times
}

/// The types that [`never_fits`] accepts, for help texts.
pub const TIMES_FIT: &str = "a time is a value of a datetime, integer, number, decimal or json field";

/// How many digits of a number survive a conversion to a double (IEEE 754 binary64).
const EXACT: usize = 15;

/// The claim named by `$claims.NAME`.
pub fn claim_name(text: &str) -> Option<&str> {
    text.strip_prefix("$claims.")
}

/// The reference that a constant text was probably meant to be: `$claims.sub` for `claims.sub`.
pub fn meant(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('$');
    let named =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b));
    let name = text.strip_prefix("claims.").or_else(|| text.strip_prefix("claim."))?;
    named(name).then(|| format!("$claims.{name}"))
}

/// The reference that an unknown word such as `$sub` or `$user.id` was probably meant to be. No value of a field is likely to
/// be such a text.
pub fn unknown_word(text: &str) -> Option<String> {
    let word = text.strip_prefix('$')?;
    let is_word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    if claim_name(text).is_some() || !word.split('.').all(is_word) {
        return None;
    }
    let name = word.rsplit('.').next().unwrap_or_default();
    let is_caller = ["id", "user", "user_id", "userid", "uid", "subject", "me", "identity"].contains(&name);
    Some(format!("$claims.{}", if is_caller { "sub" } else { name }))
}

/// The claim `name`, in the JSON form that values of `kind` have; `None` if it is absent, null or an empty text. Claims such as `sub`
/// are always text (RFC 7519 section 4.1.2): for a number or a truth the text is read, in its one canonical spelling,
/// so that no two subjects are the same value. A claim that is a time is read as a moment for a datetime. What cannot be read
/// stays as it is, and is not a value of the type; a number is not read as text, and one with more digits than a double
/// holds is not a decimal. Decimals are compared by what they are worth: `7` and `7.00` are one.
pub fn claim(identity: &Identity, name: &str, kind: &FieldType) -> Option<Value> {
    let value = match identity.claims.get(name) {
        Some(value) => value.clone(),
        None if name == "sub" && !identity.subject.is_empty() => Value::String(identity.subject.clone()),
        None => return None,
    };
    match (kind, &value) {
        (_, Value::Null) => None,
        // An issuer that does not know a claim may write it all the same: no one is the owner, or the tenant, without a name.
        (_, Value::String(text)) if text.is_empty() => None,
        (FieldType::Datetime, Value::Number(seconds)) if TIMES.contains(&name) => {
            Some(moment::since_1970(seconds).map_or(value, Value::String))
        }
        _ => Some(typed(value, kind)),
    }
}

/// A claim, or an element of one, in the JSON form of `kind`.
pub fn typed(value: Value, kind: &FieldType) -> Value {
    let read = match (kind, &value) {
        (FieldType::Integer, Value::String(text)) => {
            let number = text.parse::<i64>().ok().filter(|number| number.to_string() == *text);
            number.map(Value::from)
        }
        (FieldType::Number, Value::String(text)) => {
            let number = serde_json::from_str::<Number>(text).ok().filter(|number| number.to_string() == *text);
            number.map(Value::Number)
        }
        (FieldType::Boolean, Value::String(text)) => text.parse::<bool>().ok().map(Value::Bool),
        (FieldType::Decimal { .. }, Value::Number(number)) => {
            let text = number.to_string();
            let exact = number.is_i64() || number.is_u64() || text.bytes().filter(u8::is_ascii_digit).count() <= EXACT;
            Decimal::parse(&text).filter(|_| exact).map(|_| Value::String(text))
        }
        _ => None,
    };
    read.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_leads_to_a_claim() {
        for (word, meant) in [("$sub", "sub"), ("$user.id", "sub"), ("$org", "org"), ("$token.org-id", "org-id")] {
            assert_eq!(unknown_word(word), Some(format!("$claims.{meant}")));
        }
        for text in ["sub", "$", "$5", "$5.00", "US$", "$a b", "$claims.sub", "$claims.a.b", "$a..b"] {
            assert_eq!(unknown_word(text), None, "{text}");
        }
    }
}
