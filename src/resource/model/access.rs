//! Compiles access rules; a rule that cannot be intended is a fault.

pub(super) mod beyond;
pub(super) mod preset;
mod public;
mod through;

use self::public::{public_claims, public_writes};
use super::settings::shown;
use super::{KeyedRule, Rules};
use crate::config::document::resource::{
    Access, Condition, FilterOp, IdKind, OneOrMany, Operation, Resource, Rule as Written,
};
use crate::config::named::Named;
use crate::config::words;
use crate::resource::access::{Columns, Operand, Rule, Where};
use crate::resource::claim::{TIMES_FIT, claim_name, meant, never_fits, unknown_word};
use crate::resource::field::Field;
use crate::resource::field_type::FieldType;
use crate::resource::model::others::Others;
use crate::resource::operator::{OPERATORS, fits, operator_named, operator_word};
use crate::resource::predicate::{Column, Comparison};
use gatewright_sdk::{Code, Fault};
use serde_json::Value;

pub(super) const fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::List => "list",
        Operation::Read => "read",
        Operation::Create => "create",
        Operation::Update => "update",
        Operation::Delete => "delete",
        Operation::Restore => "restore",
    }
}

const DEFAULT: &str = "access.default";

const fn key(operation: Operation) -> &'static str {
    match operation {
        Operation::List => "access.list",
        Operation::Read => "access.read",
        Operation::Create => "access.create",
        Operation::Update => "access.update",
        Operation::Delete => "access.delete",
        Operation::Restore => "access.restore",
    }
}

const fn named(access: &Access, operation: Operation) -> Option<&Written> {
    match operation {
        Operation::List => access.list.as_ref(),
        Operation::Read => access.read.as_ref(),
        Operation::Create => access.create.as_ref(),
        Operation::Update => access.update.as_ref(),
        Operation::Delete => access.delete.as_ref(),
        Operation::Restore => access.restore.as_ref(),
    }
}

struct RuleCompiler<'a> {
    id: IdKind,
    fields: &'a [Field],
    faults: &'a mut Vec<Fault>,
    warnings: &'a mut Vec<Fault>,
}

