//! POST of a list: several new items, all or none; or one by one, with `Prefer: handling=lenient`.

use super::api::{Api, within};
use super::belonging;
use super::many::{Outcome, all, sort_key};
use super::new_row::{Creator, NewRow, check, has_password, insert as insert_one, inserted, row_for, unhashed};
use super::references::{References, Sights};
use super::referring::{self, proposed};
use super::repeats::replayed;
use super::shared_references::{SharedLooks, SharedSeen};
use super::taken::Candidate;
use super::under::Under;
use crate::config::document::resource::IdKind;
use crate::resource::body;
use crate::resource::dialect::Dialect;
use crate::resource::idempotency::{Attempt, Replay, Sent};
use crate::resource::model::Model;
use crate::resource::predicate::Predicate;
use crate::resource::refusal::{ListFaults, texts};
use crate::resource::reply;
use crate::resource::store::{Decision, Done, Error, Found, Param, Sql};
use crate::resource::validate::Values;
use crate::resource::version;
use gatewright_sdk::{Problem, Response};
use http::StatusCode;
use std::collections::HashSet;
use std::sync::Arc;

pub(super) async fn create(
    api: &Arc<Api>,
    creator: &Creator<'_>,
    (key, lenient): (Option<String>, bool),
    bytes: &[u8],
    (sights, under): (&Sights, Option<&Under>),
) -> Result<Response, Problem> {
    let model = &api.model;
    if key.is_some() && model.id == IdKind::Integer {
        // Their numbers, and so the response, are known only after the transaction that would record them.
        let text = "Idempotency-Key: cannot be sent with a list of items whose ids are counted";
        return Err(Problem::validation(text));
    }
    let items = body::parse_list(bytes, &model.names, model.bulk.max)?;
    if let (true, Some(under)) = (items.is_empty(), under) {
        under.check_there(api).await?;
    }
    let items = items.into_iter().map(|item| belonging::judge(model, item?, (creator.identity, under)));
    // What a key stands for is done completely or not at all, so it decides.
    if lenient && key.is_none() {
        return Ok(one_by_one(api, creator, items.collect(), (sights, under)).await);
    }
    let items = all(items)?;
    let attempt = key.map(|key| api.attempt(key, creator.identity, creator.collection, Sent::List(&items)));
    if let Some(attempt) = &attempt
        && let Some(replay) = api.replay(attempt).await?
    {
        return Ok(replayed(model, creator.collection, replay));
    }
    let list = rows(api, creator, items, (sights, under)).await?;
    let rows = &list.rows;
    let ids = match insert(api, &list, attempt).await? {
        Ok(ids) => ids,
        Err(replay) => return Ok(replayed(model, creator.collection, replay)),
    };
    let body = body_of(model, rows.iter().zip(&ids));
    Ok(reply::json(StatusCode::CREATED, body, model.rules.create.asks_who()))
}

/// The rows of a list, and what they refer to.
struct NewList {
    rows: Arc<[NewRow]>,
    /// By row; empty if rows of this resource refer to nothing.
    references: Arc<[References]>,
    looks: Arc<SharedLooks>,
    /// What rows that refer to something must fulfil.
    condition: Option<Predicate>,
}

impl NewList {
    /// Whether what the rows refer to is there, and the caller may create them.
    fn check(&self, model: &Model, seen: &SharedSeen) -> Result<(), Problem> {
        let rows = self.rows.iter().zip(self.references.iter());
        let checked = rows.map(|(row, references)| {
            let seen = seen.of(references, None);
            seen.check((model, &row.fields), true, |_| true)?;
            let id = row.id.as_ref().unwrap_or(&Param::Null);
            check(self.condition.as_ref(), id, &row.fields, &seen.rows(model, true))
        });
        all(checked).map(drop)
    }
}

fn body_of<'a>(model: &Model, rows: impl Iterator<Item = (&'a NewRow, &'a Param)>) -> Vec<u8> {
    super::many::list(model, rows.map(|(row, id)| row.stored_as(id)))
}

async fn rows(
    api: &Arc<Api>,
    creator: &Creator<'_>,
    items: Vec<Values>,
    (sights, under): (&Sights, Option<&Under>),
) -> Result<NewList, Problem> {
    check_distinct(api, items.iter())?;
    let (mut rows, mut references) = (Vec::with_capacity(items.len()), Vec::new());
    let refers = sights.iter().any(Option::is_some);
    for (index, values) in items.into_iter().enumerate() {
        let place = |problem: Problem| problem.in_list(index);
        if !refers {
            rows.push(unhashed(&api.model, creator, values).map_err(place)?);
            continue;
        }
        let (id, fields, those) =
            proposed(api, creator, values, (sights, under), References::shared()).map_err(place)?;
        rows.push(NewRow { version: version::fresh(), id, fields });
        references.push(those);
    }
    let looks = Arc::new(SharedLooks::of(api, sights, references.iter(), None));
    let mut list =
        NewList { rows: rows.into(), references: references.into(), looks, condition: creator.condition.clone() };
    if list.rows.iter().any(|row| has_password(&api.model, &row.fields)) {
        list.rows = hashed(api, creator, &list).await?;
    }
    Ok(list)
}

