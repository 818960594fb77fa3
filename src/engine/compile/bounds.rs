//! Finds limits that have no effect because an outer limit is smaller.

use crate::engine::faults::Faults;
use crate::engine::plan::{Plan, PlannedListener, PlannedRoute, SetBound, Who, inward, said_by};
use gatewright_sdk::limits::Limit;
use gatewright_sdk::{Code, Fault};
use std::collections::HashSet;

/// Reports limits of a route, its plugins or its target that exceed a limit around them.
pub fn check(plan: &Plan, faults: &mut Faults<'_>) {
    let mut said = HashSet::new();
    for listener in &plan.listeners {
        for route in plan.routes.iter().filter(|route| route.serves(&listener.name)) {
            of_route(listener, route, &mut said, faults);
        }
    }
}

fn of_route<'a>(
    listener: &'a PlannedListener,
    route: &'a PlannedRoute,
    said: &mut HashSet<(&'a str, &'a str)>,
    faults: &mut Faults<'_>,
) {
    let mut around: Vec<(Who<'_>, &SetBound)> = Vec::new();
    let steps = listener.steps.iter().chain(&*route.steps);
    for (who, inner) in inward(listener, steps, Some(&route.target)) {
        // A default needs no warning.
        let smaller = around.iter().find(|(_, outer)| outer.limit.is_under(inner.limit));
        if let Some((outer_who, outer)) = smaller.filter(|_| faults.sources.tree().holds(&inner.path))
            && said.insert((&inner.path, &outer.path))
        {
            let (limit, name) = (inner.limit, &route.name);
            let help = format!("raise the outer limit, or add `limits: {{ {} }}` to route `{name}`", key(limit));
            let message = format!(
                "{} allows {limit}, but {} in front of it allows only {}",
                the(who),
                the(*outer_who),
                amount(outer.limit)
            );
            let related = Some((&*outer.path, format!("the limit of {} is set here", the(*outer_who))));
            faults.warn_related(&inner.path, Fault::new("", message).code(Code::NESTED_LIMIT).help(help), related);
        }
        if !said_by(&route.limits).any(|own| own.is_like(inner.limit)) {
            around.push((who, inner));
        }
    }
}

fn the(who: Who<'_>) -> String {
    match who {
        Who::Plugin(name) => format!("`{name}`"),
        who => format!("the {who}"),
    }
}

/// Without what it limits.
fn amount(limit: Limit) -> String {
    match limit {
        Limit::Body(size) => size.to_string(),
        Limit::Head(time) | Limit::Silence(time) => time.to_string(),
    }
}

/// How a route writes it.
fn key(limit: Limit) -> String {
    let compact = |text: String| text.replace(' ', "");
    match limit {
        Limit::Body(size) => format!("body_bytes: {}", compact(size.to_string())),
        Limit::Head(time) => format!("request_timeout: {time}"),
        Limit::Silence(time) => format!("stream_idle: {time}"),
    }
}
