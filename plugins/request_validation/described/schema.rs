//! Schemas of a description as validators: each with the components that it refers to.

use super::kinds::Kinds;
use super::ways;
use crate::request_validation::branches;
use crate::request_validation::formats::{self, Formats};
use crate::request_validation::invalid::Unusable;
use gatewright_openapi::{Reference, Spec, parts};
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// What a keyword of JSON Schema contains.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A schema for the same value, a list of them, or some by names.
    Same,
    SameList,
    SameNamed,
    /// Schemas for the members with these names.
    Members,
    /// A schema for members, or some.
    AnyMember,
    AnyMembers,
    /// A schema for elements, or some.
    Element,
    Elements,
    Other,
}

impl Part {
    pub fn of(keyword: &str) -> Self {
        match keyword {
            "not" | "if" | "then" | "else" => Self::Same,
            "allOf" | "anyOf" | "oneOf" => Self::SameList,
            "dependentSchemas" => Self::SameNamed,
            "properties" => Self::Members,
            "additionalProperties" | "unevaluatedProperties" | "propertyNames" => Self::AnyMember,
            "patternProperties" => Self::AnyMembers,
            "items" | "contains" | "unevaluatedItems" => Self::Element,
            "prefixItems" => Self::Elements,
            _ => Self::Other,
        }
    }
}

/// Keywords that would change what references mean.
const REFUSED: [&str; 6] = ["$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"];

/// Makes validators. Schemas that only refer to a component share one.
pub struct Schemas<'a> {
    spec: &'a Spec,
    formats: Formats,
    made: HashMap<String, Arc<Validator>>,
}

impl<'a> Schemas<'a> {
    pub fn new(spec: &'a Spec, formats: Formats) -> Self {
        Self { spec, formats, made: HashMap::new() }
    }

    /// A validator for what a client sends.
    ///
    /// # Errors
    /// Why there is none.
    pub fn validator(&mut self, schema: &Value) -> Result<Arc<Validator>, Unusable> {
        let reference =
            schema.get("$ref").and_then(Value::as_str).filter(|_| schema.as_object().is_some_and(|all| all.len() == 1));
        if let Some(known) = reference.and_then(|reference| self.made.get(reference)) {
            return Ok(Arc::clone(known));
        }
        let spec = self.spec;
        let target = |reference: &str| spec.target(reference);
        ways::check(schema, &target)?;
        let whole = self.whole(schema)?;
        let kinds = |part: &Value| Kinds::of(spec, part);
        let built = branches::validator(&whole, self.formats, &kinds);
        let built = built.map_err(|Unusable { why, help }| {
            let why = format!("the schema is not valid{why}");
            Unusable { why, help }
        })?;
        let built = Arc::new(built);
        if let Some(reference) = reference {
            self.made.insert(reference.to_owned(), Arc::clone(&built));
        }
        Ok(built)
    }

    /// The schema with the components that it refers to.
    fn whole(&self, schema: &Value) -> Result<Value, String> {
        let mut whole = schema.clone();
        let (mut open, mut components) = (Vec::new(), Map::new());
        self.prepare(&mut whole, &mut open)?;
        while let Some(reference) = open.pop() {
            let Some(Reference { kind, name, .. }) = Reference::read(&reference) else { continue };
            let named = components.entry(kind.clone()).or_insert_with(|| json!({}));
            let Some(named) = named.as_object_mut().filter(|named| !named.contains_key(&name)) else { continue };
            let mut content = self.spec.component(&kind, &name).cloned().unwrap_or_default();
            self.prepare(&mut content, &mut open)?;
            named.insert(name, content);
        }
        if let (Some(members), false) = (whole.as_object_mut(), components.is_empty()) {
            members.insert("components".to_owned(), components.into());
        }
        Ok(whole)
    }

    /// Lists the references of a part, and makes it one for requests: what only responses have is not required.
    fn prepare(&self, part: &mut Value, open: &mut Vec<String>) -> Result<(), String> {
        let mut refused = None;
        parts::each(part, &mut |object| {
            open.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            refused = refused
                .or_else(|| REFUSED.into_iter().find(|keyword| object.get(*keyword).is_some_and(Value::is_string)));
            object.shift_remove("$schema");
            formats::bound(object, self.formats);
            let read_only: Vec<String> = object
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .filter(|(_, property)| self.is_read_only(property))
                .map(|(name, _)| name.clone())
                .collect();
            if let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) {
                required.retain(|name| !read_only.iter().any(|known| name == known));
            }
        });
        refused.map_or(Ok(()), |keyword| Err(format!("`{keyword}` is not supported")))
    }

    fn is_read_only(&self, property: &Value) -> bool {
        let says = |schema: &Value| schema.get("readOnly") == Some(&Value::Bool(true));
        says(property) || says(self.spec.resolved(property))
    }
}
