//! Settings of the process: reload, shutdown, admin, health, error form, stores, tests.

use super::address::TcpAddress;
use super::host::HostName;
use super::store_url::StoreUrl;
use crate::config::named::Named;
use crate::path::OwnPath;
use gatewright_sdk::{HumanDuration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// How an edited file is applied.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reload {
    /// Whether edits are noticed by themselves. SIGHUP and the admin address always reload.
    pub watch: bool,
    /// How long the files must be quiet before they are read.
    pub debounce: HumanDuration,
    /// How often contents are compared even when no event came (network file systems, swapped links).
    pub poll: HumanDuration,
    /// How long requests on a listener that an edit removed may go on.
    pub drain: HumanDuration,
    /// How many accepted generations can be returned to.
    #[schemars(range(min = 1, max = 1000))]
    pub keep_generations: Option<u32>,
    /// Whether a failing entry of `tests` refuses the reload.
    pub require_tests: bool,
}

impl Default for Reload {
    fn default() -> Self {
        Self {
            watch: true,
            debounce: HumanDuration::from_millis(100),
            poll: HumanDuration::from_secs(5),
            drain: HumanDuration::from_secs(30),
            keep_generations: None,
            require_tests: false,
        }
    }
}

/// What happens after SIGTERM or Ctrl-C. A second signal ends the process at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// How long new connections are still accepted while readiness already answers 503.
    pub grace: HumanDuration,
    /// How long requests may take to finish after that.
    pub drain: HumanDuration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace: HumanDuration::from_secs(0), drain: HumanDuration::from_secs(30) }
    }
}

/// The admin address: status, the running configuration, reload.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// IP address and port. Keep it on loopback unless the network around it is trusted.
    pub address: TcpAddress,
    /// The bearer token that every admin request carries: at least 32 bytes. Without one, a random token is made at
    /// each start and printed once.
    pub token: Option<Secret>,
    /// Names under which the admin address is asked for, beside `localhost` and IP addresses: `gateway` in a network of
    /// containers. A request with any other name in its Host field is refused.
    pub hosts: Vec<HostName>,
}

impl Default for Admin {
    fn default() -> Self {
        let address = TcpAddress((Ipv4Addr::LOCALHOST, 9901).into());
        Self { address, token: None, hosts: Vec::new() }
    }
}

/// Paths that answer about the gateway itself, on every listener, before any route.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Answers `{"status", "version"}`.
    pub summary: OwnPath,
    /// 200 while the process runs.
    pub live: OwnPath,
    /// 200 while requests can be served; 503 while draining or when a store is down.
    pub ready: OwnPath,
}

impl Default for Health {
    fn default() -> Self {
        Self { summary: OwnPath::of("/health"), live: OwnPath::of("/health/live"), ready: OwnPath::of("/health/ready") }
    }
}

/// The form of error answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Errors {
    /// Which form errors have.
    pub format: ErrorFormat,
}

/// The form of error answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorFormat {
    /// `problem` where the Accept header names `application/problem+json`, else `brief`.
    #[default]
    Auto,
    /// `{"error", "message", "details"?}`.
    Brief,
    /// `application/problem+json`, RFC 9457.
    Problem,
}

/// Where state is kept.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreSpec {
    /// `sqlite://PATH`, `sqlite::memory:`, `postgres://…` or `redis://…`. A relative path starts in the folder of the main
    /// configuration file. Only one gateway at a time can use a file.
    pub url: StoreUrl,
    /// What is done while the store cannot be reached (redis only).
    #[serde(default)]
    pub on_error: Option<OnStoreError>,
}

/// What is done while a store cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStoreError {
    /// Each process counts for itself.
    Local,
    /// Requests pass.
    Allow,
    /// Requests are refused with 503.
    Refuse,
}

/// A request and the answer it must get.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// What the test shows, as a sentence.
    #[serde(default)]
    pub name: Option<String>,
    /// The request.
    pub request: TestRequest,
    /// What its answer must be.
    pub expect: TestExpectation,
}

/// The request of a test.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    #[schemars(regex(pattern = "^/"))]
    pub path: String,
    /// Header fields. Values are secrets: nothing shows them.
    #[serde(default)]
    pub headers: Named<Secret>,
    /// Claims of a token that counts as verified.
    #[serde(default)]
    pub claims: Named<serde_json::Value>,
}

/// What the answer of a test must be.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestExpectation {
    /// The status code.
    #[serde(default)]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u16>,
    /// The route that takes it.
    #[serde(default)]
    pub route: Option<String>,
    /// The plugin that decides it.
    #[serde(default)]
    pub plugin: Option<String>,
}
