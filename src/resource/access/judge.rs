//! Applies a rule to a request: allowed, rejected, or allowed for some rows.

use super::columns::Columns;
use super::rule::Rule;
use crate::resource::predicate::Predicate;
use gatewright_sdk::{Facts, Identity, Problem, Request};
use http::header::AUTHORIZATION;

/// The verdict of a rule on a caller.
enum Judgement {
    Yes,
    No,
    /// For rows that fulfil this.
    Where(Predicate),
}

impl Rule {
    /// The condition on rows for this caller, or the rejection: 401 without an identity, otherwise 403.
    pub fn admit(&self, columns: Columns<'_>, request: &Request) -> Result<Option<Predicate>, Problem> {
        match self {
            Self::Always => Ok(None),
            rule => {
                let identity = Facts::of(request).identity.as_deref();
                match rule.judge(columns, identity) {
                    Judgement::Yes => Ok(None),
                    Judgement::Where(predicate) => Ok(Some(predicate)),
                    Judgement::No if identity.is_none() => {
                        let presented = request.headers().contains_key(AUTHORIZATION);
                        Err(Problem::without_identity(Facts::of(request), presented).log_reason("no_identity"))
                    }
                    Judgement::No => Err(Problem::forbidden().log_reason("access_rule")),
                }
            }
        }
    }

    /// Whether it allows this caller everything.
    pub fn holds(&self, columns: Columns<'_>, identity: Option<&Identity>) -> bool {
        matches!(self.judge(columns, identity), Judgement::Yes)
    }

    fn judge(&self, columns: Columns<'_>, identity: Option<&Identity>) -> Judgement {
        let known = |holds: bool| if holds { Judgement::Yes } else { Judgement::No };
        match self {
            Self::Always => Judgement::Yes,
            Self::Never => Judgement::No,
            Self::Authenticated => known(identity.is_some()),
            Self::Role(roles) => known(identity.is_some_and(|id| roles.0.iter().any(|role| id.has_role(role)))),
            Self::Scope(scopes) => known(identity.is_some_and(|id| scopes.0.iter().any(|scope| id.has_scope(scope)))),
            Self::Claim(name, value) => known(identity.is_some_and(|id| id.claims.get(name) == Some(value))),
            Self::Where(condition) => {
                let bound = condition.bind(columns, identity);
                bound.map_or(Judgement::No, |comparison| Judgement::Where(Predicate::Is(comparison)))
            }
            Self::All(rules) => {
                let mut conditions = Vec::new();
                for rule in rules {
                    match rule.judge(columns, identity) {
                        Judgement::Yes => {}
                        Judgement::No => return Judgement::No,
                        Judgement::Where(condition) => conditions.push(condition),
                    }
                }
                if conditions.is_empty() { Judgement::Yes } else { Judgement::Where(Predicate::All(conditions)) }
            }
            Self::Any(rules) => {
                let mut conditions = Vec::new();
                for rule in rules {
                    match rule.judge(columns, identity) {
                        Judgement::Yes => return Judgement::Yes,
                        Judgement::No => {}
                        Judgement::Where(condition) => conditions.push(condition),
                    }
                }
                if conditions.is_empty() { Judgement::No } else { Judgement::Where(Predicate::Any(conditions)) }
            }
        }
    }
}
