//! Several upstreams, by weight.

use crate::config::document::cookie_name::CookieName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One upstream of a split.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The upstream.
    pub upstream: String,
    /// Its share of the requests, relative to the others. With 0 it gets only clients whose `sticky` cookie names it.
    pub weight: u32,
}

/// Keeps each client of a split at one upstream.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sticky {
    /// The name of the session cookie. Its value is the name of the upstream, so a client can choose one. The upstream of a
    /// client without the cookie, or with the name of an upstream that is not in `split`, is chosen by weight.
    pub cookie: CookieName,
}
