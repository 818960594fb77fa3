//! `min` and `max` of a field: characters of a text, value of a number, items of a list.

use super::FieldContext;
use crate::resource::decimal::Decimal;
use crate::resource::field::{Bound, Field};
use crate::resource::field_type::FieldType;
use gatewright_sdk::Code;
use serde_json::Number;
use std::cmp::Ordering;

pub fn bound(kind: &FieldType, key: &str, number: Option<&Number>, context: &mut FieldContext<'_>) -> Option<Bound> {
    let number = number?;
    let bound = match kind {
        FieldType::Integer => number.as_i64().map(Bound::Integer).ok_or("must be an integer"),
        FieldType::Number => number.as_f64().filter(|real| real.is_finite()).map(Bound::Real).ok_or("must be a number"),
        FieldType::Decimal { .. } => {
            let text = number.to_string();
            Decimal::parse(&text).map(|decimal| Bound::Decimal(decimal, text)).ok_or("must be a decimal number")
        }
        FieldType::String
        | FieldType::Text
        | FieldType::Email
        | FieldType::Url
        | FieldType::Password
        | FieldType::Json(_) => {
            let count = number.as_u64().and_then(|count| usize::try_from(count).ok());
            count.map(Bound::Count).ok_or("must be an integer of at least 0")
        }
        FieldType::Uuid | FieldType::Boolean | FieldType::Datetime | FieldType::Date | FieldType::Enum(_) => {
            Err("works only with text, numbers and lists")
        }
    };
    match bound {
        Ok(bound) => Some(bound),
        Err(reason) => {
            context.fault(Code::FIELD_BOUNDS, key, format!("`{key}` {reason}"));
            None
        }
    }
}

pub fn check_order(field: &Field, context: &mut FieldContext<'_>) {
    let order = match (&field.min, &field.max) {
        (Some(Bound::Count(min)), Some(Bound::Count(max))) => Some(min.cmp(max)),
        (Some(Bound::Integer(min)), Some(Bound::Integer(max))) => Some(min.cmp(max)),
        (Some(Bound::Real(min)), Some(Bound::Real(max))) => min.partial_cmp(max),
        (Some(Bound::Decimal(min, _)), Some(Bound::Decimal(max, _))) => min.partial_cmp(max),
        _ => None,
    };
    if let (Some(Ordering::Greater), Some(min), Some(max)) = (order, &field.min, &field.max) {
        let message = format!("`min` ({min}) is greater than `max` ({max})");
        context.fault(Code::FIELD_BOUNDS, "min", message);
    }
}
