//! The access rules that decide about a request for a resource.

use super::Passed;
use crate::config::document::resource::Operation;
use crate::engine::plan::{PlannedPath, PlannedRoute};
use crate::resource::model::Model;
use crate::resource::sign_in;
use http::{Method, Uri};
use serde::Serialize;

/// A rule that decides about a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ruled {
    pub operation: &'static str,
    /// Who may do it, and with which items.
    pub rule: String,
    /// What the item must fulfil after an update, if that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Its key in the file.
    pub from: String,
}

/// The plugin that checks the token of a request for a sign-in.
pub(super) fn token_check(route: &PlannedRoute, method: &Method, path: &str) -> Option<Passed> {
    let step = route.target.token_check.as_deref()?;
    let address = path.rsplit('/').next().unwrap_or_default();
    let because = format!("sign-in of route `{}`", route.name);
    sign_in::checks_token(address, method).then(|| Passed { step: step.clone(), because })
}

/// The rules of `model` for a request by `route`.
pub(super) fn rules(route: &PlannedRoute, model: &Model, method: &Method, uri: &Uri) -> Vec<Ruled> {
    let (PlannedPath::Collection(collection) | PlannedPath::Restorable(collection)) = &route.path else {
        return Vec::new();
    };
    let segments = |path: &str| path.trim_end_matches('/').matches('/').count();
    let depth = segments(uri.path()).saturating_sub(segments(collection));
    let of_deleted = model.shows_deleted()
        && uri.query().is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("deleted")));
    let operations: &[(Operation, &'static str)] = match (method.as_str(), depth) {
        ("GET" | "HEAD", 0 | 1) if of_deleted => &[(Operation::Restore, "restore")],
        ("GET" | "HEAD", 0) => &[(Operation::List, "list")],
        ("GET" | "HEAD", 1) => &[(Operation::Read, "read")],
        ("POST", 0) => &[(Operation::Create, "create")],
        ("PUT", 0) if model.upserts() => &[(Operation::Create, "create"), (Operation::Update, "update")],
        ("PUT" | "PATCH", 1) => &[(Operation::Update, "update")],
        // It takes both.
        ("DELETE", 1) if of_deleted => &[(Operation::Delete, "delete"), (Operation::Restore, "restore")],
        ("DELETE", 1) => &[(Operation::Delete, "delete")],
        ("POST", 2) => &[(Operation::Restore, "restore")],
        _ => &[],
    };
    let ruled = |(operation, word): &(Operation, &'static str)| {
        let (rule, key, after) = model.shown_rule(*operation)?;
        Some(Ruled { operation: word, rule, after, from: format!("resources.{}.{key}", model.name) })
    };
    operations.iter().filter_map(ruled).collect()
}
