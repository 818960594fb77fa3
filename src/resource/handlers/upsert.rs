//! PUT of the collection with a list: items with a known value in one field are changed, the others are created; all or none, or
//! one by one, with `Prefer: handling=lenient`.

use super::api::{Api, within};
use super::bulk::check_distinct;
use super::conditions::{Conditions, check_list};
use super::input::check_accept;
use super::many::{Outcome, all, all_at, list, sort_key};
use super::new_row::inserted;
use super::prefer::lenient;
use super::proposal::{Proposal, RowChange};
use super::references::{References, Sights};
use super::row::{Built, parts};
use super::shared_references::SharedLooks;
use super::taken::Candidate;
use super::under::Under;
use crate::config::document::resource::Put;
use crate::resource::body::{self, Entries};
use crate::resource::media;
use crate::resource::model::{Model, Upsert};
use crate::resource::moment::Moment;
use crate::resource::predicate::{Column, Predicate};
use crate::resource::query;
use crate::resource::refusal::{ListFaults, refusal};
use crate::resource::reply;
use crate::resource::sql::ID;
use crate::resource::store::{Decision, Done, Error, Found, Param, Row, Rows, Sql};
use crate::resource::validate::{self, Purpose, Values};
use crate::resource::version;
use gatewright_sdk::{Detail, Facts, Problem, Reply, Request, Response};
use http::StatusCode;
use std::collections::HashSet;
use std::sync::Arc;
use tracing::Instrument;

pub(super) fn answer(api: &Arc<Api>, request: Request, by: Upsert) -> Reply {
    let span = api.span("upsert");
    let rules = match span.in_scope(|| prepare(api, &request)) {
        Ok(rules) => rules,
        Err(problem) => return Reply::ready(problem),
    };
    let api = Arc::clone(api);
    let work = async move {
        match upsert(&api, request, by, rules).await {
            Ok(response) => response,
            Err(problem) => problem.into(),
        }
    };
    Reply::pending(work.instrument(span))
}

/// What rows must fulfil.
struct Conditioned {
    /// Those that are changed, before the change.
    before: Option<Predicate>,
    /// And after it.
    after: Option<Predicate>,
    /// Those that are created.
    new: Option<Predicate>,
    sights: Sights,
    /// The item in the path that they belong to.
    under: Option<Under>,
}

fn prepare(api: &Api, request: &Request) -> Result<Conditioned, Problem> {
    let model = &api.model;
    if body::announced_too_long(request.body(), model.body_limit) {
        return Err(Problem::payload_too_large(model.body_limit));
    }
    let new = model.admit(&model.rules.create, request)?;
    let after = model.rules.update_check.as_ref().map(|rule| model.admit(rule, request)).transpose()?;
    let before = model.admit(&model.rules.update, request)?;
    let after = after.unwrap_or_else(|| before.clone());
    if !media::sends_json(request.headers()) {
        return Err(Problem::unsupported_media_type("Content-Type must be application/json"));
    }
    media::check_coding(request.headers())?;
    check_accept(request)?;
    query::none(request.uri().query())?;
    let under = Under::of(api, request)?;
    check_list(model, request)?;
    let before = Predicate::and(under.as_ref().map(Under::condition).transpose()?, before);
    Ok(Conditioned { before, after, new, sights: api.relations.sights(request), under })
}

/// An item of the list, and the row it is about.
struct Item {
    /// The value by which it is known.
    value: Param,
    look: Sql,
    proposal: Proposal,
}

