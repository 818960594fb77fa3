//! Presets of access rules: items of their owner, and items of a tenant. Every operation is restricted, and what would leave a way
//! around that is a fault.

use super::{RuleCompiler, named, word};
use crate::config::document::resource::{
    Access, Field, FieldKind, FilterOp, OnDelete, Operation, Preset, Resource, Rule as Written,
};
use crate::config::words;
use crate::resource::access::{Columns, Rule};
use crate::resource::claim::claim_name;
use crate::resource::model::settings::shown;
use crate::resource::predicate::Column;
use gatewright_sdk::{Code, Fault, Identity};
use serde_json::Value;

/// The key of rules that only a preset has made.
pub(super) const KEY: &str = "access.preset";
/// The claim with the account of a caller.
pub(super) const SUBJECT: &str = "sub";

/// A preset, compiled: to whom each item belongs.
#[derive(Clone)]
pub struct Belonging {
    /// The position of the field that names the owner or the tenant.
    pub field: usize,
    pub claim: String,
    preset: Preset,
    /// The callers whom it does not restrict.
    except: Option<Rule>,
    /// What it demands of every operation.
    demand: Rule,
}

impl Belonging {
    /// The rule of an operation, and the demand: both must hold.
    pub(super) fn and(&self, own: Option<Rule>) -> Rule {
        match own {
            None | Some(Rule::Always) => self.demand.clone(),
            Some(Rule::Never) => Rule::Never,
            Some(own) => Rule::All(vec![own, self.demand.clone()]),
        }
    }

    /// Whether the preset does not restrict this caller.
    pub fn excepts(&self, columns: Columns<'_>, identity: Option<&Identity>) -> bool {
        self.except.as_ref().is_some_and(|except| except.holds(columns, identity))
    }

    /// Whether there are callers whom it does not restrict.
    pub const fn has_exceptions(&self) -> bool {
        self.except.is_some()
    }

    /// What its field names.
    pub const fn whose(&self) -> &'static str {
        whose(self.preset)
    }
}

pub(super) const fn whose(preset: Preset) -> &'static str {
    match preset {
        Preset::Owner => "owner",
        Preset::Tenant => "tenant",
    }
}

/// The field and the claim of a preset, as they are written.
pub(in crate::resource::model) fn written(access: &Access) -> Option<(&str, &str)> {
    let claim = match (access.preset?, &access.claim) {
        (_, Some(claim)) => claim,
        (Preset::Owner, None) => SUBJECT,
        (Preset::Tenant, None) => return None,
    };
    Some((access.field.as_deref()?, claim))
}

/// The restriction of a preset, if the file has one. One that cannot hold is a fault.
pub(super) fn compile(compiler: &mut RuleCompiler<'_>, spec: &Resource) -> Option<Belonging> {
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
        let what = whose(preset);
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
    if !is_exact(compiler, written, (name, whose(preset))) {
        return None;
    }
    let value = Value::String(format!("$claims.{claim}"));
    let own = compiler.comparison(Column::Field(position), FilterOp::Eq, &value, "access.claim")?;
    let except = access.except.as_ref().map(|except| compiler.condition(except, "access.except"));
    if except.as_ref().is_some_and(Rule::is_about_items) {
        let text = "`except` names callers, and a `where` is about items";
        let help = "use `role`, `scope` or `claims`; if it depends on the item, write the rules of all operations without `preset`";
        fault(compiler, "except", text, help);
    }
    let demand = match &except {
        Some(except) => Rule::Any(vec![except.clone(), own]),
        None => own,
    };
    Some(Belonging { field: position, claim: claim.to_owned(), preset, except, demand })
}

/// Whether different values of a claim stay different values of the field. Otherwise callers would get access to items of others.
fn is_exact(compiler: &mut RuleCompiler<'_>, written: &Field, (name, whose): (&str, &str)) -> bool {
    use FieldKind as T;
    let mut inexact = Vec::new();
    for (key, given, how) in [
        ("lowercase", written.lowercase, "differ only in the case of letters"),
        ("trim", written.trim, "differ only in white space at their ends"),
    ] {
        if given {
            let text = format!("`{key}` makes one {whose} of those that {how}");
            inexact.push((key, text, format!("remove `{key}`: claims are compared as they are")));
        }
    }
    if !matches!(written.r#type, T::String | T::Text | T::Url | T::Uuid | T::Integer | T::Enum | T::Ref) {
        let text = format!("`{name}` names the {whose}, but different claims can be equal as values of this type");
        inexact.push(("type", text, "use `string`; or `uuid`, `integer` or `ref`, if the claim is one".to_owned()));
    }
    for (key, text, help) in &inexact {
        compiler.coded(Code::PRESET, format!("fields.{name}.{key}"), text, help);
    }
    inexact.is_empty()
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
