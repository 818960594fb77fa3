//! Checks the names that chains, listeners, routes and resources refer to.

use super::Lint;
use crate::config::document::chain::ChainEntry;
use crate::config::document::store_url::StoreKind;
use crate::config::tree::{Node, Value};
use gatewright_sdk::Code;
use std::collections::HashSet;

/// Where the names of each section are used.
const USES: [(&str, &[&str]); 5] = [
    (
        "plugins",
        &[
            "chains.*.*",
            "routes.*.plugins.*",
            "routes.*.without.*",
            "routes.*.sign_in.token.plugin",
            "plugins.*.any_of.*",
        ],
    ),
    ("chains", &["listeners.*.chain", "routes.*.chain"]),
    ("stores", &["resources.*.store", "plugins.*.*.store", "routes.*.sign_in.wrong_passwords.store"]),
    ("upstreams", &["routes.*.upstream", "routes.*.split.*.upstream", "routes.*.mirror.upstream"]),
    (
        "resources",
        &["resources.*.fields.*.to", "routes.*.resource", "routes.*.sign_in.resource", "plugins.*.*.keys.resource"],
    ),
];

/// The entries of `section` that something in the tree refers to, including entries with faults.
pub(super) fn used<'a>(tree: &'a Node, section: &str) -> HashSet<&'a str> {
    let mut used = HashSet::new();
    let patterns = USES.iter().find(|(known, _)| *known == section).map_or(&[][..], |(_, patterns)| patterns);
    for pattern in patterns {
        // An entry of a chain is a name, or a map with the name under `use`.
        tree.each(pattern, &mut |_, node| {
            if let Value::Str(name) = &node.get("use").unwrap_or(node).value {
                used.insert(name.as_str());
            }
        });
    }
    used
}

