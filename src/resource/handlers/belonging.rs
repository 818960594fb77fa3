//! To whom a new item belongs, if a preset says so. Callers whom it does not restrict say it themselves.

use super::under::Under;
use crate::resource::access::Columns;
use crate::resource::body::Entries;
use crate::resource::field::Field;
use crate::resource::json::Json;
use crate::resource::model::Model;
use crate::resource::moment::Moment;
use crate::resource::refusal::refusal;
use crate::resource::store::Param;
use crate::resource::validate::{self, Purpose, Values};
use gatewright_sdk::{Detail, Identity, Problem};

/// Validates the body of a create.
pub(super) fn judge(
    model: &Model,
    mut entries: Entries,
    (identity, under): (Option<&Identity>, Option<&Under>),
) -> Result<Values, Problem> {
    let named = chosen(model, &mut entries, (identity, under));
    let values = match under {
        None => validate::judge(model, entries, Purpose::Create),
        Some(under) => under.values(model, entries, Purpose::Create),
    };
    match (named, values) {
        (None, values) => values,
        (Some((at, Ok(chosen))), Ok(mut values)) => {
            if let Some(slot) = values.fields.get_mut(at).filter(|_| chosen.is_some()) {
                *slot = chosen;
            }
            Ok(values)
        }
        (Some((_, Ok(_))), Err(problem)) => Err(problem),
        (Some((_, Err(fault))), values) => {
            let rest = values.err().map(|problem| problem.faults().to_vec()).unwrap_or_default();
            Err(refusal(std::iter::once(fault).chain(rest).collect()))
        }
    }
}

/// A value for the field at a position, or what is wrong with it.
type Chosen = (usize, Result<Option<Param>, Detail>);

/// What a caller whom the preset does not restrict has chosen, if this is one.
fn chosen(
    model: &Model,
    entries: &mut Entries,
    (identity, under): (Option<&Identity>, Option<&Under>),
) -> Option<Chosen> {
    let (preset, columns) = (model.rules.preset.as_ref()?, Columns { id: model.id, fields: &model.fields });
    let field = model.fields.get(preset.field).filter(|field| !field.hidden)?;
    if !preset.excepts(columns, identity) {
        return None;
    }
    let chosen = match entries.known.get_mut(preset.field).and_then(Option::take) {
        Some(value) => read(field, value).map(Some),
        None => match under.filter(|under| under.field == preset.field) {
            Some(under) => Ok(Some(under.id.clone())),
            None if has_claim(field, identity) => Ok(None),
            None => Err(field.broken("required", "is required").help(format!(
                "send the {} of the new item: only callers with the claim `{}` may leave it out",
                preset.whose(),
                preset.claim
            ))),
        },
    };
    Some((preset.field, chosen))
}

fn read(field: &Field, value: Json) -> Result<Param, Detail> {
    match field.read(value)? {
        Param::Null => Err(field.broken("null", "must not be null")),
        Param::Text(text) if text.is_empty() => Err(field.broken("min", "must not be empty")),
        value => Ok(value),
    }
}

fn has_claim(field: &Field, identity: Option<&Identity>) -> bool {
    field.on_create.as_ref().is_some_and(|source| source.value(field, identity, Moment::now()) != Param::Null)
}

/// 403 for a new item that belongs to no one.
pub(super) fn check(model: &Model, row: &[Param]) -> Result<(), Problem> {
    match &model.rules.preset {
        Some(preset) if row.get(preset.field).is_none_or(|value| *value == Param::Null) => {
            Err(Problem::forbidden().log_reason(format!("claim_missing:{}", preset.claim)))
        }
        _ => Ok(()),
    }
}
