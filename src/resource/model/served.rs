//! What requests can reach of each resource. One without a route is there for rules, for references, or for a sign-in.

use crate::config::document::resource::{Operation, Resource};
use crate::config::document::route::Route;
use crate::config::named::Named;
use http::Method;
use std::collections::HashMap;

/// The routes of the document that lead to resources, by the name of the resource.
#[derive(Default)]
pub struct Served<'a>(HashMap<&'a str, Vec<Leading<'a>>>);

/// A route that leads to a resource.
struct Leading<'a> {
    route: &'a Route,
    /// The methods that count, if not all do.
    methods: Option<Vec<Method>>,
}

impl Leading<'_> {
    fn takes(&self, wanted: &[&str]) -> bool {
        let all = &self.route.methods;
        let mut taken = wanted.iter().filter(|name| all.is_empty() || all.iter().any(|one| one.as_str() == **name));
        taken.any(|name| self.methods.as_ref().is_none_or(|counted| counted.iter().any(|one| one.as_str() == *name)))
    }
}

impl<'a> Served<'a> {
    pub fn of(routes: &'a Named<Route>) -> Self {
        Self::with(routes, |_, _| None)
    }

    /// The same, as if each route took only the methods that `methods` returns for it, if it returns any list.
    pub fn with(routes: &'a Named<Route>, methods: impl Fn(&'a str, &'a Route) -> Option<Vec<Method>>) -> Self {
        let mut served: HashMap<&str, Vec<Leading<'_>>> = HashMap::new();
        for (name, route) in routes.iter() {
            if let Some(resource) = route.resource.as_deref() {
                let methods = methods(name, route);
                served.entry(resource).or_default().push(Leading { route, methods });
            }
        }
        Self(served)
    }

    fn routes(&self, name: &str) -> impl Iterator<Item = &Leading<'a>> {
        self.0.get(name).into_iter().flatten()
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
        self.routes(name).any(|leading| leading.takes(methods))
    }

    /// Whether the path of a route has the item that this field refers to.
    pub fn is_in_a_path(&self, name: &str, field: &str) -> bool {
        self.routes(name).any(|leading| leading.route.under.as_deref() == Some(field))
    }
}
