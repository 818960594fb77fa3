//! GET of the collection: one page, the total, and links to other pages.

use super::api::{Api, within};
use super::conditions::check_list;
use super::expand::Expansion;
use super::input::check_accept;
use super::links::{Total, links};
use super::under::Under;
use crate::config::document::resource::Count;
use crate::etag::Tags;
use crate::resource::cursor::Mark;
use crate::resource::digest::Digest;
use crate::resource::model::Model;
use crate::resource::order::SortKey;
use crate::resource::predicate::{Column, Predicate};
use crate::resource::query::{self, List, Page};
use crate::resource::refusal::refusal;
use crate::resource::reply;
use crate::resource::sql::FIRST_FIELD;
use crate::resource::sql::list::After;
use crate::resource::store::{Cell, Error, Found, Param, Row, Rows, Sql};
use crate::resource::watch::Revision;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatewright_sdk::{Detail, Problem, Reply, Request, Response};
use http::header::{ETAG, HeaderName, IF_NONE_MATCH, LINK};
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use tracing::Instrument;

/// How many items the list has.
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
/// Sent as well when that number is a lower bound: the list has more items, and counting stopped there.
const EXCEEDS: HeaderName = HeaderName::from_static("x-total-count-exceeds");

/// The request, and what is known about it before anything is read.
struct Asked {
    list: List,
    only: Option<Predicate>,
    /// The look at the item in the path.
    under: Option<Sql>,
    expansion: Expansion,
    asks_who: bool,
    /// The path as the client sent it.
    path: String,
    /// The counting statement, and a digest of it.
    counting: Sql,
    conditions: [u8; 16],
    /// The revision of the table before it was read.
    revision: Option<Revision>,
    tag: Option<HeaderValue>,
    /// The tags that the client has.
    known: Option<Tags>,
}

/// A page being written.
#[derive(Default)]
struct Written {
    body: Vec<u8>,
    rows: u64,
    /// The rows themselves, if they are not written yet.
    found: Vec<Found>,
    /// The keys of the last row.
    last: Vec<Param>,
    /// Whether another row follows.
    more: bool,
    /// The revision that the rows are from, where only their statement knows it.
    revision: Option<Revision>,
}

/// What determines the form of a list, besides the query and the rows.
pub(super) fn tags(model: &Model) -> Digest {
    let mut digest = Digest::new("gatewright list");
    digest.bytes(model.shape.fingerprint());
    digest.number(model.pagination.max_offset);
    digest
}

pub(super) fn answer(api: &Arc<Api>, request: &Request) -> Reply {
    let span = api.span("list");
    let asked = match span.in_scope(|| prepare(api, request)) {
        Ok(Ok(asked)) => asked,
        Ok(Err(unchanged)) => return Reply::ready(unchanged),
        Err(problem) => return Reply::ready(problem),
    };
    let api = Arc::clone(api);
    let wait = async move {
        match page(&api, Arc::new(asked)).await {
            Ok(response) => response,
            Err(error) => api.failure(&error).into(),
        }
    };
    Reply::pending(wait.instrument(span))
}

/// The request; or a 304 for a client that has the response.
fn prepare(api: &Api, request: &Request) -> Result<Result<Asked, Response>, Problem> {
    let model = &api.model;
    let only = model.admit(&model.rules.list, request)?;
    check_accept(request)?;
    let under = Under::of(api, request)?;
    let list = query::list(model, request.uri().query(), under.as_ref().map(Under::filter))?;
    let expansion = Expansion::of(api, &list.expand, request);
    let look = under.as_ref().map(|under| under.look(api)).transpose()?;
    let asks_who =
        model.rules.list.asks_who() || expansion.asks_who() || under.is_some_and(|under| under.asks_who(api));
    let counting = model.sql.count(only.as_ref(), &list.filters, cap(list.count).map(|cap| cap.saturating_add(1)));
    let mut conditions = Digest::new("gatewright count");
    conditions.text(&counting.text);
    conditions.values(&counting.parameters);
    let related = look.is_some() || !expansion.is_empty() || model.rules.list.looks_through();
    // What the response depends on besides is no part of the count.
    let more = related.then(|| {
        let mut seen = conditions.clone();
        expansion.note(&mut seen);
        if let Some(look) = &look {
            seen.text(&look.text);
            seen.values(&look.parameters);
        }
        seen.finish()
    });
    let conditions = conditions.finish();
    check_list(model, request)?;
    // Before anything is read: concurrent writes make another revision.
    let revision = api.revision(related);
    let path = request.uri().path();
    let tag = revision.map(|revision| tag(api, path, &list, more.unwrap_or(conditions), revision));
    // A malformed `If-None-Match` matches nothing.
    let known = Tags::of(request.headers(), &IF_NONE_MATCH).ok().flatten();
    let is_known = |tag: &String| known.as_ref().is_some_and(|known| known.have(tag));
    let (unchanged, tag) = (tag.as_ref().is_some_and(is_known), tag.and_then(|tag| header(&tag)));
    if unchanged {
        return Ok(Err(not_modified(tag, asks_who)));
    }
    Ok(Ok(Asked {
        list,
        only,
        under: look,
        expansion,
        asks_who,
        path: path.to_owned(),
        counting,
        conditions,
        revision,
        tag,
        known,
    }))
}

