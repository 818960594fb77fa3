//! Settings of the process: reload, shutdown, admin, health, error form, stores, tests.

use super::address::ListenAddress;
use super::host::HostName;
use super::listener::Certificate;
use super::socket_mode::SocketMode;
use super::store_url::StoreUrl;
use crate::config::named::Named;
use crate::path::OwnPath;
use gatewright_sdk::{HumanDuration, NamedFile, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// How edits to the configuration are detected and applied.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reload {
    /// Whether the gateway reloads when a file changes. SIGHUP and the admin API always work.
    pub watch: bool,
    /// How long the files must stay unchanged before they are read. Editors often write a file in several steps.
    pub debounce: HumanDuration,
    /// How often the contents of the files are compared, in case no file system event arrived. Network file systems and
    /// swapped symbolic links send none.
    pub poll: HumanDuration,
    /// How long open requests may continue on a listener that an edit has removed. Also how long a client on HTTP/2 may ignore that it was
    /// told to connect again, after an edit of `tls`.
    pub drain: HumanDuration,
    /// How many accepted configurations are kept to roll back to.
    #[schemars(range(min = 1, max = 1000))]
    pub keep_generations: Option<u32>,
    /// Whether a reload is rejected when one of the `tests` fails.
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

/// How the process shuts down after SIGTERM or Ctrl-C. A second signal ends it at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// How long new connections are still accepted while the readiness endpoint already returns 503. Set it to the time
    /// your load balancer needs to notice, such as `10s`.
    pub grace: HumanDuration,
    /// How long open requests may take to finish after `grace`. Then they are cut off.
    pub drain: HumanDuration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace: HumanDuration::from_secs(0), drain: HumanDuration::from_secs(30) }
    }
}

/// The admin API: status, the running configuration, reload.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// IP address and port of the admin API, such as `127.0.0.1:9901`. Keep it on the loopback interface unless the
    /// network is trusted. `unix:/run/gatewright-admin.sock` is a Unix socket.
    pub address: ListenAddress,
    /// The permissions of a Unix socket, in octal and in quotes. Default: `"0600"`, so that only this user can connect.
    pub socket_mode: Option<SocketMode>,
    /// The bearer token that every admin request must carry; at least 32 bytes. Without it, a random token is generated
    /// at each start and kept in a file that only this user can read, until the process exits. Example:
    /// `${file./run/secrets/admin_token}`.
    pub token: Option<Secret>,
    /// Additional Host names that the admin API accepts, such as the name `gateway` in a container network. `localhost`
    /// and IP addresses are always accepted; requests for any other name are rejected.
    pub hosts: Vec<HostName>,
    /// The certificate of the admin API. With it, the API is served over https, and `gatewright status` and
    /// `gatewright reload` trust it.
    pub tls: Option<Certificate>,
    /// Confirms that an address other than loopback is served over plain HTTP, because only operators reach its network,
    /// such as inside a cluster or a container network. Without it, `check` warns. The token is sent over this network,
    /// so prefer `tls` elsewhere.
    pub plain_http: bool,
}

impl Default for Admin {
    fn default() -> Self {
        let address = ListenAddress::Ip((Ipv4Addr::LOCALHOST, 9901).into());
        Self { address, socket_mode: None, token: None, hosts: Vec::new(), tls: None, plain_http: false }
    }
}

/// The health endpoints of the gateway itself. They are served on every listener, before any route.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Path of the summary: `{"status", "version"}`.
    pub summary: OwnPath,
    /// Path of the liveness endpoint. It returns 200 while the process runs.
    pub live: OwnPath,
    /// Path of the readiness endpoint. It returns 200 while requests can be served, and 503 during shutdown, when a
    /// store is down, or when a `jwt` plugin has no keys.
    pub ready: OwnPath,
}

impl Default for Health {
    fn default() -> Self {
        Self { summary: OwnPath::of("/health"), live: OwnPath::of("/health/live"), ready: OwnPath::of("/health/ready") }
    }
}

/// The format of error responses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Errors {
    /// The format of error responses.
    pub format: ErrorFormat,
}

/// The format of error responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorFormat {
    /// `problem` if the Accept header names `application/problem+json`, otherwise `brief`.
    #[default]
    Auto,
    /// JSON with `error`, `message` and, for validation errors, `details`.
    Brief,
    /// `application/problem+json`, as defined by RFC 9457.
    Problem,
}

