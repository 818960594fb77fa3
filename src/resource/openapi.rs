//! The OpenAPI description of resources: the same rules that validate requests, as JSON Schema.

mod items;
mod lists;
mod parameters;
mod pattern;
mod replies;
mod schema;
mod sign_in;

pub use items::operations;
pub use parameters::parent;
pub use pattern::SEGMENT;
pub use sign_in::operations as sign_in_operations;

use super::field::Field;
use crate::openapi::names::{Unique, pascal, singular};
use crate::resource::model::Model;
use std::collections::HashMap;
use std::sync::Arc;

/// Names of the schemas and operations of each resource.
pub struct Names(HashMap<String, Naming>);

/// The names of one resource.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    /// One item: `User`.
    pub one: String,
    /// The items: `Users`.
    pub many: String,
}

/// What the description of a resource needs besides it.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    pub models: &'a [(String, Arc<Model>)],
    pub names: &'a Names,
    /// The field that refers to the item in the path.
    pub under: Option<&'a str>,
}

impl<'a> Around<'a> {
    /// The resource that a field refers to, and its names.
    pub(in crate::resource) fn target(self, field: &Field) -> Option<(&'a Model, Naming)> {
        let to = &field.reference.as_ref()?.to;
        let (_, model) = self.models.iter().find(|(name, _)| name == to)?;
        Some((model, self.names.get(to)))
    }

    /// The field that refers to the item in the path, and what names that item.
    pub(in crate::resource) fn parent(self, model: &'a Model) -> Option<(&'a Field, Naming)> {
        let field = model.fields.iter().find(|field| Some(&*field.name) == self.under)?;
        Some((field, self.target(field)?.1))
    }
}

/// Names of schemas that are not those of resources.
const TAKEN: [&str; 10] =
    ["Error", "Problem", "Json", "JsonValue", "Login", "Logout", "PasswordChange", "Tokens", "KeySet", "RefreshToken"];

impl Names {
    pub fn of(models: &[(String, Arc<Model>)]) -> Self {
        let mut unique = Unique::default();
        for name in TAKEN {
            unique.take(name);
        }
        let mut names = HashMap::new();
        for (name, _) in models {
            let naming = Naming { one: unique.take(&pascal(&singular(name))), many: pascal(name) };
            // What is made from the name of an item must not be the name of another one.
            for other in ["New", "Selected", "Changed", "Replaced", "Upserted"] {
                unique.take(&format!("{other}{}", naming.one));
            }
            unique.take(&format!("{}Outcome", naming.one));
            names.insert(name.clone(), naming);
        }
        Self(names)
    }

    pub fn get(&self, resource: &str) -> Naming {
        self.0.get(resource).cloned().unwrap_or_default()
    }
}
