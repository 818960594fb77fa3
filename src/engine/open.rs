//! What callers can reach without a permission of their own: a role, a scope or a claim that others lack.

use crate::config::document::Document;
use crate::config::document::route::Route;
use crate::engine::chain::{self, Plugins};
use crate::resource::model::served::Served;
use http::Method;

/// The routes to resources, as far as such callers can use them.
pub(super) fn served<'a>(document: &'a Document, plugins: &Plugins) -> Served<'a> {
    Served::with(&document.routes, |name, route| methods(document, plugins, name, route))
}

/// The methods with which such callers pass all plugins in front of a route, on some listener; `None` if those are all methods.
fn methods(document: &Document, plugins: &Plugins, name: &str, route: &Route) -> Option<Vec<Method>> {
    let inner = chain::of_route(document, name, route);
    let serves = |listener: &str| route.listeners.is_empty() || route.listeners.iter().any(|on| on == listener);
    let serving = document.listeners.iter().filter(|(listener, _)| serves(listener));
    let each: Option<Vec<_>> = serving
        .map(|(listener, spec)| {
            let outer = plugins.of_listener(document, listener, spec.chain.as_deref());
            let steps = outer.iter().chain(&inner).filter(|step| step.always_decides());
            let open = steps.filter_map(|step| plugins.traits(step)?.0.open_methods.clone());
            open.reduce(|mut one, other| {
                one.retain(|method| other.contains(method));
                one
            })
        })
        .collect();
    each.map(|each| each.concat())
}
