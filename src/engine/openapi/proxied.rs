//! The operations of upstreams, from the files that describe them.

use super::{Description, select_route};
use crate::engine::plan::{PlannedListener, PlannedRoute, Proxied};
use crate::openapi::spec::{Import, METHODS};
use gatewright_openapi::shape::{names, shape};
use serde_json::{Value, json};

impl Description<'_> {
    /// Adds what clients reach through `route`.
    pub(super) fn proxied(&mut self, listener: &PlannedListener, route: &PlannedRoute, proxied: &Proxied) {
        let guards = super::guards::of(listener.steps.iter().chain(route.steps.iter()), &mut self.components);
        let mut import = Import::new(&proxied.spec, &guards, &mut self.components);
        for (path, item) in proxied.spec.paths() {
            let Some(reached) = proxied.reached(&route.path, path) else { continue };
            // Two paths that differ only in the names of parameters are one.
            let here = self.shapes.entry(shape(&reached)).or_insert_with(|| reached.clone()).clone();
            let renamed: Vec<_> = names(&reached).zip(names(&here)).filter(|(old, new)| old != new).collect();
            let known = self.paths.get(&here);
            let is_new = |method: &&str| known.is_none_or(|known| known.get(*method).is_none());
            let methods: Vec<&str> =
                METHODS.into_iter().filter(is_new).filter(|method| accepts(route, method)).collect();
            for method in methods {
                let operation = import.operation((path, method, item), (&route.name, &renamed), &mut self.components);
                let Some(mut operation) = operation else { continue };
                for tag in operation.get("tags").and_then(Value::as_array).into_iter().flatten() {
                    let name = tag.as_str().unwrap_or_default();
                    self.tag(name, || {
                        let said = proxied.spec.tag(name).map(str::to_owned);
                        said.unwrap_or_else(|| format!("Operations of {name}."))
                    });
                }
                let selecting = select_route(route);
                if let (false, Some(operation)) = (selecting.is_empty(), operation.as_object_mut()) {
                    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
                    parameters.as_array_mut().into_iter().for_each(|list| list.extend(selecting.iter().cloned()));
                }
                let item = self.paths.entry(here.clone()).or_insert_with(|| json!({}));
                item.as_object_mut().map(|item| item.insert(method.to_owned(), operation));
            }
        }
    }
}

/// Whether the route accepts this method, which is in lower case. GET includes HEAD; no route accepts TRACE.
fn accepts(route: &PlannedRoute, method: &str) -> bool {
    let has = |method: &str| route.methods.iter().any(|known| known.eq_ignore_ascii_case(method));
    method != "trace" && (route.methods.is_empty() || has(method) || (method == "head" && has("get")))
}
