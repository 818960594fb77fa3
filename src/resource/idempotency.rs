//! Repeated creates: what an `Idempotency-Key` stands for is stored with the item, in one transaction
//! (draft-ietf-httpapi-idempotency-key-header-07).
//!
//! Passwords are no part of what is compared or stored: a hash that is fast to compute would help to guess them.

use super::claim::is_time;
use super::dialect::Dialect;
use super::digest::Digest;
use super::field::Source;
use super::field_type::FieldType;
use super::model::Model;
use super::sessions::now;
use super::store::{Cell, Found, Param, Row, Sql};
use super::validate::Values;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatewright_sdk::{Identity, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use std::collections::BTreeSet;

/// Where keys are kept.
pub const TABLE: &str = "_gw_idempotency";
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks the response to a request that was repeated.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The maximum length of a key.
const LONGEST: usize = 255;
/// The maximum number of expired records that are removed at once.
const SWEPT: i64 = 100;

/// The id in `body` while the store has not counted it up.
const UNKNOWN: &str = "0";

/// In place of an id: the response is a list, and no id looks like this.
const LIST: &str = "*";

const FIND: &str = "SELECT \"fingerprint\", \"expires\", \"item\", \"tag\", \"rest\" FROM \"_gw_idempotency\" \
                    WHERE \"resource\" = $1 AND \"principal\" = $2 AND \"key\" = $3";
/// Only if it has expired: another transaction may have recorded the key a moment ago.
const FORGET: &str = "DELETE FROM \"_gw_idempotency\" \
                      WHERE \"resource\" = $1 AND \"principal\" = $2 AND \"key\" = $3 AND \"expires\" <= $4";
/// The key of a request; `None` if it has none.
///
/// # Errors
/// 400 if it is malformed, sent twice, or missing although the resource requires one.
pub fn key(model: &Model, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else {
        let required = model.idempotency.required.then(|| Problem::validation("Idempotency-Key: is required"));
        return required.map_or(Ok(None), Err);
    };
    let malformed = || Problem::validation("Idempotency-Key: must be 1-255 visible characters");
    if values.next().is_some() {
        return Err(Problem::validation("Idempotency-Key: must be sent once"));
    }
    let text = value.to_str().map_err(|_| malformed())?.trim();
    // A string of RFC 9651, or the bare characters that most clients send.
    let bare = match text.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').filter(|inner| !inner.contains(['"', '\\'])).ok_or_else(malformed)?,
        None => text,
    };
    let fits = (1..=LONGEST).contains(&bare.len()) && bare.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(Some(bare.to_owned())) } else { Err(malformed()) }
}

/// A create with a key.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The table, the caller, and the key.
    place: [Param; 3],
    /// A digest of what was sent.
    fingerprint: String,
    ttl: i64,
    dialect: Dialect,
}

