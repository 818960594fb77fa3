//! The OpenAPI description of what a listener serves, read from the plan.

mod guards;
mod proxied;

use crate::config::document::resource::Operation as Kind;
use crate::config::document::route::{OpenApi, SignIn};
use crate::engine::plan::{Described, Plan, PlannedListener, PlannedPath, PlannedRoute};
use crate::openapi::operation::Guards;
use crate::openapi::{Components, Operation, object};
use crate::resource::model::Model;
use crate::resource::openapi::{Around, Names, SEGMENT, operations, parent, sign_in_operations};
use gatewright_openapi::shape::shape;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// The version of the specification.
const OPENAPI: &str = "3.1.0";

/// What the descriptions of a configuration are made from.
#[derive(Clone, Copy)]
pub struct Descriptions<'a> {
    pub plan: &'a Plan,
    pub models: &'a [(String, Arc<Model>)],
}

impl Descriptions<'_> {
    /// The description of what `listener` serves, introduced by the settings `own`; what they lack, other routes with
    /// `openapi` may have.
    pub fn of(&self, listener: &PlannedListener, own: Option<&OpenApi>) -> Value {
        let document = &self.plan.document;
        let mut described = Description {
            all: self,
            names: Names::of(self.models),
            components: Components::new(document.errors.format),
            paths: Map::new(),
            shapes: HashMap::new(),
            tags: IndexMap::new(),
        };
        let routes = || self.plan.routes.iter().filter(|route| route.serves(&listener.name));
        for route in routes() {
            described.add(listener, route);
        }
        // What the gateway itself serves keeps its names.
        described.shapes = described.paths.keys().map(|path| (shape(path), path.clone())).collect();
        for route in routes() {
            if let Described::Proxied(proxied) = &route.target.described {
                described.proxied(listener, route, proxied);
            }
        }
        let Description { components, paths, tags, .. } = described;
        let tag = |(name, description): (String, String)| json!({ "name": name, "description": description });
        let tags: Vec<Value> = tags.into_iter().map(tag).collect();
        let mut value = object([
            ("openapi", OPENAPI.into()),
            ("info", self.info(listener, own)),
            ("servers", json!([{ "url": "/" }])),
            ("tags", tags.into()),
            ("paths", paths.into()),
        ]);
        let components = components.into_value();
        if components.as_object().is_some_and(|parts| !parts.is_empty()) {
            value.insert("components".to_owned(), components);
        }
        value.into()
    }

    fn info(&self, listener: &PlannedListener, own: Option<&OpenApi>) -> Value {
        let others = self.plan.routes.iter().filter(|route| route.serves(&listener.name));
        let others = others.filter_map(|route| match &route.target.described {
            Described::OpenApi(settings) => Some(&**settings),
            _ => None,
        });
        let all: Vec<&OpenApi> = own.into_iter().chain(others).collect();
        let title = all.iter().find_map(|settings| settings.title.clone());
        let title = title.unwrap_or_else(|| self.plan.document.telemetry.service_name.clone());
        let version = all.iter().find_map(|settings| settings.version.clone()).unwrap_or_else(|| "1.0.0".to_owned());
        let description = all.iter().find_map(|settings| settings.description.clone());
        let description = description.unwrap_or_else(|| "The API that this gateway serves.".to_owned());
        let contact = all.iter().find_map(|settings| settings.contact.as_ref());
        let contact = contact.and_then(|contact| serde_json::to_value(contact).ok());
        let contact = contact.unwrap_or_else(|| json!({ "name": title }));
        json!({ "title": title, "version": version, "description": description, "contact": contact })
    }
}

/// A description that is being made.
struct Description<'a> {
    all: &'a Descriptions<'a>,
    names: Names,
    components: Components,
    paths: Map<String, Value>,
    /// The path of each shape: see [`shape`].
    shapes: HashMap<String, String>,
    /// What each tag means, by name.
    tags: IndexMap<String, String>,
}

