//! Warnings beside a preset: settings by which one owner or tenant can notice, or remove, what belongs to others.

use super::preset::{SUBJECT, whose, written};
use crate::config::document::resource::{
    Condition, Field as WrittenField, FieldKind, Operation, Resource, Rule as Written, Writes,
};
use crate::resource::access::Rule;
use crate::resource::claim::claim_name;
use crate::resource::field::Field;
use crate::resource::model::others::{Others, cascades};
use crate::resource::model::{OPERATIONS, Rules};
use gatewright_sdk::{Code, Fault};
use std::collections::{BTreeSet, VecDeque};

/// What reaches beyond the owner or the tenant that a preset is about.
pub(in crate::resource::model) fn warn(
    (name, spec): (&str, &Resource),
    others: Others<'_>,
    (fields, rules): (&[Field], &Rules),
    warnings: &mut Vec<Fault>,
) {
    let Some((preset, (own, claim))) = spec.access.preset.zip(written(&spec.access)) else { return };
    let whose = whose(preset);
    let private = Private { name, spec, own, claim, fields, rules, others };
    // The field of the preset itself is different for each of them.
    for (field, written) in spec.fields.iter().filter(|(name, _)| *name != own) {
        if private.is_noticed(field, written) {
            let text = format!("`{field}` is unique across all {whose}s: a 409 tells one that another has the value");
            let fault = Fault::new(format!("fields.{field}.unique"), text).code(Code::BEYOND_PRESET);
            let with: Vec<&str> = written.unique.with.iter().map(String::as_str).chain([own]).collect();
            let with = with.join(", ");
            let help = format!("write `with: [{with}]`; if it is meant to be unique across all, write `with: []`");
            warnings.push(fault.help(help));
        }
        for way in private.is_removed_over(field, written) {
            let Some((last, between)) = way.split_last() else { continue };
            let over: Vec<_> = between.iter().map(|name| format!("`{name}`")).collect();
            let over = if over.is_empty() { String::new() } else { format!(", over {}", over.join(" and ")) };
            let text = format!(
                "whoever deletes an item of `{last}` deletes items of all {whose}s{over}: `{last}` has no preset, so all share it"
            );
            let fault = Fault::new(format!("fields.{field}.on_delete"), text).code(Code::BEYOND_PRESET);
            let instead = match between {
                [] => format!("write `restrict` or `set_null`, or give `{last}` the same preset"),
                _ => format!("write `restrict` or `set_null` here, or in a field on the way to `{last}`"),
            };
            warnings.push(fault.help(format!("{instead}; if this is intended, write a rule for `delete` in `{last}`")));
        }
    }
}

/// A resource with a preset.
struct Private<'a> {
    name: &'a str,
    spec: &'a Resource,
    /// The field of the preset, and its claim.
    own: &'a str,
    claim: &'a str,
    fields: &'a [Field],
    rules: &'a Rules,
    others: Others<'a>,
}

impl<'a> Private<'a> {
    /// Whether a conflict tells a client something about the items of others: it chooses the value, and no value that must be equal is
    /// of its owner or tenant alone.
    fn is_noticed(&self, name: &str, written: &WrittenField) -> bool {
        let unique = &written.unique;
        let mut equal = std::iter::once(name).chain(unique.with.iter().map(String::as_str));
        unique.unique && !unique.across && self.is_chosen(name, written) && !equal.any(|name| self.belongs(name))
    }

    /// Whether items of different owners or tenants never have the same value in this field.
    fn belongs(&self, name: &str) -> bool {
        let field = self.fields.iter().find(|field| field.name == name);
        let refers = field.and_then(|field| field.reference.as_ref()).is_some_and(|to| to.belongs.is_some());
        let set = self.spec.fields.get(name).and_then(|field| field.set.as_deref()).and_then(claim_name);
        name == self.own || refers || set.is_some_and(|claim| claim == self.claim || claim == SUBJECT)
    }

