//! The change that a PUT or PATCH proposes, and its effect on the existing row.

use super::api::Api;
use super::conditions::Conditions;
use super::new_row;
use super::references::{References, Seen, Sights, Why, is_asked};
use super::shared_references::SharedSeen;
use super::under::Under;
use crate::resource::field::Field;
use crate::resource::field_type::FieldType;
use crate::resource::model::Model;
use crate::resource::moment::Moment;
use crate::resource::predicate::Predicate;
use crate::resource::refusal::refusal;
use crate::resource::sql::Texts;
use crate::resource::store::{Found, Param, Sql};
use crate::resource::validate::{self, Purpose, Values};
use gatewright_sdk::{Identity, Problem};
use std::sync::Arc;

/// A requested change with everything needed to decide it: deciding has no other inputs and may happen twice.
pub(super) struct Proposal {
    pub model: Arc<Model>,
    pub purpose: Purpose,
    pub id: Param,
    /// The values in the body.
    pub given: Values,
    pub identity: Option<Arc<Identity>>,
    /// The value of "now".
    pub at: Moment,
    pub conditions: Conditions,
    /// What the changed row must fulfil.
    pub check: Option<Predicate>,
    /// Whether a missing item is created, and what the new row must fulfil.
    pub creation: Option<Option<Predicate>>,
    /// The version of the row after the write.
    pub version: i64,
    /// The item in the path that this one belongs to.
    pub under: Option<Under>,
    /// The items that the row refers to before or after the write.
    pub references: References,
}

/// The decided change of a row.
pub(super) struct RowChange {
    pub version: i64,
    /// The id of the row; `None` if the store will count it up.
    pub id: Option<Param>,
    /// The row after the change.
    pub fields: Vec<Param>,
    /// The columns to write, by position; empty if nothing changes.
    pub written: Vec<(usize, Param)>,
    /// Whether the row is created.
    pub is_new: bool,
}

fn merged(field: &Field, current: &Param, given: Param) -> Result<Param, Problem> {
    field.merge(current, given).map_err(|fault| refusal(vec![fault]))
}

impl Proposal {
    /// Whether there is a password to hash.
    pub(super) fn has_password(&self) -> bool {
        let mut pairs = self.model.fields.iter().zip(&self.given.fields);
        pairs.any(|(field, given)| matches!((&field.kind, given), (FieldType::Password, Some(Param::Text(_)))))
    }

    /// Whether a password is changed or removed.
    pub(super) fn changes_password(&self) -> bool {
        let mut pairs = self.model.fields.iter().zip(&self.given.fields);
        pairs.any(|(field, given)| matches!(field.kind, FieldType::Password) && given.is_some())
    }

    /// The looks at items that the row refers to, now or after the write, added to `none`.
    pub(super) fn references(&self, api: &Api, sights: &Sights, none: References) -> Result<References, Problem> {
        let mut references = none;
        let fields = self.model.fields.iter().zip(&self.given.fields).enumerate();
        for (at, (field, given)) in fields.filter(|(_, (field, _))| field.reference.is_some()) {
            let is_asked = is_asked(self.check.as_ref(), at);
            match given {
                Some(given) => references.add(api, sights, (at, Why::Named), given),
                None if self.falls_back(field) => references.add(api, sights, (at, Why::Set), &self.fallback(field)?),
                None if is_asked => references.add_current(api, at, &self.id),
                None => {}
            }
            let source = field.on_create.as_ref().or(field.default.as_ref());
            if let (Some(_), None, false, Some(source)) = (&self.creation, given, self.falls_back(field), source) {
                let value = source.value(field, self.identity.as_deref(), self.at);
                references.add(api, sights, (at, Why::SetIfNew), &value);
            }
            if let (Some(_), Some(under)) = (&self.creation, &self.under)
                && under.field == at
            {
                references.add(api, sights, (at, Why::PathIfNew), &under.id);
            }
        }
        Ok(references)
    }

    /// The change of the row that was `found` (version and fields), or why the request is rejected. `referred` is what the
    /// looks at [`Proposal::references`] found.
    pub(super) fn decide(
        &self,
        found: Option<(i64, Vec<Param>)>,
        referred: impl IntoIterator<Item = Option<Found>>,
    ) -> Result<RowChange, Problem> {
        let seen = self.references.seen(referred);
        self.decide_with(found.map(|row| (self.id.clone(), row)), &seen)
    }

    /// The same for a row that was found by another value than its id, in a list whose items have their looks together.
    pub(super) fn decide_about(
        &self,
        found: Option<(Param, (i64, Vec<Param>))>,
        shared: &SharedSeen,
    ) -> Result<RowChange, Problem> {
        let seen = shared.of(&self.references, found.as_ref().map(|(_, (_, fields))| fields.as_slice()));
        self.decide_with(found, &seen)
    }

