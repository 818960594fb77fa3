//! A resource as a target.

use super::{Act, Reached, RouteTarget, TargetContext};
use crate::config::document::Document;
use crate::config::document::route::Route;
use crate::engine::plan::{Below, Described, PlannedTarget, SetBound};
use crate::engine::reach::{self, Reach, SAMPLE};
use crate::engine::router::Pattern;
use crate::resource;
use gatewright_sdk::limits::Limit;
use gatewright_sdk::{Fault, Traits};
use http::Method;
use std::sync::Arc;

pub(super) struct Target<'a> {
    pub name: &'a str,
    pub route: &'a Route,
}

impl RouteTarget for Target<'_> {
    fn compile(&self, with: &TargetContext<'_>) -> Result<Option<Act>, Vec<Fault>> {
        let name = self.name.to_owned();
        let reads = |traits: &Traits| traits.lookup.as_ref().is_some_and(|lookup| lookup.resource.name == name);
        let under = self.route.under.clone();
        let path = self.route.path.as_ref().map(ToString::to_string).unwrap_or_default();
        let has_keys = with.plugins.all().any(|(_, traits, _)| reads(traits));
        Ok(Some(Act::With(Box::new(move |installed| {
            let api = installed.resources.get(&name)?;
            let items = match &under {
                Some(field) => resource::service_under(api, &path, field),
                None => resource::service(api, &path),
            };
            Some(if has_keys { resource::of_keys(items, &name) } else { items })
        }))))
    }

    fn plan(&self, document: &Document) -> PlannedTarget {
        let name = self.name;
        let bound = |limit| SetBound { path: format!("resources.{name}.body_limit"), limit: Limit::Body(limit) };
        PlannedTarget {
            name: Some(name.into()),
            described: self
                .route
                .under
                .as_deref()
                .map_or_else(Described::default, |field| Described::Under(field.into())),
            bounds: document.resources.get(name).map(|resource| bound(resource.body_limit)).into_iter().collect(),
            ..PlannedTarget::of("resource")
        }
    }

    fn reach(&self, reached: &mut Reached<'_>) -> Arc<Reach> {
        let collection = self.route.path.as_deref().map(|path| Pattern::whole(path.trim_end_matches('/')));
        let strip = collection.map(|path| path.sample(SAMPLE)).unwrap_or_default();
        let targets = || vec![reach::Target::Resource(self.name.to_owned())];
        reached.once(&format!("resource {} {strip}", self.name), |_| Reach::below_prefix(targets(), &strip))
    }

    fn asks_who(&self, method: &Method, pattern: &Pattern, reached: &Reached<'_>) -> bool {
        let on_item = pattern.parameters().iter().any(|parameter| &**parameter == "id");
        let Some(model) = reached.model(self.name) else { return false };
        // Neither the path of a collection nor an item of it ends so.
        if pattern.template().ends_with("/{id}/restore") {
            return model.asks_who_to_restore(method);
        }
        model.asks_who(method, on_item)
    }

    fn below(&self, document: &Document) -> Below {
        match document.resources.get(self.name) {
            Some(resource) if resource.soft_delete.on => Below::KeptItems,
            _ => Below::Items,
        }
    }
}
