//! Settings of paths: which ambiguous spellings are accepted.

use crate::path::{Doubt, Doubts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which ambiguous spellings of a path are accepted. Servers disagree about how to read them, so by default a request
/// with one of them is rejected with 400, whichever route it would match. If an upstream might read an accepted path as
/// one that a route with an access-controlling plugin protects, the request is still rejected with 400.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// The spellings to accept. Default: none.
    #[serde(default)]
    pub allow: Vec<Doubt>,
}

impl Paths {
    pub fn allowed(&self) -> Doubts {
        self.allow.iter().copied().collect()
    }
}
