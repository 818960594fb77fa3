//! Compiles access rules; a rule that cannot be intended is a fault.

use super::Rules;
use super::fields::values::asks_claims;
use super::settings::shown;
use crate::config::document::resource::{
    Access, Condition, FilterOp, IdKind, OneOrMany, Operation, Resource, Rule as Written,
};
use crate::resource::access::{Columns, Operand, Rule, Where};
use crate::resource::claim::{TIMES_FIT, claim_name, never_fits};
use crate::resource::field::Field;
use crate::resource::field_type::FieldType;
use crate::resource::operator::{OPERATORS, fits, operator_named, operator_word};
use crate::resource::predicate::Column;
use gatewright_sdk::Fault;
use serde_json::Value;

pub(super) const fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::List => "list",
        Operation::Read => "read",
        Operation::Create => "create",
        Operation::Update => "update",
        Operation::Delete => "delete",
    }
}

const fn named(access: &Access, operation: Operation) -> Option<&Written> {
    match operation {
        Operation::List => access.list.as_ref(),
        Operation::Read => access.read.as_ref(),
        Operation::Create => access.create.as_ref(),
        Operation::Update => access.update.as_ref(),
        Operation::Delete => access.delete.as_ref(),
    }
}

struct RuleCompiler<'a> {
    spec: &'a Resource,
    fields: &'a [Field],
    faults: &'a mut Vec<Fault>,
}

pub(super) fn compile(
    spec: &Resource,
    fields: &[Field],
    operations: &[Operation],
    production: bool,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) -> Rules {
    let access = &spec.access;
    let mut compiler = RuleCompiler { spec, fields, faults };
    let mut of = |operation: Operation| {
        let there = operations.contains(&operation);
        match named(access, operation) {
            Some(written) => compiler.rule(written, &format!("access.{}", word(operation))),
            None if there && access.default.is_none() => {
                let text = format!("access does not say who may {}", word(operation));
                let help = format!(
                    "write `{}: …` or `default: …`: public, authenticated, none, or a condition",
                    word(operation)
                );
                compiler.faults.push(Fault::new("access", text).help(help));
                Rule::Never
            }
            None => access.default.as_ref().map_or(Rule::Never, |written| compiler.rule(written, "access.default")),
        }
    };
    let rules = Rules {
        list: of(Operation::List),
        read: of(Operation::Read),
        create: of(Operation::Create),
        update: of(Operation::Update),
        update_check: None,
        delete: of(Operation::Delete),
    };
    let rules = Rules { update_check: compiler.update_check(access, operations), ..rules };
    dedup(faults);
    public_claims(spec, &rules, faults);
    public_writes(access, operations, production, faults, warnings);
    rules
}

/// `default` is compiled once for each operation it applies to; its faults are reported once.
fn dedup(faults: &mut Vec<Fault>) {
    let mut seen: Vec<Fault> = Vec::new();
    for fault in faults.drain(..) {
        if !seen.contains(&fault) {
            seen.push(fault);
        }
    }
    *faults = seen;
}

/// A field that takes its value from a claim needs a caller with an identity.
fn public_claims(spec: &Resource, rules: &Rules, faults: &mut Vec<Fault>) {
    if !matches!(rules.create, Rule::Always) {
        return;
    }
    for (name, field) in spec.fields.iter() {
        if let Some(key) = asks_claims(field) {
            let text = format!("`{name}` takes its value from a claim, and `create` is public: there may be no claims");
            faults.push(Fault::new(format!("fields.{name}.{key}"), text).help("write `create: authenticated`"));
        }
    }
}

/// `create: public` is explicit; `default: public` may be intended for reads only.
fn public_writes(
    access: &Access,
    operations: &[Operation],
    production: bool,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) {
    let by_default =
        |operation: &Operation| named(access, *operation).is_none() && access.default == Some(Written::Public);
    let writes = [Operation::Create, Operation::Update, Operation::Delete];
    let implied = writes.into_iter().filter(|operation| operations.contains(operation)).filter(by_default);
    let words: Vec<_> = implied.map(word).collect();
    if production {
        for word in words {
            let fault = Fault::new("access.default", format!("everybody may {word}, without a token"));
            faults.push(fault.help(format!("in production that needs the word: `{word}: public`")));
        }
    } else if !words.is_empty() {
        let fault = Fault::new("access.default", format!("everybody may {}, without a token", words.join(", ")));
        let said: Vec<_> = words.iter().map(|word| format!("{word}: public")).collect();
        warnings.push(fault.help(format!("where that is meant, write `{}`", said.join(", "))));
    }
}