/// What a request creates.
#[derive(Clone, Copy)]
pub enum Sent<'a> {
    Item(&'a Values),
    List(&'a [Values]),
}

/// The response that a key stands for.
pub struct Replay {
    /// The id as text, and the entity tag; `None` for a list of items.
    pub item: Option<(String, HeaderValue)>,
    pub body: Vec<u8>,
}

impl Attempt {
    /// `path` is the collection, as the client sent it. `targets` are the resources that the fields of `model` refer to.
    pub fn new<'a>(
        (model, targets): (&Model, impl Iterator<Item = &'a Model>),
        key: String,
        identity: Option<&Identity>,
        (path, sent): (&str, Sent<'_>),
    ) -> Self {
        let mut digest = Digest::new("gatewright idempotency");
        digest.text(path);
        let items = match sent {
            Sent::Item(item) => std::slice::from_ref(item),
            Sent::List(items) => {
                digest.text("list");
                items
            }
        };
        for values in items {
            digest.values(values.id.as_slice());
            for (field, value) in model.fields.iter().zip(&values.fields) {
                // A field that was not sent counts for nothing, so that it may be added while keys are remembered.
                if !matches!(field.kind, FieldType::Password) && value.is_some() {
                    digest.text(&field.name);
                    digest.values(value.as_slice());
                }
            }
        }
        let caller = identity.map(|identity| caller(model, targets, identity)).unwrap_or_default();
        Self {
            place: [Param::Text(model.table.name.clone()), Param::Text(caller), Param::Text(key)],
            fingerprint: URL_SAFE_NO_PAD.encode(digest.finish::<32>()),
            ttl: i64::try_from(model.idempotency.ttl.get().as_secs()).unwrap_or(i64::MAX),
            dialect: model.sql.dialect(),
        }
    }

    /// Finds the record of the key.
    pub fn look(&self) -> Sql {
        Sql::new(FIND, self.place.clone())
    }

    /// What a record that was found means: the response to repeat, nothing if it has expired, or 422 if the key was used for
    /// another request.
    pub fn judge(&self, model: &Model, record: Option<&Found>) -> Result<Option<Replay>, Problem> {
        let text = |column| match record.map(|record| record.cell(column)) {
            Some(Cell::Text(text)) => text,
            _ => "",
        };
        match record.map(|record| record.cell(1)) {
            Some(Cell::Integer(expires)) if expires > now() => {}
            _ => return Ok(None),
        }
        if text(0) != self.fingerprint {
            let message = "Idempotency-Key was used with a different request";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch", message));
        }
        let item = text(2).to_owned();
        if item == LIST {
            return Ok(Some(Replay { item: None, body: text(4).as_bytes().to_vec() }));
        }
        let tag = HeaderValue::try_from(text(3)).map_err(|_| Problem::internal().log_reason("idempotency_record"))?;
        let body = [start(model, &item).as_bytes(), text(4).as_bytes()].concat();
        Ok(Some(Replay { item: Some((item, tag)), body }))
    }

    /// The statements after the one that inserts the item. `item` is its id if it is known by now, `body` and `tag` are those of the
    /// response.
    pub fn remember(&self, model: &Model, item: &Param, tag: &HeaderValue, body: &[u8]) -> [Sql; 3] {
        let known = match item {
            Param::Text(id) => Some(id.clone()),
            Param::Integer(id) => Some(id.to_string()),
            Param::Null | Param::Real(_) => None,
        };
        let shown = known.as_deref().unwrap_or(UNKNOWN);
        let rest = body.get(start(model, shown).len()..).unwrap_or_default();
        self.record(known, tag.to_str().unwrap_or_default(), rest)
    }

    /// The statements after those that insert a list of items with known ids; `body` is that of the response.
    pub fn remember_list(&self, body: &[u8]) -> [Sql; 3] {
        self.record(Some(LIST.to_owned()), "", body)
    }

    fn record(&self, known: Option<String>, tag: &str, rest: &[u8]) -> [Sql; 3] {
        let id = if known.is_some() { "$8" } else { self.dialect.last_id() };
        let insert = format!(
            "INSERT INTO \"_gw_idempotency\" (\"resource\", \"principal\", \"key\", \"fingerprint\", \"tag\", \"rest\", \
             \"expires\", \"item\") VALUES ($1, $2, $3, $4, $5, $6, $7, {id})"
        );
        let now = now();
        let mut values = self.place.to_vec();
        values.push(Param::Text(self.fingerprint.clone()));
        values.push(Param::Text(tag.to_owned()));
        values.push(Param::Text(String::from_utf8_lossy(rest).into_owned()));
        values.push(Param::Integer(now.saturating_add(self.ttl)));
        values.extend(known.map(Param::Text));
        let mut expired = self.place.to_vec();
        expired.push(Param::Integer(now));
        let forget = Sql::new(FORGET, expired);
        let sweep = sweep(self.dialect);
        [forget, Sql::of_row(insert, values), Sql::new(sweep, [Param::Integer(now), Param::Integer(SWEPT)])]
    }
}

/// A statement that removes records which expired at the time `$1`, at most `$2` of them.
pub fn sweep(dialect: Dialect) -> String {
    format!(
        "DELETE FROM \"_gw_idempotency\" WHERE (\"resource\", \"principal\", \"key\") IN \
         (SELECT \"resource\", \"principal\", \"key\" FROM \"_gw_idempotency\" WHERE \"expires\" <= $1 \
         ORDER BY \"expires\" LIMIT $2{})",
        dialect.skip_locked()
    )
}

/// A statement that finds one of them, unless another transaction removes it.
pub fn expired(dialect: Dialect) -> String {
    format!("SELECT 1 FROM \"_gw_idempotency\" WHERE \"expires\" <= $1 LIMIT 1{}", dialect.skip_locked())
}

/// The caller, and the claims that access rules compare with items or that new items contain: the same subject may act for several
/// tenants, and what it creates for one is not shown to another. Not its rights: an edit of who may do what forgets no key.
fn caller<'a>(model: &Model, targets: impl Iterator<Item = &'a Model>, identity: &Identity) -> String {
    // Issuers may use the same subject.
    let issuer = identity.claims.get("iss").and_then(|issuer| issuer.as_str()).unwrap_or_default();
    let mut digest = Digest::new("gatewright caller");
    for text in [identity.method, issuer, &identity.subject] {
        digest.text(text);
    }
    let mut names = BTreeSet::new();
    model.rules.all().for_each(|rule| rule.add_claims(&mut names));
    for field in &model.fields {
        for source in field.on_create.iter().chain(&field.default) {
            if let Source::Claim(name) = source {
                names.insert(name);
            }
        }
    }
    targets.for_each(|target| target.rules.read.add_claims(&mut names));
    // A new token of the same caller has other times.
    for name in names.into_iter().filter(|name| !is_time(name)) {
        digest.text(name);
        digest.text(&written(identity.claims.get(name)));
    }
    let digest = URL_SAFE_NO_PAD.encode(digest.finish::<16>());
    format!("{} {issuer} {} {digest}", identity.method, identity.subject)
}

/// A claim. Some issuers write the same list in another order each time.
fn written(claim: Option<&Value>) -> String {
    match claim {
        Some(Value::Array(items)) => {
            let mut items: Vec<String> = items.iter().map(Value::to_string).collect();
            items.sort_unstable();
            format!("[{}]", items.join(","))
        }
        claim => claim.map(Value::to_string).unwrap_or_default(),
    }
}

/// The start of a response: the id comes first.
fn start(model: &Model, id: &str) -> String {
    let is_number = matches!(model.id, crate::config::document::resource::IdKind::Integer);
    if is_number { format!("{{\"id\":{id}") } else { format!("{{\"id\":\"{id}\"") }
}
