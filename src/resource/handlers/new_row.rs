//! New rows: their values, what they must fulfil, and how they are stored.

use super::api::{Api, within};
use super::belonging;
use super::row::Built;
use crate::config::document::resource::{Generate, IdKind};
use crate::resource::field::{Field, Source};
use crate::resource::field_type::FieldType;
use crate::resource::model::Model;
use crate::resource::moment::Moment;
use crate::resource::predicate::{Predicate, Referred};
use crate::resource::refusal::refusal;
use crate::resource::store::{Done, Error, Param, Sql};
use crate::resource::validate::Values;
use crate::resource::version;
use gatewright_sdk::{ClientKey, Identity, Problem};
use std::sync::Arc;
use tracing::Instrument;
use zeroize::Zeroizing;

/// Who creates something, and where.
pub(super) struct Creator<'a> {
    /// The collection, as the client sent its path.
    pub collection: &'a str,
    pub client: ClientKey,
    pub identity: Option<&'a Identity>,
    /// What new rows must fulfil.
    pub condition: Option<Predicate>,
}

/// A new row before it is stored.
#[derive(Clone)]
pub(super) struct NewRow {
    pub version: i64,
    /// The id, if it is known before the insert.
    pub id: Option<Param>,
    pub fields: Vec<Param>,
}

/// The row of a new item whose values were validated.
pub(super) async fn row_for(api: &Arc<Api>, creator: &Creator<'_>, values: Values) -> Result<NewRow, Problem> {
    let mut row = unhashed(&api.model, creator, values)?;
    if has_password(&api.model, &row.fields) {
        // Hashing is expensive: a request that will be rejected anyway is rejected first. The unique index still decides.
        api.check_taken(row.id.as_ref(), true, &row.fields).await?;
        for (position, value) in row.fields.iter_mut().enumerate() {
            api.hash(creator.client, position, value).await?;
        }
    }
    Ok(row)
}

/// The same with passwords as they were sent, which is not stored like this.
pub(super) fn unhashed(model: &Model, creator: &Creator<'_>, values: Values) -> Result<NewRow, Problem> {
    let (id, fields) = row(model, values, creator.identity, Moment::now())?;
    check(creator.condition.as_ref(), id.as_ref().unwrap_or(&Param::Null), &fields, &[])?;
    Ok(NewRow { version: version::fresh(), id, fields })
}

/// Whether there is a password to hash.
pub(super) fn has_password(model: &Model, fields: &[Param]) -> bool {
    let mut pairs = model.fields.iter().zip(fields);
    pairs.any(|(field, value)| matches!((&field.kind, value), (FieldType::Password, Param::Text(_))))
}

impl NewRow {
    /// The row after it was stored with this id.
    pub(super) fn stored_as<'a>(&'a self, id: &'a Param) -> Built<'a> {
        Built { version: self.version, id, fields: &self.fields }
    }

    pub(super) fn insert(&self, model: &Model) -> Sql {
        model.sql.insert(self.version, self.id.clone(), &self.fields)
    }
}

/// Whether the caller may create such a row.
pub(super) fn check(
    condition: Option<&Predicate>,
    id: &Param,
    fields: &[Param],
    referred: &Referred,
) -> Result<(), Problem> {
    match condition {
        Some(condition) if !condition.holds(id, fields, referred) => {
            Err(Problem::forbidden().log_reason("access_rule"))
        }
        _ => Ok(()),
    }
}

/// The id, if it is known before the insert, and all values of the new row.
pub(super) fn row(
    model: &Model,
    values: Values,
    identity: Option<&Identity>,
    at: Moment,
) -> Result<(Option<Param>, Vec<Param>), Problem> {
    let id = match (model.id, model.generate) {
        (IdKind::Uuid, Generate::V4) => Some(Param::Text(uuid::Uuid::new_v4().to_string())),
        (IdKind::Uuid, _) => Some(Param::Text(uuid::Uuid::now_v7().to_string())),
        (IdKind::Integer, _) => None,
        (IdKind::String, _) => values.id,
    };
    let mut row = Vec::with_capacity(model.fields.len());
    for (field, given) in model.fields.iter().zip(values.fields) {
        row.push(match (given, field.on_create.as_ref().or(field.default.as_ref())) {
            (Some(given), _) => given,
            (None, Some(source)) => provided(field, source, identity, at)?,
            (None, None) => Param::Null,
        });
    }
    belonging::check(model, &row)?;
    Ok((id, row))
}

/// The value of `source` for `field`. The request is rejected if it is a claim that does not match the field's type, or one that
/// is absent while the field must not be null.
pub(super) fn provided(
    field: &Field,
    source: &Source,
    identity: Option<&Identity>,
    at: Moment,
) -> Result<Param, Problem> {
    if let Some(reason) = source.misfit(field, identity) {
        return Err(Problem::forbidden().log_reason(reason));
    }
    match (source.value(field, identity, at), source) {
        (Param::Null, _) if field.nullable => Ok(Param::Null),
        (Param::Null, Source::Claim(name)) if field.read_only || field.hidden => {
            Err(Problem::forbidden().log_reason(format!("claim_missing:{name}")))
        }
        (Param::Null, _) => Err(refusal(vec![field.broken("required", "is required")])),
        (value, _) => Ok(value),
    }
}

/// Inserts a row, and returns its id.
pub(super) async fn insert(api: &Arc<Api>, row: &NewRow) -> Result<Param, Problem> {
    let sql = row.insert(&api.model);
    let span = api.sql_span("INSERT", Some(&sql.text));
    let job = api.store.execute(api.model.timeout, sql);
    let inserted = within(api.statements.begin("INSERT"), span, job).await.and_then(|done| inserted(&done));
    inserted.map_err(|error| api.write_failure(&error))
}

/// The id of a row that an insert returned.
pub(super) fn inserted(done: &Done) -> Result<Param, Error> {
    match &done.first {
        Param::Null => Err(Error::discarded("inserted")),
        id => Ok(id.clone()),
    }
}

impl Api {
    /// Replaces a password by its hash; other values stay.
    pub(super) async fn hash(&self, client: ClientKey, position: usize, value: &mut Param) -> Result<(), Problem> {
        let kind = self.model.fields.get(position).map(|field| &field.kind);
        if let (Some(FieldType::Password), Param::Text(password)) = (kind, &mut *value) {
            // Slow by design, and by far the longest part of a sign-up.
            let span = tracing::info_span!(target: "gatewright::resource", "hash password");
            let hashed = self.hasher.hash(client, Zeroizing::new(std::mem::take(password))).instrument(span).await;
            *value = Param::Text(hashed.map_err(|_| Problem::unavailable(1).log_reason("hasher_busy"))?);
        }
        Ok(())
    }
}
