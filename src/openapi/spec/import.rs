//! Takes operations of a description into another one, with the components they refer to.

use super::{Spec, parts, security};
use crate::openapi::Components;
use crate::openapi::names::pascal;
use crate::openapi::operation::Guards;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// A description whose operations are taken into another one.
pub struct Import<'a> {
    spec: &'a Spec,
    /// The new name of each component that was taken, by kind and name.
    taken: HashMap<(String, String), String>,
    /// Those whose content is still to come: kind, name, and the new name. Components refer to each other to any depth.
    pending: Vec<(String, String, String)>,
}

impl<'a> Import<'a> {
    pub fn new(spec: &'a Spec) -> Self {
        Self { spec, taken: HashMap::new(), pending: Vec::new() }
    }

    /// The operation `method` of `item`, which is at `path`, behind `guards`. Without tags it gets that of the route.
    pub fn operation(
        &mut self,
        (path, method, item): (&str, &str, &Map<String, Value>),
        route: &str,
        guards: &Guards,
        components: &mut Components,
    ) -> Option<Value> {
        let spec = self.spec;
        // What the gateway itself responds with keeps its names.
        guards.join_problems(&mut Map::new(), components);
        let operation = spec.resolved(item.get(method)?).as_object()?;
        let text = |key: &str| operation.get(key).and_then(Value::as_str);
        let id = text("operationId").map_or_else(|| named(method, path), str::to_owned);
        let mut taken = crate::openapi::object([("operationId", components.operations.take(&id).into())]);
        let tags = operation.get("tags").filter(|tags| tags.as_array().is_some_and(|tags| !tags.is_empty()));
        taken.insert("tags".to_owned(), tags.cloned().unwrap_or_else(|| json!([route])));
        for key in ["summary", "description"] {
            let said = text(key).or_else(|| item.get(key)?.as_str());
            taken.extend(said.map(|said| (key.to_owned(), said.into())));
        }
        taken.extend(operation.get("deprecated").map(|deprecated| ("deprecated".to_owned(), deprecated.clone())));
        let parameters = parameters(spec, item, operation);
        if !parameters.is_empty() {
            let parameters = parameters.iter().map(|parameter| self.part(parameter, components));
            taken.insert("parameters".to_owned(), parameters.collect());
        }
        for key in ["requestBody", "callbacks"] {
            if let Some(value) = operation.get(key) {
                // The names of callbacks mean nothing.
                let mut around = json!({ key: value });
                self.rewrite_all(&mut around, components);
                taken.extend(around.get_mut(key).map(|value| (key.to_owned(), value.take())));
            }
        }
        let responses = operation.get("responses").map(|responses| spec.resolved(responses));
        let mut known = Map::new();
        for (status, response) in responses.and_then(Value::as_object).into_iter().flatten() {
            let mut response = self.part(spec.resolved(response), components);
            guards.add_fields(&mut response, components);
            known.insert(status.clone(), response);
        }
        guards.join_problems(&mut known, components);
        taken.insert("responses".to_owned(), known.into());
        let own = operation.get("security").or_else(|| spec.document.get("security"));
        let security = self.security(own, guards, components);
        taken.insert("security".to_owned(), security);
        taken.extend(
            operation.iter().filter(|(key, _)| key.starts_with("x-")).map(|(key, value)| (key.clone(), value.clone())),
        );
        self.fill(components);
        Some(taken.into())
    }

    /// A part with its references as they are here.
    fn part(&mut self, part: &Value, components: &mut Components) -> Value {
        let mut part = part.clone();
        self.rewrite_all(&mut part, components);
        part
    }

    fn rewrite_all(&mut self, part: &mut Value, components: &mut Components) {
        parts::each(part, &mut |object| self.rewrite(object, components));
    }

    fn rewrite(&mut self, object: &mut Map<String, Value>, components: &mut Components) {
        // They lead to operations that may not be here, under names that may be others here.
        if object.get("links").is_some_and(Value::is_object) {
            object.shift_remove("links");
        }
        if let Some(Value::String(reference)) = object.get("$ref") {
            let reference = self.reference(reference, components);
            object.insert("$ref".to_owned(), reference.into());
        }
        let mapping = object.get_mut("discriminator").and_then(|discriminator| discriminator.get_mut("mapping"));
        for target in mapping.and_then(Value::as_object_mut).into_iter().flat_map(|mapping| mapping.values_mut()) {
            let Some(named) = target.as_str() else { continue };
            let whole = if named.starts_with('#') { named.to_owned() } else { format!("#/components/schemas/{named}") };
            if self.spec.target(&whole).is_some() {
                *target = self.reference(&whole, components).into();
            }
        }
    }

    /// A reference to the same component here. It is taken if it was not yet.
    fn reference(&mut self, reference: &str, components: &mut Components) -> String {
        let rest = reference.strip_prefix("#/components/").unwrap_or_default();
        let mut segments = rest.splitn(3, '/');
        let (kind, name) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        let below = segments.next().map(|below| format!("/{below}")).unwrap_or_default();
        let taken = self.take(kind, name, components);
        format!("#/components/{kind}/{taken}{below}")
    }

    /// The name of a component here.
    fn take(&mut self, kind: &str, name: &str, components: &mut Components) -> String {
        let key = (kind.to_owned(), name.to_owned());
        if let Some(taken) = self.taken.get(&key) {
            return taken.clone();
        }
        let taken = components.reserve(kind, name);
        self.taken.insert(key, taken.clone());
        self.pending.push((kind.to_owned(), name.to_owned(), taken.clone()));
        taken
    }

    /// Takes the content of all components that were referred to, and of those that they refer to.
    fn fill(&mut self, components: &mut Components) {
        while let Some((kind, name, taken)) = self.pending.pop() {
            let content = self.spec.target(&format!("#/components/{kind}/{name}")).cloned().unwrap_or_default();
            let content = self.part(&content, components);
            components.fill(&kind, &taken, content);
        }
    }

    /// What a client must send: for the upstream, and for the gateway.
    fn security(&mut self, own: Option<&Value>, guards: &Guards, components: &mut Components) -> Value {
        let mut alternatives = Vec::new();
        for own in own.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
            let mut here = Map::new();
            for (name, scopes) in own {
                let content = self.spec.target(&format!("#/components/securitySchemes/{name}"));
                let same = content.and_then(|content| security::same(content, guards, components));
                let name = same.unwrap_or_else(|| self.take("securitySchemes", name, components));
                here.insert(name, scopes.clone());
            }
            alternatives.push(here);
        }
        security::joined(alternatives, guards)
    }
}

/// A name for an operation without one: `getOrdersId`.
fn named(method: &str, path: &str) -> String {
    format!("{method}{}", pascal(path))
}

/// The parameters of the path, unless the operation has its own, and those of the operation.
fn parameters(spec: &Spec, item: &Map<String, Value>, operation: &Map<String, Value>) -> Vec<Value> {
    let list = |around: &Map<String, Value>| match around.get("parameters") {
        Some(Value::Array(list)) => list.clone(),
        _ => Vec::new(),
    };
    let key = |parameter: &Value| {
        let parameter = spec.resolved(parameter);
        (parameter.get("in").cloned(), parameter.get("name").cloned())
    };
    let own = list(operation);
    let mut all = list(item);
    all.retain(|parameter| !own.iter().any(|known| key(known) == key(parameter)));
    all.extend(own);
    all
}
