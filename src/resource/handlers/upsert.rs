//! PUT of the collection with a list: items with a known value in one field are changed, the others are created; all or none, or
//! one by one, with `Prefer: handling=lenient`.

use super::api::{Api, within};
use super::conditions::{Conditions, check_list};
use super::input::check_accept;
use super::many::{Outcome, all, list, multi_status};
use super::new_row::inserted;
use super::prefer::lenient;
use super::proposal::{Proposal, RowChange};
use super::references::References;
use super::row::{Built, parts};
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
use crate::resource::store::{Decision, Done, Error, Found, Param, Row, Sql};
use crate::resource::validate::{self, Purpose, Values};
use crate::resource::version;
use gatewright_sdk::{Detail, Facts, Problem, Reply, Request, Response};
use http::StatusCode;
use std::collections::HashSet;
use std::sync::Arc;
use tracing::Instrument;

pub(super) fn answer(api: &Arc<Api>, request: Request, by: Upsert) -> Reply {
    let span = api.span("upsert");
    let rules = match span.in_scope(|| prepare(&api.model, &request)) {
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
}

fn prepare(model: &Model, request: &Request) -> Result<Conditioned, Problem> {
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
    check_list(model, request)?;
    Ok(Conditioned { before, after, new })
}

/// An item of the list, and the row it is about.
struct Item {
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
    let items = body::parse_list(&bytes, &model.names, model.bulk.max)?.into_iter().map(|item| {
        let (value, given) = judge(model, by, item?, purpose)?;
        let before = rules.before.as_ref();
        let look = match by.column {
            Column::Id => model.sql.read_whole(value.clone(), before),
            column => model.sql.read_whole_by(column, by.fold, value.clone(), before),
        };
        let proposal = Proposal {
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
            under: None,
            references: References::default(),
        };
        Ok((value, Item { look, proposal }))
    });
    let asks_who = model.rules.create.asks_who() || model.rules.update_asks_who();
    if lenient {
        let items = items.map(|item| item.map(|(_, item)| item)).collect();
        return Ok(one_by_one(api, &collection, items, asks_who).await);
    }
    let (values, items): (Vec<Param>, Vec<Item>) = all(items)?.into_iter().unzip();
    check_distinct(model, by, &values)?;
    let written = write(api, items, true).await?;
    let body = list(model, written.iter().map(Written::row));
    Ok(reply::json(StatusCode::OK, body, asks_who))
}

/// Validates an item; the value by which it is known, and all values.
fn judge(model: &Model, by: Upsert, mut entries: Entries, purpose: Purpose) -> Result<(Param, Values), Problem> {
    let chosen = match by.column {
        Column::Id => Some(validate::chosen_id(entries.id.take())),
        Column::Field(_) | Column::Of(..) => None,
    };
    let given = validate::judge(model, entries, purpose);
    match (chosen, by.column, given) {
        (Some(Ok(id)), _, Ok(given)) => Ok((id, given)),
        (None, Column::Field(position), Ok(given)) => match given.fields.get(position) {
            Some(Some(value)) if *value != Param::Null => Ok((value.clone(), given)),
            _ => Err(refusal(vec![Detail::new(name_of(model, by), "required", "is required")])),
        },
        (Some(Err(fault)), _, given) => {
            let rest = given.err().map(|problem| problem.faults().to_vec()).unwrap_or_default();
            Err(refusal(std::iter::once(fault).chain(rest).collect()))
        }
        (_, _, Err(problem)) => Err(problem),
        (None, Column::Id | Column::Of(..), Ok(_)) => Err(Problem::internal().log_reason("no_id")),
    }
}

fn name_of(model: &Model, by: Upsert) -> &str {
    match by.column {
        Column::Id => "id",
        Column::Field(position) | Column::Of(position, _) => model.names.get(position).map_or("", String::as_str),
    }
}

/// 400 if two items are known by the same value: the order of a list does not decide what an item becomes.
fn check_distinct(model: &Model, by: Upsert, values: &[Param]) -> Result<(), Problem> {
    let mut faults = ListFaults::default();
    let mut seen = HashSet::new();
    for (index, value) in values.iter().enumerate() {
        let text = match value {
            Param::Text(text) if by.fold => text.to_ascii_lowercase(),
            Param::Text(text) => text.clone(),
            Param::Integer(number) => number.to_string(),
            Param::Real(number) => number.to_string(),
            Param::Null => continue,
        };
        if !seen.insert(text) {
            let fault = Detail::new(name_of(model, by), "duplicate", "is the value of an earlier item of the list");
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

/// Reads, decides and writes, without interference: everything or nothing. Faults name the index of their item, if `in_list`.
async fn write(api: &Arc<Api>, items: Vec<Item>, in_list: bool) -> Result<Vec<Written>, Problem> {
    let looks: Vec<Sql> = items.iter().map(|item| item.look.clone()).collect();
    let Some(text) = looks.first().map(|look| look.text.clone()) else { return Ok(Vec::new()) };
    let span = api.sql_span("UPDATE", Some(&text));
    let decide = move |found: Vec<Option<Found>>| decide(&items, found, in_list);
    let job = api.store.write(api.model.timeout, looks, decide);
    let written = within(api.statements.begin("UPDATE"), span, job).await;
    let (changes, done) = written.map_err(|error| api.failure(&error))?;
    with_ids(changes?, &done).map_err(|error| api.failure(&error))
}

fn decide(items: &[Item], found: Vec<Option<Found>>, in_list: bool) -> Decision<Result<Vec<RowChange>, Problem>> {
    let changes = items.iter().zip(found).map(|(Item { proposal, .. }, row)| {
        proposal.decide_about(row.map(|row| (Row::cell(&row, ID).owned(), parts(row))))
    });
    let changes = if in_list { all(changes) } else { changes.collect() };
    let changes = match changes {
        Ok(changes) => changes,
        Err(problem) => return Decision::leave(Err(problem)),
    };
    let statements = items.iter().zip(&changes).filter_map(|(item, change)| change.statement(&item.proposal.model.sql));
    Decision::run(statements.collect::<Vec<_>>(), Ok(changes))
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

/// Writes each item as if it had been sent by itself, in their order.
async fn one_by_one(api: &Arc<Api>, collection: &str, items: Vec<Result<Item, Problem>>, asks_who: bool) -> Response {
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(items.len());
    for item in items {
        let outcome = match (outcomes.last(), item) {
            (Some(last), _) if last.ends() => last.clone(),
            (_, Err(problem)) => Outcome::Rejected(problem),
            (_, Ok(item)) => match write(api, vec![item], false).await {
                Err(problem) => Outcome::Rejected(problem),
                Ok(written) => match written.first() {
                    Some(one) if one.change.is_new => Outcome::created(&api.model, collection, &one.row()),
                    Some(one) => Outcome::changed(&api.model, &one.row()),
                    None => Outcome::Rejected(Problem::internal().log_reason("nothing_written")),
                },
            },
        };
        outcomes.push(outcome);
    }
    multi_status(outcomes, asks_who)
}
