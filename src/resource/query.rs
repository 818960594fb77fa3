//! The query string of a list and of an item: every parameter is known, valid, and sent once.

pub mod filter;
mod hints;
mod pairs;

use super::cursor::{Mark, Scope};
use super::digest::Digest;
use super::model::Model;
use super::model::deleted::DELETED_AT;
use super::operator::operator_word;
use super::order::SortKey;
use super::predicate::{Column, Comparison};
use super::refusal::{Faults, cut};
use super::reply::Selection;
use crate::config::document::resource::{Count, Pagination};
use gatewright_sdk::Problem;
use pairs::Pair;

pub use hints::named;

/// Which page of a list.
#[derive(Debug, PartialEq)]
pub enum Page {
    /// The first one, with a cursor to the next.
    First,
    /// By number, from 1.
    Number(u32),
    /// After another one.
    After(Mark),
}

/// The parsed query of a list.
pub struct List {
    pub page: Page,
    pub per_page: u32,
    /// The order; it always ends with the id.
    pub keys: Vec<SortKey>,
    pub filters: Vec<Comparison>,
    pub selection: Selection,
    /// The fields whose items are shown too, by position.
    pub expand: Vec<usize>,
    pub count: Count,
    /// The part of the query that links to other pages repeat, as it was sent: `sort=name&filter[a]=b&`.
    pub kept: String,
    /// What its cursors are bound to.
    pub scope: Scope,
}

/// The query of an item: which of its fields are shown, and the positions of those whose items are shown too.
pub fn item(model: &Model, query: Option<&str>) -> Result<(Selection, Vec<usize>), Problem> {
    let Some(query) = query.filter(|query| !query.is_empty()) else {
        return Ok((Selection::all(&model.shape), Vec::new()));
    };
    let mut faults = Faults::default();
    let (mut selection, mut expand, mut deleted) = (None, None, false);
    for pair in pairs::of(query, &mut faults) {
        match &*pair.key {
            "deleted" if model.is_of_deleted() && !deleted => deleted = only_deleted(&pair, &mut faults),
            "fields" if selection.is_none() => selection = Some(fields(model, &pair, &mut faults)),
            "expand" if expand.is_none() => expand = Some(expanded(model, &pair, &mut faults)),
            name @ ("fields" | "expand" | "deleted") if name != "deleted" || model.is_of_deleted() => {
                faults.teach(name, "repeated", "given more than once", || hints::once(name).to_owned());
            }
            other => faults.teach(other, "unknown", "unknown parameter", || hints::of_item(model)),
        }
    }
    faults.refuse((selection.unwrap_or_else(|| Selection::all(&model.shape)), expand.unwrap_or_default()))
}

/// The positions of the fields in `expand`.
fn expanded(model: &Model, pair: &Pair<'_>, faults: &mut Faults) -> Vec<usize> {
    let mut positions = Vec::new();
    for name in pair.value.split(',') {
        let expands = |at: &usize| model.fields.get(*at).is_some_and(super::field::Field::expands);
        match model.position(name).filter(expands) {
            Some(position) if positions.contains(&position) => {}
            Some(position) => positions.push(position),
            None => {
                let message = format!("\"{}\" cannot be expanded", cut(name));
                faults.teach("expand", "expand", message, || hints::expandable(model));
            }
        }
    }
    // One order, whatever the client's: the same items have the same tag.
    positions.sort_unstable();
    positions
}

/// Whether a query has the parameter `deleted`, whatever its value.
pub fn asks_for_deleted(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("deleted")))
}

/// Notes a value of `deleted` that is not valid.
fn only_deleted(pair: &Pair<'_>, faults: &mut Faults) -> bool {
    if pair.value != "only" {
        faults.teach("deleted", "values", "must be only", || hints::DELETED.to_owned());
    }
    true
}

/// The query of a delete: of an item that is deleted already, if it [asks for such ones](asks_for_deleted).
pub fn delete(model: &Model, query: Option<&str>) -> Result<(), Problem> {
    let (for_good, mut faults, mut deleted) = (asks_for_deleted(query), Faults::default(), false);
    let help = if model.shows_deleted() { hints::OF_DELETE } else { hints::NONE };
    for pair in pairs::of(query.unwrap_or_default(), &mut faults) {
        match &*pair.key {
            "deleted" if deleted => {
                faults.teach("deleted", "repeated", "given more than once", || hints::once("deleted").to_owned());
            }
            // Not in other spellings: a delete that was to be about a deleted item must not delete another one.
            "deleted" if for_good && model.shows_deleted() => deleted = only_deleted(&pair, &mut faults),
            other => faults.teach(other, "unknown", "unknown parameter", || help.to_owned()),
        }
    }
    faults.refuse(())
}

