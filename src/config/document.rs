//! The document: the content of the YAML, as types. Field names are YAML keys, doc comments are the manual.

pub mod address;
pub mod chain;
pub mod field_name;
pub mod fields;
pub mod host;
pub mod listener;
pub mod method;
pub mod network;
pub mod paths;
pub mod process;
pub mod receiver_url;
pub mod redirect_to;
pub mod resource;
pub mod route;
pub mod server_url;
pub mod store_url;
pub mod telemetry;
pub mod upstream;

use crate::config::named::Named;
use chain::{ChainEntry, PluginSpec};
use listener::Listener;
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
    /// Version of the format. This gatewright reads version 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Further files, as paths or patterns (`*`, `?`, `[a-z]`, `{a,b}`) relative to this file; their maps are joined with
    /// those written here.
    #[serde(default)]
    pub include: Vec<String>,
    /// How an edited file is applied.
    #[serde(default)]
    pub reload: Reload,
    /// What happens after SIGTERM.
    #[serde(default)]
    pub shutdown: Shutdown,
    /// The admin address. Without this key there is none.
    #[serde(default)]
    pub admin: Option<Admin>,
    /// Paths that answer about the gateway itself, on every listener.
    #[serde(default)]
    pub health: Health,
    /// The form of error answers.
    #[serde(default)]
    pub errors: Errors,
    /// `production`, `staging`, `test` or `development`. `production` refuses known-weak secrets and public writes without a
    /// confirmation.
    #[serde(default)]
    pub environment: Option<String>,
    /// Addresses to accept connections on, by name.
    pub listeners: Named<Listener>,
    /// Traces and logs.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// Where state is kept, by name.
    #[serde(default)]
    pub stores: Named<StoreSpec>,
    /// Plugins, configured once, by name: `name: { type: { settings } }`.
    #[serde(default)]
    pub plugins: Named<PluginSpec>,
    /// Ordered lists of plugins, by name. Written order is execution order.
    #[serde(default)]
    pub chains: Named<Vec<ChainEntry>>,
    /// Groups of servers to proxy to, by name.
    #[serde(default)]
    pub upstreams: Named<Upstream>,
    /// REST resources, by name.
    #[serde(default)]
    pub resources: Named<Resource>,
    /// Which request goes where, by name.
    #[serde(default)]
    pub routes: Named<Route>,
    /// Requests and the answers they must get; run by `gatewright test`.
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
            environment: self.environment.clone(),
            listeners: self.listeners.clone(),
            telemetry: self.telemetry.clone(),
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
