//! DELETE of an item, and of one that is deleted already, which removes it for good.

use super::api::{Api, told, within};
use super::conditions::Conditions;
use super::input::path_id;
use super::under::Under;
use crate::resource::access::Rule;
use crate::resource::cascade::Restore;
use crate::resource::contract::discarded;
use crate::resource::model::{KeyedRule, Model};
use crate::resource::moment::Moment;
use crate::resource::predicate::Predicate;
use crate::resource::query;
use crate::resource::reply::{self, version};
use crate::resource::sessions;
use crate::resource::sql::Refused;
use crate::resource::store::{Decision, Done, Error, Found, Param, Sql, Tree, only};
use gatewright_sdk::{AppliedRule, Problem, Reply, Request};
use http::StatusCode;
use std::sync::Arc;
use tracing::{Instrument, Span};

pub(super) fn answer(api: &Arc<Api>, request: &Request) -> Reply {
    let span = api.span("delete");
    let (id, condition, conditions) = match span.in_scope(|| prepare(api, request, admit(&api.model, request))) {
        Ok(prepared) => prepared,
        Err(problem) => return Reply::ready(problem),
    };
    let api = Arc::clone(api);
    let work = async move {
        let model = &api.model;
        let select = model.sql.read_whole(id.clone(), condition.as_ref());
        let mut statements = api.relations.cascade.statements(&id, Moment::now());
        let before = statements.len();
        statements.push(model.sql.delete(id.clone()));
        let mut none = api.relations.cascade.none();
        if model.has_passwords() {
            let end = sessions::end_all(model.sql.dialect(), &model.table.name, &id, None);
            none.push((statements.len().saturating_add(1), sessions::not_ended()));
            statements.extend(end);
        }
        let trees = api.relations.cascade.trees(&id);
        let alone = statements.len() == 1;
        if !alone {
            // An item may be deleted with others of its resource, so of several statements, none shows whether it was.
            none.push((statements.len(), discarded("deleted")));
            statements.push(model.sql.refuse(id, Refused::There));
        }
        let how = if alone { How::Alone } else { How::Several { none, trees } };
        match run(&api, select, Deletes { statements, at: before, how }, conditions).await {
            Ok(()) => reply::empty(StatusCode::NO_CONTENT, model.rules.delete.asks_who()),
            Err(problem) => problem.into(),
        }
    };
    Reply::pending(work.instrument(span))
}

/// The same for an item of `deleted`, the items of `api` that are deleted. It cannot be restored afterwards, and neither can those that
/// its delete took.
pub(super) fn for_good(api: &Arc<Api>, deleted: &Arc<Api>, request: &Request) -> Reply {
    let span = api.span("delete");
    let (rule, admitted) = span.in_scope(|| admit_for_good(&api.model, request));
    let applied = (!matches!(**rule, Rule::Always)).then_some(AppliedRule(rule.key));
    let reply = match span.in_scope(|| prepare(api, request, admitted)) {
        Ok((id, condition, conditions)) => {
            let (api, deleted) = (Arc::clone(api), Arc::clone(deleted));
            let work = async move {
                let select = deleted.model.sql.read_whole(id.clone(), condition.as_ref());
                let statements = api.relations.restore.removal(&id);
                let at = statements.len().saturating_sub(1);
                match run(&deleted, select, Deletes { statements, at, how: How::ForGood }, conditions).await {
                    Ok(()) => {
                        let rules = &api.model.rules;
                        let asks_who = rules.delete.asks_who() || rules.restore.asks_who();
                        reply::empty(StatusCode::NO_CONTENT, asks_who)
                    }
                    Err(problem) => problem.into(),
                }
            };
            Reply::pending(work.instrument(span))
        }
        Err(problem) => Reply::ready(problem),
    };
    match applied {
        Some(rule) => reply.map(move |response| {
            response.extensions_mut().insert(rule);
        }),
        None => reply,
    }
}

/// Looks, checks and deletes, without interference.
async fn run(api: &Arc<Api>, select: Sql, deletes: Deletes, conditions: Conditions) -> Result<(), Problem> {
    let span = api.sql_span("DELETE", None);
    let (told, looks) = (span.clone(), vec![select.clone()]);
    let decide = move |found| decide(&told, only(found), &select, &deletes, &conditions);
    let job = api.store.write(api.model.timeout, looks, decide);
    match within(api.statements.begin("DELETE"), span, job).await {
        Ok((outcome, _)) => outcome,
        // A delete takes no value that others could have.
        Err(Error::Unique(columns)) => {
            let reason = format!("a delete was rejected by a unique rule on {}", columns.join(", "));
            Err(api.failure(&Error::Internal(reason)))
        }
        Err(error) => Err(api.failure(&api.relations.cascade.failed(error))),
    }
}

/// What items must fulfil for this caller to delete them, or why there are none.
type Admitted = Result<Option<Predicate>, Problem>;

fn admit(model: &Model, request: &Request) -> Admitted {
    model.admit(&model.rules.delete, request)
}

/// It takes both rights: an item that is removed for good cannot be restored by those who could restore it. The rule that decides comes
/// first: the one that denies it, or the one for deleted items.
fn admit_for_good<'a>(model: &'a Model, request: &Request) -> (&'a KeyedRule, Admitted) {
    let rules = &model.rules;
    match model.admit(&rules.restore, request).map(|restores| (restores, admit(model, request))) {
        Err(problem) => (&rules.restore, Err(problem)),
        Ok((_, Err(problem))) => (&rules.delete, Err(problem)),
        Ok((None, deletes)) if matches!(*rules.restore, Rule::Always) => (&rules.delete, deletes),
        Ok((restores, Ok(deletes))) => (&rules.restore, Ok(Predicate::and(restores, deletes))),
    }
}

fn prepare(
    api: &Api,
    request: &Request,
    admitted: Admitted,
) -> Result<(Param, Option<Predicate>, Conditions), Problem> {
    let (model, condition) = (&api.model, admitted?);
    let under = Under::of(api, request)?.map(|under| under.condition()).transpose()?;
    let condition = Predicate::and(under, condition);
    let id = path_id(model, request)?;
    query::delete(model, request.uri().query())?;
    Ok((id, condition, Conditions::of(model, request)?))
}

struct Deletes {
    statements: Vec<Sql>,
    /// The position of the one that deletes the item itself.
    at: usize,
    how: How,
}

/// How it is known whether the statements were carried out.
enum How {
    /// There is only one: by the number of rows.
    Alone,
    Several {
        /// Those that must count no rows.
        none: Vec<(usize, String)>,
        trees: Vec<Tree>,
    },
    /// By the number of rows of each.
    ForGood,
}

fn decide(
    span: &Span,
    found: Option<Found>,
    select: &Sql,
    deletes: &Deletes,
    conditions: &Conditions,
) -> Decision<Result<(), Problem>> {
    let checked = found.ok_or_else(Problem::not_found).and_then(|row| conditions.check(version(&row)));
    if let Err(problem) = checked {
        told(span, &select.text, None);
        return Decision::leave(Err(problem));
    }
    told(span, &select.text, deletes.statements.get(deletes.at).map(|sql| &*sql.text));
    let decision = Decision::run(deletes.statements.clone(), Ok(()));
    match &deletes.how {
        How::Alone => decision.checked(|done| Done::wrote(done.first(), "deleted")),
        How::Several { none, trees } => decision.none(none.clone()).trees(trees.clone()),
        How::ForGood => decision.checked(Restore::removed),
    }
}
