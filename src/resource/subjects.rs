//! Which subjects the access rules of a resource compare with its items: one subject of two issuers is two callers.

use super::access::{Operand, Rule};
use super::model::Model;
use crate::config::document::resource::{IdKind, Operation};

impl Model {
    /// Whether its ids are never those of items of another resource.
    pub fn has_unique_ids(&self) -> bool {
        self.id == IdKind::Uuid
    }

    /// Whether its rules for `operation` compare the subject of a caller, and not who has issued it.
    pub fn compares_any_subject(&self, operation: Operation) -> bool {
        let after = self.rules.update_check.as_deref().filter(|_| operation == Operation::Update);
        let mut rules = std::iter::once(&**self.rules.of(operation)).chain(after);
        self.has(operation) && rules.any(compares_any_subject)
    }
}

fn compares_any_subject(rule: &Rule) -> bool {
    match rule {
        Rule::Where(condition) => is_claim(&condition.operand, "sub"),
        Rule::All(rules) => !rules.iter().any(names_issuer) && rules.iter().any(compares_any_subject),
        Rule::Any(rules) => rules.iter().any(compares_any_subject),
        _ => false,
    }
}

/// Whether only callers with a certain issuer fulfil the rule.
fn names_issuer(rule: &Rule) -> bool {
    match rule {
        Rule::Claim(name, _) => name == "iss",
        Rule::Where(condition) => is_claim(&condition.operand, "iss"),
        Rule::All(rules) => rules.iter().any(names_issuer),
        Rule::Any(rules) => rules.iter().all(names_issuer),
        _ => false,
    }
}

fn is_claim(operand: &Operand, wanted: &str) -> bool {
    matches!(operand, Operand::Claim(name) if name == wanted)
}
