//! Access rules that do not fit the plugins in front of them: an identity that no plugin proves, or a plugin that
//! rejects requests without one.

use super::Way;
use crate::config::document::resource::{Access, Operation};
use crate::config::words;
use crate::engine::compile::Compiled;
use crate::engine::faults::Faults;
use crate::resource::Demand;
use crate::resource::model::Model;
use gatewright_sdk::{Code, Fault, IDENTITY};
use std::collections::{HashMap, HashSet};

/// The operations, each with its key and the methods that invoke it.
pub(super) const OPERATIONS: [(Operation, &str, &[&str]); 6] = [
    (Operation::List, "list", &["GET", "HEAD"]),
    (Operation::Read, "read", &["GET", "HEAD"]),
    (Operation::Create, "create", &["POST"]),
    (Operation::Update, "update", &["PUT", "PATCH"]),
    (Operation::Delete, "delete", &["DELETE"]),
    (Operation::Restore, "restore", &["POST"]),
];

/// The access rules of a resource, all models by name, and the routes that lead to them.
struct Search<'a> {
    compiled: &'a Compiled,
    models: HashMap<&'a str, &'a Model>,
    reached: HashMap<(&'a str, usize), Reached<'a>>,
}

/// What all routes to one operation of a resource have in common.
struct Reached<'a> {
    /// The first route that leads to it.
    route: &'a str,
    /// Whether a plugin on one of the routes proves the identity.
    proven: bool,
    /// What rejects requests without credentials on every route so far: the plugin, its path, and the setting that
    /// would let them pass.
    barred: Option<(&'a str, &'a str, &'static str)>,
}

pub(super) fn check(compiled: &Compiled, ways: &[Way<'_>], faults: &mut Faults<'_>) {
    let models = compiled.parts.models.iter().map(|(name, model)| (&**name, &**model)).collect();
    let search = Search { compiled, models, reached: reached(compiled, ways) };
    for (name, spec) in compiled.plan.document.resources.iter() {
        search.of_resource(name, &spec.access, faults);
    }
    let mut proven: HashMap<&str, bool> = HashMap::new();
    for way in ways {
        *proven.entry(way.name).or_default() |= proves(compiled, *way);
    }
    let mut said = HashSet::new();
    for way in ways.iter().filter(|way| proven.get(way.name) == Some(&false)) {
        if said.insert(way.name) {
            search.of_route(*way, faults);
        }
    }
}

impl Search<'_> {
    fn of_resource(&self, name: &str, access: &Access, faults: &mut Faults<'_>) {
        let Some(model) = self.models.get(name) else { return };
        let (mut unproven, mut barred) = (Vec::new(), Vec::new());
        for (index, (operation, word, _)) in OPERATIONS.iter().enumerate() {
            let Some(reached) = self.reached.get(&(name, index)) else { continue };
            match (model.demand(*operation), reached.barred) {
                (Some(Demand::Identity), _) if !reached.proven => unproven.push((*word, reached.route)),
                (Some(Demand::Nothing), Some(bar)) => barred.push((*word, bar)),
                _ => {}
            }
        }
        if let Some((_, route)) = unproven.first() {
            let words: Vec<&str> = unproven.iter().map(|(word, _)| *word).collect();
            let (place, words) = (place(access, &words), words::or(&words));
            let message = format!(
                "no one can {words}: the rule requires an identity, but no plugin in front of the resource verifies one"
            );
            let help = format!("{}, or write `none` to deny everyone", self.put_a_plugin_into(route, faults));
            let fault = Fault::new(place, message).code(Code::NO_ONE_MAY).help(help);
            let (other, word) = (format!("routes.{route}"), format!("route `{route}` is defined here"));
            faults.warn_related(&format!("resources.{name}"), fault, Some((&other, word)));
        }
        if let Some((_, (plugin, at, way_out))) = barred.first() {
            let words: Vec<&str> = barred.iter().map(|(word, _)| *word).collect();
            let (place, words) = (place(access, &words), words::and(&words));
            let message = format!("anyone may {words}, but `{plugin}` rejects requests without credentials");
            let help = format!("write `authenticated`, or let these requests through `{plugin}`: {way_out}");
            let fault = Fault::new(place, message).code(Code::NOT_PUBLIC).help(help);
            faults.warn_related(&format!("resources.{name}"), fault, Some((at, format!("`{plugin}` is defined here"))));
        }
    }

    /// Warns of a route without an authenticating plugin to a target that another route reaches with one.
    fn of_route(&self, way: Way<'_>, faults: &mut Faults<'_>) {
        let Some(resource) = way.route.resource.as_deref() else { return };
        let Some(model) = self.models.get(resource) else { return };
        let taken = OPERATIONS.iter().enumerate().filter(|(_, (.., methods))| takes(way, methods));
        let demands = taken.filter_map(|(index, (operation, ..))| Some((index, model.demand(*operation)?)));
        let demands: Vec<_> = demands.collect();
        let closed = demands.iter().all(|(_, demand)| *demand >= Demand::Identity);
        let elsewhere = |(index, demand): &(usize, Demand)| {
            *demand == Demand::Identity && self.reached.get(&(resource, *index)).is_some_and(|reached| reached.proven)
        };
        if closed && demands.iter().any(elsewhere) {
            let message =
                format!("every request is rejected here: the access rules of `{resource}` require an identity");
            let fault =
                Fault::new("resource", message).code(Code::NO_ONE_MAY).help(self.put_a_plugin_into(way.name, faults));
            faults.warn(&format!("routes.{}", way.name), fault);
        }
    }

    /// The help for a route without a plugin that verifies an identity.
    fn put_a_plugin_into(&self, route: &str, faults: &mut Faults<'_>) -> String {
        if let Some(chain) = self.chain_for(route) {
            // One report is enough.
            let path = format!("chains.{chain}");
            faults.found.0.retain(|found| found.code != Code::UNUSED || found.path != path);
            return format!("add `chain: {chain}` to the route `{route}`");
        }
        match self.compiled.parts.plugins.provider(IDENTITY) {
            Some(plugin) => format!("add `{plugin}` to the chain of route `{route}`"),
            None => format!("define a `jwt` plugin and add it to the chain of route `{route}`"),
        }
    }

    /// A chain that verifies an identity, for a route without a chain.
    fn chain_for(&self, route: &str) -> Option<&str> {
        let document = &self.compiled.plan.document;
        document.routes.get(route).filter(|route| route.chain.is_none())?;
        let verifies = |plugin: &str| {
            let traits = self.compiled.parts.plugins.named(plugin);
            traits.is_some_and(|traits| traits.provides.contains(&IDENTITY))
        };
        let mut chains = document.chains.iter();
        chains.find(|(_, entries)| entries.iter().any(|entry| verifies(&entry.plugin))).map(|(name, _)| name)
    }
}

