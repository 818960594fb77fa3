//! What requests can reach of each resource. One without a route is there for rules, for references, or for a sign-in.

use crate::config::document::resource::{Operation, Resource};
use crate::config::document::route::Route;
use crate::config::named::Named;
use std::collections::HashMap;

/// The routes of the document that lead to resources, by the name of the resource.
#[derive(Default)]
pub struct Served<'a>(HashMap<&'a str, Vec<&'a Route>>);

impl<'a> Served<'a> {
    pub fn of(routes: &'a Named<Route>) -> Self {
        let mut served: HashMap<&str, Vec<&Route>> = HashMap::new();
        for (_, route) in routes.iter() {
            if let Some(resource) = route.resource.as_deref() {
                served.entry(resource).or_default().push(route);
            }
        }
        Self(served)
    }

    fn routes(&self, name: &str) -> impl Iterator<Item = &'a Route> {
        self.0.get(name).into_iter().flatten().copied()
    }

    /// Whether a route takes requests for this operation of the resource `name`.
    pub fn takes(&self, (name, spec): (&str, &Resource), operation: Operation) -> bool {
        let methods: &[&str] = match operation {
            Operation::List | Operation::Read => &["GET", "HEAD"],
            Operation::Create if spec.bulk.upsert.is_some() => &["POST", "PUT"],
            Operation::Create | Operation::Restore => &["POST"],
            Operation::Update => &["PUT", "PATCH"],
            Operation::Delete => &["DELETE"],
        };
        let takes =
            |route: &Route| route.methods.is_empty() || route.methods.iter().any(|one| methods.contains(&one.as_str()));
        self.routes(name).any(takes)
    }

    /// Whether the path of a route has the item that this field refers to.
    pub fn is_in_a_path(&self, name: &str, field: &str) -> bool {
        self.routes(name).any(|route| route.under.as_deref() == Some(field))
    }
}
