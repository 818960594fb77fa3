//! Creates of items that refer to others: what they refer to is looked at within the write.

use super::api::{Api, within};
use super::new_row::{Creator, NewRow, check, has_password, inserted, row};
use super::references::{References, Sights, Why};
use super::under::Under;
use crate::etag::tag;
use crate::resource::dialect::Dialect;
use crate::resource::idempotency::{Attempt, Replay};
use crate::resource::moment::Moment;
use crate::resource::predicate::Predicate;
use crate::resource::reply::{self, Selection};
use crate::resource::sql::Refused;
use crate::resource::store::{Decision, Done, Found, Param};
use crate::resource::validate::Values;
use crate::resource::version;
use gatewright_sdk::Problem;
use std::sync::Arc;

/// Stores a new item after its values were validated: its row and id, or what a repeated request gets.
pub(super) async fn store(
    api: &Arc<Api>,
    creator: &Creator<'_>,
    values: Values,
    (sights, under): (&Sights, Option<Under>),
    attempt: Option<Attempt>,
) -> Result<Result<(NewRow, Param), Replay>, Problem> {
    let model = &api.model;
    let (id, mut fields, references) = proposed(api, creator, values, (sights, under.as_ref()), References::default())?;
    let (known, condition) = (id.clone().unwrap_or(Param::Null), creator.condition.clone());
    if has_password(model, &fields) {
        // Hashing is expensive: a request that will be rejected anyway is rejected first. The write checks again.
        let found = api.look(&references).await?;
        let seen = references.seen(found);
        seen.check((model, &fields), true, |_| true)?;
        check(condition.as_ref(), &known, &fields, &seen.rows(model, true))?;
        api.check_taken(id.as_ref(), true, &fields).await?;
        for (position, value) in fields.iter_mut().enumerate() {
            api.hash(creator.client, position, value).await?;
        }
    }
    let row = NewRow { version: version::fresh(), id, fields };
    let stored = insert(api, &row, attempt, (references, condition)).await?;
    Ok(stored.map(|id| (row, id)))
}

/// The id of a new item, if it is known, its values, and what it refers to, added to `references`.
pub(super) fn proposed(
    api: &Api,
    creator: &Creator<'_>,
    values: Values,
    (sights, under): (&Sights, Option<&Under>),
    mut references: References,
) -> Result<(Option<Param>, Vec<Param>, References), Problem> {
    let named: Vec<bool> = values.fields.iter().map(Option::is_some).collect();
    let (id, fields) = row(&api.model, values, creator.identity, Moment::now())?;
    if let Some(under) = under {
        under.check()?;
        under.holds(&fields)?;
    }
    for (at, (value, named)) in fields.iter().zip(named).enumerate() {
        let why = match (under.is_some_and(|under| under.field == at), named) {
            (true, _) => Why::Path,
            (false, true) => Why::Named,
            (false, false) => Why::Set,
        };
        references.add(api, sights, (at, why), value);
    }
    let condition = creator.condition.as_ref();
    if condition.is_some_and(|condition| !condition.looks_further()) {
        check(condition, id.as_ref().unwrap_or(&Param::Null), &fields, &[])?;
    }
    Ok((id, fields, references))
}

/// Inserts the row if what it refers to is there, and records the key, if it has one; or finds that this was done before.
pub(super) async fn insert(
    api: &Arc<Api>,
    row: &NewRow,
    attempt: Option<Attempt>,
    (references, condition): (References, Option<Predicate>),
) -> Result<Result<Param, Replay>, Problem> {
    let (model, row) = (Arc::clone(&api.model), row.clone());
    let sql = row.insert(&model);
    let selection = Selection::all(&model.shape);
    // A number that the store counts up is not known yet; its place in the response is.
    let shown = row.id.clone().unwrap_or(Param::Integer(0));
    let mut body = Vec::with_capacity(256);
    reply::write_row(&mut body, &model.shape, &selection, &row.stored_as(&shown));
    let tag = tag(row.version, selection.form);
    let span = api.sql_span("INSERT", Some(&sql.text));
    let looks = attempt.iter().map(Attempt::look).chain(references.statements().cloned()).collect();
    let decide = move |found: Vec<Option<Found>>| {
        let mut found = found.into_iter();
        if let Some(attempt) = &attempt {
            match attempt.judge(&model, found.next().flatten().as_ref()) {
                Ok(None) => {}
                known => return Decision::leave(known),
            }
        }
        let known = row.id.as_ref().unwrap_or(&Param::Null);
        let seen = references.seen(found);
        let rows = seen.rows(&model, true);
        let checked = seen.check((&model, &row.fields), true, |_| true);
        if let Err(problem) = checked.and_then(|()| check(condition.as_ref(), known, &row.fields, &rows)) {
            return Decision::leave(Err(problem));
        }
        let Some(attempt) = &attempt else { return Decision::run([sql.clone()], Ok(None)) };
        // What a key stands for is there: it is recorded with the item, or not at all.
        let record = attempt.remember(&model, known, &tag, &body);
        let guard = row.id.clone().filter(|_| model.sql.dialect() == Dialect::Postgres);
        let guard = guard.map(|id| model.sql.refuse(id, Refused::Absent));
        let (is_guarded, all) = (guard.is_some(), std::iter::once(sql.clone()).chain(record).chain(guard));
        let decision = Decision::run(all.collect::<Vec<_>>(), Ok(None));
        if is_guarded { decision } else { decision.checked(|done| Done::wrote(done.first(), "inserted")) }
    };
    let job = api.store.write(api.model.timeout, looks, decide);
    let written = within(api.statements.begin("INSERT"), span, job).await;
    let (known, done) = written.map_err(|error| api.write_failure(&error))?;
    match (known?, done.first()) {
        (Some(replay), _) => Ok(Err(replay)),
        (None, Some(done)) => inserted(done).map(Ok).map_err(|error| api.failure(&error)),
        (None, None) => Err(Problem::internal().log_reason("no_row_inserted")),
    }
}

impl Api {
    /// Looks at what is referred to, before it is decided.
    pub(super) async fn look(&self, references: &References) -> Result<Vec<Option<Found>>, Problem> {
        let mut all = Vec::new();
        for sql in references.statements() {
            let span = self.sql_span("SELECT", Some(&sql.text));
            let look = self.store.query(self.statement(sql.clone()), |rows| Ok(rows.next()?.map(Found::of)));
            all.push(within(self.statements.begin("SELECT"), span, look).await.map_err(|error| self.failure(&error))?);
        }
        Ok(all)
    }
}