fn not_modified(tag: Option<HeaderValue>, asks_who: bool) -> Response {
    let mut response = reply::empty(StatusCode::NOT_MODIFIED, asks_who);
    tag.map(|tag| response.headers_mut().insert(ETAG, tag));
    response
}

/// Equal for equal responses.
fn content_tag(api: &Api, body: &[u8], link: &str, total: Total) -> String {
    let mut digest = api.list_tags.clone();
    digest.bytes(body);
    digest.text(link);
    digest.number(match total {
        Total::Unknown => 0,
        Total::Known(total) => total.saturating_mul(2).saturating_add(1),
        Total::MoreThan(cap) => cap.saturating_mul(2).saturating_add(2),
    });
    URL_SAFE_NO_PAD.encode(digest.finish::<16>())
}

/// The tag of a list is weak: it is about the rows and the query, not about bytes.
fn header(tag: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("W/\"{tag}\"")).ok()
}

/// Equal for the same query on the same revision of the table with the same visible rows; never again after
/// something was written.
fn tag(api: &Api, path: &str, list: &List, conditions: [u8; 16], revision: Revision) -> String {
    let mut digest = api.list_tags.clone();
    digest.bytes(&revision.store.to_be_bytes());
    digest.number(revision.others);
    digest.number(revision.table);
    digest.text(path);
    digest.text(&list.kept);
    digest.number(u64::from(list.per_page));
    digest.number(match list.count {
        Count::None => 0,
        Count::Exact => 1,
        Count::Capped(cap) => cap.saturating_add(2),
    });
    digest.bytes(&conditions);
    // The order, which may come from the document.
    digest.bytes(&list.scope.digest(&[]));
    match &list.page {
        Page::First => digest.number(0),
        Page::Number(page) => {
            digest.number(1);
            digest.number(u64::from(*page));
        }
        Page::After(Mark::Keys(keys)) => {
            digest.number(2);
            digest.values(keys);
        }
        Page::After(Mark::Row { id, keys }) => {
            digest.number(3);
            digest.values(std::slice::from_ref(id));
            digest.bytes(keys);
        }
    }
    URL_SAFE_NO_PAD.encode(digest.finish::<16>())
}

async fn page(api: &Arc<Api>, asked: Arc<Asked>) -> Result<Response, Error> {
    let (texts, list, only) = (&api.model.sql, &asked.list, asked.only.as_ref());
    let per_page = u64::from(list.per_page);
    // One more than the page, to know whether there is a next one.
    let limit = per_page.saturating_add(1);
    let offset = match list.page {
        Page::Number(page) => u64::from(page.saturating_sub(1)).saturating_mul(per_page),
        Page::First | Page::After(_) => 0,
    };
    let mut written = Written { body: vec![b'['], ..Written::default() };
    if let Some(look) = &asked.under
        && !is_there(api, look.clone()).await?
    {
        return Ok(Problem::not_found().into());
    }
    if let Page::After(mark) = &list.page {
        let Some(values) = follow(api, &asked, mark).await? else { return Ok(lost().into()) };
        for which in [After::Valued, After::Null] {
            let left = limit.saturating_sub(written.rows);
            let sql = texts.after(only, &list.filters, (&list.keys, &values), left, which);
            if let Some(sql) = sql.filter(|_| !written.more) {
                written = rows(api, &asked, sql, written).await?;
            }
        }
    } else {
        let sql = texts.page(only, &list.filters, &list.keys, limit, offset);
        written = rows(api, &asked, sql, written).await?;
    }
    if !asked.expansion.is_empty() {
        let expanded = asked.expansion.read(api, &written.found).await?;
        for (at, row) in written.found.iter().enumerate() {
            if at > 0 {
                written.body.push(b',');
            }
            asked.expansion.write(&mut written.body, (&api.model, &list.selection), &expanded, row);
        }
    }
    written.body.push(b']');
    let total = total(api, &asked, offset, &written).await?;

    let cursor = match written.more.then(|| list.scope.write(&written.last)) {
        Some(None) => return Err(Error::Internal("an id is too long for a cursor".into())),
        cursor => cursor.flatten(),
    };
    let mut unchanged = false;
    let link = links(&api.model, &asked.path, list, written.more, cursor.as_deref(), total);
    let asks_who = asked.asks_who;
    // Where the revision of a table is not known, the response tells whether something has changed.
    let tag = asked.tag.clone().or_else(|| {
        let tag = content_tag(api, &written.body, &link, total);
        let is_known = asked.known.as_ref().is_some_and(|known| known.have(&tag));
        unchanged = is_known;
        header(&tag)
    });
    if unchanged {
        return Ok(not_modified(tag, asks_who));
    }
    let mut response = reply::json(StatusCode::OK, written.body, asks_who);
    let headers = response.headers_mut();
    if let Ok(link) = HeaderValue::try_from(link) {
        headers.insert(LINK, link);
    }
    tag.map(|tag| headers.insert(ETAG, tag));
    match total {
        Total::Known(total) => drop(headers.insert(TOTAL, HeaderValue::from(total))),
        Total::MoreThan(cap) => {
            headers.insert(TOTAL, HeaderValue::from(cap));
            headers.insert(EXCEEDS, HeaderValue::from(cap));
        }
        Total::Unknown => {}
    }
    Ok(response)
}

