//! One operation: what a target says about it, joined with what the plugins in front of it do.

use super::Components;
use super::added::added_fields;
use super::problems::{any_other, problem};
use gatewright_sdk::AddedField;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// An operation of a target.
#[derive(Debug, Default)]
pub struct Operation {
    /// In lower case.
    pub method: &'static str,
    pub id: String,
    pub tag: String,
    pub summary: String,
    pub description: String,
    pub parameters: Vec<Value>,
    pub body: Option<Body>,
    /// The responses that are not errors, by status.
    pub responses: Vec<(u16, Value)>,
    /// The statuses of its errors.
    pub problems: BTreeSet<u16>,
    /// Whether it needs an authenticated caller.
    pub needs_identity: bool,
}

/// The body of a request.
#[derive(Debug)]
pub struct Body {
    /// A reference to its schema.
    pub schema: Value,
    pub media: &'static [&'static str],
}

/// What plugins do to the requests of an operation.
#[derive(Debug, Default)]
pub struct Guards {
    /// What a client must send: one of these sets of security schemes. Empty if it need not send anything.
    pub required: Vec<BTreeSet<String>>,
    /// What a client may send, by security scheme.
    pub optional: BTreeSet<String>,
    /// The statuses of their rejections, with those whose bodies may have any form.
    pub rejects: BTreeMap<u16, bool>,
    /// Whether their rejections may have any form.
    pub is_foreign: bool,
    /// The header fields that they add to responses.
    pub adds: Vec<AddedField>,
}

impl Operation {
    /// The operation behind `guards`.
    pub fn finish(self, guards: &Guards, components: &mut Components) -> Value {
        let security = guards.security(self.needs_identity);
        let mut responses = Map::new();
        for (status, mut response) in self.responses {
            guards.add_fields(&mut response, components);
            responses.insert(status.to_string(), response);
        }
        let mut problems: BTreeMap<u16, bool> = self.problems.iter().map(|status| (*status, false)).collect();
        for (status, foreign) in &guards.rejects {
            *problems.entry(*status).or_default() |= foreign;
        }
        for (status, foreign) in problems {
            responses.insert(status.to_string(), problem(status, foreign, &guards.adds, components));
        }
        responses.insert("default".to_owned(), any_other(guards.is_foreign, components));
        let mut operation = super::object([
            ("operationId", components.operations.take(&self.id).into()),
            ("tags", json!([self.tag])),
            ("summary", self.summary.into()),
            ("description", self.description.into()),
        ]);
        if !self.parameters.is_empty() {
            operation.insert("parameters".to_owned(), self.parameters.into());
        }
        if let Some(Body { schema, media }) = self.body {
            let content: Map<String, Value> =
                media.iter().map(|media| ((*media).to_owned(), json!({ "schema": schema }))).collect();
            operation.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
        }
        operation.insert("responses".to_owned(), responses.into());
        operation.insert("security".to_owned(), security);
        operation.into()
    }
}

impl Guards {
    /// The security requirements: alternatives, of which an empty one is a request without credentials.
    pub(super) fn security(&self, needs_identity: bool) -> Value {
        if !self.required.is_empty() {
            return self.required_sets().into_iter().map(Value::Object).collect();
        }
        let one = |name: &String| Value::Object(set(&BTreeSet::from([name.clone()])));
        let nothing = (!needs_identity && !self.optional.is_empty()).then(|| json!({}));
        nothing.into_iter().chain(self.optional.iter().map(one)).collect()
    }

    /// The requirements of which a client must meet one.
    pub(super) fn required_sets(&self) -> Vec<Map<String, Value>> {
        self.required.iter().map(set).collect()
    }

    /// Adds their header fields to a response.
    pub(super) fn add_fields(&self, response: &mut Value, components: &mut Components) {
        let added = added_fields(&self.adds, components);
        let Some(response) = response.as_object_mut() else { return };
        if added.is_empty() {
            return;
        }
        let headers = response.entry("headers").or_insert_with(|| json!({}));
        if let Some(headers) = headers.as_object_mut() {
            headers.extend(added);
        }
    }
}

/// A requirement of these security schemes.
fn set(names: &BTreeSet<String>) -> Map<String, Value> {
    names.iter().map(|name| (name.clone(), json!([]))).collect()
}