/// Where state is kept: a database for resources, or a Redis server in which several gateways count together.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreSpec {
    /// Where the store is. For resources: `sqlite://data/gateway.db`, or `sqlite::memory:` for one that is discarded when
    /// the process exits, or `postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full`; what that URL does not say
    /// is read from the variables `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGSSLMODE` and `PGSSLROOTCERT`. Relative paths are resolved against the folder of the main configuration file. Only one store
    /// of one running gateway may use a SQLite file, whatever path names it. For limits that several gateways share:
    /// `redis://USER:PASSWORD@HOST:PORT/DATABASE`, `rediss://` with TLS, or `redis+unix:///run/redis.sock?db=0`; Redis 5
    /// or newer, or Valkey.
    pub url: StoreUrl,
    /// What happens to limits while a Redis store is unreachable. Default: `local`.
    #[serde(default)]
    pub on_error: Option<OnStoreError>,
    /// The connections to PostgreSQL.
    #[serde(default)]
    pub pool: Option<PoolSpec>,
    /// Certificates for a `rediss://` store.
    #[serde(default)]
    pub tls: Option<StoreTls>,
    /// What a start or a reload may change in the tables of resources. Default: `additive`.
    #[serde(default)]
    pub migrate: Option<Migrate>,
    /// What a confirmed write to a SQLite file survives. Default: `power`.
    #[serde(default)]
    pub durability: Option<Durability>,
}

/// What a confirmed write to a SQLite file survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// A loss of power: a write is confirmed once it is on the disk.
    #[default]
    Power,
    /// A crash of the gateway. Writes cost less, but a loss of power or a crash of the operating system may undo the latest of them.
    /// The database stays intact.
    Process,
}

/// What a start or a reload may change in the tables of resources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Migrate {
    /// Whatever restoring the previous file undoes: new tables, columns and indexes. All other changes are made by
    /// `gatewright migrate --apply`.
    #[default]
    Additive,
    /// Nothing: all changes are made by `gatewright migrate --apply`.
    Manual,
    /// Nothing, and `gatewright migrate` changes nothing either: it prints the SQL that someone else runs.
    None,
}

/// The connections to PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolSpec {
    /// How many connections this gateway opens at most, at least one for each core. Each works on one request at a time; others
    /// wait for up to 2 seconds. Connections are closed after 5 minutes without use, and after 30 minutes in any case.
    #[serde(default = "PoolSpec::most")]
    #[schemars(range(min = 1, max = 1000))]
    pub max: u16,
}

impl PoolSpec {
    const fn most() -> u16 {
        16
    }
}

impl Default for PoolSpec {
    fn default() -> Self {
        Self { max: Self::most() }
    }
}

/// Certificates for a Redis store that is reached with TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreTls {
    /// Trusted certificate authorities, PEM. Default: those of the system, or of the file that `SSL_CERT_FILE` names.
    pub ca_file: Option<NamedFile>,
    /// Client certificate chain, PEM; requires `key_file`.
    pub cert_file: Option<NamedFile>,
    /// Private key of `cert_file`, PEM.
    pub key_file: Option<NamedFile>,
}

/// What happens to limits while a Redis store is unreachable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStoreError {
    /// Each gateway counts on its own, starting from what it last saw in the store. A limit is never open.
    #[default]
    Local,
    /// Requests are rejected with 503.
    Refuse,
}

/// A request and the response it must get.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// What the test shows, as a sentence.
    #[serde(default)]
    pub name: Option<String>,
    /// The request.
    pub request: TestRequest,
    /// What the response must be.
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
    /// Header fields. Values are secrets and never shown.
    #[serde(default)]
    pub headers: Named<Secret>,
    /// Claims of a token that counts as verified.
    #[serde(default)]
    pub claims: Named<serde_json::Value>,
}

/// What the response of a test must be.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestExpectation {
    /// The status code.
    #[serde(default)]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u16>,
    /// The route that matches.
    #[serde(default)]
    pub route: Option<String>,
    /// The plugin that rejects or responds.
    #[serde(default)]
    pub plugin: Option<String>,
}
