//! The comparisons that filters and access rules know: their words, and which type each of them fits.

use super::field_type::FieldType;
use crate::config::document::resource::FilterOp;

pub const OPERATORS: [FilterOp; 10] = [
    FilterOp::Eq,
    FilterOp::Ne,
    FilterOp::Lt,
    FilterOp::Lte,
    FilterOp::Gt,
    FilterOp::Gte,
    FilterOp::In,
    FilterOp::Null,
    FilterOp::Prefix,
    FilterOp::Contains,
];

/// The word of an operator, in YAML and in queries.
pub const fn operator_word(operator: FilterOp) -> &'static str {
    match operator {
        FilterOp::Eq => "eq",
        FilterOp::Ne => "ne",
        FilterOp::Lt => "lt",
        FilterOp::Lte => "lte",
        FilterOp::Gt => "gt",
        FilterOp::Gte => "gte",
        FilterOp::In => "in",
        FilterOp::Null => "null",
        FilterOp::Prefix => "prefix",
        FilterOp::Contains => "contains",
    }
}

/// The operator of a word.
pub fn operator_named(word: &str) -> Option<FilterOp> {
    OPERATORS.into_iter().find(|operator| operator_word(*operator) == word)
}

/// Whether filters compare values of `kind` so: the store does it in the sense that they have.
pub fn filters(operator: FilterOp, kind: &FieldType) -> bool {
    fits(operator, kind) || matches!(kind, FieldType::Decimal { .. }) && asks_for_order(operator)
}

/// Whether it asks which of two values is greater.
pub const fn asks_for_order(operator: FilterOp) -> bool {
    matches!(operator, FilterOp::Lt | FilterOp::Lte | FilterOp::Gt | FilterOp::Gte)
}

/// Whether access rules compare values of `kind` so, which they also do with rows that no store has yet. There decimals are text:
/// they are equal or not, and their order is not the order of the text.
pub fn fits(operator: FilterOp, kind: &FieldType) -> bool {
    match operator {
        FilterOp::Null => true,
        FilterOp::Eq | FilterOp::Ne | FilterOp::In => !matches!(kind, FieldType::Json(_)),
        FilterOp::Lt | FilterOp::Lte | FilterOp::Gt | FilterOp::Gte => kind.is_ordered(),
        FilterOp::Prefix | FilterOp::Contains => kind.is_free_text(),
    }
}
