//! Creates that were done before: the record of an `Idempotency-Key` is found, and its response is sent again.

use super::address;
use super::api::{Api, within};
use crate::resource::idempotency::{Attempt, REPLAYED, Replay, Sent};
use crate::resource::model::Model;
use crate::resource::reply;
use crate::resource::store::Found;
use gatewright_sdk::{Identity, Problem, Response};
use http::header::{ETAG, LOCATION};
use http::{HeaderValue, StatusCode};

/// The response to a create that was done before.
pub(super) fn replayed(model: &Model, path: &str, replay: Replay) -> Response {
    let mut response = reply::json(StatusCode::CREATED, replay.body, model.rules.create.asks_who());
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    if let Some((item, tag)) = replay.item {
        headers.insert(ETAG, tag);
        if let Ok(location) = HeaderValue::try_from(address::of_item(path, &item)) {
            headers.insert(LOCATION, location);
        }
    }
    response
}

impl Api {
    /// A create with a key.
    pub(super) fn attempt(
        &self,
        key: String,
        identity: Option<&Identity>,
        collection: &str,
        sent: Sent<'_>,
    ) -> Attempt {
        Attempt::new((&self.model, self.relations.targets()), key, identity, (collection, sent))
    }

    /// The response that a key stands for.
    pub(super) async fn replay(&self, attempt: &Attempt) -> Result<Option<Replay>, Problem> {
        let look = attempt.look();
        let span = self.sql_span("SELECT", Some(&look.text));
        let find = self.store.query(self.statement(look), |rows| Ok(rows.next()?.map(Found::of)));
        let found = within(self.statements.begin("SELECT"), span, find).await.map_err(|error| self.failure(&error))?;
        attempt.judge(&self.model, found.as_ref())
    }
}
