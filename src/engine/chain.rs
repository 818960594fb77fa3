//! Plugins in order: what each place in the file adds to a chain, whether the order holds, and the chain itself.

use crate::config::document::Document;
use crate::config::document::chain::ChainEntry;
use crate::config::document::route::Route;
use crate::engine::build::Faults;
use crate::engine::registry::Registry;
use crate::telemetry::{PluginLabel, probe};
use gatewright_sdk::plugin::Setting;
use gatewright_sdk::{Context, Fault, HttpService, IDENTITY, Install, Keep};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What runs on a listener that names no chain.
pub const DEFAULT_CHAIN: [&str; 3] = ["request_id", "compression", "timeout"];

/// A configured plugin, read and judged.
struct Configured {
    /// Its path in the document: `plugins.login.jwt`.
    path: String,
    /// Its type: `jwt`.
    kind: String,
    install: Box<dyn Install>,
    /// Whether its settings have no fault: others cannot be installed.
    sound: bool,
}

/// All configured plugins by name.
pub struct Plugins(HashMap<String, Configured>);

/// What chains are installed in.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    pub keep: &'a Keep,
    pub setting: &'a Setting<'a>,
    /// Response headers that scripts shall be able to read.
    pub exposed: &'a [String],
    /// Whether plugins may have spans.
    pub probes: bool,
}

/// One plugin at one point of a chain.
#[derive(Clone)]
pub struct Step {
    /// The plugin's name.
    pub plugin: String,
    /// Where the file says so: `chains.edge[0]`.
    pub path: String,
}

impl Plugins {
    /// Reads the settings of every plugin; collects all faults.
    pub fn read(document: &Document, registry: &Registry, setting: &Setting<'_>, faults: &mut Faults<'_>) -> Self {
        let mut plugins = HashMap::new();
        let defaults = DEFAULT_CHAIN.iter().map(|kind| ((*kind).to_owned(), *kind, serde_json::json!({})));
        for (name, kind, settings) in defaults {
            if let Some(Ok(install)) = registry.get(kind).map(|kind| kind.parse(settings)) {
                plugins.insert(
                    name.clone(),
                    Configured { path: "plugins".into(), kind: kind.into(), install, sound: true },
                );
            }
        }
        for (name, spec) in document.plugins.iter() {
            let path = format!("plugins.{name}.{}", spec.kind);
            // An unknown type was reported when the file was read.
            let Some(kind) = registry.get(&spec.kind) else { continue };
            match guarded(|| kind.parse(spec.settings.clone())) {
                Err(fault) => faults.add(&path, fault),
                Ok(install) => {
                    let found = guarded(|| Ok(install.validate(setting))).unwrap_or_else(|fault| vec![fault]);
                    let sound = found.is_empty();
                    found.into_iter().for_each(|fault| faults.add(&path, fault));
                    for warning in install.warnings(setting) {
                        faults.warn(&path, warning);
                    }
                    plugins.insert(name.to_owned(), Configured { path, kind: spec.kind.clone(), install, sound });
                }
            }
        }
        Self(plugins)
    }

    /// Response headers that scripts shall be able to read because of plugins.
    pub fn exposes(&self) -> Vec<String> {
        self.0.values().flat_map(|configured| configured.install.exposes()).collect()
    }

