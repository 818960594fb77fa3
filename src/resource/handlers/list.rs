//! GET of the collection: one page, what it is a page of, and where the others are.

use super::links::{Total, links};
use super::{Api, check_accept, owned, within};
use crate::config::document::resource::Count;
use crate::resource::model::Model;
use crate::resource::predicate::{Column, Predicate};
use crate::resource::query::{self, Key, List, Page};
use crate::resource::reply;
use crate::resource::sql::{After, FIRST_FIELD, Sql};
use crate::resource::store::{Cell, Error, Param, Row, Rows};
use gatewright_sdk::{Problem, Reply, Request, Response};
use http::header::{HeaderName, LINK};
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use tracing::Instrument;

const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
const EXCEEDS: HeaderName = HeaderName::from_static("x-total-count-exceeds");

/// A page in the making.
#[derive(Default)]
struct Written {
    body: Vec<u8>,
    rows: u64,
    /// The keys of the last row.
    last: Vec<Param>,
    /// Whether another row follows.
    more: bool,
}

pub(super) fn answer(api: &Arc<Api>, request: &Request) -> Reply {
    let span = api.span("list");
    let (list, only) = match prepare(&api.model, request) {
        Ok(prepared) => prepared,
        Err(problem) => return Reply::ready(problem),
    };
    let api = Arc::clone(api);
    let path = request.uri().path().to_owned();
    let wait = async move {
        match page(&api, &path, Arc::new(list), only).await {
            Ok(response) => response,
            Err(error) => api.failure(&error).into(),
        }
    };
    Reply::pending(wait.instrument(span))
}

fn prepare(model: &Model, request: &Request) -> Result<(List, Option<Predicate>), Problem> {
    let only = model.admit(&model.rules.list, request)?;
    check_accept(request)?;
    Ok((query::list(model, request.uri().query())?, only))
}

async fn page(api: &Arc<Api>, path: &str, list: Arc<List>, only: Option<Predicate>) -> Result<Response, Error> {
    let texts = &api.model.sql;
    let per_page = u64::from(list.per_page);
    // One more than the page: it says whether there is a next one.
    let limit = per_page.saturating_add(1);
    let offset = match list.page {
        Page::Number(page) => u64::from(page.saturating_sub(1)).saturating_mul(per_page),
        Page::First | Page::After(_) => 0,
    };
    let mut written = Written { body: vec![b'['], ..Written::default() };
    if let Page::After(values) = &list.page {
        for which in [After::Valued, After::Null] {
            let left = limit.saturating_sub(written.rows);
            let sql = texts.after(only.as_ref(), &list.filters, (&list.keys, values), left, which);
            if let Some(sql) = sql.filter(|_| !written.more) {
                written = rows(api, &list, sql, written).await?;
            }
        }
    } else {
        let sql = texts.page(only.as_ref(), &list.filters, &list.keys, limit, offset);
        written = rows(api, &list, sql, written).await?;
    }
    written.body.push(b']');
    let total = total(api, &list, only.as_ref(), offset, &written).await?;

    let cursor = written.more.then(|| list.seal.write(&written.last)).flatten();
    let link = links(&api.model, path, &list, written.more, cursor.as_deref(), total);
    let mut response = reply::json(StatusCode::OK, written.body, api.model.rules.list.asks_who());
    let headers = response.headers_mut();
    if let Ok(link) = HeaderValue::try_from(link) {
        headers.insert(LINK, link);
    }
    match total {
        Total::Known(total) => drop(headers.insert(TOTAL, HeaderValue::from(total))),
        Total::MoreThan(cap) => drop(headers.insert(EXCEEDS, HeaderValue::from(cap))),
        Total::Unknown => {}
    }
    Ok(response)
}

/// Runs a statement of the page and appends its rows.
async fn rows(api: &Arc<Api>, list: &Arc<List>, sql: Sql, written: Written) -> Result<Written, Error> {
    let span = api.sql_span("SELECT", Some(&sql.text));
    let (model, list) = (Arc::clone(&api.model), Arc::clone(list));
    let query = api.store.query(api.statement(sql), move |rows| append(&model, &list, rows, written));
    within(api.statements.begin("SELECT"), span, query).await
}

fn append(model: &Model, list: &List, rows: &mut dyn Rows, mut written: Written) -> Result<Written, Error> {
    while let Some(row) = rows.next()? {
        if written.rows == u64::from(list.per_page) {
            written.more = true;
            break;
        }
        if written.rows > 0 {
            written.body.push(b',');
        }
        written.rows = written.rows.saturating_add(1);
        reply::write_row(&mut written.body, &model.shape, &list.selection, row);
        if written.rows == u64::from(list.per_page) {
            written.last = keys(row, &list.keys);
        }
    }
    Ok(written)
}

fn keys(row: &dyn Row, keys: &[Key]) -> Vec<Param> {
    let column = |key: &Key| match key.column {
        Column::Id => 1,
        Column::Field(at) => at.saturating_add(FIRST_FIELD),
    };
    keys.iter().map(|key| owned(row.cell(column(key)))).collect()
}

/// How many rows there are, as far as it is asked and worth counting.
async fn total(
    api: &Arc<Api>,
    list: &List,
    only: Option<&Predicate>,
    offset: u64,
    written: &Written,
) -> Result<Total, Error> {
    let cap = match list.count {
        Count::None => return Ok(Total::Unknown),
        Count::Exact => None,
        Count::Capped(cap) => Some(cap),
    };
    let judge = |total: u64| match cap {
        Some(cap) if total > cap => Total::MoreThan(cap),
        _ => Total::Known(total),
    };
    let by_offset = !matches!(list.page, Page::After(_));
    if by_offset && !written.more && (written.rows > 0 || offset == 0) {
        return Ok(judge(offset.saturating_add(written.rows)));
    }
    let sql = api.model.sql.count(only, &list.filters, cap.map(|cap| cap.saturating_add(1)));
    let span = api.sql_span("SELECT", Some(&sql.text));
    let counted = api.store.query(api.statement(sql), |rows| {
        Ok(match rows.next()?.map(|row| row.cell(0)) {
            Some(Cell::Integer(count)) => u64::try_from(count).unwrap_or(0),
            _ => 0,
        })
    });
    Ok(judge(within(api.statements.begin("SELECT"), span, counted).await?))
}