impl Lint<'_> {
    pub(super) fn references(&mut self) {
        let document = self.document;
        for (name, plugin) in document.plugins.iter().filter(|(_, plugin)| plugin.kind == "any_of") {
            for (index, member) in plugin.settings.as_array().into_iter().flatten().enumerate() {
                self.plugin(&format!("plugins.{name}.any_of[{index}]"), member.as_str().unwrap_or_default());
            }
        }
        for (name, entries) in document.chains.iter() {
            self.chain(&format!("chains.{name}"), entries);
        }
        for (name, listener) in document.listeners.iter() {
            if let Some(chain) = &listener.chain {
                self.known(&format!("listeners.{name}.chain"), chain, "chains", "chain");
            }
        }
        for (name, route) in document.routes.iter() {
            let path = format!("routes.{name}");
            for (index, listener) in route.listeners.iter().enumerate() {
                self.known(&format!("{path}.listeners[{index}]"), listener, "listeners", "listener");
            }
            if let Some(chain) = &route.chain {
                self.known(&format!("{path}.chain"), chain, "chains", "chain");
            }
            self.chain(&format!("{path}.plugins"), &route.plugins);
            for (index, plugin) in route.without.iter().enumerate() {
                self.without(&format!("{path}.without[{index}]"), plugin, route.chain.as_deref());
            }
            if let Some(resource) = &route.resource {
                self.known(&format!("{path}.resource"), resource, "resources", "resource");
            }
            if let Some(upstream) = &route.upstream {
                self.known(&format!("{path}.upstream"), upstream, "upstreams", "upstream");
            }
            if let Some(sign_in) = &route.sign_in {
                self.known(&format!("{path}.sign_in.resource"), &sign_in.resource, "resources", "resource");
                self.plugin(&format!("{path}.sign_in.token.plugin"), &sign_in.token.plugin);
            }
            for (index, share) in route.split.iter().flatten().enumerate() {
                self.known(&format!("{path}.split[{index}].upstream"), &share.upstream, "upstreams", "upstream");
            }
            if let Some(mirror) = &route.mirror {
                self.known(&format!("{path}.mirror.upstream"), &mirror.upstream, "upstreams", "upstream");
            }
        }
        for (name, store) in document.stores.iter() {
            if store.pool.is_some() && store.url.store != StoreKind::Postgres {
                let message = format!("`pool` has no effect: store `{name}` is not a PostgreSQL store");
                self.error(Code::STORE_CANNOT_COUNT, &format!("stores.{name}.pool"), message, "remove it");
            }
            if store.durability.is_some() && !matches!(store.url.store, StoreKind::SqliteFile(_)) {
                let message = format!("`durability` has no effect: store `{name}` is not a SQLite file");
                let help = match store.url.store {
                    StoreKind::Postgres => "remove it; PostgreSQL has a setting of its own, `synchronous_commit`",
                    _ => "remove it",
                };
                self.error(Code::STORE_CANNOT_COUNT, &format!("stores.{name}.durability"), message, help);
            }
            if store.migrate.is_some() && store.url.store == StoreKind::Redis {
                let message = format!("`migrate` has no effect: store `{name}` is a Redis store, which has no tables");
                self.error(Code::STORE_CANNOT_COUNT, &format!("stores.{name}.migrate"), message, "remove it");
            }
            if store.tls.is_some() && !store.url.expose().starts_with("rediss:") {
                let (message, help) = match store.url.store {
                    StoreKind::Redis => {
                        ("the `url` does not use TLS".to_owned(), "write `rediss://` in the `url`, or remove `tls`")
                    }
                    StoreKind::Postgres => (
                        format!("store `{name}` is not a Redis store"),
                        "name the certificates in the `url`: `?sslmode=verify-full&sslrootcert=certs/ca.crt`",
                    ),
                    _ => (format!("store `{name}` is not a Redis store"), "remove it"),
                };
                let message = format!("`tls` has no effect: {message}");
                self.error(Code::STORE_CANNOT_COUNT, &format!("stores.{name}.tls"), message, help);
            }
            if store.on_error.is_some() && store.url.store != StoreKind::Redis {
                let message = format!("`on_error` has no effect: store `{name}` is not a Redis store");
                self.error(Code::STORE_CANNOT_COUNT, &format!("stores.{name}.on_error"), message, "remove it");
            }
        }
        for (name, resource) in document.resources.iter() {
            let path = format!("resources.{name}.store");
            self.known(&path, &resource.store, "stores", "store");
            for (field, written) in resource.fields.iter() {
                if let Some(to) = &written.to {
                    self.known(&format!("resources.{name}.fields.{field}.to"), to, "resources", "resource");
                }
            }
            let redis = document.stores.get(&resource.store).is_some_and(|store| store.url.store == StoreKind::Redis);
            if redis {
                let message = format!("store `{}` is a Redis store, which cannot hold items", resource.store);
                self.error(Code::STORE_KIND, &path, message, "use a `sqlite://` or a `postgres://` store");
            }
        }
    }

    fn chain(&mut self, path: &str, entries: &[ChainEntry]) {
        for (index, entry) in entries.iter().enumerate() {
            let at = format!("{path}[{index}]");
            self.plugin(&at, &entry.plugin);
            if entries.iter().take(index).any(|other| other.plugin == entry.plugin) {
                let message = format!("`{}` runs twice in this chain", entry.plugin);
                self.warning(Code::PLUGIN_TWICE, &at, message, "remove one of them");
            }
        }
    }

    fn plugin(&mut self, path: &str, name: &str) {
        if self.is_written("plugins", name) || !self.kinds.contains(&name) {
            return self.known(path, name, "plugins", "plugin");
        }
        let made = self.document.plugins.iter().find(|(_, plugin)| plugin.kind == name).map(|(made, _)| made);
        let help = match made {
            Some(made) => format!("chains list plugins by name: did you mean `{made}`?"),
            None => format!(
                "define a plugin first: `plugins: {{ my-{}: {{ {name}: {{ … }} }} }}`, then use its name here",
                name.replace('_', "-")
            ),
        };
        self.error(Code::TYPE_FOR_PLUGIN, path, format!("`{name}` is a plugin type, not a plugin"), help);
    }

    fn without(&mut self, path: &str, plugin: &str, chain: Option<&str>) {
        self.plugin(path, plugin);
        let entries = match chain {
            Some(chain) => self.document.chains.get(chain),
            None => None,
        };
        let runs = entries.is_some_and(|entries| entries.iter().any(|entry| entry.plugin == plugin));
        if !runs && self.is_written("plugins", plugin) && (chain.is_none() || entries.is_some()) {
            let message = format!("`{plugin}` is not in the chain of this route");
            self.warning(Code::WITHOUT_NOTHING, path, message, "remove it from `without`");
        }
    }
}
