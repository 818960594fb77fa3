//! The items of resources that plugins look up: whether the resource and its fields exist, and how they are found.

use crate::config::document::Document;
use crate::config::words;
use crate::engine::chain::Plugins;
use crate::engine::faults::Faults;
use crate::engine::stores::Used;
use crate::resource::model::Model;
use crate::resource::{Statements, TableItems};
use gatewright_sdk::items::{Items, LookedUp, Lookup, Resources};
use gatewright_sdk::{Code, Fault, Keep};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Reports names and types that do not fit.
pub(super) fn check(plugins: &Plugins, document: &Document, faults: &mut Faults<'_>) {
    let mut all: Vec<_> = plugins.all().collect();
    all.sort_unstable_by_key(|(_, _, path)| *path);
    for (_, traits, path) in all {
        let Some(lookup) = &traits.lookup else { continue };
        let name = &*lookup.resource.name;
        let Some(resource) = document.resources.get(name) else {
            let known: Vec<_> = document.resources.names().collect();
            let fault = Fault::new(&*lookup.resource.path, format!("unknown resource `{name}`"));
            faults.add(path, fault.code(Code::UNKNOWN_REFERENCE).help(words::way_out(name, &known)));
            continue;
        };
        for LookedUp { setting, types, .. } in lookup.fields() {
            let Some(field) = resource.fields.get(&setting.name) else {
                let known: Vec<_> = resource.fields.names().collect();
                let message = format!("resource `{name}` has no field `{}`", setting.name);
                let fault = Fault::new(&*setting.path, message).code(Code::UNKNOWN_FIELD);
                faults.add(path, fault.help(words::way_out(&setting.name, &known)));
                continue;
            };
            let kind = serde_json::to_value(field.r#type).unwrap_or_default();
            let kind = kind.as_str().unwrap_or_default();
            if kind == "password" || !types.is_empty() && !types.contains(&kind) {
                let message = format!("field `{}` of `{name}` has the type `{kind}`", setting.name);
                let types = if types.is_empty() { "any type but `password`".to_owned() } else { words::list(types) };
                let fault = Fault::new(&*setting.path, message).code(Code::FIELD_VALUE);
                faults.add(path, fault.help(format!("use a field of one of these types: {types}")));
            }
        }
        let key = &lookup.key.setting;
        if let Some(field) = resource.fields.get(&key.name)
            && !(field.unique.unique && field.unique.with.is_empty() && !field.unique.ignore_case)
        {
            let fault = Fault::new(&*key.path, format!("field `{}` of `{name}` must be unique", key.name));
            let help = format!("add `unique: true` to the field `{}`", key.name);
            faults.add(path, fault.code(Code::FIELD_CONTRADICTION).help(help));
        }
    }
}

/// The names of the resources that plugins look items up in.
pub(super) fn resources(plugins: &Plugins) -> BTreeSet<String> {
    plugins.all().filter_map(|(_, traits, _)| Some(traits.lookup.as_ref()?.resource.name.clone())).collect()
}

/// The resources that are being installed.
pub(super) struct Tables<'a> {
    pub models: &'a [(String, Arc<Model>)],
    pub stores: &'a [Used],
    pub keep: &'a Keep,
}

impl Resources for Tables<'_> {
    fn items(&self, lookup: &Lookup) -> Option<Arc<dyn Items>> {
        let (_, model) = self.models.iter().find(|(name, _)| *name == lookup.resource.name)?;
        let used = self.stores.iter().find(|used| *used.name == *model.store)?;
        let statements = statements(used, model, self.keep);
        Some(Arc::new(TableItems::new(Arc::clone(model), Arc::clone(&used.store), statements, lookup)?))
    }
}

/// The measures of statements on the table of a resource.
pub(super) fn statements(used: &Used, model: &Model, keep: &Keep) -> Arc<Statements> {
    let key = format!("{} {}", used.name, model.table.name);
    keep.get_or_make(&key, || Statements::new(&used.store, &used.name, &model.table.name))
}
