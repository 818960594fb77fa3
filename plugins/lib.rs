//! The plugins that come with gatewright, one file each. To add one, add a file here and a line in [`ALL`].

#![deny(clippy::disallowed_methods, reason = "a plugin is given what it needs")]

mod any_of;
mod api_key;
mod authorize;
mod basic;
mod body_limit;
mod client_cert;
mod compression;
mod concurrency_limit;
mod cors;
mod csrf;
mod forward_auth;
mod headers;
mod ip_filter;
mod jwt;
mod key;
mod origins;
mod rate_limit;
mod request_id;
mod request_validation;
mod security_headers;
mod timeout;
mod vary;

use gatewright_sdk::{PluginKind, builtin};

/// Every plugin type that configuration may name.
pub const ALL: &[&dyn PluginKind] = &[
    &builtin::<any_of::AnyOf>(),
    &builtin::<api_key::ApiKey>(),
    &builtin::<authorize::Authorize>(),
    &builtin::<basic::Basic>(),
    &builtin::<body_limit::BodyLimit>(),
    &builtin::<client_cert::ClientCert>(),
    &builtin::<compression::Compression>(),
    &builtin::<concurrency_limit::ConcurrencyLimit>(),
    &builtin::<cors::Cors>(),
    &builtin::<csrf::Csrf>(),
    &builtin::<forward_auth::ForwardAuth>(),
    &builtin::<headers::Headers>(),
    &builtin::<ip_filter::IpFilter>(),
    &builtin::<jwt::Jwt>(),
    &builtin::<rate_limit::RateLimit>(),
    &builtin::<request_id::RequestId>(),
    &builtin::<request_validation::RequestValidation>(),
    &builtin::<security_headers::SecurityHeaders>(),
    &builtin::<timeout::Timeout>(),
];

/// The types of the plugins that run on a listener that names no chain, in this order and with default settings.
pub const DEFAULT_CHAIN: &[&str] = &["request_id", "compression", "timeout"];

#[cfg(test)]
mod tests {
    use super::*;
    use gatewright_sdk::testing::{Disk, Nothing, install_act};
    use gatewright_sdk::{CheckContext, HttpService, Keep, Reply, Services};
    use serde_json::json;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    /// `gatewright check` builds without a runtime, and a failed build must leave nothing behind.
    #[test]
    fn every_plugin_installs_outside_a_runtime_and_what_it_keeps_goes_with_it() {
        let keep = Keep::default();
        let check = CheckContext { files: &Disk, production: true };
        let services: Arc<dyn Services> = Arc::new(Nothing);
        let mut installed = Vec::new();
        for kind in ALL {
            let settings = match kind.name() {
                "any_of" => json!(["login", "partners"]),
                "api_key" => json!({ "keys": { "resource": "keys", "field": "hash", "owner": "owner" } }),
                "authorize" => json!({ "role": "admin" }),
                "concurrency_limit" => json!({ "key": "client.ip", "max": 10 }),
                "cors" => json!({ "allow_origins": ["https://app.example.com"] }),
                "forward_auth" => json!({ "url": "http://auth.internal/verify" }),
                "headers" => json!({ "response": { "remove": ["server"] } }),
                "ip_filter" => json!({ "allow": ["10.0.0.0/8", "::1", "unix:"] }),
                "request_validation" => json!({ "body": { "schema": {} } }),
                "jwt" => json!({
                    "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "secret": "k7Qm2vXr9TfB4nLs8WdZ1pYc6HgJ3eRu",
                }),
                "rate_limit" => json!({ "key": "client.ip", "quota": 20, "window": "1s" }),
                _ => json!({}),
            };
            // It needs a file with users.
            if kind.name() == "basic" {
                continue;
            }
            let (read, plugin) = kind.compile(settings, &check);
            assert_eq!(plugin.faults, [], "{}", kind.name());
            let again = kind.compile(read.clone(), &check).0;
            assert!(
                (read.is_object() || read.is_array()) && read == again,
                "{}: settings are written as they are read",
                kind.name()
            );
            let next = HttpService::from_call(|_| Reply::ready("in"));
            let service = install_act(&plugin, kind.name(), &keep, &services, next);
            // Only what limits count, the token cache and the use of keys outlive a snapshot.
            let before = installed.iter().map(|(kept, _)| kept).sum::<usize>();
            let keeps = ["api_key", "concurrency_limit", "jwt", "rate_limit"];
            assert_eq!(keep.len() > before, keeps.contains(&kind.name()), "{}", kind.name());
            installed.push((keep.len() - before, service));
        }
        drop(installed);
        assert!(keep.is_empty());
    }

    #[test]
    fn every_plugin_has_a_name_of_its_own_and_a_documented_schema() {
        let mut generator = schemars::SchemaGenerator::default();
        let names: BTreeSet<&str> = ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), ALL.len());
        for kind in ALL {
            kind.schema(&mut generator);
        }
        let definitions = generator.take_definitions(true);
        let fields =
            definitions.iter().filter_map(|(name, schema)| Some((name, schema.get("properties")?.as_object()?)));
        for (name, fields) in fields {
            for (field, schema) in fields {
                assert!(schema.get("description").is_some(), "{name}.{field} is undocumented");
                let same = name.ends_with(|last: char| last.is_ascii_digit());
                assert!(
                    !same,
                    "two kinds of settings share the name {name}: give one another with #[schemars(rename)]"
                );
            }
        }
    }
}