    /// Whether clients choose the value, in a body or in the path.
    fn is_chosen(&self, name: &str, written: &WrittenField) -> bool {
        let on = |wanted| written.accept_on.as_ref().is_none_or(|list| list.contains(&wanted));
        let creates = self.can(Operation::Create, &self.rules.create);
        let sent =
            (on(Writes::Create) && creates) || (on(Writes::Update) && self.can(Operation::Update, &self.rules.update));
        is_open(written) && sent || self.others.served.is_in_a_path(self.name, name) && creates
    }

    /// Whether there are requests for this operation that are allowed.
    fn can(&self, operation: Operation, rule: &Rule) -> bool {
        !matches!(rule, Rule::Never) && is_served((self.name, self.spec), operation, self.others)
    }

    /// Whether the server gives items of different owners or tenants the same value: a constant, or a claim that they may share.
    fn is_shared(&self, written: &WrittenField) -> bool {
        let claim = |text: &str| claim_name(text).map(|claim| claim != self.claim && claim != SUBJECT);
        let set = written.set.as_deref().and_then(claim);
        let default = written.default.as_ref().map(|value| value.as_str().and_then(claim).unwrap_or(true));
        set.or(default).unwrap_or(false) && self.can(Operation::Create, &self.rules.create)
    }

    /// The resources without a preset over which a delete comes to items of all owners or tenants, if the file does not say who may
    /// do so: each time from the one that the field refers to, to the one with the deleted item.
    fn is_removed_over(&self, name: &str, written: &'a WrittenField) -> Vec<Vec<&'a str>> {
        let first = written.to.as_deref().filter(|to| *to != self.name && written.r#type == FieldKind::Ref);
        let Some(first) = first.filter(|_| cascades(written)) else { return Vec::new() };
        if !self.is_chosen(name, written) && !self.is_shared(written) {
            return Vec::new();
        }
        let (mut seen, mut ways) = (BTreeSet::from([self.name, first]), VecDeque::from([vec![first]]));
        let mut found = Vec::new();
        while let Some(way) = ways.pop_front() {
            let Some(last) = way.last().copied() else { continue };
            let shared = self.others.resources.get(last).filter(|target| target.access.preset.is_none());
            let Some(target) = shared else { continue };
            if is_served((last, target), Operation::Delete, self.others) && is_deleted_by_default(target) {
                found.push(way.clone());
            }
            let refers = |(name, field): &(&str, &WrittenField)| {
                let has_value = is_open(field) || field.set.is_some() || field.default.is_some();
                cascades(field) && (has_value || self.others.served.is_in_a_path(last, name))
            };
            for next in target.fields.iter().filter(refers).filter_map(|(_, field)| field.to.as_deref()) {
                if seen.insert(next) {
                    ways.push_back(way.iter().copied().chain([next]).collect());
                }
            }
        }
        found
    }
}

/// Whether the file lets clients set the field.
fn is_open(written: &WrittenField) -> bool {
    written.set.is_none() && written.read_only != Some(true) && written.hidden != Some(true)
}

fn is_served((name, spec): (&str, &Resource), operation: Operation, others: Others<'_>) -> bool {
    let there = spec.operations.as_deref().unwrap_or(&OPERATIONS).contains(&operation);
    there && others.served.takes((name, spec), operation)
}

/// Whether the rule for everything, which may not have been written with deletes in mind, lets callers delete items that are not
/// theirs.
fn is_deleted_by_default(target: &Resource) -> bool {
    match (&target.access.delete, &target.access.default) {
        (None, Some(Written::Condition(condition))) => !is_about_items(condition),
        (None, Some(default)) => *default != Written::None,
        (_, _) => false,
    }
}

fn is_about_items(condition: &Condition) -> bool {
    let inner = condition.all.iter().chain(&condition.any);
    condition.r#where.iter().next().is_some() || inner.into_iter().any(is_about_items)
}
