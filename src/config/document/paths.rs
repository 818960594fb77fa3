//! Settings of paths: which ambiguous spellings are accepted.

use crate::path::{Doubt, Doubts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which spellings of a path are taken although servers do not agree about them. A request with one that is not listed gets
/// 400, whatever route it would take. Where a server behind the gateway may read the path so that it belongs to a route with
/// a plugin that guards it, the request gets 400 too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// The spellings. Without it: none.
    #[serde(default)]
    pub allow: Vec<Doubt>,
}

impl Paths {
    pub fn allowed(&self) -> Doubts {
        self.allow.iter().copied().collect()
    }
}
