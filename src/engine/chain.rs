//! Chains: the plugins that each part of the file adds, whether their order is valid, and how they are installed.

mod alone;
mod any_of;
mod context;
mod fields;
mod order;
mod steps;
mod stores;

pub use context::InstallContext;
use order::Order;
pub use steps::{StepMaker, Steps};

use crate::config::document::Document;
use crate::config::document::chain::{ChainEntry, Mode, PluginSpec};
use crate::config::document::route::Route;
use crate::config::named::Named;
use crate::engine::faults::Faults;
use crate::engine::registry::Registry;
use crate::telemetry::{PluginLabel, probe};
use gatewright_sdk::fields::{NamedField, Use};
use gatewright_sdk::{
    Act, CheckContext, Code, Compiled, Condition, Conditional, Fault, HttpService, TokenSigner, Traits,
};
use http::HeaderName;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A configured plugin with its settings validated.
struct Configured {
    /// Its path in the document: `plugins.login.jwt`.
    path: String,
    /// Its type: `jwt`.
    kind: String,
    /// Its settings as parsed.
    settings: Value,
    traits: Traits,
    /// Its behavior, unless its settings have faults.
    act: Option<Act>,
    /// Whether its settings are so faulty that what it provides is unknown.
    unknown: bool,
    /// The plugins of which one decides in its place.
    members: Option<Vec<String>>,
    /// Signs tokens that it accepts, if it can.
    signer: Option<Arc<TokenSigner>>,
}

impl Configured {
    /// Adds its faults to `faults`.
    fn new(path: String, kind: &str, (settings, compiled): (Value, Compiled), faults: &mut Faults<'_>) -> Self {
        let Compiled { traits, act, faults: found, warnings, signer } = compiled;
        let unknown = act.is_none() && traits.provides.is_empty();
        let members = if let Some(Act::AnyOf(names)) = &act { Some(names.clone()) } else { None };
        let act = act.filter(|_| found.is_empty());
        found.into_iter().for_each(|fault| faults.add(&path, fault));
        warnings.into_iter().for_each(|warning| faults.warn(&path, warning));
        Self { path, kind: kind.to_owned(), settings, traits, act, unknown, members, signer }
    }
}

/// All configured plugins by name, and those that run where the file names no chain.
pub struct Plugins {
    configured: HashMap<String, Configured>,
    /// By type, in order. Kept apart from `configured` so that their names cannot collide with names in the file.
    defaults: Vec<(&'static str, Configured)>,
}

/// One plugin at one position in a chain.
#[derive(Clone)]
pub struct Step {
    /// The plugin's name.
    pub plugin: String,
    /// Where the file names it: `chains.edge[0]`.
    pub path: String,
    /// Whether it runs because the file names no chain; `plugin` is then its type.
    by_default: bool,
    /// The condition under which it runs.
    pub when: Option<Condition>,
    /// Whether it only observes.
    pub observes: bool,
}

impl Step {
    fn new(plugin: &str, path: String) -> Self {
        Self { plugin: plugin.to_owned(), path, by_default: false, when: None, observes: false }
    }

    /// Whether it decides about every request.
    pub const fn always_decides(&self) -> bool {
        !self.observes && self.when.is_none()
    }

    /// Its path and a label, for the related place of a diagnostic.
    fn here(&self) -> Option<(&str, String)> {
        let of = if self.by_default { " of the default chain" } else { "" };
        Some((&self.path, format!("`{}`{of} runs here", self.plugin)))
    }
}

impl Plugins {
    /// Compiles every plugin once and collects all faults.
    pub fn compile(
        document: &Document,
        registry: &Registry,
        check: &CheckContext<'_>,
        faults: &mut Faults<'_>,
    ) -> Self {
        let by_default = |name: &&'static str| {
            let compiled = registry.get(name)?.compile(serde_json::json!({}), check);
            Some((*name, Configured::new("plugins".into(), name, compiled, faults)))
        };
        let defaults = registry.default_chain().iter().filter_map(by_default).collect();
        let mut configured = HashMap::new();
        for (name, spec) in document.plugins.iter() {
            let path = format!("plugins.{name}.{}", spec.kind);
            // An unknown type was reported when the file was read.
            let Some(kind) = registry.get(&spec.kind) else { continue };
            let compiled = guarded(|| kind.compile(spec.settings.clone(), check));
            let compiled = compiled.unwrap_or_else(|fault| (Value::Null, fault.into()));
            configured.insert(name.to_owned(), Configured::new(path, &spec.kind, compiled, faults));
        }
        let mut plugins = Self { configured, defaults };
        plugins.join_members(faults);
        plugins
    }

