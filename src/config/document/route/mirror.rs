//! An upstream that receives copies of the requests.

use gatewright_sdk::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An upstream that receives copies of the requests. Its responses are discarded.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// The upstream.
    pub upstream: String,
    /// The share of the requests to copy, in percent.
    #[serde(default = "all")]
    #[schemars(range(min = 0, max = 100))]
    pub percent: u32,
    /// Maximum size of a request body that is kept for the copy. Requests with a longer body are not copied.
    #[serde(default = "kept")]
    pub body: ByteSize,
    /// Maximum number of copies in progress. Requests beyond it are not copied.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1))]
    pub concurrency: u32,
}

const fn all() -> u32 {
    100
}

const fn kept() -> ByteSize {
    ByteSize::kib(64)
}

const fn hundred() -> u32 {
    100
}
