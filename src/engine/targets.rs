//! Targets: how each kind of target is described, what it limits, what it reaches, and how it responds.

mod forwarding;
mod openapi;
mod redirect;
mod resource;
mod respond;
mod service;
mod sign_in;
mod split;
mod upstream;

use crate::config::document::Document;
use crate::config::document::route::{Route, Target};
use crate::counters;
use crate::engine::chain::Plugins;
use crate::engine::openapi::Descriptions;
use crate::engine::plan::{Below, PlannedTarget};
use crate::engine::reach::{self, Reach};
use crate::engine::router::Pattern;
use crate::resource::model::Model;
use crate::resource::model::served::Served;
use crate::resource::{Api, Deciding};
use crate::upstream::{Compiled, Copies, Upstream};
use gatewright_sdk::{CheckContext, Fault, HttpService, Keep, Usages};
use http::Method;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// The target of one route.
pub trait RouteTarget {
    /// Compiles it. `Ok(None)` if what it names does not exist or is not implemented, which was reported when the file
    /// was checked.
    ///
    /// # Errors
    /// All faults, with paths relative to the settings of the target.
    fn compile(&self, with: &TargetContext<'_>) -> Result<Option<Act>, Vec<Fault>>;

    /// What the operator should know about it, with paths relative to the settings of the target.
    fn warnings(&self, _with: &TargetContext<'_>) -> Vec<Fault> {
        Vec::new()
    }

    /// Describes it for the plan.
    fn plan(&self, document: &Document) -> PlannedTarget;

    /// What requests reach through it. Two routes that reach the same target must require the same credentials, or one
    /// of them bypasses the other.
    fn reach(&self, reached: &mut Reached<'_>) -> Arc<Reach>;

    /// Whether it authenticates requests with `method` for a path of `pattern` itself, or rejects them all.
    fn asks_who(&self, _method: &Method, _pattern: &Pattern, _reached: &Reached<'_>) -> bool {
        false
    }

    /// What it serves below the path of its route.
    fn below(&self, _document: &Document) -> Below {
        Below::Nothing
    }
}

/// The target of `route`, which is called `at`, written as `target`.
pub fn of<'a>(at: &'a str, route: &'a Route, target: Target<'a>) -> Box<dyn RouteTarget + 'a> {
    match target {
        Target::Resource(name) => Box::new(resource::Target { name, route }),
        Target::Upstream(name) => Box::new(upstream::Target { at, name, route }),
        Target::Split(shares) => Box::new(split::Target { at, shares, route }),
        Target::Respond(respond) => Box::new(respond::Target { respond }),
        Target::Redirect(redirect) => Box::new(redirect::Target { redirect, route }),
        Target::SignIn(settings) => Box::new(sign_in::Target { at, settings, route }),
        Target::Service(name) => Box::new(service::Target { name }),
        Target::OpenApi(settings) => Box::new(openapi::Target { at, settings }),
    }
}

/// What targets need to compile.
pub struct TargetContext<'a> {
    /// The services compiled into the program.
    pub services: &'a BTreeMap<String, HttpService>,
    pub check: &'a CheckContext<'a>,
    pub document: &'a Document,
    /// The resources without faults, by name.
    pub models: &'a [(String, Arc<Model>)],
    /// The routes to them, as far as callers without a permission of their own can use them.
    pub open: &'a Served<'a>,
    /// The claims by which the document decides.
    pub deciding: &'a Deciding,
    pub plugins: &'a Plugins,
}

/// What targets reach. Values are shared, because many routes lead to the same target.
pub struct Reached<'a> {
    models: &'a [(String, Arc<Model>)],
    upstreams: &'a HashMap<String, Compiled>,
    /// Relative paths of Unix sockets are resolved against it.
    folder: &'a Path,
    known: HashMap<String, Arc<Reach>>,
}

impl<'a> Reached<'a> {
    pub fn new(models: &'a [(String, Arc<Model>)], upstreams: &'a HashMap<String, Compiled>, folder: &'a Path) -> Self {
        Self { models, upstreams, folder, known: HashMap::new() }
    }

    fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|(known, _)| known == name).map(|(_, model)| &**model)
    }

    /// What targets with this key reach.
    fn once(&mut self, key: &str, make: impl FnOnce(&Self) -> Reach) -> Arc<Reach> {
        if let Some(known) = self.known.get(key) {
            return Arc::clone(known);
        }
        let reach = Arc::new(make(self));
        self.known.insert(key.to_owned(), Arc::clone(&reach));
        reach
    }

    /// What targets reach that serve requests themselves.
    fn nothing(&mut self) -> Arc<Reach> {
        self.once("", |_| Reach::below_prefix(Vec::new(), ""))
    }

    /// The servers of an upstream.
    fn servers(&self, name: &str) -> Vec<reach::Target> {
        let servers = self.upstreams.get(name).into_iter().flat_map(Compiled::servers);
        servers.map(|url| reach::Target::server(url, self.folder)).collect()
    }
}

/// How a target responds.
pub enum Act {
    /// Needs nothing that is installed.
    Ready(HttpService),
    /// Uses what is installed.
    With(Box<Install>),
}

/// Builds the service from what is installed, if that exists.
type Install = dyn Fn(&Installed<'_>) -> Option<HttpService> + Send + Sync;

/// What targets are installed with.
pub struct Installed<'a> {
    /// The APIs of resources, by name.
    pub resources: HashMap<String, Arc<Api>>,
    pub upstreams: BTreeMap<String, Arc<Upstream>>,
    /// The copies of requests in progress.
    pub copies: Arc<Copies>,
    pub keep: &'a Keep,
    /// What the admin API shows of limits.
    pub usages: &'a Usages,
    /// The stores that count, by name.
    pub counting: &'a BTreeMap<String, Arc<counters::Store>>,
    /// Puts a plugin, by name, in front of a service of a route.
    pub behind: &'a Behind<'a>,
    /// The descriptions of what listeners serve.
    pub descriptions: Descriptions<'a>,
    pub generation: u64,
}

/// Puts the plugin with this name in front of a service of the route with this name.
pub type Behind<'a> = dyn Fn(&str, &str, HttpService) -> HttpService + 'a;

impl Act {
    /// The service; `None` if what it names could not be installed.
    pub fn install(&self, installed: &Installed<'_>) -> Option<HttpService> {
        match self {
            Self::Ready(service) => Some(service.clone()),
            Self::With(install) => install(installed),
        }
    }
}
