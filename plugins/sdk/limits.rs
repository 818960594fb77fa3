//! Limits of a request: those that plugins declare, and those with which a route replaces them.

use crate::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Limits for requests of this route. They replace those of the listener and of the plugins in its chains, and may be
/// higher or lower. Limits that are not set here keep their values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteLimits {
    /// Maximum size of a request body. Replaces `limits.body_bytes` of the listener and `body_limit` plugins.
    pub body_bytes: Option<ByteSize>,
    /// Maximum time until the response head. Replaces `request` of `timeout` plugins.
    pub request_timeout: Option<HumanDuration>,
    /// Maximum pause within a response. Replaces `stream_idle` of `timeout` plugins.
    pub stream_idle: Option<HumanDuration>,
    /// Maximum number of requests of this route in progress, until their responses have ended. Requests beyond it get 503
    /// with `Retry-After`. `limits.concurrency` of the listener applies too. Default: no limit.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
    /// Maximum number of requests that wait because `concurrency` is reached. Default: 0.
    pub queue: Option<u32>,
    /// How long a request waits in the queue before it gets 503. Default: 100ms.
    pub queue_timeout: Option<HumanDuration>,
}

/// A limit that applies to a request unless an outer one is smaller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The setting, as in [`crate::Fault::path`].
    pub path: &'static str,
    pub limit: Limit,
}

/// The kinds of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The maximum size of a request body.
    Body(ByteSize),
    /// The maximum time until the head of the response.
    Head(HumanDuration),
    /// The maximum pause within a response.
    Silence(HumanDuration),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(size) => write!(f, "bodies of {size}"),
            Self::Head(time) => write!(f, "{time} until the response starts"),
            Self::Silence(time) => write!(f, "pauses of {time} in a response"),
        }
    }
}

impl Limit {
    /// Whether both limit the same thing.
    pub const fn is_like(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Body(_), Self::Body(_)) | (Self::Head(_), Self::Head(_)) | (Self::Silence(_), Self::Silence(_))
        )
    }

    /// Whether both are of the same kind and this one is smaller.
    pub fn is_under(self, other: Self) -> bool {
        match (self, other) {
            (Self::Body(this), Self::Body(other)) => this < other,
            (Self::Head(this), Self::Head(other)) | (Self::Silence(this), Self::Silence(other)) => this < other,
            _ => false,
        }
    }
}