    /// The settings of the plugins in `document`, as parsed.
    pub fn settings(&self, document: &Document) -> Named<PluginSpec> {
        let parsed = |name: &str| {
            let Configured { kind, settings, .. } = self.configured.get(name)?;
            Some((name.to_owned(), PluginSpec { kind: kind.clone(), settings: settings.clone() }))
        };
        document.plugins.names().filter_map(parsed).collect()
    }

    fn get(&self, step: &Step) -> Option<&Configured> {
        if step.by_default {
            self.defaults.iter().find(|(kind, _)| *kind == step.plugin).map(|(_, configured)| configured)
        } else {
            self.configured.get(&step.plugin)
        }
    }

    /// Response headers that plugins make readable for scripts.
    pub fn exposes(&self) -> Vec<String> {
        let defaults = self.defaults.iter().map(|(_, configured)| configured);
        self.configured
            .values()
            .chain(defaults)
            .flat_map(|configured| configured.traits.exposes.iter().cloned())
            .collect()
    }

    /// A configured plugin that provides `what`, for use in help texts.
    pub fn provider(&self, what: &str) -> Option<&str> {
        self.first(|traits| traits.provides.contains(&what))
    }

    /// The configured plugin with the alphabetically first name among those for which `is` holds.
    pub fn first(&self, is: impl Fn(&Traits) -> bool) -> Option<&str> {
        let fitting = self.configured.iter().filter(|(_, configured)| is(&configured.traits));
        fitting.map(|(name, _)| name.as_str()).min()
    }

    /// The traits of the plugin of a step, and its path in the document. A step that only observes has none.
    pub fn traits(&self, step: &Step) -> Option<(&Traits, &str)> {
        self.get(step).filter(|_| !step.observes).map(|configured| (&configured.traits, &*configured.path))
    }

    /// Every configured plugin: its name, traits and path in the document.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Traits, &str)> {
        self.configured.iter().map(|(name, plugin)| (name.as_str(), &plugin.traits, plugin.path.as_str()))
    }

    /// The traits of the plugin with this name.
    pub fn named(&self, name: &str) -> Option<&Traits> {
        self.configured.get(name).map(|configured| &configured.traits)
    }

    /// The steps that run for the health paths: all but the guards.
    pub fn without_guards(&self, steps: &[Step]) -> Vec<Step> {
        let guards = |step: &&Step| self.get(step).is_some_and(|configured| configured.traits.guard());
        steps.iter().filter(|step| !guards(step)).cloned().collect()
    }

    /// The steps that a response needs even if the request is rejected in front of the chain: those that assign request
    /// ids, CORS, without which scripts cannot read the response, and those that set header fields of responses. All are
    /// cheap.
    pub fn on_rejections(&self, steps: &[Step]) -> Vec<Step> {
        let on_response = |field: &NamedField| matches!(field.used, Use::Response | Use::Removal);
        let needed = |traits: &Traits| {
            !traits.guard()
                && (traits.request_id_header.is_some()
                    || traits.answers_preflights
                    || traits.fields.iter().any(on_response))
        };
        steps.iter().filter(|step| self.get(step).is_some_and(|c| needed(&c.traits))).cloned().collect()
    }

    /// The header fields in which `steps` return the request id, those of the last step first.
    pub fn request_id_headers(&self, steps: &[Step]) -> Vec<HeaderName> {
        steps.iter().rev().filter_map(|step| self.get(step)?.traits.request_id_header.clone()).collect()
    }

    pub fn of_listener(&self, document: &Document, name: &str, chain: Option<&str>) -> Vec<Step> {
        match chain {
            Some(chain) => of_chain(document, chain),
            None => {
                let path = format!("listeners.{name}");
                let kinds = self.defaults.iter().map(|(kind, _)| *kind);
                kinds.map(|kind| Step { by_default: true, ..Step::new(kind, path.clone()) }).collect()
            }
        }
    }

    /// The steps whose plugins reject requests by identity, rate or origin.
    pub fn guards<'a>(&self, steps: &'a [Step]) -> impl Iterator<Item = &'a Step> {
        let guards = |step: &&Step| self.get(step).is_some_and(|configured| configured.traits.guard());
        steps.iter().filter(|step| !step.observes).filter(guards)
    }

    /// The plugins among the steps that requests must not bypass: those that authenticate, or filter by origin.
    pub fn protecting<'a>(&self, steps: &'a [Step]) -> impl Iterator<Item = &'a str> {
        let protects = |step: &&Step| {
            step.always_decides() && self.get(step).is_some_and(|configured| configured.traits.protects())
        };
        steps.iter().filter(protects).map(|step| &*step.plugin)
    }

    /// Whether one of the steps handles CORS preflight requests.
    pub fn answer_preflights(&self, steps: &[Step]) -> bool {
        steps.iter().any(|step| self.get(step).is_some_and(|c| c.traits.answers_preflights))
    }

    /// Wraps `service` in `steps`, the first outermost.
    pub fn install(
        &self,
        steps: &[Step],
        place_name: &str,
        context: &InstallContext<'_>,
        service: HttpService,
        faults: &mut Faults<'_>,
    ) -> HttpService {
        let probes = context.probes;
        // One more probe behind the last plugin marks the end of its request phase.
        let service = if probes && !steps.is_empty() { probe(None, service) } else { service };
        steps.iter().rev().fold(service, |next, step| {
            let Some(configured) = self.get(step) else { return next };
            let Some(act) = &configured.act else { return next };
            let name = format!("{place_name}/{}", step.plugin);
            let place = context.place(&name, &step.plugin);
            let members = |names: &[String]| self.members(names, place_name, context);
            let plugin = |next| act.install(&place, members, step.observes, next);
            match guarded(|| conditional(step, &place, plugin, next.clone())) {
                Ok(service) if probes => probe(Some(PluginLabel::new(&step.plugin, &configured.kind, &name)), service),
                Ok(service) => service,
                Err(fault) => {
                    faults.add(&configured.path, fault);
                    next
                }
            }
        })
    }
}