async fn upsert(api: &Arc<Api>, request: Request, by: Upsert, rules: Conditioned) -> Result<Response, Problem> {
    let model = &api.model;
    let (collection, lenient) = (request.uri().path().to_owned(), lenient(&request));
    let identity = Facts::of(&request).identity.clone();
    let bytes = body::read(request.into_body(), model.body_limit).await?;
    if bytes.is_empty() {
        return Err(Problem::validation("body: must not be empty"));
    }
    let purpose = if model.put == Put::Merge { Purpose::Merge } else { Purpose::Replace };
    let items = body::parse_list(&bytes, &model.names, model.bulk.max)?;
    if let (true, Some(under)) = (items.is_empty(), &rules.under) {
        under.check_there(api).await?;
    }
    let items = items.into_iter().map(|item| {
        let (value, given) = judge(model, by, item?, (purpose, rules.under.as_ref()))?;
        let before = rules.before.as_ref();
        let look = match by.column {
            Column::Id => model.sql.read_whole(value.clone(), before),
            column => model.sql.read_whole_by(column, by.fold, value.clone(), before),
        };
        let mut proposal = Proposal {
            model: Arc::clone(model),
            purpose,
            id: if by.column == Column::Id { value.clone() } else { Param::Null },
            given,
            identity: identity.clone(),
            at: Moment::now(),
            conditions: Conditions::none(model),
            check: rules.after.clone(),
            creation: Some(rules.new.clone()),
            version: version::fresh(),
            under: rules.under.clone(),
            references: References::default(),
        };
        proposal.references = proposal.references(api, &rules.sights, References::shared())?;
        Ok((value.clone(), Item { value, look, proposal }))
    });
    let asks_who = model.rules.create.asks_who() || model.rules.update_asks_who();
    if lenient {
        let items = items.map(|item| item.map(|(_, item)| item)).collect();
        return Ok(one_by_one(api, (&collection, by, &rules.sights), items, asks_who).await);
    }
    let (values, items): (Vec<Param>, Vec<Item>) = all(items)?.into_iter().unzip();
    check_keys(model, by, &values)?;
    check_distinct(api, items.iter().map(|item| &item.proposal.given))?;
    // PostgreSQL makes two transactions wait for each other that lock the same rows in different orders.
    let mut items: Vec<(usize, Item)> = items.into_iter().enumerate().collect();
    items.sort_by_cached_key(|(at, _)| values.get(*at).map(sort_key));
    let (order, items): (Vec<usize>, Vec<Item>) = items.into_iter().unzip();
    let written = write(api, items, &order, (by, &rules.sights)).await?;
    let mut written: Vec<_> = order.into_iter().zip(written).collect();
    written.sort_by_key(|(at, _)| *at);
    let body = list(model, written.iter().map(|(_, written)| written.row()));
    Ok(reply::json(StatusCode::OK, body, asks_who))
}

/// Validates an item; the value by which it is known, and all values.
fn judge(
    model: &Model,
    by: Upsert,
    mut entries: Entries,
    (purpose, under): (Purpose, Option<&Under>),
) -> Result<(Param, Values), Problem> {
    let chosen = match by.column {
        Column::Id => Some(validate::chosen_id(entries.id.take())),
        Column::Field(_) | Column::Of(..) => None,
    };
    let given = match under {
        None => validate::judge(model, entries, purpose),
        Some(under) => under.values(model, entries, purpose),
    };
    match (chosen, by.column, given) {
        (Some(Ok(id)), _, Ok(given)) => Ok((id, given)),
        (None, Column::Field(position), Ok(given)) => match given.fields.get(position) {
            Some(Some(Param::Null)) => {
                Err(refusal(vec![Detail::new(model.name_of(by.column), "null", "must not be null")]))
            }
            Some(Some(value)) => Ok((value.clone(), given)),
            _ => Err(refusal(vec![Detail::new(model.name_of(by.column), "required", "is required")])),
        },
        (Some(Err(fault)), _, given) => {
            let rest = given.err().map(|problem| problem.faults().to_vec()).unwrap_or_default();
            Err(refusal(std::iter::once(fault).chain(rest).collect()))
        }
        (_, _, Err(problem)) => Err(problem),
        (None, Column::Id | Column::Of(..), Ok(_)) => Err(Problem::internal().log_reason("no_id")),
    }
}

/// 400 if two items are known by the same value: the order of a list does not decide what an item becomes.
fn check_keys(model: &Model, by: Upsert, values: &[Param]) -> Result<(), Problem> {
    let mut faults = ListFaults::default();
    let mut seen = HashSet::new();
    for (index, value) in values.iter().enumerate() {
        let text = if by.fold { sort_key(value).to_ascii_lowercase() } else { sort_key(value) };
        if !seen.insert(text) {
            let fault =
                Detail::new(model.name_of(by.column), "duplicate", "is the value of an earlier item of the list");
            faults.push(index, [fault]);
        }
    }
    faults.refuse((), refusal)
}

/// A row that was created, changed, or found as it should be.
struct Written {
    change: RowChange,
    id: Param,
}

impl Written {
    fn row(&self) -> Built<'_> {
        Built { version: self.change.version, id: &self.id, fields: &self.change.fields }
    }
}

