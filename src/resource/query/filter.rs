//! Filters of a list: `filter[field]=value` and `filter[field][operator]=value`.

use super::Faults;
use super::pairs::Pair;
use crate::config::document::resource::FilterOp;
use crate::resource::field::Field;
use crate::resource::kind::Kind;
use crate::resource::model::Model;
use crate::resource::operator::operator_named;
use crate::resource::predicate::{Column, Comparison};
use crate::resource::store::Param;

/// With one more than these a list is refused.
pub(super) const MOST_FILTERS: usize = 16;
const MOST_VALUES: usize = 100;
/// The longest single value, in bytes.
const LONGEST_VALUE: usize = 1024;

pub(super) fn all(model: &Model, given: &[Pair<'_>], faults: &mut Faults) -> Vec<Comparison> {
    if given.len() > MOST_FILTERS {
        faults.push("filter", "max", "more than 16 filters");
        return Vec::new();
    }
    given.iter().filter_map(|pair| one(model, pair, faults)).collect()
}

fn one(model: &Model, pair: &Pair<'_>, faults: &mut Faults) -> Option<Comparison> {
    let Some((name, word)) = names(&pair.key) else {
        faults.push(&pair.key, "unknown", "unknown parameter");
        return None;
    };
    let parameter = format!("filter[{}]", super::cut(name));
    // A field that cannot be seen is answered like one that does not exist.
    let found = model.position(name).and_then(|at| Some((at, model.fields.get(at)?)));
    let Some((position, field)) = found.filter(|(_, field)| field.visible()) else {
        faults.push(&parameter, "unknown", "unknown field");
        return None;
    };
    let Some(operator) = operator_named(word).filter(|operator| field.filter.contains(operator)) else {
        faults.push(&parameter, "operator", format!("operator \"{}\" is not allowed", super::cut(word)));
        return None;
    };
    let values = values(field, operator, &pair.value).map_err(|text| faults.push(&parameter, "format", text)).ok()?;
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
    let parse = |text: &str| {
        if text.len() > LONGEST_VALUE {
            return Err("must be at most 1024 bytes".to_owned());
        }
        field.kind.parse(text).ok_or_else(|| field.kind.demand())
    };
    match operator {
        FilterOp::Null => match Kind::Boolean.parse(text) {
            Some(truth) => Ok(vec![truth]),
            None => Err(Kind::Boolean.demand()),
        },
        FilterOp::In => {
            if text.split(',').count() > MOST_VALUES {
                return Err("more than 100 values".to_owned());
            }
            text.split(',').map(parse).collect()
        }
        FilterOp::Prefix | FilterOp::Contains if text.len() > LONGEST_VALUE => Err("must be at most 1024 bytes".into()),
        FilterOp::Prefix | FilterOp::Contains => Ok(vec![Param::Text(text.to_owned())]),
        _ => Ok(vec![parse(text)?]),
    }
}
