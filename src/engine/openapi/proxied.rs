//! The operations of upstreams, from the files that describe them.

use super::{Description, select_route};
use crate::engine::plan::{PlannedListener, PlannedRoute, Proxied};
use crate::openapi::spec::{Import, METHODS};
use serde_json::{Value, json};

impl Description<'_> {
    /// Adds what clients reach through `route`.
    pub(super) fn proxied(&mut self, listener: &PlannedListener, route: &PlannedRoute, proxied: &Proxied) {
        let guards = super::guards::of(listener.steps.iter().chain(route.steps.iter()), &mut self.components);
        let mut import = Import::new(&proxied.spec);
        for (path, item) in proxied.spec.paths() {
            let Some(reached) = proxied.reached(&route.path, path) else { continue };
            let known = self.paths.get(&reached);
            let is_new = |method: &&str| known.is_none_or(|known| known.get(*method).is_none());
            let methods: Vec<&str> =
                METHODS.into_iter().filter(is_new).filter(|method| accepts(route, method)).collect();
            for method in methods {
                let operation = import.operation((path, method, item), &route.name, &guards, &mut self.components);
                let Some(mut operation) = operation else { continue };
                for tag in operation.get("tags").and_then(Value::as_array).into_iter().flatten() {
                    let name = tag.as_str().unwrap_or_default();
                    let said = proxied.spec.tag(name).map(str::to_owned);
                    let said = said.unwrap_or_else(|| format!("Operations of {name}."));
                    if !self.tags.iter().any(|known| known.get("name").is_some_and(|known| known == name)) {
                        self.tags.push(json!({ "name": name, "description": said }));
                    }
                }
                let selecting = select_route(route);
                if let (false, Some(operation)) = (selecting.is_empty(), operation.as_object_mut()) {
                    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
                    parameters.as_array_mut().into_iter().for_each(|list| list.extend(selecting.iter().cloned()));
                }
                let item = self.paths.entry(reached.clone()).or_insert_with(|| json!({}));
                item.as_object_mut().map(|item| item.insert(method.to_owned(), operation));
            }
        }
    }
}

/// Whether the route accepts this method, which is in lower case. GET includes HEAD.
fn accepts(route: &PlannedRoute, method: &str) -> bool {
    let has = |method: &str| route.methods.iter().any(|known| known.eq_ignore_ascii_case(method));
    route.methods.is_empty() || has(method) || (method == "head" && has("get"))
}
