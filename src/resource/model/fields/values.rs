//! Values that the server assigns to fields: `default`, `set`, and the values of an enum.

use super::{FieldContext, constant};
use crate::config::document::resource::Field as Written;
use crate::resource::claim::{TIMES_FIT, claim_name, meant, never_fits};
use crate::resource::field::{Field, Source};
use crate::resource::field_type::FieldType;
use gatewright_sdk::Code;
use serde_json::Value;

/// What the server sets on create and on every change.
pub fn set(written: &Written, kind: &FieldType, context: &mut FieldContext<'_>) -> (Option<Source>, Option<Source>) {
    let Some(word) = &written.set else { return (None, None) };
    if written.default.is_some() {
        context.fault(Code::FIELD_CONTRADICTION, "default", "`default` has no effect together with `set`");
    }
    let source = match (word.as_str(), claim_name(word)) {
        (_, Some(name)) if !name.is_empty() => {
            check_claim("set", name, kind, context);
            return (Some(Source::Claim(name.to_owned())), None);
        }
        ("on_create" | "on_write", _) => match kind {
            FieldType::Datetime => Source::Now,
            FieldType::Date => Source::Today,
            FieldType::Uuid if word == "on_create" => Source::Uuid,
            _ => {
                context.fault(Code::FIELD_OPTION, "set", format!("`{word}` works only with datetime and date fields"));
                return (None, None);
            }
        },
        _ => {
            let text = format!("`{}` is not a valid `set`", super::shown(word));
            let help = meant_by(word).map_or_else(
                || "write `on_create`, `on_write` or `$claims.NAME`".to_owned(),
                |meant| format!("did you mean `{meant}`?"),
            );
            context.fault_with_help(Code::UNKNOWN_WORD, "set", text, &help);
            return (None, None);
        }
    };
    (Some(source.clone()), (word == "on_write").then_some(source))
}

/// The value of a new item if the client sends none.
pub fn default(written: &Written, field: &Field, context: &mut FieldContext<'_>) -> Option<Source> {
    let value = written.default.as_ref()?;
    if matches!(field.kind, FieldType::Password) {
        context.fault(Code::FIELD_CONTRADICTION, "default", "a password cannot have a default");
        return None;
    }
    let source = match (value.as_str(), &field.kind) {
        (Some("now"), FieldType::Datetime) => Ok(Source::Now),
        (Some("now"), FieldType::Date) => Ok(Source::Today),
        (Some("uuid"), FieldType::Uuid) => Ok(Source::Uuid),
        (Some(text), _) if claim_name(text).is_some_and(|name| !name.is_empty()) => {
            let name = claim_name(text).unwrap_or_default();
            check_claim("default", name, &field.kind, context);
            Ok(Source::Claim(name.to_owned()))
        }
        _ => constant(field, value),
    };
    let meant = value.as_str().and_then(|text| Some((text, meant_by(text)?)));
    match (source, meant) {
        (Ok(source), None) => Some(source),
        (Ok(source), Some((text, meant))) => {
            if matches!(source, Source::Constant(_)) {
                let message = format!("`{}` is plain text here", super::shown(text));
                context.warn(Code::LITERAL_PLACEHOLDER, "default", message, &format!("did you mean `{meant}`?"));
            }
            Some(source)
        }
        (Err(reason), meant) => {
            let message = format!("the default is not valid for this field: {reason}");
            match meant {
                Some((_, meant)) => {
                    let help = format!("did you mean `{meant}`?");
                    context.fault_with_help(Code::FIELD_VALUE, "default", message, &help);
                }
                None => context.fault(Code::FIELD_VALUE, "default", message),
            }
            None
        }
    }
}

/// The word or reference that a text was probably meant to be: `now` for `$now`, `$claims.sub` for `claims.sub`.
fn meant_by(text: &str) -> Option<String> {
    match text {
        "$now" | "now()" | "$now()" => Some("now".to_owned()),
        "$uuid" | "uuid()" | "$uuid()" => Some("uuid".to_owned()),
        "$on_create" | "$on_write" => text.strip_prefix('$').map(str::to_owned),
        text => meant(text).map(|meant| super::shown(&meant)),
    }
}

fn check_claim(key: &str, name: &str, kind: &FieldType, context: &mut FieldContext<'_>) {
    if never_fits(name, kind) {
        let text = format!("claim `{name}` is a time in seconds, not a value of type {}", kind.word());
        context.fault_with_help(Code::CLAIM, key, text, TIMES_FIT);
    }
}

/// The values of an enum.
pub fn choices(written: &Written, context: &mut FieldContext<'_>) -> Vec<String> {
    let values = written.values.clone().unwrap_or_default();
    if values.is_empty() {
        let help = "add `values: [draft, published]`";
        context.fault_with_help(Code::MISSING_KEY, "values", "an enum field requires `values`", help);
    }
    for (at, value) in values.iter().enumerate() {
        if values.iter().take(at).any(|earlier| earlier == value) {
            let message = format!("`{}` is listed twice", super::shown(value));
            context.fault(Code::FIELD_VALUE, &format!("values[{at}]"), message);
        }
        if value.contains('\0') {
            context.fault(Code::FIELD_VALUE, &format!("values[{at}]"), "a value must not contain NUL");
        }
    }
    values
}

/// Whether a `default` or `set` in the file refers to a claim.
pub fn asks_claims(written: &Written) -> Option<&'static str> {
    let of_default = written.default.as_ref().and_then(Value::as_str).and_then(claim_name).is_some();
    if written.set.as_deref().and_then(claim_name).is_some() {
        return Some("set");
    }
    of_default.then_some("default")
}
