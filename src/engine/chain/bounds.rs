//! Warns of bounds that mean nothing, because something further out has a smaller one.

use super::{Plugins, Step};
use crate::config::document::Document;
use crate::config::document::listener::Listener;
use crate::config::document::route::{Route, Target};
use crate::engine::faults::Faults;
use gatewright_sdk::limits::Limit;
use gatewright_sdk::{Fault, RouteLimits};
use std::collections::HashSet;

/// A bound and who sets it.
struct SetBound {
    who: String,
    /// The setting in the file, if it is written there.
    path: String,
    limit: Limit,
}

/// Says so where what a route or its plugins and target allow is more than what stands around it lets through.
pub(super) fn check(
    document: &Document,
    plugins: &Plugins,
    (listener_name, listener): (&str, &Listener),
    (name, route): (&str, &Route),
    steps: &[Step],
    reported: &mut HashSet<String>,
    faults: &mut Faults<'_>,
) {
    let mut around: Vec<SetBound> = Vec::new();
    let inward = inward(document, plugins, (listener_name, listener), route, steps);
    for inner in inward {
        // What was not written means nothing new.
        let smaller = around.iter().find(|outer| outer.limit.is_under(inner.limit));
        if let Some(outer) = smaller.filter(|_| faults.sources.tree().holds(&inner.path))
            && reported.insert(format!("{} {}", inner.path, outer.path))
        {
            let help = format!("raise that one, or write `limits: {{ {} }}` in the route `{name}`", key(inner.limit));
            let message =
                format!("{} allows {}, but {} around it only {}", inner.who, inner.limit, outer.who, outer.limit);
            let related = Some((&*outer.path, format!("{} is bounded here", outer.who)));
            faults.warn_related(&inner.path, Fault::new("", message).help(help), related);
        }
        if !replaces(&route.limits, inner.limit) {
            around.push(inner);
        }
    }
}

/// What bounds the requests of `route`, from the listener inward.
fn inward(
    document: &Document,
    plugins: &Plugins,
    (listener_name, listener): (&str, &Listener),
    route: &Route,
    steps: &[Step],
) -> Vec<SetBound> {
    let mut inward = vec![SetBound {
        who: format!("the listener `{listener_name}`"),
        path: format!("listeners.{listener_name}.limits.body_bytes"),
        limit: Limit::Body(listener.limits.body_bytes),
    }];
    for step in steps {
        let Some(configured) = plugins.get(step) else { continue };
        // What runs by default is said where the listener is.
        let base = if step.by_default { &step.path } else { &configured.path };
        inward.extend(configured.traits.bounds.iter().map(|bound| SetBound {
            who: format!("`{}`", step.plugin),
            path: format!("{base}.{}", bound.path),
            limit: bound.limit,
        }));
    }
    inward.extend(of_target(document, route));
    inward
}

/// What the target of `route` allows.
fn of_target(document: &Document, route: &Route) -> Vec<SetBound> {
    let bound = |target| match target {
        Target::Resource(name) => Some(SetBound {
            who: format!("the resource `{name}`"),
            path: format!("resources.{name}.body_limit"),
            limit: Limit::Body(document.resources.get(name)?.body_limit),
        }),
        Target::Upstream(name) => Some(SetBound {
            who: format!("the upstream `{name}`"),
            path: format!("upstreams.{name}.timeouts.response_header"),
            limit: Limit::Head(document.upstreams.get(name)?.timeouts.response_header),
        }),
        Target::Split(_) | Target::Respond(_) | Target::Redirect(_) | Target::Service(_) => None,
    };
    route.targets().filter_map(bound).collect()
}

/// Whether the route says something in place of bounds of this kind.
const fn replaces(limits: &RouteLimits, limit: Limit) -> bool {
    match limit {
        Limit::Body(_) => limits.body_bytes.is_some(),
        Limit::Head(_) => limits.request_timeout.is_some(),
        Limit::Silence(_) => limits.stream_idle.is_some(),
    }
}

/// How a route says it.
fn key(limit: Limit) -> String {
    let compact = |text: String| text.replace(' ', "");
    match limit {
        Limit::Body(size) => format!("body_bytes: {}", compact(size.to_string())),
        Limit::Head(time) => format!("request_timeout: {time}"),
        Limit::Silence(time) => format!("stream_idle: {time}"),
    }
}
