//! Checks that handlers share: the media types of a request, and the id in its path.

use crate::config::document::resource::IdKind;
use crate::resource::field_type;
use crate::resource::media;
use crate::resource::model::Model;
use crate::resource::refusal::refusal;
use crate::resource::store::Param;
use crate::resource::validate::{ID_DEMAND, is_id};
use gatewright_sdk::{Detail, Facts, Problem, Request};
use http::HeaderValue;
use http::header::HeaderName;

pub(super) const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
pub(super) const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
pub(super) const POSTED: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const PATCHED: HeaderValue = HeaderValue::from_static("application/merge-patch+json");

/// Rejects a client that does not accept JSON.
pub(super) fn check_accept(request: &Request) -> Result<(), Problem> {
    if media::takes_json(request.headers()) { Ok(()) } else { Err(Problem::not_acceptable("application/json")) }
}

/// The id in the path as it is stored: one spelling per item.
pub(super) fn path_id(model: &Model, request: &Request) -> Result<Param, Problem> {
    id_in_path(model, "id", Facts::of(request).parameter("id").unwrap_or_default())
}

/// The id that a parameter of the path has, of an item of `model`.
pub(super) fn id_in_path(model: &Model, name: &str, text: &str) -> Result<Param, Problem> {
    let demand = match model.id {
        IdKind::Uuid => "must be a UUID",
        IdKind::Integer => "must be an integer of at least 1",
        IdKind::String => ID_DEMAND,
    };
    id(model, text).ok_or_else(|| refusal(vec![Detail::parameter(name, "format", demand)]))
}

/// A text as an id of `model`; `None` if no item can have it.
pub(in crate::resource) fn id(model: &Model, text: &str) -> Option<Param> {
    match model.id {
        IdKind::Uuid => field_type::uuid(text).map(Param::Text),
        IdKind::Integer => {
            let digits = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| digits).map(Param::Integer)
        }
        IdKind::String => is_id(text).then(|| Param::Text(text.to_owned())),
    }
}