    /// Says for each step what it lacks before it, and what it must stand before. `outer` has run already; `removed`
    /// are the steps that a route took out of its chain.
    pub fn check_order(
        &self,
        outer: &[Step],
        inner: &[Step],
        removed: &[Step],
        reported: &mut HashSet<String>,
        faults: &mut Faults<'_>,
    ) {
        let mut provided: Vec<(&'static str, &Step)> = Vec::new();
        // A plugin with faults of its own may provide anything.
        let mut unknown = false;
        for (position, step) in outer.iter().chain(inner).enumerate() {
            let Some(configured) = self.0.get(&step.plugin) else {
                unknown = true;
                continue;
            };
            for missing in configured.install.requires() {
                if unknown || provided.iter().any(|(what, _)| what == missing) {
                    continue;
                }
                if let Some(gone) = removed.iter().find(|gone| self.provides(gone, missing)) {
                    if reported.insert(format!("{} {}", gone.path, step.path)) {
                        let message =
                            format!("`{}` needs {}, and `{}` is taken out", step.plugin, need(missing), gone.plugin);
                        let help = format!("take `{}` out too, or leave `{}` in", step.plugin, gone.plugin);
                        faults.add_related(&gone.path, Fault::new("", message).help(help), Some(step));
                    }
                } else if reported.insert(step.path.clone()) {
                    let later =
                        outer.iter().chain(inner).skip(position + 1).find(|other| self.provides(other, missing));
                    faults.add_related(&step.path, lacks(&step.plugin, missing, later, self.provider(missing)), later);
                }
            }
            for late in configured.install.stands_before() {
                if let Some((_, earlier)) = provided.iter().find(|(what, _)| what == late)
                    && reported.insert(step.path.clone())
                {
                    let message = format!("`{}` must stand before `{}`", step.plugin, earlier.plugin);
                    let help = format!("a browser's preflight carries no token: move `{}` in front", step.plugin);
                    faults.add_related(&step.path, Fault::new("", message).help(help), Some(earlier));
                }
            }
            provided.extend(configured.install.provides().iter().map(|what| (*what, step)));
        }
    }

    fn provides(&self, step: &Step, what: &str) -> bool {
        self.0.get(&step.plugin).is_some_and(|configured| configured.install.provides().contains(&what))
    }

    /// A configured plugin that provides `what`, to be named in a help.
    fn provider(&self, what: &str) -> Option<&str> {
        let mut names: Vec<_> = self
            .0
            .iter()
            .filter(|(_, c)| c.install.provides().contains(&what))
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        names.first().copied()
    }

    /// The steps that the health paths pass: all but those that refuse by who asks or how often.
    pub fn without_guards(&self, steps: &[Step]) -> Vec<Step> {
        let guards = |step: &&Step| self.0.get(&step.plugin).is_some_and(|configured| configured.install.guards());
        steps.iter().filter(|step| !guards(step)).cloned().collect()
    }

    /// The steps whose plugins are of one type.
    pub fn of_kind(&self, kind: &str, steps: &[Step]) -> Vec<Step> {
        let is = |step: &&Step| self.0.get(&step.plugin).is_some_and(|configured| configured.kind == kind);
        steps.iter().filter(is).cloned().collect()
    }

    /// Puts `steps` in front of `service`, the first outermost.
    pub fn install(
        &self,
        steps: &[Step],
        place: &str,
        surroundings: &Surroundings<'_>,
        service: HttpService,
        faults: &mut Faults<'_>,
    ) -> HttpService {
        let Surroundings { keep, setting, exposed, probes } = *surroundings;
        // Behind the last plugin, too: that is where its request phase ends.
        let service = if probes && !steps.is_empty() { probe(None, service) } else { service };
        steps.iter().rev().fold(service, |next, step| {
            let Some(configured) = self.0.get(&step.plugin).filter(|configured| configured.sound) else { return next };
            let place = format!("{place}/{}", step.plugin);
            let context = Context { place: &place, keep, setting, exposed };
            match guarded(|| configured.install.install(&context, next.clone())) {
                Ok(service) if probes => probe(Some(PluginLabel::new(&step.plugin, &configured.kind, &place)), service),
                Ok(service) => service,
                Err(fault) => {
                    faults.add(&configured.path, fault);
                    next
                }
            }
        })
    }
}

/// A panic in a plugin's code is a fault of that plugin, never the end of the process.
fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Fault::new("", "the plugin panicked on these settings").help("report this to its author"))
    })
}

fn need(what: &str) -> &str {
    if what == IDENTITY { "a verified identity" } else { what }
}

fn lacks(plugin: &str, what: &str, later: Option<&Step>, provider: Option<&str>) -> Fault {
    let fault = Fault::new("", format!("`{plugin}` needs {}, which nothing before it provides", need(what)));
    match (later, provider) {
        (Some(later), _) => fault.help(format!("`{}` stands after it: move `{plugin}` behind it", later.plugin)),
        (None, Some(provider)) => fault.help(format!("put `{provider}` in front of it")),
        (None, None) => fault.help("configure a `jwt` plugin and put it in front of it"),
    }
}

/// The steps of a listener.
pub fn of_listener(document: &Document, name: &str, chain: Option<&str>) -> Vec<Step> {
    match chain {
        Some(chain) => of_chain(document, chain),
        None => {
            let path = format!("listeners.{name}");
            DEFAULT_CHAIN.iter().map(|kind| Step { plugin: (*kind).to_owned(), path: path.clone() }).collect()
        }
    }
}

/// The steps of a route: its chain less `without`, then its own plugins.
pub fn of_route(document: &Document, name: &str, route: &Route) -> Vec<Step> {
    let mut steps = route.chain.as_deref().map(|chain| of_chain(document, chain)).unwrap_or_default();
    steps.retain(|step| !route.without.contains(&step.plugin));
    steps.extend(entries(&route.plugins, &format!("routes.{name}.plugins")));
    steps
}

/// The steps that `without` of a route takes out of its chain.
pub fn removed_of_route(name: &str, route: &Route) -> Vec<Step> {
    let step = |(index, plugin): (usize, &String)| Step {
        plugin: plugin.clone(),
        path: format!("routes.{name}.without[{index}]"),
    };
    route.without.iter().enumerate().map(step).collect()
}

fn of_chain(document: &Document, chain: &str) -> Vec<Step> {
    document.chains.get(chain).map(|list| entries(list, &format!("chains.{chain}"))).unwrap_or_default()
}

fn entries(list: &[ChainEntry], path: &str) -> Vec<Step> {
    let step =
        |(index, entry): (usize, &ChainEntry)| Step { plugin: entry.plugin.clone(), path: format!("{path}[{index}]") };
    list.iter().enumerate().map(step).collect()
}