/// Installs a plugin in front of `next` under the condition of its step, if there is one.
fn conditional(
    step: &Step,
    place: &gatewright_sdk::Place<'_>,
    plugin: impl FnOnce(HttpService) -> HttpService,
    next: HttpService,
) -> HttpService {
    let Some(condition) = step.when.clone() else { return plugin(next) };
    let observed = step.observes.then(|| place.observed());
    let (place, otherwise) = (place.name.into(), next.clone());
    Conditional { condition, place, then: plugin(next), otherwise, observed }.into_service()
}

/// Turns a panic in a plugin's code into a fault of that plugin.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        Fault::new("", "the plugin panicked while reading these settings")
            .code(Code::PLUGIN_PANICKED)
            .help("report this to the author of the plugin")
    })
}

/// Checks every chain that a request can pass: the order of plugins, and the header fields they name.
pub fn check(document: &Document, plugins: &Plugins, faults: &mut Faults<'_>) {
    let mut reported = HashSet::new();
    for (listener_name, listener) in document.listeners.iter() {
        let outer = plugins.of_listener(document, listener_name, listener.chain.as_deref());
        plugins.check_order(&Order::of(&outer), &mut reported, faults);
        plugins.check_fields(&outer, None, &mut reported, faults);
        let serves = |route: &Route| route.listeners.is_empty() || route.listeners.iter().any(|on| on == listener_name);
        for (name, route) in document.routes.iter().filter(|(_, route)| serves(route)) {
            let (inner, removed) = (of_route(document, name, route), removed_of_route(name, route));
            let order = Order { outer: &outer, inner: &inner, removed: &removed };
            plugins.check_order(&order, &mut reported, faults);
            let whole: Vec<_> = outer.iter().chain(&inner).cloned().collect();
            plugins.check_fields(&whole, Some((name, route)), &mut reported, faults);
        }
    }
    // Chains that nothing uses yet are checked on their own.
    let used: HashSet<_> = (document.listeners.iter().filter_map(|(_, l)| l.chain.as_deref()))
        .chain(document.routes.iter().filter_map(|(_, r)| r.chain.as_deref()))
        .collect();
    for name in document.chains.names().filter(|name| !used.contains(name)) {
        let steps = of_chain(document, name);
        plugins.check_order(&Order::of(&steps), &mut reported, faults);
        plugins.check_fields(&steps, None, &mut reported, faults);
    }
}

/// The steps of a route: its chain without `without`, then its own plugins.
pub fn of_route(document: &Document, name: &str, route: &Route) -> Vec<Step> {
    let mut steps = route.chain.as_deref().map(|chain| of_chain(document, chain)).unwrap_or_default();
    steps.retain(|step| !route.without.contains(&step.plugin));
    steps.extend(entries(&route.plugins, &format!("routes.{name}.plugins")));
    steps
}

/// The steps that a route's `without` removes from its chain.
pub fn removed_of_route(name: &str, route: &Route) -> Vec<Step> {
    let step = |(index, plugin): (usize, &String)| Step::new(plugin, format!("routes.{name}.without[{index}]"));
    route.without.iter().enumerate().map(step).collect()
}

fn of_chain(document: &Document, chain: &str) -> Vec<Step> {
    document.chains.get(chain).map(|list| entries(list, &format!("chains.{chain}"))).unwrap_or_default()
}

fn entries(list: &[ChainEntry], path: &str) -> Vec<Step> {
    let step = |(index, entry): (usize, &ChainEntry)| {
        let (when, observes) = (entry.when.clone(), entry.mode == Some(Mode::Observe));
        Step { when, observes, ..Step::new(&entry.plugin, format!("{path}[{index}]")) }
    };
    list.iter().enumerate().map(step).collect()
}
