//! Responses about several items: a list of them, or the outcome of each (207, RFC 4918 section 11.1).

use super::address;
use super::prefer::APPLIED;
use super::row::Built;
use crate::etag::tag;
use crate::resource::model::Model;
use crate::resource::refusal::{ListFaults, refusal};
use crate::resource::reply::{self, Selection};
use crate::resource::store::Param;
use gatewright_sdk::{Problem, Response};
use http::{HeaderValue, StatusCode};

/// What happened to one item of a list.
#[derive(Clone)]
pub(super) enum Outcome {
    /// It was written; a JSON object that tells how.
    Written(Vec<u8>),
    Rejected(Problem),
}

impl Outcome {
    pub(super) fn created(model: &Model, collection: &str, row: &Built<'_>) -> Self {
        let location = address::of_item(collection, &reply::id_text(row));
        Self::written(model, StatusCode::CREATED, Some(&location), row)
    }

    pub(super) fn changed(model: &Model, row: &Built<'_>) -> Self {
        Self::written(model, StatusCode::OK, None, row)
    }

    fn written(model: &Model, status: StatusCode, location: Option<&str>, row: &Built<'_>) -> Self {
        let selection = Selection::all(&model.shape);
        let tag = tag(row.version, selection.form);
        let mut body = format!("{{\"status\":{},", status.as_u16()).into_bytes();
        let texts = [("location", location), ("etag", tag.to_str().ok())];
        for (key, text) in texts.into_iter().filter_map(|(key, text)| Some((key, text?))) {
            body.extend(format!("\"{key}\":{},", serde_json::Value::from(text)).into_bytes());
        }
        body.extend_from_slice(b"\"item\":");
        reply::write_row(&mut body, &model.shape, &selection, row);
        body.push(b'}');
        Self::Written(body)
    }

    /// Whether the items after it are not tried: they would wait for the same store.
    pub(super) fn ends(&self) -> bool {
        matches!(self, Self::Rejected(problem) if problem.status().is_server_error())
    }

    fn append(&self, body: &mut Vec<u8>) {
        match self {
            Self::Written(outcome) => body.extend_from_slice(outcome),
            Self::Rejected(problem) => {
                body.extend(format!("{{\"status\":{},", problem.status().as_u16()).into_bytes());
                body.extend_from_slice(problem.brief().strip_prefix(b"{").unwrap_or_default());
            }
        }
    }
}

/// Writes each item as if it had been sent by itself, in their order.
pub(super) async fn one_by_one<T, F: Future<Output = Result<Outcome, Problem>>>(
    items: Vec<Result<T, Problem>>,
    asks_who: bool,
    write: impl Fn(T) -> F,
) -> Response {
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(items.len());
    for item in items {
        let outcome = match (outcomes.last(), item) {
            (Some(last), _) if last.ends() => last.clone(),
            (_, Err(problem)) => Outcome::Rejected(problem),
            (_, Ok(item)) => write(item).await.unwrap_or_else(Outcome::Rejected),
        };
        outcomes.push(outcome);
    }
    multi_status(outcomes, asks_who)
}

/// The outcomes in the order of the items.
fn multi_status(outcomes: Vec<Outcome>, asks_who: bool) -> Response {
    let body = joined(outcomes, |body, outcome: Outcome| outcome.append(body));
    let mut response = reply::json(StatusCode::MULTI_STATUS, body, asks_who);
    response.headers_mut().insert(APPLIED, HeaderValue::from_static("handling=lenient"));
    response
}

/// The items of a list, in their order.
pub(super) fn list<'a>(model: &Model, rows: impl Iterator<Item = Built<'a>>) -> Vec<u8> {
    let selection = Selection::all(&model.shape);
    joined(rows, |body, row| reply::write_row(body, &model.shape, &selection, &row))
}

fn joined<T>(items: impl IntoIterator<Item = T>, append: impl Fn(&mut Vec<u8>, T)) -> Vec<u8> {
    let mut body = vec![b'['];
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        append(&mut body, item);
    }
    body.push(b']');
    body
}

/// All items, or what is wrong with those that are not valid.
pub(super) fn all<T>(items: impl IntoIterator<Item = Result<T, Problem>>) -> Result<Vec<T>, Problem> {
    judged(items.into_iter().enumerate().collect())
}

/// The same for items in another order than that of the list; `places` has the place of each.
pub(super) fn all_at<T>(
    items: impl IntoIterator<Item = Result<T, Problem>>,
    places: &[usize],
) -> Result<Vec<T>, Problem> {
    judged(places.iter().copied().zip(items).collect())
}

fn judged<T>(items: Vec<(usize, Result<T, Problem>)>) -> Result<Vec<T>, Problem> {
    let (mut good, mut bad) = (Vec::with_capacity(items.len()), Vec::new());
    for (place, item) in items {
        match item {
            Ok(item) => good.push(item),
            Err(problem) => bad.push((place, problem)),
        }
    }
    bad.sort_by_key(|(place, _)| *place);
    let mut faults = ListFaults::default();
    for (place, problem) in bad {
        if problem.status() != StatusCode::BAD_REQUEST || problem.faults().is_empty() {
            return Err(problem.in_list(place));
        }
        faults.push(place, problem.faults().iter().cloned());
    }
    faults.refuse(good, refusal)
}

/// A value as text: equal for equal values of one column.
pub(super) fn sort_key(value: &Param) -> String {
    match value {
        Param::Text(text) => text.clone(),
        Param::Integer(number) => number.to_string(),
        Param::Real(number) => number.to_string(),
        Param::Null => String::new(),
    }
}
