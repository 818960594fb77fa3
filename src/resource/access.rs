//! Who may do what: rules compiled to a decision about the caller and a condition on rows.

mod judge;
mod operand;
#[cfg(test)]
mod tests;

pub use operand::Compared;

use super::field::Field;
use super::kind::Kind;
use super::store::Param;
use crate::config::document::resource::{FilterOp, IdKind, OneOrMany};
use gatewright_sdk::Identity;
use serde_json::Value;

/// A column that conditions, filters and orders can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Id,
    /// A position in the model's fields.
    Field(usize),
}

/// `column operator values`, with the values bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub column: Column,
    pub operator: FilterOp,
    /// One value, or any number for `in`; for `null` the integers 0 and 1.
    pub values: Vec<Param>,
    /// Compare ASCII letters without case.
    pub fold: bool,
}

/// A condition on a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    Is(Comparison),
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
}

/// A rule compiled.
pub enum Rule {
    Always,
    Never,
    Authenticated,
    Role(OneOrMany),
    Scope(OneOrMany),
    /// The claim has exactly this value.
    Claim(String, Value),
    Where(Where),
    All(Vec<Rule>),
    Any(Vec<Rule>),
}

/// A condition on a field, whose value may come from a claim.
pub struct Where {
    pub column: Column,
    pub operator: FilterOp,
    pub operand: Operand,
}

/// What a field is compared with.
pub enum Operand {
    Constant(Vec<Param>),
    Claim(String),
}

impl Rule {
    /// Whether the answer depends on who asks.
    pub fn asks_who(&self) -> bool {
        match self {
            Self::Always => false,
            Self::Never | Self::Authenticated | Self::Role(_) | Self::Scope(_) | Self::Claim(..) => true,
            Self::Where(condition) => matches!(condition.operand, Operand::Claim(_)),
            Self::All(rules) | Self::Any(rules) => rules.iter().any(Self::asks_who),
        }
    }
}

impl Where {
    /// The comparison for this caller; `None` when the claim is absent or no value of the field (never "null
    /// matches null").
    fn bind(&self, fields: &[Field], id: IdKind, identity: Option<&Identity>) -> Option<Comparison> {
        let column = Compared::of(self.column, fields, id)?;
        let values = self.operand.bind(column, self.operator, identity)?;
        Some(Comparison { column: self.column, operator: self.operator, values, fold: false })
    }
}

/// The type of ids as a type of fields.
pub const fn id_kind(id: IdKind) -> &'static Kind {
    match id {
        IdKind::Uuid => &Kind::Uuid,
        IdKind::Integer => &Kind::Integer,
        IdKind::String => &Kind::String,
    }
}
