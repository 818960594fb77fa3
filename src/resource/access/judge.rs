//! Judging a request by its rule: allowed, refused, or allowed for some rows.

use super::{Column, Comparison, Predicate, Rule};
use crate::config::document::resource::FilterOp;
use crate::resource::model::Model;
use crate::resource::store::Param;
use gatewright_sdk::{Facts, Identity, Problem, Request};
use http::header::AUTHORIZATION;
use std::cmp::Ordering;

/// What a rule says about a caller.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    Yes,
    No,
    /// For rows that fulfil this.
    Where(Predicate),
}

impl Rule {
    /// The condition on rows for this caller, or the refusal: 401 when nobody is known, else 403.
    pub fn admit(&self, model: &Model, request: &Request) -> Result<Option<Predicate>, Problem> {
        match self {
            Self::Always => Ok(None),
            rule => {
                let identity = Facts::of(request).identity.as_deref();
                match rule.judge(model, identity) {
                    Verdict::Yes => Ok(None),
                    Verdict::Where(predicate) => Ok(Some(predicate)),
                    Verdict::No if identity.is_none() => {
                        let presented = request.headers().contains_key(AUTHORIZATION);
                        Err(Problem::unauthorized(presented).reason("no_identity"))
                    }
                    Verdict::No => Err(Problem::forbidden().reason("access_rule")),
                }
            }
        }
    }

    fn judge(&self, model: &Model, identity: Option<&Identity>) -> Verdict {
        let known = |holds: bool| if holds { Verdict::Yes } else { Verdict::No };
        match self {
            Self::Always => Verdict::Yes,
            Self::Never => Verdict::No,
            Self::Authenticated => known(identity.is_some()),
            Self::Role(roles) => known(identity.is_some_and(|id| roles.0.iter().any(|role| id.has_role(role)))),
            Self::Scope(scopes) => known(identity.is_some_and(|id| scopes.0.iter().any(|scope| id.has_scope(scope)))),
            Self::Claim(name, value) => known(identity.is_some_and(|id| id.claims.get(name) == Some(value))),
            Self::Where(condition) => {
                let bound = condition.bind(&model.fields, model.id, identity);
                bound.map_or(Verdict::No, |comparison| Verdict::Where(Predicate::Is(comparison)))
            }
            Self::All(rules) => {
                let mut conditions = Vec::new();
                for rule in rules {
                    match rule.judge(model, identity) {
                        Verdict::Yes => {}
                        Verdict::No => return Verdict::No,
                        Verdict::Where(condition) => conditions.push(condition),
                    }
                }
                if conditions.is_empty() { Verdict::Yes } else { Verdict::Where(Predicate::All(conditions)) }
            }
            Self::Any(rules) => {
                let mut conditions = Vec::new();
                for rule in rules {
                    match rule.judge(model, identity) {
                        Verdict::Yes => return Verdict::Yes,
                        Verdict::No => {}
                        Verdict::Where(condition) => conditions.push(condition),
                    }
                }
                if conditions.is_empty() { Verdict::No } else { Verdict::Where(Predicate::Any(conditions)) }
            }
        }
    }
}

impl Predicate {
    /// Whether a row that is not in the store yet fulfils it: the same answer SQL would give.
    pub fn holds(&self, id: &Param, row: &[Param]) -> bool {
        match self {
            Self::All(all) => all.iter().all(|predicate| predicate.holds(id, row)),
            Self::Any(any) => any.iter().any(|predicate| predicate.holds(id, row)),
            Self::Is(comparison) => {
                let value = match comparison.column {
                    Column::Id => Some(id),
                    Column::Field(at) => row.get(at),
                };
                value.is_some_and(|value| comparison.holds(value))
            }
        }
    }
}

impl Comparison {
    fn holds(&self, value: &Param) -> bool {
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