/// Reads, decides and writes, without interference: everything or nothing. Faults name the item's place in the list, which is in
/// `places`; they do not if there is none.
async fn write(
    api: &Arc<Api>,
    items: Vec<Item>,
    places: &[usize],
    (by, sights): (Upsert, &Sights),
) -> Result<Vec<Written>, Problem> {
    let items = Arc::new(items);
    let values = items.iter().map(|item| item.value.clone()).collect();
    let all = items.iter().map(|item| &item.proposal.references);
    let shared = SharedLooks::of(api, sights, all, Some((by.column, by.fold, values)));
    let own = items.iter().map(|item| &item.look);
    let looks: Vec<Sql> = own.chain(shared.statements()).cloned().collect();
    let Some(text) = looks.first().map(|look| look.text.clone()) else { return Ok(Vec::new()) };
    let span = api.sql_span("UPDATE", Some(&text));
    let (decided, told) = (Arc::clone(&items), places.to_vec());
    let decide = move |found| decide(&decided, (found, &shared), (&told, by));
    let job = api.store.write_seeing_all(api.model.timeout, looks, decide);
    let (changes, done) = match within(api.statements.begin("UPDATE"), span, job).await {
        Ok(written) => written,
        Err(Error::Unique(columns)) => return Err(taken(api, &items, places, &columns).await),
        Err(error) => {
            let at = |version| items.iter().position(|item| item.proposal.version == version);
            return Err(api.list_failure(&error, |version| places.get(at(version)?).copied()));
        }
    };
    with_ids(changes?, &done).map_err(|error| api.failure(&error))
}

/// Which of the items have values that are taken.
async fn taken(api: &Api, items: &[Item], places: &[usize], columns: &[String]) -> Problem {
    let mut rows = Vec::with_capacity(items.len());
    for (item, place) in items.iter().zip(places) {
        let own = |rows: &mut dyn Rows| Ok(rows.next()?.map(Found::of));
        let own = match api.store.query(api.statement(item.look.clone()), own).await {
            Ok(own) => own.map(|row| (Row::cell(&row, ID).owned(), parts(row).1)),
            Err(error) => return api.failure(&error),
        };
        match item.proposal.row(own) {
            Ok((id, is_new, fields)) => rows.push(Candidate { place: *place, id, is_new, fields }),
            Err(problem) => return problem.in_list(*place),
        }
    }
    super::taken::taken(api, rows, columns).await
}

fn decide(
    items: &[Item],
    (mut found, shared): (Vec<Vec<Found>>, &SharedLooks),
    (places, by): (&[usize], Upsert),
) -> Decision<Result<Vec<RowChange>, Problem>> {
    let seen = shared.seen(found.split_off(items.len().min(found.len())));
    let changes = items.iter().zip(found).map(|(Item { proposal, .. }, rows)| {
        if rows.len() > 1 {
            return Err(several(&proposal.model, by));
        }
        let row = rows.into_iter().next();
        proposal.decide_about(row.map(|row| (Row::cell(&row, ID).owned(), parts(row))), &seen)
    });
    let changes = if places.is_empty() { changes.collect() } else { all_at(changes, places) };
    let changes = match changes {
        Ok(changes) => changes,
        Err(problem) => return Decision::leave(Err(problem)),
    };
    let statements = items
        .iter()
        .zip(&changes)
        .filter_map(|(item, change)| Some((change.statement(&item.proposal.model.sql)?, change.is_new)));
    let (statements, new): (Vec<Sql>, Vec<bool>) = statements.unzip();
    Decision::run(statements, Ok(changes)).checked(move |done| {
        done.iter().zip(&new).try_for_each(|(done, is_new)| match is_new {
            true => inserted(done).map(drop),
            false => Done::wrote(Some(done), "changed"),
        })
    })
}

/// 409 if several items have the value by which one is known: they were kept when its unique rule came back.
fn several(model: &Model, by: Upsert) -> Problem {
    let (name, text) = (model.name_of(by.column), "several stored items have this value");
    Problem::conflict(text).details(vec![Detail::new(name, "duplicate", text)])
}

/// The rows with their ids: those that the store counted up come from its statements.
fn with_ids(changes: Vec<RowChange>, done: &[Done]) -> Result<Vec<Written>, Error> {
    let mut done = done.iter();
    let rows = changes.into_iter().map(|change| {
        let ran = if change.is_new || !change.written.is_empty() { done.next() } else { None };
        let id = match (change.is_new, ran) {
            (true, Some(done)) => inserted(done)?,
            _ => change.id.clone().unwrap_or(Param::Null),
        };
        Ok(Written { change, id })
    });
    rows.collect()
}

/// Writes each item as if it had been sent by itself.
async fn one_by_one(
    api: &Arc<Api>,
    (collection, by, sights): (&str, Upsert, &Sights),
    items: Vec<Result<Item, Problem>>,
    asks_who: bool,
) -> Response {
    let write = |item| async move {
        let written = write(api, vec![item], &[], (by, sights)).await?;
        match written.first() {
            Some(one) if one.change.is_new => Ok(Outcome::created(&api.model, collection, &one.row())),
            Some(one) => Ok(Outcome::changed(&api.model, &one.row())),
            None => Err(Problem::internal().log_reason("nothing_written")),
        }
    };
    super::many::one_by_one(items, asks_who, write).await
}