pub(super) fn compile(
    (name, spec): (&str, &Resource),
    fields: &[Field],
    operations: &[Operation],
    (others, production): (Others<'_>, bool),
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) -> Rules {
    let access = &spec.access;
    let mut compiler = RuleCompiler { id: spec.id.r#type, fields, faults, warnings };
    let mut undefined = Vec::new();
    let preset = preset::compile(&mut compiler, spec);
    let mut of = |operation: Operation| {
        let there = operations.contains(&operation);
        // Without a rule of its own, what a delete took can be brought back by those who may delete.
        let deletes = (operation == Operation::Restore && access.restore.is_none()).then_some(Operation::Delete);
        let operation = deletes.unwrap_or(operation);
        let (key, own) = match (named(access, operation), &access.default) {
            (Some(written), _) => (key(operation), Some(compiler.rule(written, key(operation)))),
            (None, Some(written)) => (DEFAULT, Some(compiler.rule(written, DEFAULT))),
            (None, None) if access.preset.is_some() => (preset::KEY, None),
            (None, None) => {
                if there {
                    undefined.push(word(operation));
                }
                (DEFAULT, Some(Rule::Never))
            }
        };
        let rule = match &preset {
            Some(preset) => preset.and(own),
            // Without the restriction that it was meant to have, nothing is allowed.
            None => own.unwrap_or(Rule::Never),
        };
        KeyedRule { key, rule }
    };
    let rules = Rules {
        list: of(Operation::List),
        read: of(Operation::Read),
        create: of(Operation::Create),
        update: of(Operation::Update),
        update_check: None,
        delete: of(Operation::Delete),
        restore: of(Operation::Restore),
        preset: None,
    };
    if !undefined.is_empty() {
        let text = format!("`access` does not define who may {}", undefined.join(", "));
        let one = match undefined.as_slice() {
            [one] => format!("`{one}: authenticated` or "),
            _ => String::new(),
        };
        let help = format!("add {one}`default: authenticated`; `public`, `none` or a condition also work");
        compiler.faults.push(Fault::new("access", text).code(Code::NO_RULE).help(help));
    }
    let update_check = compiler.update_check(access, operations).map(|KeyedRule { key, rule }| match &preset {
        Some(preset) => KeyedRule { key, rule: preset.and(Some(rule)) },
        None => KeyedRule { key, rule },
    });
    let rules = Rules { update_check, preset, ..rules };
    dedup(faults);
    dedup(warnings);
    public_claims(spec, &rules, faults);
    let open = operations.iter().copied().filter(|operation| others.served.takes((name, spec), *operation));
    public_writes(access, &open.collect::<Vec<_>>(), production, faults, warnings);
    rules
}

/// The comparisons of a `where` that no caller takes part in, for items with such an `id` and `fields`.
///
/// # Errors
/// All faults, with paths that begin with `path`.
pub fn fixed_conditions(
    written: &Named<Value>,
    (id, fields): (IdKind, &[Field]),
    path: &str,
) -> Result<Vec<Comparison>, Vec<Fault>> {
    let (mut faults, mut warnings, mut comparisons) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in written.iter() {
        let mut compiler = RuleCompiler { id, fields, faults: &mut faults, warnings: &mut warnings };
        let rules = compiler.conditions(name, value, &format!("{path}.{name}"));
        for rule in rules {
            match rule {
                Rule::Where(Where { column: Column::Of(..), .. }) => {
                    let fault = Fault::new(format!("{path}.{name}"), "a field of another resource cannot be used here");
                    faults.push(fault.code(Code::ACCESS_CONDITION).help("use a field of this resource"));
                }
                Rule::Where(Where { column, operator, operand: Operand::Constant(values) }) => {
                    comparisons.push(Comparison { column, operator, values, fold: false });
                }
                _ => {
                    faults.push(Fault::new(format!("{path}.{name}"), "a claim has no value here").code(Code::CLAIM));
                }
            }
        }
    }
    // The fields are defined elsewhere in the file than `path`.
    faults.iter_mut().for_each(|fault| fault.related = None);
    for fault in faults.iter_mut().filter(|fault| fault.code == Code::CLAIM) {
        let help = "write a value, such as `true`: no one has signed in yet, so there are no claims";
        fault.help = Some(help.to_owned());
    }
    if faults.is_empty() { Ok(comparisons) } else { Err(faults) }
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

impl RuleCompiler<'_> {
    /// The separate rule for an item as an update leaves it, if the file has one.
    fn update_check(&mut self, access: &Access, operations: &[Operation]) -> Option<KeyedRule> {
        let written = access.update_check.as_ref()?;
        let path = "access.update_check";
        if !operations.contains(&Operation::Update) {
            let help = "add `update` to `operations`, or remove `update_check`";
            self.fault(path.to_owned(), "`update_check` has no effect without the operation `update`", help);
        }
        if *written == Written::None {
            let help = "to forbid all updates, write `update: none`";
            self.fault(path.to_owned(), "`none` would reject every update", help);
        }
        Some(KeyedRule { key: path, rule: self.rule(written, path) })
    }

    fn fault(&mut self, path: String, message: impl Into<String>, help: &str) {
        self.coded(Code::ACCESS_CONDITION, path, message, help);
    }

    fn coded(&mut self, code: Code, path: String, message: impl Into<String>, help: &str) {
        self.faults.push(Fault::new(path, message).code(code).help(help));
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
            let help = "write `public`, `authenticated`, `none`, or a condition such as `{ role: admin }`";
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
        for (name, value) in condition.claims.iter() {
            if value.is_null() || value.as_str() == Some("") {
                let text = format!("no caller has `{}` with this value: such a claim counts as missing", shown(name));
                self.fault(format!("{path}.claims.{name}"), text, "write the value that the claim must have");
            }
            all.push(Rule::Claim(name.to_owned(), value.clone()));
        }
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
            self.fault(path.to_owned(), "an empty name matches no caller", "add at least one name");
        }
    }

    fn conditions(&mut self, name: &str, value: &Value, path: &str) -> Vec<Rule> {
        let position = self.fields.iter().position(|field| field.name == name);
        let column = match (position, name.split_once('.')) {
            (Some(position), _) => Column::Field(position),
            (None, _) if name == "id" => Column::Id,
            (None, Some((through, of))) => match self.of_another(through, of, path) {
                Some(column) => column,
                None => return Vec::new(),
            },
            (None, None) => {
                let text = format!("`where` contains `{}`, which is not a field", shown(name));
                let names: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
                let fault = Fault::new(path.to_owned(), text).code(Code::UNKNOWN_FIELD);
                self.faults.push(match words::nearest(name, &names) {
                    Some(near) => fault
                        .help(format!("did you mean `{near}`?"))
                        .related(format!("fields.{near}"), format!("`{near}` is defined here")),
                    None => fault.help("use a name from `fields`, or `id`"),
                });
                return Vec::new();
            }
        };
        let compared = Columns { id: self.id, fields: self.fields }.get(column);
        if compared.is_some_and(|compared| matches!(compared.kind(), FieldType::Password)) {
            let text = format!("`where` cannot compare `{name}`: a password is stored as a hash");
            self.fault(path.to_owned(), text, "use another field");
            return Vec::new();
        }
        if column == Column::Id && path.starts_with("access.create.") && self.id != IdKind::String {
            let text = "the server generates the `id` of a new item, so no create request can meet this condition";
            self.fault(path.to_owned(), text, "use a field that is set by the client or a claim");
        }
        let Value::Object(operators) = value else {
            return self.comparison(column, FilterOp::Eq, value, path).into_iter().collect();
        };
        if operators.is_empty() {
            self.fault(path.to_owned(), "the condition on this field is empty", "write a value, or `{ ne: value }`");
        }
        let mut rules = Vec::new();
        for (word, value) in operators {
            let Some(operator) = operator_named(word) else {
                let known = OPERATORS.map(operator_word).join(", ");
                self.fault(
                    format!("{path}.{word}"),
                    format!("`{}` is not a comparison operator", shown(word)),
                    &format!("write one of {known}"),
                );
                continue;
            };
            rules.extend(self.comparison(column, operator, value, &format!("{path}.{word}")));
        }
        rules
    }

    fn comparison(&mut self, column: Column, operator: FilterOp, value: &Value, path: &str) -> Option<Rule> {
        let compared = Columns { id: self.id, fields: self.fields }.get(column)?;
        let word = operator_word(operator);
        if !fits(operator, compared.kind()) {
            let known = OPERATORS.into_iter().filter(|known| fits(*known, compared.kind()));
            let known: Vec<_> = known.map(operator_word).collect();
            let text = format!("`{word}` is not supported for this type");
            self.coded(Code::FILTER, path.to_owned(), text, &format!("write one of {}", known.join(", ")));
            return None;
        }
        let operand = match value.as_str().and_then(claim_name) {
            Some(_) if operator == FilterOp::Null => {
                self.coded(Code::CLAIM, path.to_owned(), "`null` does not take a claim", "write true or false");
                return None;
            }
            Some("") => {
                self.coded(
                    Code::CLAIM,
                    path.to_owned(),
                    "`$claims.` is missing the name of a claim",
                    "write `$claims.NAME`",
                );
                return None;
            }
            Some(name) if never_fits(name, compared.kind()) => {
                let kind = compared.kind().word();
                let text = format!("claim `{name}` is a time in seconds, not a value of type {kind}");
                self.coded(Code::CLAIM, path.to_owned(), text, TIMES_FIT);
                return None;
            }
            Some(name) => Operand::Claim(name.to_owned()),
            None if value.as_str().is_some_and(|text| text.starts_with("$claim")) => {
                self.coded(Code::CLAIM, path.to_owned(), "not a valid reference to a claim", "write `$claims.NAME`");
                return None;
            }
            None if let Some((text, meant)) = value.as_str().and_then(|text| Some((text, unknown_word(text)?))) => {
                let message = format!("`{}` is not a known value", shown(text));
                let help =
                    format!("did you mean `{}`? for this text, write `{{ in: [\"{}\"] }}`", shown(&meant), shown(text));
                self.coded(Code::CLAIM, path.to_owned(), message, &help);
                return None;
            }
            None => match compared.constant(operator, value) {
                Ok(values) => {
                    if let Some((text, meant)) = value.as_str().and_then(|text| Some((text, meant(text)?))) {
                        let message = format!("`{}` is plain text here", shown(text));
                        let warning = Fault::new(path, message).code(Code::LITERAL_PLACEHOLDER);
                        self.warnings.push(warning.help(format!("did you mean `{}`?", shown(&meant))));
                    }
                    Operand::Constant(values)
                }
                Err(help) => {
                    let meant = value.as_str().and_then(meant);
                    let help = meant.map_or(help, |meant| format!("did you mean `{}`?", shown(&meant)));
                    let fault = Fault::new(path.to_owned(), "the value does not match the field's type");
                    let fault = fault.code(Code::FIELD_VALUE).help(help);
                    let field = match column {
                        Column::Field(at) => self.fields.get(at).map(|field| &field.name),
                        Column::Id | Column::Of(..) => None,
                    };
                    self.faults.push(match field {
                        Some(name) => fault.related(format!("fields.{name}"), format!("`{name}` is defined here")),
                        None => fault,
                    });
                    return None;
                }
            },
        };
        Some(Rule::Where(Where { column, operator, operand }))
    }
}
