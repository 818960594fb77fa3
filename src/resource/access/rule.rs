//! Rules compiled: who may do an operation, and on which rows.

use super::columns::{Columns, Compared};
use crate::config::document::resource::{FilterOp, OneOrMany};
use crate::resource::predicate::{Column, Comparison};
use crate::resource::store::Param;
use gatewright_sdk::Identity;
use serde_json::Value;

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

/// What a rule demands of callers, from nothing to what no one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    Nothing,
    /// Something of the item, whoever asks.
    Item,
    /// That it is known who asks.
    Identity,
    /// No one may.
    Impossible,
}

impl Rule {
    /// The least it demands.
    pub fn demand(&self) -> Demand {
        match self {
            Self::Always => Demand::Nothing,
            Self::Never => Demand::Impossible,
            Self::Authenticated | Self::Role(_) | Self::Scope(_) | Self::Claim(..) => Demand::Identity,
            Self::Where(condition) if matches!(condition.operand, Operand::Claim(_)) => Demand::Identity,
            Self::Where(_) => Demand::Item,
            Self::All(rules) => rules.iter().map(Self::demand).max().unwrap_or(Demand::Nothing),
            Self::Any(rules) => rules.iter().map(Self::demand).min().unwrap_or(Demand::Impossible),
        }
    }

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
    pub fn bind(&self, columns: Columns<'_>, identity: Option<&Identity>) -> Option<Comparison> {
        let column = columns.get(self.column)?;
        let values = self.operand.bind(column, self.operator, identity)?;
        Some(Comparison { column: self.column, operator: self.operator, values, fold: false })
    }
}

impl Operand {
    /// The values for this caller.
    fn bind(&self, column: Compared<'_>, operator: FilterOp, identity: Option<&Identity>) -> Option<Vec<Param>> {
        match self {
            Self::Constant(values) => Some(values.clone()),
            Self::Claim(name) => column.claimed(operator, name, identity?),
        }
    }
}
