//! When a request is sent to an upstream again.

use crate::config::document::percent::Percent;
use gatewright_sdk::written::shown;
use gatewright_sdk::{ByteSize, Code, Fault, HumanDuration, Written, written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// When a request is sent again, to another target if there is one.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Maximum number of retries of a request.
    #[schemars(range(min = 1, max = 10))]
    pub attempts: u32,
    /// What to retry on: `connect_failure`, `reset` (the connection ended before the response), `timeout`, or a status
    /// code such as `503`.
    #[schemars(length(min = 1))]
    pub retry_on: Vec<RetryOn>,
    /// How long each try may take until the head of the response has arrived. Default: `timeouts.response_header`.
    pub per_try_timeout: Option<HumanDuration>,
    /// The pause before a retry. It is random, below a limit that doubles with each retry.
    pub backoff: Backoff,
    /// Maximum number of retries, in percent of the requests of the last 10 seconds. 10 retries per second are always
    /// allowed.
    pub budget: Percent,
    /// The methods to retry.
    pub methods: RetryMethods,
    /// Maximum size of a request body that is kept to be sent again. Requests with a longer body are not retried once
    /// part of it was sent.
    pub body: ByteSize,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 2,
            retry_on: [RetryOn::ConnectFailure, RetryOn::Reset]
                .into_iter()
                .chain([502, 503, 504].map(RetryOn::Status))
                .collect(),
            per_try_timeout: None,
            backoff: Backoff::default(),
            budget: Percent::new(20),
            methods: RetryMethods::default(),
            body: ByteSize::kib(0),
        }
    }
}

/// The pause before a retry.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// The limit before the first retry.
    pub base: HumanDuration,
    /// The highest limit. A `Retry-After` of up to this is waited for; with a longer one the response is passed on.
    pub max: HumanDuration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: HumanDuration::from_millis(25), max: HumanDuration::from_millis(250) }
    }
}

/// The methods to retry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryMethods {
    /// Idempotent methods (RFC 9110, section 9.2.2): GET, HEAD, OPTIONS, PUT and DELETE.
    #[default]
    Idempotent,
    /// All methods. A POST may then be carried out twice.
    All,
}

/// A reason to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOn {
    ConnectFailure,
    Reset,
    Timeout,
    Status(u16),
}

impl FromStr for RetryOn {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let status = || text.parse().ok().filter(|status| (400..=599).contains(status)).map(Self::Status);
        let named = match text {
            "connect_failure" => Some(Self::ConnectFailure),
            "reset" => Some(Self::Reset),
            "timeout" => Some(Self::Timeout),
            _ => status(),
        };
        named.ok_or_else(|| {
            Fault::new("", format!("`{}` is not a valid reason to retry", shown(text)))
                .code(Code::WRONG_FORM)
                .help("use `connect_failure`, `reset`, `timeout` or a status code from 400 to 599")
        })
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectFailure => f.write_str("connect_failure"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => status.fmt(f),
        }
    }
}

impl Written for RetryOn {
    const FORMAT: &'static str = "retry-on";
    const STAND_IN: Option<&'static str> = Some("reset");
}

written!(RetryOn, "pattern": "^(connect_failure|reset|timeout|[45][0-9][0-9])$", "examples": ["connect_failure", "503"]);
