//! How the path is changed before the request is forwarded.

use crate::config::document::path_to::PathTo;
use crate::path::PathPrefix;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the path is changed before the request is forwarded: by `strip_prefix` and `add_prefix`, by `replace`, or by
/// `regex`. The query is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// A prefix to remove from the path, in whole segments: `/api` turns `/api/orders` into `/orders`. The rest is
    /// forwarded unchanged: `/nc` turns `/nc//a` into `//a`, if `paths.allow` accepts empty segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<PathPrefix>,
    /// A prefix to put in front of the path, after `strip_prefix` was removed: `/v2` turns `/orders` into `/v2/orders`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add_prefix: Option<PathPrefix>,
    /// The whole new path. `{rest}` is the part of the path after `path_prefix`, `{name}` a parameter of `path`:
    /// `/v2/items/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<PathTo>,
    /// The new path of paths that match a regular expression: `{ pattern: "/u([0-9]+)", to: "/users/{1}" }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<RegexRewrite>,
    /// Whether responses are rewritten too. `Location` and `Content-Location` with the origin of the target get the
    /// client's origin, and paths get back the prefix that was removed, also those of cookies. `Domain` of a cookie is
    /// removed if it is the host of the target.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub response: bool,
}

/// The new path of paths that match a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegexRewrite {
    /// A regular expression in the syntax of Rust's regex crate, which must match the whole path. Paths that do not match
    /// are not changed.
    #[schemars(length(min = 1))]
    pub pattern: String,
    /// The new path. `{1}` is the first group of the pattern, `{name}` the group `(?<name>…)`.
    pub to: PathTo,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_true(value: &bool) -> bool {
    *value
}
