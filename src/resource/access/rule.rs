//! Compiled rules: who may do an operation, and on which rows.

use super::columns::{Columns, Compared};
use crate::config::document::resource::{FilterOp, OneOrMany};
use crate::resource::predicate::{Column, Comparison};
use crate::resource::store::Param;
use gatewright_sdk::Identity;
use serde_json::Value;
use std::collections::BTreeSet;

/// A compiled rule.
#[derive(Clone)]
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

/// A condition on a field; its value may come from a claim.
#[derive(Clone)]
pub struct Where {
    pub column: Column,
    pub operator: FilterOp,
    pub operand: Operand,
}

/// The value a field is compared with.
#[derive(Clone)]
pub enum Operand {
    Constant(Vec<Param>),
    Claim(String),
}

/// What a rule requires of callers, from nothing to the impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    Nothing,
    /// A condition on the item, for any caller.
    Item,
    /// An authenticated caller.
    Identity,
    /// No one may.
    Impossible,
}

impl Rule {
    /// The minimum it requires.
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

    /// Whether it depends on items of other resources.
    pub fn looks_through(&self) -> bool {
        match self {
            Self::Where(condition) => matches!(condition.column, Column::Of(..)),
            Self::All(rules) | Self::Any(rules) => rules.iter().any(Self::looks_through),
            _ => false,
        }
    }

    /// Whether it depends on the item.
    pub fn is_about_items(&self) -> bool {
        match self {
            Self::Where(_) => true,
            Self::All(rules) | Self::Any(rules) => rules.iter().any(Self::is_about_items),
            _ => false,
        }
    }

    /// Adds the claims of the caller that it compares with items.
    pub fn add_claims<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        match self {
            Self::Where(condition) => {
                if let Operand::Claim(name) = &condition.operand {
                    names.insert(name);
                }
            }
            Self::All(rules) | Self::Any(rules) => rules.iter().for_each(|rule| rule.add_claims(names)),
            _ => {}
        }
    }

    /// Whether the response depends on the caller.
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
    /// The comparison for this caller; `None` if the claim is absent or does not match the field's type (never "null
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