impl Description<'_> {
    fn add(&mut self, listener: &PlannedListener, route: &PlannedRoute) {
        let guards = guards::of(listener.steps.iter().chain(route.steps.iter()), &mut self.components);
        match (&route.target.described, &route.path, route.target.kind) {
            (_, PlannedPath::Collection(path) | PlannedPath::Restorable(path), "resource") => {
                let Some((name, model)) = self.model(route.target.name.as_deref()) else { return };
                self.tag(&name, || format!("The items of {name}."));
                let under = match &route.target.described {
                    Described::Under(field) => Some(&**field),
                    _ => None,
                };
                let around = Around { models: self.all.models, names: &self.names, under };
                let [collection, item, restore] =
                    operations(&model, &self.names.get(&name), around, &mut self.components);
                let parent = parent(&model, around);
                self.path((route, path, parent.as_ref()), &guards, collection);
                self.path((route, &below(path, "{id}"), parent.as_ref()), &guards, item);
                self.path((route, &below(path, "{id}/restore"), parent.as_ref()), &guards, restore);
            }
            (Described::SignIn(settings), PlannedPath::Addresses { below: path, .. }, _) => {
                self.sign_in(route, path, &guards, settings);
            }
            _ => {}
        }
    }

    fn sign_in(&mut self, route: &PlannedRoute, path: &str, guards: &Guards, settings: &SignIn) {
        let Some((name, model)) = self.model(Some(&settings.resource)) else { return };
        self.tag(&route.name, || format!("Sign-in for {name}."));
        let named = (&self.names.get(&name), &*route.name);
        let around = Around { models: self.all.models, names: &self.names, under: None };
        for (address, operation) in sign_in_operations(settings, &model, named, around, &mut self.components) {
            let path = below(path, address);
            if address == "me" && !model.has_operation(Kind::Read) {
                continue;
            }
            if operation.needs_identity {
                let guards = guards::with_token(guards, &settings.token.plugin, &mut self.components);
                self.path((route, &path, None), &guards, vec![operation]);
            } else {
                self.path((route, &path, None), guards, vec![operation]);
            }
        }
    }

    fn model(&self, name: Option<&str>) -> Option<(String, Arc<Model>)> {
        self.all.models.iter().find(|(known, _)| Some(known.as_str()) == name).cloned()
    }

    fn tag(&mut self, name: &str, description: impl FnOnce() -> String) {
        if !self.tags.contains_key(name) {
            self.tags.insert(name.to_owned(), description());
        }
    }

    /// Adds the operations that the route accepts. Of several routes with the same path and method, which differ in host
    /// or header fields, the first is described. `known` is a parameter of the path that is more than any segment.
    fn path(
        &mut self,
        (route, path, known): (&PlannedRoute, &str, Option<&Value>),
        guards: &Guards,
        operations: Vec<Operation>,
    ) {
        let accepts = |method: &str| {
            route.methods.is_empty() || route.methods.iter().any(|known| known.eq_ignore_ascii_case(method))
        };
        let (path, parameters) = template(path, known);
        for operation in operations.into_iter().filter(|operation| accepts(operation.method)) {
            let item = self.paths.entry(path.clone()).or_insert_with(|| json!({}));
            let Some(item) = item.as_object_mut() else { continue };
            if item.contains_key(operation.method) {
                continue;
            }
            if !parameters.is_empty() && !item.contains_key("parameters") {
                item.insert("parameters".to_owned(), parameters.clone().into());
            }
            let mut operation = operation;
            for (_, response) in &mut operation.responses {
                link_path(response, &parameters);
            }
            operation.parameters.extend(select_route(route));
            let method = operation.method;
            item.insert(method.to_owned(), operation.finish(guards, &mut self.components));
        }
    }
}

/// The header fields that requests for a route must have.
fn select_route(route: &PlannedRoute) -> Vec<Value> {
    let parameter = |name: &String| {
        json!({
            "name": name,
            "in": "header",
            "required": true,
            "description": "Selects this route.",
            "schema": { "type": "string" }
        })
    };
    route.headers.iter().map(parameter).collect()
}

/// Adds the parameters of the path to the links of a response: they lead to the same place.
fn link_path(response: &mut Value, parameters: &[Value]) {
    let Some(links) = response.get_mut("links").and_then(Value::as_object_mut) else { return };
    for given in links.values_mut().filter_map(|link| link.get_mut("parameters")).filter_map(Value::as_object_mut) {
        for name in parameters.iter().filter_map(|parameter| parameter.get("name")).filter_map(Value::as_str) {
            given.insert(name.to_owned(), format!("$request.path.{name}").into());
        }
    }
}

fn below(path: &str, name: &str) -> String {
    format!("{}/{name}", path.trim_end_matches('/'))
}

/// The path with its parameters as OpenAPI writes them, and those parameters apart from the id of an item.
fn template(path: &str, known: Option<&Value>) -> (String, Vec<Value>) {
    let mut parameters = Vec::new();
    let segments = path.split('/').map(|segment| {
        let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return segment.to_owned();
        };
        let (name, description) = match name.strip_prefix('*') {
            Some(rest) => (rest, "The rest of the path."),
            None => (name, "A segment of the path."),
        };
        let any = || {
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "description": description,
                "schema": { "type": "string", "pattern": SEGMENT }
            })
        };
        if name != "id" {
            parameters.push(
                known.filter(|known| known.get("name").is_some_and(|known| known == name)).cloned().unwrap_or_else(any),
            );
        }
        format!("{{{name}}}")
    });
    let path: Vec<String> = segments.collect();
    (path.join("/"), parameters)
}