/// The query of requests that take no parameters.
pub fn none(query: Option<&str>) -> Result<(), Problem> {
    let mut faults = Faults::default();
    for pair in pairs::of(query.unwrap_or_default(), &mut faults) {
        faults.teach(&pair.key, "unknown", "unknown parameter", || hints::NONE.to_owned());
    }
    faults.refuse(())
}

/// Each parameter of a list, once.
#[derive(Default)]
struct Given<'a> {
    page: Option<Pair<'a>>,
    per_page: Option<Pair<'a>>,
    cursor: Option<Pair<'a>>,
    sort: Option<Pair<'a>>,
    fields: Option<Pair<'a>>,
    expand: Option<Pair<'a>>,
    count: Option<Pair<'a>>,
    deleted: Option<Pair<'a>>,
    filters: Vec<Pair<'a>>,
}

/// The query of a list, which has `only` the rows with one value, if that is in its path.
pub fn list(model: &Model, query: Option<&str>, only: Option<Comparison>) -> Result<List, Problem> {
    let mut faults = Faults::default();
    let mut kept = String::new();
    let given = gather(model, query.unwrap_or_default(), &mut kept, &mut faults);

    let page =
        given.page.as_ref().map(|pair| number("page", &pair.value, None, &mut faults, || hints::PAGE.to_owned()));
    let sizes = || hints::page_sizes(model.pagination.max_per_page);
    let per_page =
        given.per_page.as_ref().map(|pair| number("per_page", &pair.value, Some(u32::MAX), &mut faults, sizes));
    let per_page = per_page.unwrap_or(model.pagination.per_page).min(model.pagination.max_per_page);
    if let Some(page) = page {
        if u64::from(page) > last_page(&model.pagination) {
            faults.push("page", "depth", "too deep, follow the Link rel=\"next\" cursor instead");
        }
        if given.cursor.is_some() {
            let message = "cannot be combined with page";
            faults.teach("cursor", "conflict", message, || hints::PAGE_OR_CURSOR.to_owned());
        }
    }
    let keys = match &given.sort {
        Some(pair) => sort(model, &pair.value, &mut faults),
        None => model.sort.clone(),
    };
    let keys = ending_with_id(keys);
    let selection = given.fields.as_ref().map(|pair| fields(model, pair, &mut faults));
    let count = match given.count.as_ref().map(|pair| &*pair.value) {
        None => model.count,
        Some("exact") => Count::Exact,
        Some("none") => Count::None,
        Some("capped") => match model.count {
            capped @ Count::Capped(_) => capped,
            Count::Exact | Count::None => Count::default(),
        },
        Some(_) => {
            let message = "must be one of exact, capped, none";
            faults.teach("count", "values", message, || hints::COUNT.to_owned());
            model.count
        }
    };
    let expand = given.expand.as_ref().map(|pair| expanded(model, pair, &mut faults)).unwrap_or_default();
    if let Some(pair) = &given.deleted {
        only_deleted(pair, &mut faults);
    }
    let mut filters = filter::all(model, &given.filters, &mut faults);
    filters.extend(only);
    let scope = scope(model, &keys, &filters);
    let page = match (page, &given.cursor) {
        (Some(page), _) => Page::Number(page),
        (None, None) => Page::First,
        (None, Some(pair)) => match scope.read(&pair.value, keys.len()) {
            Some(mark) => Page::After(mark),
            None => {
                faults.teach("cursor", "cursor", "invalid", || hints::CURSOR.to_owned());
                Page::First
            }
        },
    };
    let selection = selection.unwrap_or_else(|| Selection::all(&model.shape));
    faults.refuse(List { page, per_page, keys, filters, selection, expand, count, kept, scope })
}

/// The last page that can be asked for by number, whatever its size.
pub fn last_page(pagination: &Pagination) -> u64 {
    (pagination.max_offset / u64::from(pagination.max_per_page.max(1))).saturating_add(1)
}