/// The keys of the row before the page; `None` if the cursor does not contain them and the row has changed.
async fn follow(api: &Arc<Api>, asked: &Arc<Asked>, mark: &Mark) -> Result<Option<Vec<Param>>, Error> {
    let (id, wanted) = match mark {
        Mark::Keys(keys) => return Ok(Some(keys.clone())),
        Mark::Row { id, keys } => (id.clone(), keys),
    };
    let sql = api.model.sql.read_whole(id, None);
    let span = api.sql_span("SELECT", Some(&sql.text));
    let of = Arc::clone(asked);
    let query = api.store.query(api.statement(sql), move |rows| Ok(rows.next()?.map(|row| keys(row, &of.list.keys))));
    let found = within(api.statements.begin("SELECT"), span, query).await?;
    Ok(found.filter(|keys| asked.list.scope.digest(keys) == *wanted))
}

/// Whether a statement finds something.
async fn is_there(api: &Arc<Api>, sql: Sql) -> Result<bool, Error> {
    let span = api.sql_span("SELECT", Some(&sql.text));
    let look = api.store.query(api.statement(sql), |rows| Ok(rows.next()?.is_some()));
    within(api.statements.begin("SELECT"), span, look).await
}

fn lost() -> Problem {
    let text = "the item before this page was changed or deleted, start again without a cursor";
    refusal(vec![Detail::parameter("cursor", "cursor", text)])
}

/// Runs a statement of the page and appends its rows.
async fn rows(api: &Arc<Api>, asked: &Arc<Asked>, sql: Sql, written: Written) -> Result<Written, Error> {
    let span = api.sql_span("SELECT", Some(&sql.text));
    let (model, asked) = (Arc::clone(&api.model), Arc::clone(asked));
    let query = api.store.query(api.statement(sql), move |rows| append(&model, &asked, rows, written));
    within(api.statements.begin("SELECT"), span, query).await
}

fn append(model: &Model, asked: &Asked, rows: &mut dyn Rows, mut written: Written) -> Result<Written, Error> {
    let list = &asked.list;
    while let Some(row) = rows.next()? {
        if written.rows == u64::from(list.per_page) {
            written.more = true;
            break;
        }
        if written.rows == 0 {
            written.revision = model.sql.revision(row);
        }
        if asked.expansion.is_empty() {
            if written.rows > 0 {
                written.body.push(b',');
            }
            reply::write_row(&mut written.body, &model.shape, &list.selection, row);
        } else {
            written.found.push(Found::of(row));
        }
        written.rows = written.rows.saturating_add(1);
        if written.rows == u64::from(list.per_page) {
            written.last = keys(row, &list.keys);
        }
    }
    Ok(written)
}

fn keys(row: &dyn Row, keys: &[SortKey]) -> Vec<Param> {
    let column = |key: &SortKey| match key.column {
        Column::Id => 1,
        Column::Field(at) | Column::Of(at, _) => at.saturating_add(FIRST_FIELD),
    };
    keys.iter().map(|key| row.cell(column(key)).owned()).collect()
}

/// The maximum number of rows that are counted.
const fn cap(count: Count) -> Option<u64> {
    match count {
        Count::Capped(cap) => Some(cap),
        Count::None | Count::Exact => None,
    }
}

/// How many rows there are, if requested. They are counted once for each revision of the table or database.
async fn total(api: &Arc<Api>, asked: &Asked, offset: u64, written: &Written) -> Result<Total, Error> {
    let list = &asked.list;
    if list.count == Count::None {
        return Ok(Total::Unknown);
    }
    let judge = |total: u64| match cap(list.count) {
        Some(cap) if total > cap => Total::MoreThan(cap),
        _ => Total::Known(total),
    };
    let by_offset = !matches!(list.page, Page::After(_));
    if by_offset && !written.more && (written.rows > 0 || offset == 0) {
        return Ok(judge(offset.saturating_add(written.rows)));
    }
    let revision = asked.revision.or(written.revision);
    if let Some(known) = revision.and_then(|revision| api.watch.count(revision, asked.conditions)) {
        return Ok(judge(known));
    }
    let span = api.sql_span("SELECT", Some(&asked.counting.text));
    let model = Arc::clone(&api.model);
    let counted = api.store.query(api.statement(asked.counting.clone()), move |rows| {
        let Some(row) = rows.next()? else { return Ok((0, None)) };
        let Cell::Integer(counted) = row.cell(0) else { return Ok((0, None)) };
        Ok((u64::try_from(counted).unwrap_or(0), model.sql.revision(row)))
    });
    let (counted, revision) = within(api.statements.begin("SELECT"), span, counted).await?;
    if let Some(revision) = asked.revision.or(revision) {
        api.watch.counted(revision, asked.conditions, counted);
    }
    Ok(judge(counted))
}
