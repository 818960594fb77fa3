//! The steps of a route or listener, with what is derived from them. Routes with the same chain share them, because a
//! file may contain many thousands of routes.

use super::{Plugins, Step};
use crate::config::document::Document;
use crate::config::document::route::Route;
use crate::config::sources::Sources;
use crate::engine::plan::{Place, PlannedStep, Protection, SetBound};
use gatewright_sdk::Traits;
use http::HeaderName;
use std::collections::HashMap;
use std::sync::Arc;

/// Steps in order, the first outermost.
pub struct Steps {
    pub list: Vec<Step>,
    /// As reported by the plan.
    pub planned: Arc<[PlannedStep]>,
    /// The plugins that reject requests by identity, rate or origin.
    pub guards: Arc<[Arc<str>]>,
    /// The plugins that requests must not bypass: those that authenticate, or filter by origin.
    pub protecting: Arc<[Arc<str>]>,
    /// The header fields in which they return the request id, those of the last step first.
    pub request_ids: Arc<[HeaderName]>,
    /// Whether one of them handles CORS preflight requests.
    pub answer_preflights: bool,
}

fn protection(traits: &Traits) -> Protection {
    match traits {
        Traits { admits_strangers: true, .. } => Protection::Known,
        Traits { provides: [_, ..], .. } => Protection::Callers,
        // What rejects everyone without an identity proves it as well, behind a plugin that lets them pass.
        Traits { requires: [_, ..], refuses_strangers: Some(_), .. } => Protection::Callers,
        Traits { restricts: true, .. } => Protection::Requests,
        _ => Protection::None,
    }
}

/// Creates each distinct list of steps once.
pub struct StepMaker<'a> {
    document: &'a Document,
    plugins: &'a Plugins,
    sources: &'a Sources,
    /// By chain and the plugins excluded from it.
    of_chains: HashMap<(Option<&'a str>, &'a [String]), Arc<Steps>>,
}

impl<'a> StepMaker<'a> {
    pub fn new(document: &'a Document, plugins: &'a Plugins, sources: &'a Sources) -> Self {
        Self { document, plugins, sources, of_chains: HashMap::new() }
    }

    pub fn of_route(&mut self, name: &str, route: &'a Route) -> Arc<Steps> {
        let make = |maker: &Self| Arc::new(maker.steps(super::of_route(maker.document, name, route)));
        if !route.plugins.is_empty() {
            return make(self);
        }
        let key = (route.chain.as_deref(), &*route.without);
        if let Some(known) = self.of_chains.get(&key) {
            return Arc::clone(known);
        }
        let made = make(self);
        self.of_chains.insert(key, Arc::clone(&made));
        made
    }

    /// A plugin that a target uses itself, which the key at `path` names.
    pub fn alone(&self, plugin: &str, path: String) -> PlannedStep {
        self.plan(&Step::new(plugin, path))
    }

    pub fn of_listener(&self, name: &str, chain: Option<&str>) -> Steps {
        self.steps(self.plugins.of_listener(self.document, name, chain))
    }

    fn steps(&self, list: Vec<Step>) -> Steps {
        let plugins = self.plugins;
        Steps {
            planned: list.iter().map(|step| self.plan(step)).collect(),
            guards: plugins.guards(&list).map(|step| Arc::from(&*step.plugin)).collect(),
            protecting: plugins.protecting(&list).map(Arc::from).collect(),
            request_ids: plugins.request_id_headers(&list).into(),
            answer_preflights: plugins.answer_preflights(&list),
            list,
        }
    }

    fn plan(&self, step: &Step) -> PlannedStep {
        let configured = self.plugins.get(step);
        let traits = configured.map(|configured| &configured.traits);
        // Plugins that run by default are listed under their listener.
        let base = configured.map_or("", |configured| if step.by_default { &step.path } else { &configured.path });
        let bounds = traits.iter().flat_map(|traits| &traits.bounds);
        let members = configured.and_then(|configured| configured.members.clone()).unwrap_or_default();
        let contracts = match traits {
            Some(traits) if members.is_empty() => vec![(step.plugin.clone(), traits.contract.clone())],
            _ => {
                let contract = |name: &String| Some((name.clone(), self.plugins.named(name)?.contract.clone()));
                members.iter().filter_map(contract).collect()
            }
        };
        PlannedStep {
            plugin: step.plugin.clone(),
            kind: configured.map(|configured| configured.kind.clone()).unwrap_or_default(),
            path: step.path.clone(),
            at: self.sources.locate(&step.path).map(Place),
            members,
            contracts,
            refuses_strangers: traits.is_some_and(|traits| traits.refuses_strangers.is_some()),
            protection: traits.filter(|_| step.always_decides()).map_or(Protection::None, protection),
            by_default: step.by_default,
            when: step.when.as_ref().map(ToString::to_string),
            observes: step.observes,
            counts_in: traits.and_then(|traits| Some(traits.counts_in.as_ref()?.name.clone())),
            answers_preflights: traits.is_some_and(|traits| traits.answers_preflights),
            bounds: bounds
                .map(|bound| SetBound { path: format!("{base}.{}", bound.path), limit: bound.limit })
                .collect(),
        }
    }
}
