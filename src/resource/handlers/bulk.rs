//! POST of a list: several new items, all or none; or one by one, with `Prefer: handling=lenient`.

use super::api::{Api, within};
use super::many::{Outcome, all, sort_key};
use super::new_row::{Creator, NewRow, insert as insert_one, inserted, row_for};
use super::repeats::replayed;
use crate::config::document::resource::IdKind;
use crate::resource::body::{self, Entries};
use crate::resource::dialect::Dialect;
use crate::resource::idempotency::{Attempt, Replay, Sent};
use crate::resource::model::Model;
use crate::resource::refusal::{ListFaults, texts};
use crate::resource::reply;
use crate::resource::store::{Decision, Error, Param, Sql, only};
use crate::resource::validate::{self, Purpose, Values};
use gatewright_sdk::{Problem, Response};
use http::StatusCode;
use std::collections::HashSet;
use std::sync::Arc;

pub(super) async fn create(
    api: &Arc<Api>,
    creator: &Creator<'_>,
    (key, lenient): (Option<String>, bool),
    bytes: &[u8],
) -> Result<Response, Problem> {
    let model = &api.model;
    if key.is_some() && model.id == IdKind::Integer {
        // Their numbers, and so the response, are known only after the transaction that would record them.
        let text = "Idempotency-Key: cannot be sent with a list of items whose ids are counted";
        return Err(Problem::validation(text));
    }
    let items = body::parse_list(bytes, &model.names, model.bulk.max)?.into_iter().map(|item| judge(model, item));
    // What a key stands for is done completely or not at all, so it decides.
    if lenient && key.is_none() {
        return Ok(one_by_one(api, creator, items.collect()).await);
    }
    let items = all(items)?;
    let attempt = key.map(|key| Attempt::new(model, key, creator.identity, creator.collection, Sent::List(&items)));
    if let Some(attempt) = &attempt
        && let Some(replay) = api.replay(attempt).await?
    {
        return Ok(replayed(model, creator.collection, replay));
    }
    let rows = rows(api, creator, items).await?;
    let ids = match insert(api, &rows, attempt).await? {
        Ok(ids) => ids,
        Err(replay) => return Ok(replayed(model, creator.collection, replay)),
    };
    let body = body_of(model, rows.iter().zip(&ids));
    Ok(reply::json(StatusCode::CREATED, body, model.rules.create.asks_who()))
}

fn judge(model: &Model, item: Result<Entries, Problem>) -> Result<Values, Problem> {
    validate::judge(model, item?, Purpose::Create)
}

fn body_of<'a>(model: &Model, rows: impl Iterator<Item = (&'a NewRow, &'a Param)>) -> Vec<u8> {
    super::many::list(model, rows.map(|(row, id)| row.stored_as(id)))
}

async fn rows(api: &Arc<Api>, creator: &Creator<'_>, items: Vec<Values>) -> Result<Vec<NewRow>, Problem> {
    check_distinct(api, items.iter())?;
    let mut rows = Vec::with_capacity(items.len());
    for (index, values) in items.into_iter().enumerate() {
        rows.push(row_for(api, creator, values).await.map_err(|problem| problem.in_list(index))?);
    }
    Ok(rows)
}

/// 409 if two items have the same id, or the same value in a unique field. The unique index still decides.
pub(super) fn check_distinct<'a>(api: &Api, items: impl Iterator<Item = &'a Values>) -> Result<(), Problem> {
    let model = &api.model;
    let mut faults = ListFaults::default();
    let mut seen: HashSet<(Option<usize>, String)> = HashSet::new();
    for (index, item) in items.enumerate() {
        let id = item.id.as_ref().map(|id| (None, "id", id, false));
        let unique = model.sql.taken.iter().filter_map(|(position, _)| {
            let (field, value) = model.fields.get(*position).zip(item.fields.get(*position)?.as_ref())?;
            Some((Some(*position), &*field.name, value, field.fold))
        });
        for (position, name, value, fold) in id.into_iter().chain(unique) {
            if *value == Param::Null {
                continue;
            }
            let text = if fold { sort_key(value).to_ascii_lowercase() } else { sort_key(value) };
            if !seen.insert((position, text)) {
                faults.push(index, api.taken(&[name.to_owned()]).faults().iter().cloned());
            }
        }
    }
    faults.refuse((), |details| Problem::conflict(texts(&details)).details(details))
}

