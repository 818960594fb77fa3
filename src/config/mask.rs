//! Shows the running configuration with its secrets masked.

use crate::config::schema::{ConfigSchema, is_secret};
use crate::config::sources::Sources;
use crate::config::tree::{Node, Origin, Value};
use serde_json::Value as Json;

const MASK: &str = "***";

/// What was written, all files together, in the order of the files. Secrets and values of environment variables are
/// `***`; what came out of `${…}` is shown as it was written.
pub fn masked(sources: &Sources, schema: &ConfigSchema) -> Json {
    node(sources.tree(), Some(schema.root()), schema)
}

fn node(value: &Node, kind: Option<&Json>, schema: &ConfigSchema) -> Json {
    let branches = kind.map(|kind| schema.branches(kind)).unwrap_or_default();
    // A default in `${env.NAME:-default}` may be the secret, so nothing of it is shown.
    if branches.iter().any(|(_, branch)| is_secret(branch)) {
        return MASK.into();
    }
    match &value.origin {
        Origin::Expanded(written) => return Json::String(written.to_string()),
        Origin::Variable(_) if !matches!(value.value, Value::Map(_)) => return MASK.into(),
        Origin::Broken => return Json::Null,
        _ => {}
    }
    match &value.value {
        Value::Map(entries) => entries
            .iter()
            .map(|(key, child)| {
                let kind = kind.and_then(|kind| schema.entry(kind, &key.name));
                (key.name.clone(), node(child, kind, schema))
            })
            .collect(),
        Value::Seq(items) => {
            let kind = branches.iter().find_map(|(_, branch)| branch.get("items"));
            items.iter().map(|item| node(item, kind, schema)).collect()
        }
        _ => value.to_json(),
    }
}

#[cfg(test)]
mod tests;
