//! The keys that are part of the format but not implemented yet: each use of one is an error, never ignored.

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::sources::Sources;
use crate::config::tree::Value;
use gatewright_sdk::Code;

/// A key that is not implemented.
pub struct Pending {
    /// Where: a path with `*` for any name or index.
    pub pattern: &'static str,
    /// The prefixes of the values that are not implemented; empty for every value.
    pub values: &'static [&'static str],
    /// What to do until then.
    help: &'static str,
}

const fn pending(pattern: &'static str, help: &'static str) -> Pending {
    Pending { pattern, values: &[], help }
}

const fn value(pattern: &'static str, values: &'static [&'static str], help: &'static str) -> Pending {
    Pending { pattern, values, help }
}

const REMOVE: &str = "remove it";

pub const PENDING: &[Pending] = &[
    pending("reload.keep_generations", REMOVE),
    value("reload.require_tests", &["true"], REMOVE),
    pending("resources.*.envelope", REMOVE),
    pending("resources.*.events", REMOVE),
    pending("tests", REMOVE),
];

/// Whether the key at `path`, such as `routes.api.split`, is not implemented with any value. Helps do not offer it.
pub fn is_pending(path: &str) -> bool {
    let path = path.replace('[', ".").replace(']', "");
    let fits = |pattern: &str| {
        pattern.split('.').count() == path.split('.').count()
            && pattern.split('.').zip(path.split('.')).all(|(wanted, found)| wanted == "*" || wanted == found)
    };
    PENDING.iter().any(|pending| pending.values.is_empty() && fits(pending.pattern))
}

/// Rejects what is written and not implemented.
pub fn check(sources: &Sources, out: &mut Diagnostics) {
    for Pending { pattern, values, help } in PENDING {
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
            let message = format!("{what} is not implemented yet");
            let mut pending = Diagnostic::error(Code::NOT_IMPLEMENTED, path, message).help(*help);
            pending.at = sources.locate_key(path);
            out.push(pending);
        });
    }
}

#[cfg(test)]
mod tests;