pub(super) fn takes(way: Way<'_>, methods: &[&str]) -> bool {
    let taken = &way.route.methods;
    taken.is_empty() || taken.iter().any(|taken| methods.contains(&taken.as_str()))
}

fn proves(compiled: &Compiled, way: Way<'_>) -> bool {
    let proves = |step| compiled.parts.plugins.traits(step).is_some_and(|(t, _)| t.provides.contains(&IDENTITY));
    way.steps().any(proves)
}

/// By resource and index of the operation.
fn reached<'a>(compiled: &'a Compiled, ways: &[Way<'a>]) -> HashMap<(&'a str, usize), Reached<'a>> {
    let plugins = &compiled.parts.plugins;
    let mut reached: HashMap<(&str, usize), Reached<'_>> = HashMap::new();
    for way in ways {
        let Some(resource) = way.route.resource.as_deref() else { continue };
        let proven = proves(compiled, *way);
        let barred = way.steps().filter(|step| step.always_decides()).find_map(|step| {
            let (traits, path) = plugins.traits(step)?;
            Some((&*step.plugin, path, traits.refuses_strangers?))
        });
        for (index, (.., methods)) in OPERATIONS.iter().enumerate() {
            if takes(*way, methods) {
                let one = reached.entry((resource, index));
                let one = one.or_insert(Reached { route: way.name, proven, barred });
                one.proven |= proven;
                one.barred = one.barred.filter(|_| barred.is_some());
            }
        }
    }
    reached
}

/// The path of the rules for these operations.
fn place(access: &Access, words: &[&str]) -> String {
    let named = |word: &str| match word {
        "list" => access.list.is_some(),
        "read" => access.read.is_some(),
        "create" => access.create.is_some(),
        "update" => access.update.is_some(),
        "restore" => access.restore.is_some(),
        _ => access.delete.is_some(),
    };
    match words {
        [only] if named(only) => format!("access.{only}"),
        words if access.default.is_some() && !words.iter().any(|word| named(word)) => "access.default".to_owned(),
        _ => "access".to_owned(),
    }
}