/// The table, the order and the filters, by name: cursors outlive a reload that changes something else.
fn scope(model: &Model, keys: &[SortKey], filters: &[Comparison]) -> Scope {
    let mut digest = Digest::new("gatewright cursor");
    let name = |digest: &mut Digest, column: Column| match column {
        // Neither orders nor filters are about other tables.
        Column::Id | Column::Of(..) => digest.text("id"),
        Column::Field(at) => {
            let column = model.table.columns.get(at);
            digest.text(column.map_or("", |column| &column.name));
            digest.text(column.map_or("", |column| column.kind.word()));
        }
    };
    digest.text(&model.table.name);
    digest.number(u64::try_from(keys.len()).unwrap_or(u64::MAX));
    for key in keys {
        name(&mut digest, key.column);
        digest.number(u64::from(key.descending));
    }
    for filter in filters {
        name(&mut digest, filter.column);
        digest.text(operator_word(filter.operator));
        digest.number(u64::from(filter.fold));
        digest.values(&filter.values);
    }
    Scope::new(digest)
}

fn gather<'a>(model: &Model, query: &'a str, kept: &mut String, faults: &mut Faults) -> Given<'a> {
    let mut given = Given::default();
    for pair in pairs::of(query, faults) {
        let slot = match &*pair.key {
            "page" => &mut given.page,
            "per_page" => &mut given.per_page,
            "cursor" => &mut given.cursor,
            "sort" => &mut given.sort,
            "fields" => &mut given.fields,
            "expand" => &mut given.expand,
            "count" => &mut given.count,
            "deleted" if model.is_of_deleted() => &mut given.deleted,
            key if key.starts_with("filter[") => {
                if given.filters.len() > filter::MOST_FILTERS {
                    continue;
                }
                if given.filters.iter().any(|earlier| earlier.key == pair.key) {
                    faults.teach(key, "repeated", "given more than once", || hints::REPEATED.to_owned());
                } else {
                    pair.keep(kept);
                    given.filters.push(pair);
                }
                continue;
            }
            other => {
                faults.teach(other, "unknown", "unknown parameter", || hints::list(model, other));
                continue;
            }
        };
        if slot.is_some() {
            let help = || hints::once(&pair.key).to_owned();
            faults.teach(&pair.key, "repeated", "given more than once", help);
            continue;
        }
        if !matches!(&*pair.key, "page" | "per_page" | "cursor") {
            pair.keep(kept);
        }
        *slot = Some(pair);
    }
    given
}

/// A number from 1. `largest` is taken for one that is too large for the type.
fn number(name: &str, text: &str, largest: Option<u32>, faults: &mut Faults, help: impl FnOnce() -> String) -> u32 {
    let is_number = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    let number = if is_number { text.parse().ok().or(largest) } else { None };
    number.unwrap_or_else(|| {
        faults.teach(name, "min", "must be an integer of at least 1", help);
        1
    })
}

fn sort(model: &Model, text: &str, faults: &mut Faults) -> Vec<SortKey> {
    let mut keys: Vec<SortKey> = Vec::new();
    for word in text.split(',') {
        let (descending, name) = word.strip_prefix('-').map_or((false, word), |name| (true, name));
        let sortable = |at: &usize| model.fields.get(*at).is_some_and(|field| field.sort);
        let column = match name {
            "id" => Some(Column::Id),
            name => model.position(name).filter(sortable).map(Column::Field),
        };
        match column {
            Some(column) if keys.iter().any(|key| key.column == column) => {
                let message = format!("\"{name}\" appears more than once");
                faults.teach("sort", "repeated", message, || hints::once("sort").to_owned());
            }
            Some(column) => keys.push(SortKey { column, descending }),
            None => {
                let message = format!("\"{}\" is not sortable", cut(name));
                let help = || match name == DELETED_AT && model.shows_deleted() {
                    true => hints::ASK_FOR_DELETED.to_owned(),
                    false => hints::sortable(model),
                };
                faults.teach("sort", "sort", message, help);
            }
        }
    }
    keys
}

/// Keys after the id make no difference; without the id the order would not be total.
fn ending_with_id(mut keys: Vec<SortKey>) -> Vec<SortKey> {
    match keys.iter().position(|key| key.column == Column::Id) {
        Some(at) => keys.truncate(at.saturating_add(1)),
        None => keys.push(SortKey { column: Column::Id, descending: false }),
    }
    keys
}

fn fields(model: &Model, pair: &Pair<'_>, faults: &mut Faults) -> Selection {
    let mut names = Vec::new();
    for name in pair.value.split(',') {
        let visible =
            model.position(name).is_some_and(|at| model.fields.get(at).is_some_and(super::field::Field::visible));
        if name == "id" || visible {
            names.push(name);
        } else {
            faults.teach("fields", "unknown", format!("unknown field \"{}\"", cut(name)), || hints::shown(model));
        }
    }
    Selection::of(&model.shape, &names)
}
