//! Claims of the caller as values of fields: `$claims.NAME` in access rules, `set` and `default`.

use super::decimal::Decimal;
use super::field_type::FieldType;
use gatewright_sdk::Identity;
use serde_json::{Number, Value};

/// The claim named by `$claims.NAME`.
pub fn claim_name(text: &str) -> Option<&str> {
    text.strip_prefix("$claims.")
}

/// The claim `name`, in the JSON form that values of `kind` have; `None` when it is absent or null. Claims such as `sub`
/// are always text (RFC 7519 section 4.1.2): for a number or a truth the text is read, in its one canonical spelling,
/// so that no two subjects are the same value. What cannot be read stays as it is, and is not a value of the type.
pub fn claim(identity: &Identity, name: &str, kind: &FieldType) -> Option<Value> {
    let value = match identity.claims.get(name) {
        Some(value) => value.clone(),
        None if name == "sub" && !identity.subject.is_empty() => Value::String(identity.subject.clone()),
        None => return None,
    };
    (!value.is_null()).then(|| typed(value, kind))
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
            Decimal::parse(&text).map(|_| Value::String(text))
        }
        _ => None,
    };
    read.unwrap_or(value)
}
