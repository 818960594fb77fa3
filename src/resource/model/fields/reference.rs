//! A field that refers to items of another resource.

use super::FieldContext;
use crate::config::document::resource::{Field as Written, FieldKind, IdKind, OnDelete, Resource};
use crate::resource::field::Reference;
use crate::resource::field_type::FieldType;
use crate::resource::model::access::preset;
use crate::resource::model::others::{cascades, demands};
use gatewright_sdk::Code;

/// Keys that mean nothing for a reference.
const OTHER_KEYS: [&str; 3] = ["min", "max", "pattern"];

/// The type of a reference: that of the ids it refers to.
pub(super) fn kind(written: &Written, context: &mut FieldContext<'_>) -> FieldType {
    for (key, given) in
        OTHER_KEYS.into_iter().zip([written.min.is_some(), written.max.is_some(), written.pattern.is_some()])
    {
        if given {
            context.fault(Code::FIELD_OPTION, key, format!("`{key}` has no effect: a reference is the id of an item"));
        }
    }
    if matches!(written.set.as_deref(), Some("on_create" | "on_write")) {
        let help = "write `$claims.NAME`, such as `$claims.sub`";
        context.fault_with_help(Code::FIELD_OPTION, "set", "a reference cannot be set to a time or a new UUID", help);
    }
    if matches!(written.default.as_ref().and_then(|value| value.as_str()), Some("uuid" | "now")) {
        let help = "write the id of an item, or `$claims.NAME`";
        context.fault_with_help(Code::FIELD_VALUE, "default", "no item has this as its id", help);
    }
    let target = written.to.as_deref().and_then(|to| context.others.resources.get(to));
    match target.map_or(IdKind::Uuid, |target| target.id.r#type) {
        IdKind::Uuid => FieldType::Uuid,
        IdKind::Integer => FieldType::Integer,
        IdKind::String => FieldType::String,
    }
}

/// What the field refers to. `None` if it refers to nothing, or to what does not exist, which is reported with the other names.
pub(super) fn compile(written: &Written, context: &mut FieldContext<'_>) -> Option<Reference> {
    if written.r#type != FieldKind::Ref {
        return None;
    }
    let Some(to) = written.to.as_deref() else {
        context.fault_with_help(Code::MISSING_KEY, "", "a ref field requires `to`", "add `to: RESOURCE`");
        return None;
    };
    let target = context.others.resources.get(to)?;
    if target.store != context.spec.store {
        let message = format!(
            "`{to}` is in store `{}`, and `{}` in store `{}`: a reference needs both in one store",
            target.store, context.resource, context.spec.store
        );
        context.fault_with_help(
            Code::FIELD_OPTION,
            "to",
            message,
            "use the same `store`, or `type: uuid` without a check",
        );
        return None;
    }
    check_delete(written, to, context);
    Some(Reference {
        to: to.to_owned(),
        table: target.table.clone().unwrap_or_else(|| to.to_owned()),
        id: target.id.r#type,
        on_delete: written.on_delete.unwrap_or(OnDelete::Restrict),
        expand: written.expand,
        fields: super::of_target(to, target, context),
        belongs: shared(context.spec, target),
    })
}

/// The position of the field of the preset of `target`, if that of `own` is about the same claim.
fn shared(own: &Resource, target: &Resource) -> Option<usize> {
    let (_, claim) = preset::written(&own.access)?;
    let (field, other) = preset::written(&target.access)?;
    (claim == other).then(|| target.fields.iter().position(|(name, _)| name == field))?
}

fn check_delete(written: &Written, to: &str, context: &mut FieldContext<'_>) {
    if written.on_delete == Some(OnDelete::SetNull) && !written.nullable.unwrap_or(!written.required) {
        let message =
            format!("the field cannot be null, so `set_null` cannot take place when an item of `{to}` is deleted");
        let help = "write `nullable: true`, or `on_delete: restrict` or `cascade`";
        context.fault_with_help(Code::FIELD_CONTRADICTION, "on_delete", message, help);
    }
    if cascades(written)
        && !context.spec.soft_delete.on
        && context.others.resources.get(to).is_some_and(|target| target.soft_delete.on)
    {
        let of = context.resource;
        let message =
            format!("deleted items of `{to}` are kept, but this would delete items of `{of}` for good with them");
        let help = format!("add `soft_delete: true` to `{of}`, or write `on_delete: restrict` or `set_null`");
        context.fault_with_help(Code::SOFT_DELETE, "on_delete", message, &help);
    }
    let around = |way: Vec<&str>, of: &str| {
        let names = std::iter::once(of).chain(way).chain([of]).map(|name| format!("`{name}`"));
        names.collect::<Vec<_>>().join(" → ")
    };
    let of = context.resource;
    if cascades(written)
        && let Some(way) = context.others.way_back(of, to, cascades)
    {
        let message =
            format!("`cascade` goes around in a circle: {}; one delete could empty them all", around(way, of));
        context.fault_with_help(
            Code::FIELD_CONTRADICTION,
            "on_delete",
            message,
            "use `restrict` or `set_null` for one of them",
        );
    }
    if demands(written)
        && let Some(way) = context.others.way_back(of, to, demands)
    {
        let message = format!("no item can ever be created: each needs another one first: {}", around(way, of));
        context.fault_with_help(Code::FIELD_CONTRADICTION, "", message, "make one of these fields nullable");
    }
}
