//! Checks which requests with a list a resource serves.

use super::{Bulk, Upsert};
use crate::config::document::resource::{Concurrency, IdKind, Operation, Put, Resource};
use crate::resource::field::Field;
use crate::resource::field_type::FieldType;
use crate::resource::predicate::Column;
use gatewright_sdk::{Code, Fault};

/// The maximum of `max`.
const MOST: u32 = 10_000;

pub(super) fn compile(spec: &Resource, fields: &[Field], operations: &[Operation], faults: &mut Vec<Fault>) -> Bulk {
    let has = |operation| operations.contains(&operation);
    if !(1..=MOST).contains(&spec.bulk.max) {
        let text = format!("`max` must be between 1 and {MOST}");
        faults.push(Fault::new("bulk.max", text).code(Code::OUT_OF_RANGE));
    }
    if spec.bulk.create && !has(Operation::Create) {
        let text = "`bulk.create` needs the operation `create`, which `operations` does not list";
        let help = "add `create` to `operations`, or remove `bulk.create`";
        faults.push(Fault::new("bulk.create", text).code(Code::BULK).help(help));
    }
    if spec.bulk.create && spec.idempotency.required && spec.id.r#type == IdKind::Integer {
        let text =
            "lists of items whose ids are counted cannot have the key that `idempotency: { required: true }` demands";
        let help = "remove `bulk.create`, or use ids of `type: uuid`";
        faults.push(Fault::new("bulk.create", text).code(Code::BULK).help(help));
    }
    let upsert = spec.bulk.upsert.as_ref().and_then(|name| {
        let needs = has(Operation::Create) && has(Operation::Update) && spec.put != Put::None;
        let upsert = column(name, spec, fields).and_then(|upsert| match forbidden(spec, fields, needs) {
            Some((text, help)) => Err((text, help, Code::BULK)),
            None => Ok(upsert),
        });
        upsert.map_err(|(text, help, code)| faults.push(Fault::new("bulk.upsert", text).code(code).help(help))).ok()
    });
    Bulk { create: spec.bulk.create, upsert, max: spec.bulk.max }
}

fn column(name: &str, spec: &Resource, fields: &[Field]) -> Result<Upsert, (String, String, Code)> {
    if name == "id" {
        return match spec.id.r#type {
            IdKind::String => Ok(Upsert { column: Column::Id, fold: false }),
            IdKind::Uuid | IdKind::Integer => Err((
                "clients do not choose the ids of this resource, so an upsert cannot know items by `id`".to_owned(),
                "name a field with `unique: true`, or let clients choose ids: `id: { type: string }`".to_owned(),
                Code::BULK,
            )),
        };
    }
    let Some((position, field)) = fields.iter().enumerate().find(|(_, field)| field.name == name) else {
        let text = format!("`upsert` names `{}`, which is not a field", super::settings::shown(name));
        let unique = spec.fields.iter().filter(|(_, field)| field.unique.unique && field.unique.with.is_empty());
        let names: Vec<_> = unique.map(|(name, _)| format!("`{name}`")).collect();
        let help = if names.is_empty() {
            "name a field with `unique: true`".to_owned()
        } else {
            format!("unique fields are {}", names.join(", "))
        };
        return Err((text, help, Code::UNKNOWN_FIELD));
    };
    if spec.id.r#type == IdKind::String {
        return Err((
            format!("clients choose the ids of this resource, and an upsert by `{name}` has none for new items"),
            "write `upsert: id`, or remove `type: string` from `id`: then the gateway makes the ids".to_owned(),
            Code::BULK,
        ));
    }
    let unique = spec.fields.get(name).is_some_and(|field| field.unique.unique && field.unique.with.is_empty());
    if unique && writes(field) == (true, true) {
        return Ok(Upsert { column: Column::Field(position), fold: field.fold });
    }
    let (text, help) = if unique {
        (
            format!("clients cannot write `{name}`, so an upsert cannot know items by it"),
            "name a field that clients write",
        )
    } else {
        let together = spec.fields.get(name).is_some_and(|field| field.unique.unique);
        let (only, help) = match together {
            true => (" by itself", "name a field that is unique without `with`"),
            false => ("", "add `unique: true` to the field"),
        };
        (format!("`{name}` is not unique{only}, so an upsert cannot know items by it"), help)
    };
    Err((text, help.to_owned(), Code::BULK))
}

/// Why the resource cannot have an upsert, and what to do.
fn forbidden(spec: &Resource, fields: &[Field], needs: bool) -> Option<(String, String)> {
    if !needs {
        let text = "`bulk.upsert` needs the operations `create` and `update`, and a `put` that is not `none`";
        return Some((text.to_owned(), "allow them, or remove `bulk.upsert`".to_owned()));
    }
    if spec.concurrency == Concurrency::Required {
        let text = "a list has no entity tags of its items, which `concurrency: required` demands for each change";
        return Some((text.to_owned(), "write `concurrency: optional`, or remove `bulk.upsert`".to_owned()));
    }
    if let Some(field) = fields.iter().find(|field| matches!(field.kind, FieldType::Password)) {
        let text =
            format!("`bulk.upsert` is not available with the password `{}`: a list must not replace it", field.name);
        return Some((text, "remove `bulk.upsert`".to_owned()));
    }
    let uneven = fields.iter().find(|field| matches!(writes(field), (true, false) | (false, true)))?;
    let (can, cannot) = if writes(uneven).0 { ("create", "update") } else { ("update", "create") };
    let text = format!("an upsert does both, and `{}` is accepted on {can} but not on {cannot}", uneven.name);
    Some((text, format!("remove `accept_on` of `{}`, or remove `bulk.upsert`", uneven.name)))
}

/// Whether clients can set the field when they create an item, and when they change one.
const fn writes(field: &Field) -> (bool, bool) {
    let open = !field.hidden && !field.read_only;
    (open && field.creates, open && field.updates)
}
