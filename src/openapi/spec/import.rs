//! Takes operations of a description into another one, with the components they refer to.

use super::{Spec, security};
use crate::openapi::Components;
use crate::openapi::joined::join_problems;
use crate::openapi::names::pascal;
use crate::openapi::operation::Guards;
use gatewright_openapi::{Reference, parts, write_reference};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// A description whose operations are taken into another one.
pub struct Import<'a> {
    spec: &'a Spec,
    /// What is in front of all of them.
    guards: &'a Guards,
    /// The errors of the gateway, by status. They are the same for each operation.
    problems: Map<String, Value>,
    /// The new name of each component that was taken, by kind and name.
    taken: HashMap<(String, String), String>,
    /// Those whose content is still to come: kind, name, and the new name. Components refer to each other to any depth.
    pending: Vec<(String, String, String)>,
}

impl<'a> Import<'a> {
    /// Operations of `spec` behind `guards`. What the gateway itself responds with keeps its names, so it comes first.
    pub fn new(spec: &'a Spec, guards: &'a Guards, components: &mut Components) -> Self {
        let problems = guards.problems(components);
        Self { spec, guards, problems, taken: HashMap::new(), pending: Vec::new() }
    }

    /// The operation `method` of `item`, which is at `path`. Without tags it gets that of the route. `renamed` has the
    /// parameters of the path that have another name here, and that name.
    pub fn operation(
        &mut self,
        (path, method, item): (&str, &str, &Map<String, Value>),
        (route, renamed): (&str, &[(&str, &str)]),
        components: &mut Components,
    ) -> Option<Value> {
        let (spec, guards) = (self.spec, self.guards);
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
        let parameters = spec.parameters(item, operation);
        if !parameters.is_empty() {
            let parameters = parameters.into_iter().map(|parameter| self.parameter(parameter, renamed, components));
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
            let mut response = described(self.part(spec.resolved(response), components));
            guards.add_fields(&mut response, components);
            known.insert(status.clone(), response);
        }
        join_problems(&self.problems, &mut known, components);
        taken.insert("responses".to_owned(), known.into());
        let own = operation.get("security").or_else(|| spec.document().get("security"));
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

    /// A parameter. One of the path may have another name here.
    fn parameter(&mut self, parameter: &Value, renamed: &[(&str, &str)], components: &mut Components) -> Value {
        let known = self.spec.resolved(parameter);
        let name = known.get("name").filter(|_| known.get("in").is_some_and(|place| place == "path"));
        let new = name.and_then(|name| renamed.iter().find(|(old, _)| name == old));
        let Some((_, new)) = new else { return self.part(parameter, components) };
        let mut parameter = self.part(known, components);
        if let Some(members) = parameter.as_object_mut() {
            members.insert("name".to_owned(), (*new).into());
        }
        parameter
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
            let whole = if named.starts_with('#') { named.to_owned() } else { write_reference("schemas", named, "") };
            *target = self.reference(&whole, components).into();
        }
    }

    /// A reference to the same component here. It is taken if it was not yet.
    fn reference(&mut self, reference: &str, components: &mut Components) -> String {
        // A file with other references is refused.
        let Some(Reference { kind, name, below }) = Reference::read(reference) else { return reference.to_owned() };
        let taken = self.take(&kind, &name, components);
        write_reference(&kind, &taken, &below)
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
            let content = self.spec.component(&kind, &name).cloned().unwrap_or_default();
            let mut content = self.part(&content, components);
            if kind == "responses" {
                content = described(content);
            }
            components.fill(&kind, &taken, content);
        }
    }

    /// What a client must send: for the upstream, and for the gateway.
    fn security(&mut self, own: Option<&Value>, guards: &Guards, components: &mut Components) -> Value {
        let mut alternatives = Vec::new();
        for own in own.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
            let mut here = Map::new();
            for (name, scopes) in own {
                let content = self.spec.component("securitySchemes", name);
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

/// A response with the description that each must have.
fn described(mut response: Value) -> Value {
    if let Some(members) = response.as_object_mut().filter(|members| !members.contains_key("$ref")) {
        members.entry("description").or_insert_with(|| "".into());
    }
    response
}