impl RuleCompiler<'_> {
    /// The separate rule for an item as an update leaves it, if the file has one.
    fn update_check(&mut self, access: &Access, operations: &[Operation]) -> Option<Rule> {
        let written = access.update_check.as_ref()?;
        let path = "access.update_check";
        if !operations.contains(&Operation::Update) {
            self.fault(path.to_owned(), "there is no update to check", "add `update` to `operations`, or remove it");
        }
        if *written == Written::None {
            let help = "write `update: none` where no item may be changed";
            self.fault(path.to_owned(), "`none` would refuse every update", help);
        }
        Some(self.rule(written, path))
    }

    fn fault(&mut self, path: String, message: impl Into<String>, help: &str) {
        self.faults.push(Fault::new(path, message).help(help));
    }

    fn rule(&mut self, written: &Written, path: &str) -> Rule {
        match written {
            Written::Public => Rule::Always,
            Written::Authenticated => Rule::Authenticated,
            Written::None => Rule::Never,
            Written::Condition(condition) => self.condition(condition, path),
        }
    }

    fn condition(&mut self, condition: &Condition, path: &str) -> Rule {
        if *condition == Condition::default() {
            let help = "write public, authenticated, none, or one of role, scope, claims, where, any, all";
            self.fault(path.to_owned(), "the condition is empty", help);
            return Rule::Never;
        }
        let mut all = Vec::new();
        if let Some(roles) = &condition.role {
            self.words(roles, &format!("{path}.role"));
            all.push(Rule::Role(roles.clone()));
        }
        if let Some(scopes) = &condition.scope {
            self.words(scopes, &format!("{path}.scope"));
            all.push(Rule::Scope(scopes.clone()));
        }
        all.extend(condition.claims.iter().map(|(name, value)| Rule::Claim(name.to_owned(), value.clone())));
        for (name, value) in condition.r#where.iter() {
            all.extend(self.conditions(name, value, &format!("{path}.where.{name}")));
        }
        for (at, inner) in condition.all.iter().enumerate() {
            all.push(self.condition(inner, &format!("{path}.all[{at}]")));
        }
        if !condition.any.is_empty() {
            let any = condition.any.iter().enumerate();
            all.push(Rule::Any(any.map(|(at, inner)| self.condition(inner, &format!("{path}.any[{at}]"))).collect()));
        }
        if all.len() == 1 { all.pop().unwrap_or(Rule::Never) } else { Rule::All(all) }
    }

    fn words(&mut self, words: &OneOrMany, path: &str) {
        if words.0.is_empty() || words.0.iter().any(|word| word.trim().is_empty()) {
            self.fault(path.to_owned(), "an empty word matches no caller", "name at least one");
        }
    }

    fn conditions(&mut self, name: &str, value: &Value, path: &str) -> Vec<Rule> {
        let position = self.fields.iter().position(|field| field.name == name);
        let column = match position {
            Some(position) => Column::Field(position),
            None if name == "id" => Column::Id,
            None => {
                self.fault(
                    path.to_owned(),
                    format!("where names `{}`, which is not a field", shown(name)),
                    "see `fields`",
                );
                return Vec::new();
            }
        };
        let field = position.and_then(|at| self.fields.get(at));
        if field.is_some_and(|field| matches!(field.kind, FieldType::Password)) {
            let text = format!("where cannot compare `{name}`: a password is kept as a hash");
            self.fault(path.to_owned(), text, "use another field");
            return Vec::new();
        }
        if column == Column::Id && path.starts_with("access.create.") && self.spec.id.r#type != IdKind::String {
            let text = "a new item is given its `id` by the server, so no create can fulfil this";
            self.fault(path.to_owned(), text, "use a field that the client or a claim sets");
        }
        let Value::Object(operators) = value else {
            return self.comparison(column, FilterOp::Eq, value, path).into_iter().collect();
        };
        if operators.is_empty() {
            self.fault(path.to_owned(), "where says nothing about the field", "write a value, or `{ op: value }`");
        }
        let mut rules = Vec::new();
        for (word, value) in operators {
            let Some(operator) = operator_named(word) else {
                let known = OPERATORS.map(operator_word).join(", ");
                self.fault(
                    format!("{path}.{word}"),
                    format!("`{}` is not a comparison", shown(word)),
                    &format!("write one of {known}"),
                );
                continue;
            };
            rules.extend(self.comparison(column, operator, value, &format!("{path}.{word}")));
        }
        rules
    }

    fn comparison(&mut self, column: Column, operator: FilterOp, value: &Value, path: &str) -> Option<Rule> {
        let compared = Columns { id: self.spec.id.r#type, fields: self.fields }.get(column)?;
        let word = operator_word(operator);
        if !fits(operator, compared.kind()) {
            let known = OPERATORS.into_iter().filter(|known| fits(*known, compared.kind()));
            let known: Vec<_> = known.map(operator_word).collect();
            let text = format!("`{word}` does not fit values of this type");
            self.fault(path.to_owned(), text, &format!("write one of {}", known.join(", ")));
            return None;
        }
        let operand = match value.as_str().and_then(claim_name) {
            Some(_) if operator == FilterOp::Null => {
                self.fault(path.to_owned(), "`null` cannot take a claim", "write true or false");
                return None;
            }
            Some("") => {
                self.fault(path.to_owned(), "`$claims.` names no claim", "write $claims.NAME");
                return None;
            }
            Some(name) if never_fits(name, compared.kind()) => {
                let kind = compared.kind().word();
                let text = format!("the claim `{name}` is a time in seconds, which is not a value of type {kind}");
                self.fault(path.to_owned(), text, TIMES_FIT);
                return None;
            }
            Some(name) => Operand::Claim(name.to_owned()),
            None if value.as_str().is_some_and(|text| text.starts_with("$claim")) => {
                self.fault(path.to_owned(), "the value names a claim in another way", "write $claims.NAME");
                return None;
            }
            None => match compared.constant(operator, value) {
                Ok(values) => Operand::Constant(values),
                Err(help) => {
                    self.fault(path.to_owned(), "the value does not match the field's type", &help);
                    return None;
                }
            },
        };
        Some(Rule::Where(Where { column, operator, operand }))
    }
}
