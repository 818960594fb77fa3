//! Presets of access rules: items of their owner, and items of a tenant. Every operation is restricted, and what would leave a way
//! around that is a fault.

use super::{RuleCompiler, named, word};
use crate::config::document::resource::{Access, FilterOp, OnDelete, Operation, Preset, Resource, Rule as Written};
use crate::config::words;
use crate::resource::access::Rule;
use crate::resource::claim::claim_name;
use crate::resource::model::settings::shown;
use crate::resource::predicate::Column;
use gatewright_sdk::{Code, Fault};
use serde_json::Value;

/// The key of rules that only a preset has made.
pub(super) const KEY: &str = "access.preset";
/// The claim with the account of a caller.
const SUBJECT: &str = "sub";

/// What a preset demands of every operation.
pub(super) struct Restriction(Rule);

impl Restriction {
    /// The rule of an operation, and the demand: both must hold.
    pub(super) fn and(&self, own: Option<Rule>) -> Rule {
        match own {
            None | Some(Rule::Always) => self.0.clone(),
            Some(Rule::Never) => Rule::Never,
            Some(own) => Rule::All(vec![own, self.0.clone()]),
        }
    }
}

/// The restriction of a preset, if the file has one. One that cannot hold is a fault.
pub(super) fn compile(compiler: &mut RuleCompiler<'_>, spec: &Resource) -> Option<Restriction> {
    let access = &spec.access;
    let Some(preset) = access.preset else {
        for (key, given) in
            [("field", access.field.is_some()), ("claim", access.claim.is_some()), ("except", access.except.is_some())]
        {
            if given {
                let text = format!("`{key}` has no effect without `preset`");
                fault(compiler, key, text, "add `preset: owner` or `preset: tenant`, or remove it");
            }
        }
        return None;
    };
    open_rules(compiler, access, preset);
    let claim = match (&access.claim, preset) {
        (Some(claim), _) => claim.as_str(),
        (None, Preset::Owner) => SUBJECT,
        (None, Preset::Tenant) => {
            fault(
                compiler,
                "",
                "`preset: tenant` needs a claim",
                "add `claim: NAME`: the claim of tokens that names the tenant",
            );
            return None;
        }
    };
    let Some(name) = &access.field else {
        let what = if preset == Preset::Owner { "owner" } else { "tenant" };
        let text = format!("`preset: {what}` needs a field");
        fault(compiler, "", text, &format!("add `field: NAME`: the field of items that names the {what}"));
        return None;
    };
    let position = compiler.fields.iter().position(|field| field.name == *name);
    let Some((position, written)) = position.zip(spec.fields.get(name)) else {
        let names: Vec<&str> = compiler.fields.iter().map(|field| field.name.as_str()).collect();
        let text = format!("`preset` names `{}`, which is not a field", shown(name));
        let found = Fault::new("access.field", text).code(Code::UNKNOWN_FIELD);
        compiler.faults.push(found.help(words::way_out(name, &names)));
        return None;
    };
    if written.set.as_deref().and_then(claim_name) != Some(claim) {
        let text = format!("`{name}` is not set to the claim `{claim}`, so callers could create items of others");
        let found = Fault::new("access.field", text).code(Code::PRESET);
        let found = found.help(format!("add `set: $claims.{claim}` to the field `{name}`"));
        compiler.faults.push(found.related(format!("fields.{name}"), format!("`{name}` is defined here")));
    }
    if written.on_delete == Some(OnDelete::SetNull) {
        let text = format!("`set_null` would leave items that no one can see, because `{name}` says whose they are");
        let found = Fault::new(format!("fields.{name}.on_delete"), text).code(Code::PRESET);
        compiler.faults.push(found.help("write `on_delete: cascade` or `restrict`"));
    }
    let value = Value::String(format!("$claims.{claim}"));
    let own = compiler.comparison(Column::Field(position), FilterOp::Eq, &value, "access.claim")?;
    let except = access.except.as_ref().map(|except| compiler.condition(except, "access.except"));
    Some(Restriction(match except {
        Some(except) => Rule::Any(vec![except, own]),
        None => own,
    }))
}

fn fault(compiler: &mut RuleCompiler<'_>, key: &str, message: impl Into<String>, help: &str) {
    let path = if key.is_empty() { "access.preset".to_owned() } else { format!("access.{key}") };
    compiler.coded(Code::PRESET, path, message, help);
}

/// `public` would not be public: an author who writes it means something else.
fn open_rules(compiler: &mut RuleCompiler<'_>, access: &Access, preset: Preset) {
    let operations =
        [Operation::List, Operation::Read, Operation::Create, Operation::Update, Operation::Delete, Operation::Restore];
    let rules = operations.into_iter().map(|operation| (word(operation), named(access, operation)));
    let others = [("default", access.default.as_ref()), ("update_check", access.update_check.as_ref())];
    let whose = if preset == Preset::Owner { "their own items" } else { "items of their tenant" };
    for (key, rule) in rules.chain(others) {
        if rule == Some(&Written::Public) {
            let text = format!("`{key}: public` contradicts `preset`, which allows callers only {whose}");
            fault(compiler, key, text, "remove it, or write the rules of all operations without `preset`");
        }
    }
}
