//! Responses: rows written as JSON straight from the store, and their header fields.

use super::field::Field;
use super::field_type::FieldType;
use super::sql::FIRST_FIELD;
use super::store::{Cell, Row};
use super::table::Table;
use crate::etag::{Form, tag};
use axum::body::Body;
use bytes::Bytes;
use gatewright_sdk::Response;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::io::Write;

/// The JSON form of a resource's rows.
#[derive(Clone)]
pub struct Shape {
    columns: Vec<Shown>,
    /// Over all that decides what a body looks like.
    fingerprint: Vec<u8>,
    form: Form,
}

/// A column of a response.
#[derive(Clone)]
struct Shown {
    /// Its position in the statement.
    position: usize,
    name: String,
    /// `"name":`
    key: String,
    encoding: Encoding,
}

#[derive(Clone, Copy)]
enum Encoding {
    Text,
    /// JSON already.
    Raw,
    Number,
    Truth,
}

impl Encoding {
    const fn of(kind: &FieldType) -> Self {
        match kind {
            FieldType::Json(_) => Self::Raw,
            FieldType::Boolean => Self::Truth,
            FieldType::Integer | FieldType::Number => Self::Number,
            _ => Self::Text,
        }
    }
}

impl Shape {
    pub fn new(table: &Table, fields: &[Field]) -> Self {
        let id = Shown {
            position: 1,
            name: "id".into(),
            key: "\"id\":".into(),
            encoding: if table.id_counts { Encoding::Number } else { Encoding::Text },
        };
        let visible = fields.iter().enumerate().filter(|(_, field)| field.visible()).map(|(at, field)| Shown {
            position: at.saturating_add(FIRST_FIELD),
            name: field.name.clone(),
            key: format!("\"{}\":", field.name),
            encoding: Encoding::of(&field.kind),
        });
        let columns: Vec<Shown> = std::iter::once(id).chain(visible).collect();
        let mut fingerprint = table.name.clone().into_bytes();
        for column in &columns {
            let kind = table.columns.iter().find(|known| known.name == column.name).map(|known| known.kind);
            fingerprint.extend(format!("\n{} {kind:?}", column.name).into_bytes());
        }
        let form = Form::of(&[&fingerprint]);
        Self { columns, fingerprint, form }
    }

    pub fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }
}

/// The fields in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// By position among the visible columns; `None` for all.
    only: Option<Vec<bool>>,
    pub form: Form,
}

impl Selection {
    pub const fn all(shape: &Shape) -> Self {
        Self { only: None, form: shape.form }
    }

    /// Those named, in the order they are declared.
    pub fn of(shape: &Shape, names: &[&str]) -> Self {
        let only: Vec<bool> = shape.columns.iter().map(|column| names.contains(&&*column.name)).collect();
        let letters: Vec<u8> = only.iter().map(|shown| u8::from(*shown)).collect();
        let form = if only.iter().all(|shown| *shown) { shape.form } else { Form::of(&[&shape.fingerprint, &letters]) };
        Self { only: Some(only), form }
    }

    fn shows(&self, at: usize) -> bool {
        self.only.as_ref().is_none_or(|only| only.get(at).copied().unwrap_or(false))
    }
}

/// Appends a row as a JSON object, keys in the order they are declared.
pub fn write_row(body: &mut Vec<u8>, shape: &Shape, selection: &Selection, row: &dyn Row) {
    let mut separator = b'{';
    for (at, column) in shape.columns.iter().enumerate() {
        if !selection.shows(at) {
            continue;
        }
        body.push(separator);
        separator = b',';
        body.extend_from_slice(column.key.as_bytes());
        write_cell(body, column.encoding, row.cell(column.position));
    }
    body.extend_from_slice(if separator == b'{' { b"{}" } else { b"}" });
}

fn write_cell(body: &mut Vec<u8>, encoding: Encoding, cell: Cell<'_>) {
    // Writing to memory does not fail.
    let _ = match (encoding, cell) {
        (Encoding::Truth, Cell::Integer(truth)) => body.write_all(if truth == 0 { b"false" } else { b"true" }),
        (_, Cell::Integer(number)) => write!(body, "{number}"),
        (_, Cell::Real(number)) => serde_json::to_writer(&mut *body, &number).map_err(Into::into),
        (Encoding::Raw, Cell::Text(json)) => body.write_all(json.as_bytes()),
        (_, Cell::Text(text)) => serde_json::to_writer(&mut *body, text).map_err(Into::into),
        (_, Cell::Null) => body.write_all(b"null"),
    };
}

/// The version of a row.
pub fn version(row: &dyn Row) -> i64 {
    match row.cell(0) {
        Cell::Integer(version) => version,
        _ => 0,
    }
}

/// The id of a row as it appears in a path.
pub fn id_text(row: &dyn Row) -> String {
    match row.cell(1) {
        Cell::Integer(id) => id.to_string(),
        Cell::Text(id) => id.to_owned(),
        _ => String::new(),
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");
const AUTHORIZATION: HeaderValue = HeaderValue::from_static("authorization");

/// The header fields about caching: who may store the response, and what it depends on.
pub fn keeping(headers: &mut HeaderMap, asks_who: bool) {
    if asks_who {
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(VARY, AUTHORIZATION);
    } else {
        headers.insert(CACHE_CONTROL, PRIVATE);
    }
}

/// A response with a JSON body.
pub fn json(status: StatusCode, body: Vec<u8>, asks_who: bool) -> Response {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    keeping(&mut headers, asks_who);
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// One item with its entity tag.
pub fn item(status: StatusCode, shape: &Shape, selection: &Selection, row: &dyn Row, asks_who: bool) -> Response {
    let mut body = Vec::with_capacity(256);
    write_row(&mut body, shape, selection, row);
    let mut response = json(status, body, asks_who);
    response.headers_mut().insert(ETAG, tag(version(row), selection.form));
    response
}

/// A response without a body, 304 or 204.
pub fn empty(status: StatusCode, asks_who: bool) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    keeping(response.headers_mut(), asks_who);
    response
}

/// The same response to HEAD: every header field, no body (RFC 9110 section 9.3.2).
pub fn without_body(response: &mut Response) {
    *response.body_mut() = Body::empty();
}
