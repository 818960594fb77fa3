//! Who can set a field without any permission: a value that callers choose must not decide what they may do.

use super::access::{Demand, Rule};
use super::field::Field;
use super::model::Model;
use super::predicate::Column;
use crate::config::document::resource::{FilterOp, IdKind, Operation};
use std::collections::BTreeSet;

/// Callers without any permission who can set a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setter {
    /// Anyone who makes an item.
    Anyone,
    /// Callers with an identity who make an item.
    Authenticated,
    /// Callers who may change an item.
    Changer,
}

/// Whether a route takes requests for an operation.
pub type IsServed<'a> = &'a dyn Fn(Operation) -> bool;

impl Model {
    /// Who can set the field without any permission.
    pub fn setter(&self, name: &str, is_served: IsServed<'_>) -> Option<Setter> {
        let at = self.position(name)?;
        let field = self.fields.get(at).filter(|field| !field.hidden && !field.read_only)?;
        let creates = field.creates && !binds(&self.rules.create, Column::Field(at));
        let creator = self.creator(is_served).filter(|_| creates);
        creator.or_else(|| (is_served(Operation::Update) && self.may_update(field, at)).then_some(Setter::Changer))
    }

    /// Who can make an item without any permission.
    fn creator(&self, is_served: IsServed<'_>) -> Option<Setter> {
        let demand = self.demand(Operation::Create).filter(|_| is_served(Operation::Create))?;
        let is_open = !asks_for_permission(&self.rules.create);
        is_open.then_some(if demand < Demand::Identity { Setter::Anyone } else { Setter::Authenticated })
    }

    /// Who can choose the id of a new item without any permission.
    pub fn chooser_of_ids(&self, is_served: IsServed<'_>) -> Option<Setter> {
        let is_chosen = self.id == IdKind::String && !binds(&self.rules.create, Column::Id);
        self.creator(is_served).filter(|_| is_chosen)
    }

    /// Whether callers without any permission can change this field of every item, and not only of some.
    pub fn is_changed_by_all(&self, name: &str, is_served: IsServed<'_>) -> bool {
        let changes = |at| self.fields.get(at).is_some_and(|field| self.may_update(field, at));
        let is_open = || is_served(Operation::Update) && !self.rules.update.is_about_items();
        self.position(name).is_some_and(changes) && is_open()
    }

    /// The claims of callers that its rules compare, apart from roles and scopes.
    pub fn decides_by(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.rules.all().for_each(|rule| add_claims(rule, &mut names));
        names
    }

    /// Whether callers who may change an item can change this field of it without any permission.
    pub(super) fn may_update(&self, field: &Field, at: usize) -> bool {
        let is_open = !field.hidden && !field.read_only && field.updates;
        let after = self.rules.update_check.as_ref().unwrap_or(&self.rules.update);
        is_open
            && self.has(Operation::Update)
            && !asks_for_permission(&self.rules.update)
            && !binds(after, Column::Field(at))
    }
}

fn add_claims<'a>(rule: &'a Rule, names: &mut BTreeSet<&'a str>) {
    rule.add_claims(names);
    match rule {
        Rule::Claim(name, _) => drop(names.insert(name)),
        Rule::All(rules) | Rule::Any(rules) => rules.iter().for_each(|rule| add_claims(rule, names)),
        _ => {}
    }
}

/// Whether only callers with a certain role, scope or claim fulfil the rule.
fn asks_for_permission(rule: &Rule) -> bool {
    match rule {
        // All users have tokens of the same issuer, for the same audience.
        Rule::Claim(name, _) => !matches!(&**name, "iss" | "aud"),
        Rule::Never | Rule::Role(_) | Rule::Scope(_) => true,
        Rule::Always | Rule::Authenticated | Rule::Where(_) => false,
        Rule::All(rules) => rules.iter().any(asks_for_permission),
        Rule::Any(rules) => rules.iter().all(asks_for_permission),
    }
}

/// Whether callers without a permission can give the field only values that the rule names.
fn binds(rule: &Rule, column: Column) -> bool {
    match rule {
        Rule::Where(condition) => {
            condition.column == column && matches!(condition.operator, FilterOp::Eq | FilterOp::In)
        }
        Rule::All(rules) => rules.iter().any(|rule| binds(rule, column)),
        Rule::Any(rules) => rules.iter().all(|rule| binds(rule, column) || asks_for_permission(rule)),
        _ => false,
    }
}
