//! How requests are distributed among the targets of an upstream.

use gatewright_sdk::written::shown;
use gatewright_sdk::{Code, Fault, HumanDuration, Written, written};
use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How requests are distributed among the targets.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoadBalancing {
    /// The load balancing policy.
    pub policy: Policy,
    /// What `ring_hash` hashes: requests with the same key go to the same target. A request without the header field or
    /// cookie, or without an identity, goes to a random target.
    pub key: Option<HashKey>,
    /// How long a target that becomes healthy, or an address that is added to its name, takes to get its full share of the
    /// requests.
    pub slow_start: Option<HumanDuration>,
}

/// The load balancing policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// In turn, by weight.
    #[default]
    RoundRobin,
    /// To the less busy of two random targets.
    LeastRequest,
    /// At random, by weight.
    Random,
    /// By the hash of `key`. Adding or removing a target moves only its share of the keys.
    RingHash,
}

/// What a request is hashed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    Client,
    Subject,
    Header(HeaderName),
    Cookie(Box<str>),
}

impl FromStr for HashKey {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let named = match text.split_once('.') {
            _ if text == "client.ip" => Some(Self::Client),
            _ if text == "auth.subject" => Some(Self::Subject),
            Some(("header", name)) => HeaderName::from_bytes(name.as_bytes()).ok().map(Self::Header),
            // A cookie name is a token, like that of a header field (RFC 6265 section 4.1.1).
            Some(("cookie", name)) => HeaderName::from_bytes(name.as_bytes()).ok().map(|_| Self::Cookie(name.into())),
            _ => None,
        };
        named.ok_or_else(|| {
            Fault::new("", format!("`{}` is not a valid hash key", shown(text)))
                .code(Code::WRONG_FORM)
                .help("use `client.ip`, `auth.subject`, `header.NAME` or `cookie.NAME`")
        })
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client.ip"),
            Self::Subject => f.write_str("auth.subject"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Cookie(name) => write!(f, "cookie.{name}"),
        }
    }
}

impl Written for HashKey {
    const FORMAT: &'static str = "hash-key";
    const STAND_IN: Option<&'static str> = Some("client.ip");
}

written!(HashKey, "pattern": "^(client\\.ip|auth\\.subject|(header|cookie)\\.[!#$%&'*+.^_`|~0-9A-Za-z-]+)$",
    "examples": ["header.x-tenant", "cookie.session", "client.ip", "auth.subject"]);
