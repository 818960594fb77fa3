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
use http::{HeaderMap, Method};
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

/// A route of the serving configuration, the one that takes its requests now, and whether it takes only some of them.
type Way<'a> = (&'a str, &'a str, bool);

/// Where the patterns of each route are in a router, by its name.
type Places<'a> = HashMap<&'a str, Vec<usize>>;

/// Routes of `serving` whose requests reach the same target in `next` without the plugins that decided about them.
pub(super) fn routes(next: &Snapshot, serving: &Snapshot) -> Vec<Diagnostic> {
    let named: HashMap<&str, &PlannedRoute> = next.plan.routes.iter().map(|route| (&*route.name, route)).collect();
    let mut losses: BTreeMap<Loss<'_>, Vec<Way<'_>>> = BTreeMap::new();
    let mut places: Places<'_> = HashMap::new();
    for (index, route) in serving.routes.iter().enumerate() {
        places.entry(&route.name).or_default().push(index);
    }
    for before in &serving.plan.routes {
        if guards(&serving.plan, before).iter().all(|(_, steps)| steps.is_empty()) {
            continue;
        }
        let own = named.get(&*before.name).copied();
        let places = places.get(&*before.name).map(Vec::as_slice).unwrap_or_default();
        // The rules of a resource decide about requests on each way to it.
        let heirs = heirs(next, serving, places).into_iter().filter(|heir| heir.name != before.name);
        let heirs = heirs.filter(|heir| own.is_none() || !is_resource(heir));
        for after in own.into_iter().chain(heirs) {
            if let Some(loss) = loss((&serving.plan, before), (&next.plan, after)) {
                let partly = own.is_some_and(|own| own.name != after.name);
                losses.entry(loss).or_default().push((&before.name, &after.name, partly));
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

fn is_resource(route: &PlannedRoute) -> bool {
    route.target.kind == "resource"
}

fn proves(steps: &[&PlannedStep]) -> bool {
    steps.iter().any(|step| step.protection == Protection::Callers)
}

/// Whether a plugin identifies those who send credentials, and the rules of the resource decide about everyone else.
fn leaves_to_rules(route: &PlannedRoute, steps: &[&PlannedStep]) -> bool {
    is_resource(route) && steps.iter().any(|step| step.protection == Protection::Known)
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
        let unproved = proved && !proves(now) && !leaves_to_rules(after, now);
        if unproved || guarded && now.is_empty() {
            // Where callers were proved, a plugin that lets everyone without credentials pass decides about none of them.
            let left = now.iter().filter(|step| step.protection != Protection::Known);
            let left: BTreeSet<_> = left.map(|step| step.plugin.as_str()).collect();
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

/// The routes of `next` that take the requests of the route at `places`, to the same target.
fn heirs<'a>(next: &'a Snapshot, serving: &Snapshot, places: &[usize]) -> Vec<&'a PlannedRoute> {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    for place in places {
        let (Some(matching), Some(before)) = (serving.router.routes().get(*place), serving.routes.get(*place)) else {
            continue;
        };
        let (path, spelling) = (matching.pattern.sample(SAMPLE), Spelling { escaped: true, ..Spelling::default() });
        let headers: HeaderMap = matching.headers.iter().cloned().collect();
        for listener in &next.listeners {
            let former = serving.listeners.iter().find(|former| former.name == listener.name);
            for host in matching.hosts.samples(SAMPLE) {
                // A preflight is no request of its own.
                for method in TRIED.iter().filter(|method| matching.takes(method) && *method != Method::OPTIONS) {
                    let (path, host) = (path.as_str(), host.as_deref());
                    let lookup = Lookup { listener: listener.index, host, path, spelling, method, headers: &headers };
                    let took = former.is_none_or(|former| {
                        let lookup = Lookup { listener: former.index, ..lookup };
                        matches!(serving.router.find(&lookup), Found::Route { index, .. } if places.contains(&index))
                    });
                    let Found::Route { index, .. } = next.router.find(&lookup) else { continue };
                    if !took {
                        continue;
                    }
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
    let way = |(before, after, partly): &Way<'_>| match (before == after, partly) {
        (true, _) => format!("`{before}`"),
        (false, true) => format!("`{before}`, some of which `{after}` takes now"),
        (false, false) => format!("`{before}`, which `{after}` takes now"),
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
    let help = "undo the edit if that is not intended; a plugin with `when`, `mode: observe` or `on_missing: continue` does not decide about all \
                requests; if it is intended, this warning ends with the next reload";
    Diagnostic::warning(Code::PROTECTION_LOST, path, message).help(help)
}

fn quoted<'a>(names: impl IntoIterator<Item = &'a &'a str>) -> Vec<String> {
    names.into_iter().map(|name| format!("`{name}`")).collect()
}
