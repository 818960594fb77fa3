//! Keys of the format that are not implemented in this version: using one is an error.

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::sources::Sources;
use crate::config::tree::Value;
use gatewright_sdk::Code;

/// What is not implemented: a path with `*` for any name or index, and the prefixes of the values concerned; none for
/// every value.
pub const PENDING: &[(&str, &[&str])] = &[
    ("reload.keep_generations", &[]),
    ("reload.require_tests", &["true"]),
    ("listeners.*.tls", &[]),
    ("listeners.*.address", &["unix:"]),
    ("stores.*.url", &["postgres:", "postgresql:", "redis:", "rediss:"]),
    ("stores.*.on_error", &[]),
    ("chains.*.*.when", &[]),
    ("chains.*.*.mode", &[]),
    ("upstreams.*.health_checks", &[]),
    ("upstreams.*.circuit_breaker", &[]),
    ("upstreams.*.tls", &[]),
    ("upstreams.*.load_balancing.policy", &["least_request", "random", "ring_hash"]),
    ("upstreams.*.targets.*.url", &["https:"]),
    ("resources.*.idempotency", &[]),
    ("resources.*.envelope", &[]),
    ("resources.*.bulk", &[]),
    ("resources.*.soft_delete", &[]),
    ("resources.*.events", &[]),
    ("resources.*.fields.*.type", &["ref"]),
    ("resources.*.fields.*.renamed_from", &[]),
    ("resources.*.fields.*.to", &[]),
    ("resources.*.fields.*.on_delete", &[]),
    ("resources.*.fields.*.expand", &[]),
    ("routes.*.plugins.*.when", &[]),
    ("routes.*.plugins.*.mode", &[]),
    ("routes.*.split", &[]),
    ("routes.*.mirror", &[]),
    ("routes.*.retry", &[]),
    ("tests", &[]),
];

/// Rejects keys and values that are not implemented.
pub fn check(sources: &Sources, out: &mut Diagnostics) {
    for (pattern, values) in PENDING {
        let name = pattern.rsplit('.').next().unwrap_or_default();
        sources.tree().each(pattern, &mut |path, node| {
            let written = match &node.value {
                Value::Str(text) => text.as_str(),
                Value::Bool(true) => "true",
                _ => "",
            };
            let value = values.iter().find(|value| written.starts_with(**value));
            if value.is_none() && !values.is_empty() {
                return;
            }
            let what = value.map_or_else(|| format!("`{name}`"), |value| format!("`{name}: {value}`"));
            let message = format!("{what} is part of the format but not built in this version");
            let mut pending = Diagnostic::error(Code::NOT_IMPLEMENTED, path, message)
                .help("take it out until a later version builds it");
            pending.at = sources.locate_key(path);
            out.push(pending);
        });
    }
}

#[cfg(test)]
mod tests;
