//! Warnings about an edit that leaves a route without the plugins that decided who may send it requests.

use crate::config::diagnostic::Diagnostic;
use crate::config::words;
use crate::engine::gaps::TRIED;
use crate::engine::plan::{Plan, PlannedListener, PlannedRoute, PlannedStep, Protection};
use crate::engine::reach::SAMPLE;
use crate::engine::router::{Found, Lookup};
use crate::engine::snapshot::{Route, Snapshot};
use crate::path::Spelling;
use gatewright_sdk::Code;
use http::HeaderMap;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many routes a warning names. The rest is counted.
const NAMED: usize = 5;

/// What an edit did to a route: the same for all routes of a chain.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Loss<'a> {
    /// The plugins that no longer decide.
    plugins: BTreeSet<&'a str>,
    /// Those that still do, without proving who asks.
    left: BTreeSet<&'a str>,
    /// On these listeners; if empty, on all of them.
    listeners: Vec<&'a str>,
}

/// A route of the serving configuration, and the one that takes its requests now.
type Way<'a> = (&'a str, &'a str);

/// Routes of `serving` whose requests reach the same target in `next` without the plugins that decided about them.
pub(super) fn routes(next: &Snapshot, serving: &Snapshot) -> Vec<Diagnostic> {
    let named: HashMap<&str, &PlannedRoute> = next.plan.routes.iter().map(|route| (&*route.name, route)).collect();
    let mut losses: BTreeMap<Loss<'_>, Vec<Way<'_>>> = BTreeMap::new();
    for before in &serving.plan.routes {
        let heirs = match named.get(&*before.name) {
            Some(after) => vec![*after],
            None if guards(&serving.plan, before).iter().all(|(_, steps)| steps.is_empty()) => Vec::new(),
            None => heirs(next, serving, before),
        };
        for after in heirs {
            if let Some(loss) = loss((&serving.plan, before), (&next.plan, after)) {
                losses.entry(loss).or_default().push((&before.name, &after.name));
            }
        }
    }
    losses.iter().map(|(loss, ways)| warning(loss, ways)).collect()
}

/// The steps in front of a route that decide about all its requests, by the listener on which it is served.
fn guards<'a>(plan: &'a Plan, route: &'a PlannedRoute) -> Vec<(&'a str, Vec<&'a PlannedStep>)> {
    let serving = plan.listeners.iter().filter(|listener| route.serves(&listener.name));
    let steps = |listener: &'a PlannedListener| {
        let all = listener.steps.iter().chain(&*route.steps);
        all.filter(|step| step.protection != Protection::None).collect()
    };
    serving.map(|listener| (&*listener.name, steps(listener))).collect()
}

fn proves(steps: &[&PlannedStep]) -> bool {
    steps.iter().any(|step| step.protection == Protection::Callers)
}

/// What the route lacks after an edit, if all plugins that prove who asks are gone, or all that decide.
fn loss<'a>(
    (old, before): (&'a Plan, &'a PlannedRoute),
    (new, after): (&'a Plan, &'a PlannedRoute),
) -> Option<Loss<'a>> {
    let (had, has) = (guards(old, before), guards(new, after));
    let mut loss = Loss { plugins: BTreeSet::new(), left: BTreeSet::new(), listeners: Vec::new() };
    for (listener, now) in &has {
        // On a listener that is new to the route, it should have what it had on all others.
        let there = had.iter().find(|(name, _)| name == listener).map(std::slice::from_ref);
        let there = there.unwrap_or(&had);
        let proved = !there.is_empty() && there.iter().all(|(_, steps)| proves(steps));
        let guarded = !there.is_empty() && there.iter().all(|(_, steps)| !steps.is_empty());
        if proved && !proves(now) || guarded && now.is_empty() {
            let left: BTreeSet<_> = now.iter().map(|step| step.plugin.as_str()).collect();
            let gone = there.iter().flat_map(|(_, steps)| steps).map(|step| step.plugin.as_str());
            loss.plugins.extend(gone.filter(|plugin| !left.contains(plugin)));
            loss.left.extend(left);
            loss.listeners.push(listener);
        }
    }
    if loss.listeners.len() == has.len() {
        loss.listeners.clear();
    }
    (!loss.plugins.is_empty()).then_some(loss)
}

/// The routes of `next` that take the requests of a route which is gone, to the same target.
fn heirs<'a>(next: &'a Snapshot, serving: &Snapshot, gone: &PlannedRoute) -> Vec<&'a PlannedRoute> {
    let entries = serving.router.routes().iter().zip(&serving.routes).filter(|(_, route)| *route.name == *gone.name);
    let mut found: BTreeSet<&str> = BTreeSet::new();
    for (matching, before) in entries {
        let (path, spelling) = (matching.pattern.sample(SAMPLE), Spelling { escaped: true, ..Spelling::default() });
        let headers: HeaderMap = matching.headers.iter().cloned().collect();
        for listener in &next.listeners {
            for host in matching.hosts.samples(SAMPLE) {
                for method in TRIED.iter().filter(|method| matching.takes(method)) {
                    let (path, host) = (path.as_str(), host.as_deref());
                    let lookup = Lookup { listener: listener.index, host, path, spelling, method, headers: &headers };
                    let Found::Route { index, .. } = next.router.find(&lookup) else { continue };
                    let heir = next.routes.get(index);
                    let same =
                        |heir: &&Route| heir.reach.targets.iter().any(|target| before.reach.targets.contains(target));
                    found.extend(heir.filter(same).map(|heir| &*heir.name));
                }
            }
        }
    }
    next.plan.routes.iter().filter(|route| found.contains(&*route.name)).collect()
}

fn warning(loss: &Loss<'_>, ways: &[Way<'_>]) -> Diagnostic {
    let way = |(before, after): &Way<'_>| {
        if before == after { format!("`{before}`") } else { format!("`{before}`, which `{after}` takes now") }
    };
    let (path, which) = match ways {
        [one] => (format!("routes.{}", one.1), format!("route {}", way(one))),
        many => {
            let named: Vec<_> = many.iter().take(NAMED).map(way).collect();
            let more = many.len().saturating_sub(NAMED);
            let named = if more > 0 { format!("{} and {more} more", named.join(", ")) } else { words::and(&named) };
            ("routes".to_owned(), format!("the routes {named}"))
        }
    };
    let (plugins, left, listeners) = (quoted(&loss.plugins), quoted(&loss.left), quoted(&loss.listeners));
    let decide = if plugins.len() == 1 { "decides" } else { "decide" };
    let on = if listeners.is_empty() { String::new() } else { format!(" on {}", words::and(&listeners)) };
    let rest = match left.as_slice() {
        [] => "nothing else decides who may send them".to_owned(),
        left => format!("nothing proves who sends them: there is only {}", words::and(left)),
    };
    let plugins = words::and(&plugins);
    let message = format!("since this edit, {plugins} no longer {decide} about requests of {which}{on}, and {rest}");
    let help = "undo the edit if that is not intended; a plugin with `when` or `mode: observe` does not decide about all requests; if it is \
                intended, this warning ends with the next reload";
    Diagnostic::warning(Code::PROTECTION_LOST, path, message).help(help)
}

fn quoted<'a>(names: impl IntoIterator<Item = &'a &'a str>) -> Vec<String> {
    names.into_iter().map(|name| format!("`{name}`")).collect()
}
