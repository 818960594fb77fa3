//! Checks the placeholders in settings of plugins: whether a route they run on has the parameter.

use crate::config::document::Document;
use crate::config::words;
use crate::engine::chain::{Plugins, Steps};
use crate::engine::faults::Faults;
use crate::engine::plan::serving_listeners;
use gatewright_sdk::{Code, Fault, template};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

const REQUEST_ID: &str = "request.id";

/// Reports names that no route has a parameter for. A plugin may run on routes of which only some have it.
/// `routes` are the names of routes, each with its steps and the parameters of one of its paths.
pub(super) fn check<'a>(
    plugins: &Plugins,
    routes: impl Iterator<Item = (&'a str, &'a Steps, &'a [Arc<str>])>,
    listeners: &'a [Steps],
    document: &Document,
    faults: &mut Faults<'_>,
) {
    if plugins.all().all(|(_, traits, _)| traits.placeholders.is_empty()) {
        return;
    }
    let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    // There may be many thousands.
    let specs: HashMap<_, _> = document.routes.iter().collect();
    for (name, steps, parameters) in routes {
        let Some(spec) = specs.get(name) else { continue };
        let on = serving_listeners(document, spec);
        let outer = listeners.iter().enumerate().filter(|(index, _)| on.has(*index)).flat_map(|(_, steps)| &steps.list);
        let mut has_id = false;
        for step in outer.chain(&steps.list) {
            let assigns = plugins.traits(step).is_some_and(|(traits, _)| traits.request_id_header.is_some());
            known.entry(&step.plugin).or_default().extend(has_id.then_some(REQUEST_ID));
            has_id |= assigns;
            known.entry(&step.plugin).or_default().extend(parameters.iter().map(|name| &**name));
        }
    }
    let mut all: Vec<_> = plugins.all().collect();
    all.sort_unstable_by_key(|(_, _, path)| *path);
    for (plugin, traits, path) in all {
        let parameters = known.get(plugin);
        for placeholder in &traits.placeholders {
            let name = &*placeholder.name;
            // A plugin that no route uses is reported elsewhere.
            let unused = parameters.is_none() && (!name.contains('.') || name == REQUEST_ID);
            if unused || parameters.is_some_and(|parameters| parameters.contains(name)) {
                continue;
            }
            if name == REQUEST_ID {
                let message = format!("`{plugin}` sends the request id, which no earlier plugin assigns");
                let fault = Fault::new(&*placeholder.path, message).code(Code::MISSING_PLUGIN);
                faults.add(path, fault.help("add a `request_id` plugin before it"));
                continue;
            }
            let words: Vec<&str> = parameters.into_iter().flatten().copied().chain(template::NAMES).collect();
            let fault = Fault::new(&*placeholder.path, format!("unknown placeholder `{{{name}}}`"));
            let help = words::way_out(name, &words);
            let next = if help.ends_with('?') { " For" } else { "; for" };
            let help = format!("{help}{next} the literal text, write `{{{{{name}}}}}`");
            faults.add(path, fault.code(Code::UNKNOWN_PLACEHOLDER).help(help));
        }
    }
}
