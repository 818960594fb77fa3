//! Warnings beside a preset: settings by which one owner or tenant can notice, or remove, what belongs to others.

use super::preset::{whose, written};
use crate::config::document::resource::{
    Condition, Field as WrittenField, FieldKind, OnDelete, Operation, Resource, Rule as Written,
};
use crate::resource::field::Field;
use crate::resource::model::OPERATIONS;
use crate::resource::model::others::Others;
use gatewright_sdk::{Code, Fault};

/// What reaches beyond the owner or the tenant that a preset is about.
pub(in crate::resource::model) fn warn(
    (name, spec): (&str, &Resource),
    others: Others<'_>,
    fields: &[Field],
    warnings: &mut Vec<Fault>,
) {
    let Some((preset, (own, _))) = spec.access.preset.zip(written(&spec.access)) else { return };
    let whose = whose(preset);
    // The field of the preset itself is different for each of them.
    let of_items = spec.fields.iter().zip(fields).filter(|((name, _), _)| *name != own);
    for ((field, written), compiled) in of_items {
        if is_noticed(written, own, fields) {
            let text =
                format!("`{field}` is unique across all {whose}s: a conflict tells one that another has the value");
            let fault = Fault::new(format!("fields.{field}.unique"), text).code(Code::BEYOND_PRESET);
            let help = format!("write `with: [{own}]`; if it is meant to be unique across all, write `with: []`");
            warnings.push(fault.help(help));
        }
        if let Some(to) = is_removed((name, written), compiled, others) {
            let text = format!(
                "who deletes an item of `{to}` deletes items of all {whose}s: `{to}` has no preset, so all share it"
            );
            let fault = Fault::new(format!("fields.{field}.on_delete"), text).code(Code::BEYOND_PRESET);
            let help = format!(
                "write `restrict` or `set_null`, or give `{to}` the same preset; if this is intended, write a rule for `delete` in `{to}`"
            );
            warnings.push(fault.help(help));
        }
    }
}

/// Whether a conflict tells a client something about the items of others: it chooses the value, and no field beside it is of its
/// owner or tenant alone.
fn is_noticed(written: &WrittenField, own: &str, fields: &[Field]) -> bool {
    let chooses = written.set.is_none() && written.read_only != Some(true) && written.hidden != Some(true);
    let unique = &written.unique;
    let belongs = |name: &String| {
        let field = fields.iter().find(|field| field.name == *name);
        let refers = field.and_then(|field| field.reference.as_ref()).is_some_and(|to| to.belongs.is_some());
        name == own || refers
    };
    unique.unique && chooses && !unique.across && !unique.with.iter().any(belongs)
}

/// The resource without a preset whose deletes take items of all owners or tenants, unless its file says who may do so.
fn is_removed<'a>(
    (resource, written): (&str, &'a WrittenField),
    compiled: &Field,
    others: Others<'a>,
) -> Option<&'a str> {
    let to = written.to.as_deref().filter(|to| *to != resource && written.r#type == FieldKind::Ref)?;
    let target = others.resources.get(to).filter(|target| target.access.preset.is_none())?;
    let takes = written.on_delete == Some(OnDelete::Cascade) && compiled.reference.is_some();
    let deletes = target.operations.as_deref().unwrap_or(&OPERATIONS).contains(&Operation::Delete);
    let open = match (&target.access.delete, &target.access.default) {
        (None, Some(Written::Condition(condition))) => !is_about_items(condition),
        (None, Some(default)) => *default != Written::None,
        (_, _) => false,
    };
    (takes && deletes && open).then_some(to)
}

fn is_about_items(condition: &Condition) -> bool {
    let inner = condition.all.iter().chain(&condition.any);
    condition.r#where.iter().next().is_some() || inner.into_iter().any(is_about_items)
}