/// Inserts all rows, and returns their ids; or finds that this was done before.
async fn insert(
    api: &Arc<Api>,
    rows: &[NewRow],
    attempt: Option<Attempt>,
) -> Result<Result<Vec<Param>, Replay>, Problem> {
    let model = Arc::clone(&api.model);
    let order = order(&model, rows);
    let ordered = order.iter().filter_map(|at| rows.get(*at));
    let mut statements: Vec<Sql> = ordered.map(|row| row.insert(&model)).collect();
    let Some(text) = statements.first().map(|sql| sql.text.clone()) else { return Ok(Ok(Vec::new())) };
    if let Some(attempt) = &attempt {
        let known = rows.iter().filter_map(|row| Some((row, row.id.as_ref()?)));
        statements.extend(attempt.remember_list(&body_of(&model, known)));
    }
    let span = api.sql_span("INSERT", Some(&text));
    let looks = attempt.iter().map(Attempt::look).collect();
    let decide = move |found| match attempt.as_ref().map(|attempt| attempt.judge(&model, only(found).as_ref())) {
        None | Some(Ok(None)) => Decision::run(statements.clone(), Ok(None)),
        Some(known) => Decision::leave(known),
    };
    let job = api.store.write(api.model.timeout, looks, decide);
    let (known, done) = match within(api.statements.begin("INSERT"), span, job).await {
        Ok(written) => written,
        Err(Error::Unique(columns)) => return Err(taken(api, rows, &columns).await),
        Err(error) => return Err(api.failure(&error)),
    };
    if let Some(replay) = known? {
        return Ok(Err(replay));
    }
    let mut ids = vec![Param::Null; rows.len()];
    for (at, done) in order.iter().zip(&done) {
        let id = inserted(done).map_err(|error| api.failure(&error))?;
        ids.get_mut(*at).into_iter().for_each(|place| *place = id.clone());
    }
    Ok(Ok(ids))
}

/// The order in which rows are inserted. PostgreSQL makes two transactions wait for each other that insert the same values in
/// different orders. Ids that are counted follow the list.
fn order(model: &Model, rows: &[NewRow]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let unique = model.sql.taken.first().map(|(position, _)| *position);
    if model.sql.dialect() == Dialect::Postgres && model.id != IdKind::Integer {
        order.sort_by_cached_key(|at| {
            let row = rows.get(*at);
            let value = match (unique, row) {
                (Some(position), Some(row)) => row.fields.get(position),
                (None, Some(row)) => row.id.as_ref(),
                (_, None) => None,
            };
            value.map(sort_key)
        });
    }
    order
}

/// Which of the rows have values that are taken.
async fn taken(api: &Arc<Api>, rows: &[NewRow], columns: &[String]) -> Problem {
    let mut checked = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        checked.push((index, api.check_taken(row.id.as_ref(), true, &row.fields).await));
    }
    // By now it may be free again, or several fields are unique only together.
    super::many::taken(checked).err().unwrap_or_else(|| api.taken(columns))
}

/// Creates each item as if it had been sent by itself.
async fn one_by_one(api: &Arc<Api>, creator: &Creator<'_>, items: Vec<Result<Values, Problem>>) -> Response {
    let create = |values| async move {
        let row = row_for(api, creator, values).await?;
        let id = insert_one(api, &row).await?;
        Ok(Outcome::created(&api.model, creator.collection, &row.stored_as(&id)))
    };
    super::many::one_by_one(items, api.model.rules.create.asks_who(), create).await
}
