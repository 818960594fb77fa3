//! Warns of valid configurations that are probably mistakes, based on plugins and resources. Runs only if there are no
//! errors.

mod access;
mod certificates;
mod chains;
mod issuers;
mod keys;

use crate::config::document::route::Route;
use crate::engine::chain::Step;
use crate::engine::compile::Compiled;
use crate::engine::deciding;
use crate::engine::faults::Faults;
use std::collections::HashMap;

/// A route as one listener serves it.
#[derive(Clone, Copy)]
struct Way<'a> {
    /// The listener's name and steps.
    listener: (&'a str, &'a [Step]),
    name: &'a str,
    route: &'a Route,
    inner: &'a [Step],
}

impl<'a> Way<'a> {
    /// The plugins that its requests pass, the first outermost.
    fn steps(self) -> impl Iterator<Item = &'a Step> {
        self.listener.1.iter().chain(self.inner)
    }
}

/// Warns of probable mistakes in `compiled`, `now` in seconds since 1970.
pub(super) fn find(compiled: &Compiled, now: i64, faults: &mut Faults<'_>) {
    let (document, parts) = (&*compiled.plan.document, &compiled.parts);
    let routes: HashMap<&str, &Route> = document.routes.iter().collect();
    let listeners = document.listeners.names().zip(parts.listeners.iter().map(|steps| &*steps.list));
    let mut ways = Vec::new();
    for listener in listeners {
        for compiled in &parts.routes {
            let Some(route) = routes.get(&*compiled.name) else { continue };
            if route.listeners.is_empty() || route.listeners.iter().any(|on| on == listener.0) {
                ways.push(Way { listener, name: &compiled.name, route, inner: &compiled.steps.list });
            }
        }
    }
    let deciding = deciding::find(document, &parts.models, &parts.plugins);
    certificates::check(compiled, now, faults);
    access::check(compiled, &ways, faults);
    issuers::check(compiled, &ways, faults);
    keys::check(compiled, &deciding, faults);
    chains::check(&parts.plugins, document, &ways, faults);
}
