//! The stores that plugins and sign-ins count in: whether they exist, and can count.

use super::Plugins;
use crate::config::document::Document;
use crate::config::document::store_url::StoreKind;
use crate::config::words;
use crate::engine::faults::Faults;
use gatewright_sdk::{Code, Fault, StoreUse};

impl Plugins {
    /// Reports the stores that plugins and sign-ins want to count in and cannot.
    pub fn check_stores(&self, document: &Document, faults: &mut Faults<'_>) {
        let plugins =
            self.configured.values().filter_map(|one| Some((one.path.clone(), one.traits.counts_in.clone()?)));
        let mut using: Vec<_> = plugins.collect();
        using.sort_by(|(one, _), (other, _)| one.cmp(other));
        let sign_ins = document.routes.iter().filter_map(|(name, route)| {
            let store = route.sign_in.as_ref()?.wrong_passwords.store.clone()?;
            Some((format!("routes.{name}.sign_in"), StoreUse { path: "wrong_passwords.store", name: store }))
        });
        using.extend(sign_ins);
        for (path, StoreUse { path: setting, name }) in &using {
            let Some(store) = document.stores.get(name) else {
                // One with an invalid URL was reported there.
                let written = faults.sources.tree().get("stores").and_then(|stores| stores.get(name));
                if written.is_none() {
                    faults.add(path, unknown_store(setting, name, document));
                }
                continue;
            };
            if store.url.store != StoreKind::Redis {
                let message = format!("store `{name}` cannot count for several gateways: it is not a Redis store");
                let help = "use a `redis://` store; without `store`, each gateway counts separately";
                let fault = Fault::new(*setting, message).code(Code::STORE_CANNOT_COUNT).help(help);
                let defined = format!("stores.{name}.url");
                faults.add_related(path, fault, Some((&defined, format!("`{name}` is defined here"))));
            }
        }
    }
}

fn unknown_store(setting: &str, name: &str, document: &Document) -> Fault {
    let counting = document.stores.iter().filter(|(_, store)| store.url.store == StoreKind::Redis);
    let known: Vec<&str> = counting.map(|(name, _)| name).collect();
    let help = match known.as_slice() {
        _ if name.contains("://") => {
            "write the name of a store: define `stores: { counters: { url: \"redis://…\" } }`, and use `counters`"
                .to_owned()
        }
        [] => format!("define it: `stores: {{ {name}: {{ url: \"redis://127.0.0.1:6379\" }} }}`"),
        known => words::way_out(name, known),
    };
    let message = format!("unknown store `{}`", name.escape_debug());
    Fault::new(setting, message).code(Code::UNKNOWN_REFERENCE).help(help)
}
