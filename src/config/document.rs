//! The document: the content of the YAML, as types. Field names are YAML keys, doc comments are the manual.

pub mod address;
pub mod chain;
pub mod cookie_name;
pub mod dns;
pub mod field_name;
pub mod fields;
pub mod host;
pub mod listener;
pub mod maintenance;
pub mod path_to;
pub mod paths;
pub mod percent;
pub mod postgres_url;
pub mod process;
pub mod receiver_url;
pub mod redirect_to;
pub mod resource;
pub mod route;
pub mod server_url;
pub mod socket_mode;
pub mod store_url;
pub mod telemetry;
pub mod trusted_proxy;
pub mod upgrade;
pub mod upstream;

use crate::config::named::Named;
use chain::{ChainEntry, PluginSpec};
use dns::Dns;
use listener::Listener;
use maintenance::Maintenance;
use process::{Admin, Errors, Health, Reload, Shutdown, StoreSpec, TestCase};
use resource::Resource;
use route::Route;
use schemars::JsonSchema;
use serde::Deserialize;
use telemetry::Telemetry;
use upstream::Upstream;

/// The configuration of gatewright.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The version of the format. This gatewright reads version 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// More files to read, as paths or patterns (`*`, `?`, `[a-z]`, `{a,b}`) relative to this file. Their sections are
    /// merged with the ones in this file; a name may be defined only once across all files.
    #[serde(default)]
    pub include: Vec<String>,
    /// How the gateway detects and applies edits to the configuration.
    #[serde(default)]
    pub reload: Reload,
    /// How the process shuts down after SIGTERM or Ctrl-C.
    #[serde(default)]
    pub shutdown: Shutdown,
    /// The admin API: status, the running configuration, reload. Without this section there is no admin API.
    #[serde(default)]
    pub admin: Option<Admin>,
    /// The health endpoints of the gateway itself. They are served on every listener, before any route.
    #[serde(default)]
    pub health: Health,
    /// The format of error responses.
    #[serde(default)]
    pub errors: Errors,
    /// The maintenance mode: every request gets 503, except for health endpoints and the admin API.
    #[serde(default)]
    pub maintenance: Maintenance,
    /// Where this gateway runs. `production` rejects publicly known secrets, and public writes that are not explicitly
    /// allowed.
    #[serde(default)]
    #[schemars(extend("x-values" = [
        ["development", "For development: publicly known secrets and public writes are warnings. The default."],
        ["test", "Like `development`, for tests."],
        ["staging", "Like `development`, for staging."],
        ["production", "For production: publicly known secrets are rejected, and public writes must be explicit."]
    ]))]
    pub environment: Option<String>,
    /// The addresses to accept connections on, by name.
    pub listeners: Named<Listener>,
    /// Traces, metrics and logs.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// How the names in the `url` of targets are looked up.
    #[serde(default)]
    pub dns: Dns,
    /// Where state is kept, by name: databases for the data of resources, and Redis servers for limits that several
    /// gateways share.
    #[serde(default)]
    pub stores: Named<StoreSpec>,
    /// Plugins, by name. Each is configured once and used by name in chains and routes: `name: { type: { settings } }`.
    #[serde(default)]
    pub plugins: Named<PluginSpec>,
    /// Ordered lists of plugins, by name. Plugins run in the order in which they are listed; responses pass them in
    /// reverse.
    #[serde(default)]
    pub chains: Named<Vec<ChainEntry>>,
    /// Groups of servers to proxy requests to, by name.
    #[serde(default)]
    pub upstreams: Named<Upstream>,
    /// REST resources, by name. Each is a table with an API to list, read, create, update and delete its items.
    #[serde(default)]
    pub resources: Named<Resource>,
    /// Which requests go to which target, by name.
    #[serde(default)]
    pub routes: Named<Route>,
    /// Requests and the responses they must get; run by `gatewright test`.
    #[serde(default)]
    pub tests: Vec<TestCase>,
}

impl Document {
    /// The document without its routes.
    #[must_use]
    pub fn without_routes(&self) -> Self {
        Self {
            version: self.version,
            include: self.include.clone(),
            reload: self.reload.clone(),
            shutdown: self.shutdown.clone(),
            admin: self.admin.clone(),
            health: self.health.clone(),
            errors: self.errors.clone(),
            maintenance: self.maintenance.clone(),
            environment: self.environment.clone(),
            listeners: self.listeners.clone(),
            telemetry: self.telemetry.clone(),
            dns: self.dns.clone(),
            stores: self.stores.clone(),
            plugins: self.plugins.clone(),
            chains: self.chains.clone(),
            upstreams: self.upstreams.clone(),
            resources: self.resources.clone(),
            routes: Named::default(),
            tests: self.tests.clone(),
        }
    }

    /// Whether `environment` is production.
    pub fn is_production(&self) -> bool {
        self.environment.as_deref() == Some("production")
    }
}
