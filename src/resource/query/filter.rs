//! Filters of a list: `filter[field]=value` and `filter[field][operator]=value`.

use super::hints;
use super::pairs::Pair;
use crate::config::document::resource::FilterOp;
use crate::resource::field::Field;
use crate::resource::field_type::FieldType;
use crate::resource::model::Model;
use crate::resource::model::deleted::DELETED_AT;
use crate::resource::operator::operator_named;
use crate::resource::predicate::{Column, Comparison};
use crate::resource::refusal::{Faults, cut};
use crate::resource::store::Param;
use std::borrow::Cow;

/// A list with more filters is rejected.
pub(super) const MOST_FILTERS: usize = 16;
pub const MOST_VALUES: usize = 100;
const TOO_MANY: &str = "more than 100 values";
/// The longest single value, in bytes.
const LONGEST_VALUE: usize = 1024;

pub(super) fn all(model: &Model, given: &[Pair<'_>], faults: &mut Faults) -> Vec<Comparison> {
    if given.len() > MOST_FILTERS {
        faults.teach("filter", "max", "more than 16 filters", || hints::LIMITS.to_owned());
        return Vec::new();
    }
    given.iter().filter_map(|pair| one(model, pair, faults)).collect()
}

fn one(model: &Model, pair: &Pair<'_>, faults: &mut Faults) -> Option<Comparison> {
    let Some((name, word)) = names(&pair.key) else {
        faults.teach(&pair.key, "unknown", "unknown parameter", || hints::of_list(model));
        return None;
    };
    let parameter = format!("filter[{}]", cut(name));
    // A field that clients cannot see gets the same error as one that does not exist.
    let found = model.position(name).and_then(|at| Some((at, model.fields.get(at)?)));
    let Some((position, field)) = found.filter(|(_, field)| field.visible()) else {
        match name == DELETED_AT && model.shows_deleted() {
            true => faults.teach(&parameter, "unknown", hints::OF_DELETED, || hints::ASK_FOR_DELETED.to_owned()),
            false => faults.teach(&parameter, "unknown", "unknown field", || hints::filters(model)),
        }
        return None;
    };
    let Some(operator) = operator_named(word).filter(|operator| field.filter.contains(operator)) else {
        let message = format!("operator \"{}\" is not allowed", cut(word));
        faults.teach(&parameter, "operator", message, || hints::operators(model, field));
        return None;
    };
    if !pair.has_value {
        faults.teach(&parameter, "format", "has no value", || hints::no_value(&cut(&pair.key)));
        return None;
    }
    let values = match values(field, operator, &pair.value) {
        Ok(values) => values,
        Err(message) => {
            let kind = if operator == FilterOp::Null { &FieldType::Boolean } else { &field.kind };
            match hints::value(kind).filter(|_| message == kind.demand()) {
                Some(help) => faults.teach(&parameter, "format", message, || help.to_owned()),
                None => faults.push(&parameter, "format", message),
            }
            return None;
        }
    };
    let fold = field.fold && matches!(operator, FilterOp::Eq | FilterOp::Ne | FilterOp::In);
    Some(Comparison { column: Column::Field(position), operator, values, fold })
}

/// `filter[name]` or `filter[name][word]`.
fn names(key: &str) -> Option<(&str, &str)> {
    let inside = key.strip_prefix("filter[")?.strip_suffix(']')?;
    let (name, word) = inside.split_once("][").unwrap_or((inside, "eq"));
    (!name.contains(['[', ']']) && !word.contains(['[', ']'])).then_some((name, word))
}

fn values(field: &Field, operator: FilterOp, text: &str) -> Result<Vec<Param>, String> {
    let short =
        |text: &str| if text.len() > LONGEST_VALUE { Err("must be at most 1024 bytes".to_owned()) } else { Ok(()) };
    let stored = |text: &str| {
        short(text)?;
        field.stored_text(text).ok_or_else(|| field.kind.demand())
    };
    match operator {
        FilterOp::Null => match FieldType::Boolean.parse(text) {
            Some(truth) => Ok(vec![truth]),
            None => Err(FieldType::Boolean.demand()),
        },
        FilterOp::In if field.kind.is_quoted_in_lists() => split(text)?.iter().map(|item| stored(item)).collect(),
        FilterOp::In if text.split(',').nth(MOST_VALUES).is_some() => Err(TOO_MANY.to_owned()),
        FilterOp::In => text.split(',').map(stored).collect(),
        FilterOp::Prefix | FilterOp::Contains => {
            short(text)?;
            Ok(vec![field.stored_piece(operator, text)])
        }
        _ => Ok(vec![stored(text)?]),
    }
}

/// The values of a list: `a,b`. A value that contains a comma or starts with a quote must be quoted: `"a,b",c`. In quotes
/// `\"` is a quote and `\\` a backslash. Spaces are part of a value; before an opening quote they would make the quote part
/// of it too, which is never meant.
fn split(text: &str) -> Result<Vec<Cow<'_, str>>, String> {
    let mut values = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        if values.len() == MOST_VALUES {
            return Err(TOO_MANY.to_owned());
        }
        let (value, after) = match text.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted)?,
            None if text.trim_start().starts_with('"') => {
                return Err("has a space before a quote: remove it or put it inside the quotes".to_owned());
            }
            None => {
                text.split_once(',').map_or((Cow::Borrowed(text), None), |(value, rest)| (value.into(), Some(rest)))
            }
        };
        values.push(value);
        rest = after;
    }
    Ok(values)
}

/// The value up to the closing quote, and what follows the comma after it.
fn quoted_value(text: &str) -> Result<(Cow<'_, str>, Option<&str>), String> {
    let mut value = String::new();
    let mut letters = text.chars();
    loop {
        match letters.next() {
            Some('"') => break,
            Some('\\') => match letters.next() {
                Some(letter @ ('"' | '\\')) => value.push(letter),
                _ => return Err("in quotes, \\ may only precede \" or \\".to_owned()),
            },
            Some(letter) => value.push(letter),
            None => return Err("a quote is not closed".to_owned()),
        }
    }
    match letters.as_str() {
        "" => Ok((value.into(), None)),
        after => match after.strip_prefix(',') {
            Some(rest) => Ok((value.into(), Some(rest))),
            None => Err("a comma must follow the closing quote".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_at_commas_outside_of_quotes() {
        for (text, values) in [
            ("a,b", &["a", "b"][..]),
            ("", &[""]),
            ("a,,b,", &["a", "", "b", ""]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"\",\"\\\"\\\\,\"", &["", "\"\\,"]),
            ("a\"b,c\\", &["a\"b", "c\\"]),
        ] {
            assert_eq!(split(text).unwrap(), values, "{text}");
        }
        for bad in ["\"a", "\"a\"b", "\"a\\n\"", "\"a\\", "a,\""] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn blanks_are_part_of_a_value_and_none_stands_beside_a_quote() {
        assert_eq!(split("a, b ,c d").unwrap(), ["a", " b ", "c d"]);
        assert_eq!(split("\" a\",\"b \"").unwrap(), [" a", "b "]);
        for bad in [" \"a\"", "a, \"b,c\"", "a,\t\"b\"", "a,\u{a0}\"", "\"a\" ,b", "\"a\" "] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_holds_100_values_at_most() {
        assert!(split(&"a,".repeat(99)).is_ok() && split(&"a,".repeat(100)).is_err());
    }
}
