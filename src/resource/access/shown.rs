//! Rules in words, for people who ask why a request is allowed or rejected.

use super::rule::{Operand, Rule, Where};
use crate::config::document::resource::{FilterOp, OneOrMany};
use crate::resource::field::Field;
use crate::resource::operator::operator_word;
use crate::resource::predicate::Column;
use crate::resource::store::Param;

impl Rule {
    /// Who and what it allows: `role admin or author_id = $claims.sub`.
    pub fn shown(&self, fields: &[Field]) -> String {
        match self {
            Self::Always => "anyone".to_owned(),
            Self::Never => "no one".to_owned(),
            Self::Authenticated => "anyone with a valid token".to_owned(),
            Self::Role(roles) => format!("role {}", listed(roles)),
            Self::Scope(scopes) => format!("scope {}", listed(scopes)),
            Self::Claim(name, value) => format!("claim {name} = {value}"),
            Self::Where(condition) => condition.shown(fields),
            Self::All(rules) => joined(rules, " and ", fields),
            Self::Any(rules) => joined(rules, " or ", fields),
        }
    }
}

fn listed(names: &OneOrMany) -> String {
    names.0.join(" or ")
}

fn joined(rules: &[Rule], word: &str, fields: &[Field]) -> String {
    let part = |rule: &Rule| match rule {
        Rule::All(_) | Rule::Any(_) => format!("({})", rule.shown(fields)),
        Rule::Role(names) | Rule::Scope(names) if names.0.len() > 1 => format!("({})", rule.shown(fields)),
        rule => rule.shown(fields),
    };
    rules.iter().map(part).collect::<Vec<_>>().join(word)
}

impl Where {
    fn shown(&self, fields: &[Field]) -> String {
        let field = |at: usize| fields.get(at).map_or("", |field| field.name.as_str());
        let name = match self.column {
            Column::Id => "id".to_owned(),
            Column::Field(at) => field(at).to_owned(),
            Column::Of(through, at) => {
                let reference = fields.get(through).and_then(|field| field.reference.as_ref());
                let of =
                    reference.and_then(|reference| reference.fields.get(at)).map_or("", |field| field.name.as_str());
                format!("{}.{of}", field(through))
            }
        };
        let value = match &self.operand {
            Operand::Claim(claim) => format!("$claims.{claim}"),
            Operand::Constant(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        };
        let sign = match self.operator {
            FilterOp::Eq => "=",
            operator => operator_word(operator),
        };
        format!("{name} {sign} {value}")
    }
}

fn text(value: &Param) -> String {
    match value {
        Param::Null => "null".to_owned(),
        Param::Integer(number) => number.to_string(),
        Param::Real(number) => number.to_string(),
        Param::Text(text) => format!("{text:?}"),
    }
}