/// The rows with their passwords hashed. Hashing is expensive: a list that will be rejected anyway is rejected first.
async fn hashed(api: &Arc<Api>, creator: &Creator<'_>, list: &NewList) -> Result<Arc<[NewRow]>, Problem> {
    if !list.references.is_empty() {
        list.check(&api.model, &list.looks.seen(api.look_at_all(&list.looks).await?))?;
    }
    super::taken::check(api, list.rows.iter().enumerate().map(candidate).collect()).await?;
    let mut rows = list.rows.to_vec();
    for row in &mut rows {
        for (position, value) in row.fields.iter_mut().enumerate() {
            api.hash(creator.client, position, value).await?;
        }
    }
    Ok(rows.into())
}

/// 409 if two items have the same id, or the same value in a field that is unique by itself. The unique indexes still decide.
pub(super) fn check_distinct<'a>(api: &Api, items: impl Iterator<Item = &'a Values>) -> Result<(), Problem> {
    let model = &api.model;
    let mut faults = ListFaults::default();
    let mut seen: HashSet<(Option<usize>, String)> = HashSet::new();
    for (index, item) in items.enumerate() {
        let id = item.id.as_ref().map(|id| (None, "id", id, false));
        let unique = model.sql.taken.iter().filter_map(|unique| {
            let [position] = unique.fields.as_slice() else { return None };
            let (field, value) = model.fields.get(*position).zip(item.fields.get(*position)?.as_ref())?;
            Some((Some(*position), &*field.name, value, unique.fold))
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
    list: &NewList,
    attempt: Option<Attempt>,
) -> Result<Result<Vec<Param>, Replay>, Problem> {
    let (model, rows) = (Arc::clone(&api.model), &*list.rows);
    let order = order(&model, rows);
    let ordered = order.iter().filter_map(|at| rows.get(*at));
    let mut statements: Vec<Sql> = ordered.map(|row| row.insert(&model)).collect();
    let Some(text) = statements.first().map(|sql| sql.text.clone()) else { return Ok(Ok(Vec::new())) };
    if let Some(attempt) = &attempt {
        let known = rows.iter().filter_map(|row| Some((row, row.id.as_ref()?)));
        statements.extend(attempt.remember_list(&body_of(&model, known)));
    }
    let span = api.sql_span("INSERT", Some(&text));
    let looks = attempt.iter().map(Attempt::look).chain(list.looks.statements().cloned()).collect();
    let NewList { rows: checked, references, looks: shared, condition } = list;
    let list = NewList {
        rows: Arc::clone(checked),
        references: Arc::clone(references),
        looks: Arc::clone(shared),
        condition: condition.clone(),
    };
    let decide = move |found: Vec<Vec<Found>>| {
        let mut found = found.into_iter();
        if let Some(attempt) = &attempt {
            match attempt.judge(&model, found.next().unwrap_or_default().first()) {
                Ok(None) => {}
                known => return Decision::leave(known),
            }
        }
        match list.check(&model, &list.looks.seen(found)) {
            Ok(()) => {
                let inserts = list.rows.len();
                let all = move |done: &[Done]| done.iter().take(inserts).try_for_each(|done| inserted(done).map(drop));
                Decision::run(statements.clone(), Ok(None)).checked(all)
            }
            Err(problem) => Decision::leave(Err(problem)),
        }
    };
    let job = api.store.write_seeing_all(api.model.timeout, looks, decide);
    let (known, done) = match within(api.statements.begin("INSERT"), span, job).await {
        Ok(written) => written,
        Err(Error::Unique(columns)) => return Err(taken(api, rows, &columns).await),
        Err(error) => {
            let place = |version| rows.iter().position(|row| row.version == version);
            return Err(api.list_failure(&error, place));
        }
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
    let unique = model.sql.taken.first().map(|unique| unique.fields.as_slice());
    if model.sql.dialect() == Dialect::Postgres && model.id != IdKind::Integer {
        order.sort_by_cached_key(|at| {
            let key = |row: &NewRow| match unique {
                Some(fields) => fields.iter().map(|field| row.fields.get(*field).map(sort_key)).collect(),
                None => vec![row.id.as_ref().map(sort_key)],
            };
            rows.get(*at).map(key)
        });
    }
    order
}

/// Which of the rows have values that are taken.
async fn taken(api: &Api, rows: &[NewRow], columns: &[String]) -> Problem {
    super::taken::taken(api, rows.iter().enumerate().map(candidate).collect(), columns).await
}

fn candidate((place, row): (usize, &NewRow)) -> Candidate {
    Candidate { place, id: row.id.clone(), is_new: true, fields: row.fields.clone() }
}

/// Creates each item as if it had been sent by itself.
async fn one_by_one(
    api: &Arc<Api>,
    creator: &Creator<'_>,
    items: Vec<Result<Values, Problem>>,
    (sights, under): (&Sights, Option<&Under>),
) -> Response {
    let refers = sights.iter().any(Option::is_some);
    let create = |values| async move {
        let (row, id) = if refers {
            let stored = referring::store(api, creator, values, (sights, under.cloned()), None).await?;
            stored.map_err(|_| Problem::internal().log_reason("no_row_inserted"))?
        } else {
            let row = row_for(api, creator, values).await?;
            let id = insert_one(api, &row).await?;
            (row, id)
        };
        Ok(Outcome::created(&api.model, creator.collection, &row.stored_as(&id)))
    };
    super::many::one_by_one(items, api.model.rules.create.asks_who(), create).await
}
