//! Conditions on rows, with their values bound. SQL selects the stored rows that fulfil one; a row that is not written
//! yet is checked here, with the same semantics.

use super::store::Param;
use crate::config::document::resource::FilterOp;
use std::cmp::Ordering;

/// A column in conditions, filters and orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Id,
    /// A position in the model's fields.
    Field(usize),
    /// A field of the item that a field refers to: two positions.
    Of(usize, usize),
}

/// `column operator values`.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub column: Column,
    pub operator: FilterOp,
    /// One value, or any number for `in`; for `null` the integers 0 and 1.
    pub values: Vec<Param>,
    /// Compare ASCII letters case-insensitively. Only filters of lists do so, and they are never applied to rows in memory.
    pub fold: bool,
}

/// A condition on a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    Is(Comparison),
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    /// The item that the field refers to fulfils a condition on rows of its own table.
    Refers(usize, Box<Predicate>),
}

/// The fields of the items that a row refers to, by position of its own field.
pub type Referred = [Option<Vec<Param>>];

impl Predicate {
    /// Whether a row that is not stored yet fulfils it, with the semantics of SQL. What it does not know it denies.
    pub fn holds(&self, id: &Param, row: &[Param], referred: &Referred) -> bool {
        match self {
            Self::All(all) => all.iter().all(|predicate| predicate.holds(id, row, referred)),
            Self::Any(any) => any.iter().any(|predicate| predicate.holds(id, row, referred)),
            Self::Is(comparison) => {
                let value = match comparison.column {
                    Column::Id => Some(id),
                    Column::Field(at) => row.get(at),
                    Column::Of(through, at) => referred.get(through).and_then(|of| of.as_ref()?.get(at)),
                };
                value.is_some_and(|value| comparison.holds(value))
            }
            // Only statements have such conditions.
            Self::Refers(..) => false,
        }
    }

    /// Whether it depends on the item that the field at this position refers to.
    pub fn looks_through(&self, position: usize) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.looks_through(position)),
            Self::Is(comparison) => matches!(comparison.column, Column::Of(through, _) if through == position),
            Self::Refers(through, _) => *through == position,
        }
    }

    /// Whether it depends on any item that a field refers to.
    pub fn looks_further(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::looks_further),
            Self::Is(comparison) => matches!(comparison.column, Column::Of(..)),
            Self::Refers(..) => true,
        }
    }

    /// Both, if there are both.
    pub fn and(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(Self::All(vec![one, other])),
            (one, other) => one.or(other),
        }
    }
}

impl Comparison {
    /// Whether a value fulfils it.
    pub fn holds(&self, value: &Param) -> bool {
        let first = self.values.first();
        let order = first.and_then(|other| compare(value, other));
        match self.operator {
            FilterOp::Eq => order == Some(Ordering::Equal),
            FilterOp::Ne => order.is_some_and(Ordering::is_ne),
            FilterOp::Lt => order == Some(Ordering::Less),
            FilterOp::Lte => order.is_some_and(Ordering::is_le),
            FilterOp::Gt => order == Some(Ordering::Greater),
            FilterOp::Gte => order.is_some_and(Ordering::is_ge),
            FilterOp::In => self.values.iter().any(|other| compare(value, other) == Some(Ordering::Equal)),
            FilterOp::Null => (*value == Param::Null) == (first == Some(&Param::Integer(1))),
            FilterOp::Prefix => texts(value, first).is_some_and(|(text, start)| text.starts_with(start)),
            FilterOp::Contains => texts(value, first).is_some_and(|(text, part)| text.contains(part)),
        }
    }
}

fn texts<'a>(value: &'a Param, other: Option<&'a Param>) -> Option<(&'a str, &'a str)> {
    match (value, other) {
        (Param::Text(value), Some(Param::Text(other))) => Some((value, other)),
        _ => None,
    }
}

fn compare(one: &Param, other: &Param) -> Option<Ordering> {
    match (one, other) {
        (Param::Integer(one), Param::Integer(other)) => Some(one.cmp(other)),
        (Param::Real(one), Param::Real(other)) => one.partial_cmp(other),
        (Param::Text(one), Param::Text(other)) => Some(one.cmp(other)),
        _ => None,
    }
}