    fn decide_with(&self, found: Option<(Param, (i64, Vec<Param>))>, seen: &Seen<'_>) -> Result<RowChange, Problem> {
        let Some((id, (version, mut fields))) = found else { return self.creation(seen) };
        self.conditions.check(version)?;
        let mut written = self.changes(&fields)?;
        if written.is_empty() {
            return Ok(RowChange { version, id: Some(id), fields, written, is_new: false });
        }
        seen.check((&self.model, &fields), false, |at| written.iter().any(|(changed, _)| *changed == at))?;
        written.extend(self.stamps());
        for (at, value) in &written {
            if let Some(field) = fields.get_mut(*at) {
                field.clone_from(value);
            }
        }
        new_row::check(self.check.as_ref(), &id, &fields, &seen.rows(&self.model, false))?;
        Ok(RowChange { version: self.version, id: Some(id), fields, written, is_new: false })
    }

    /// The row as it would be stored, whatever it refers to and whoever may do that: its id, if it is known, whether it is new, and its
    /// fields. The row that was `found` has an id and fields, too.
    pub(super) fn row(&self, found: Option<(Param, Vec<Param>)>) -> Result<(Option<Param>, bool, Vec<Param>), Problem> {
        let Some((id, mut fields)) = found else { return self.new_row().map(|(id, fields)| (id, true, fields)) };
        for (at, value) in self.changes(&fields)? {
            fields.get_mut(at).into_iter().for_each(|field| field.clone_from(&value));
        }
        Ok((Some(id), false, fields))
    }

    fn creation(&self, seen: &Seen<'_>) -> Result<RowChange, Problem> {
        let Some(condition) = &self.creation else { return Err(Problem::not_found()) };
        let (id, fields) = self.new_row()?;
        self.under.as_ref().map_or(Ok(()), |under| under.holds(&fields))?;
        seen.check((&self.model, &fields), true, |_| true)?;
        let shown = id.as_ref().unwrap_or(&Param::Null);
        new_row::check(condition.as_ref(), shown, &fields, &seen.rows(&self.model, true))?;
        Ok(RowChange { version: self.version, id, fields, written: Vec::new(), is_new: true })
    }

    /// The id of a new item, if it is known, and its fields.
    fn new_row(&self) -> Result<(Option<Param>, Vec<Param>), Problem> {
        let mut values = Values { id: Some(self.id.clone()), ..self.given.clone() };
        if let Some(under) = &self.under
            && let Some((field, slot)) = self.model.fields.get(under.field).zip(values.fields.get_mut(under.field))
        {
            under.fill(field, slot);
        }
        validate::complete(&self.model, &values)?;
        if self.purpose == Purpose::Merge {
            for (field, value) in self.model.fields.iter().zip(&mut values.fields) {
                *value = value.take().map(|given| merged(field, &Param::Null, given)).transpose()?;
            }
        }
        new_row::row(&self.model, values, self.identity.as_deref(), self.at)
    }

    /// The columns whose values differ from those of `row`.
    fn changes(&self, row: &[Param]) -> Result<Vec<(usize, Param)>, Problem> {
        let mut changes = Vec::new();
        let columns = self.model.fields.iter().zip(&self.given.fields).zip(row);
        for (at, ((field, given), current)) in columns.enumerate() {
            let given = match given {
                Some(given) => given.clone(),
                None if self.falls_back(field) => self.fallback(field)?,
                None => continue,
            };
            let value = match self.purpose {
                Purpose::Merge => merged(field, current, given)?,
                Purpose::Create | Purpose::Replace => given,
            };
            // A password is not read back, so the old value is not known.
            if value != *current || matches!(field.kind, FieldType::Password) {
                changes.push((at, value));
            }
        }
        Ok(changes)
    }

    /// Whether a field that is missing in the body gets another value.
    fn falls_back(&self, field: &Field) -> bool {
        let replaces = self.purpose == Purpose::Replace && field.updates;
        replaces && !field.read_only && !field.hidden && !field.write_only
    }

    fn fallback(&self, field: &Field) -> Result<Param, Problem> {
        let identity = self.identity.as_deref();
        field.default.as_ref().map_or(Ok(Param::Null), |source| new_row::provided(field, source, identity, self.at))
    }

    /// The values that the server sets on a change.
    fn stamps(&self) -> impl Iterator<Item = (usize, Param)> {
        let identity = self.identity.as_deref();
        let stamped = self.model.fields.iter().enumerate();
        stamped.filter_map(move |(position, field)| {
            Some((position, field.on_write.as_ref()?.value(field, identity, self.at)))
        })
    }
}

impl RowChange {
    /// The statement that makes the change, unless there is none to make.
    pub(super) fn statement(&self, texts: &Texts) -> Option<Sql> {
        let id = self.id.clone();
        if self.is_new {
            return Some(texts.insert(self.version, id, &self.fields));
        }
        let id = id.filter(|_| !self.written.is_empty())?;
        Some(texts.update(self.version, id, &self.written))
    }
}
