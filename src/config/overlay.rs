//! Overrides single keys from the environment: `GATEWRIGHT__LISTENERS__WEB__ADDRESS=…`.

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::schema::ConfigSchema;
use crate::config::sources::Sources;
use crate::config::tree::{At, Key, Node, Origin, Value};
use crate::config::words;
use config::{Environment, Source};
use gatewright_sdk::Code;
use std::collections::HashMap;
use std::sync::Arc;

/// Applies the variables to the tree. Names are case-insensitive, and `-` and `_` are equal.
pub fn overlay(
    sources: &mut Sources,
    environment: &HashMap<String, String>,
    schema: &ConfigSchema,
    out: &mut Diagnostics,
) {
    let variables = environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let collected = Environment::with_prefix("GATEWRIGHT").separator("__").source(Some(variables)).collect();
    let mut set: Vec<(String, String)> = Vec::new();
    for (key, value) in collected.into_iter().flatten() {
        set.extend(value.into_string().ok().map(|value| (key, value)));
    }
    set.sort();
    for (key, value) in set {
        let variable: Arc<str> = format!("GATEWRIGHT__{}", key.replace('.', "__").to_uppercase()).into();
        let leaf = Node::new(Value::Str(value), At::default(), Origin::Variable(variable.clone()));
        let segments: Vec<&str> = key.split('.').collect();
        let at = sources.tree().at;
        if let Err((at, message, help)) = put(sources.tree_mut(), &segments, leaf, schema.root(), schema, at) {
            let message = format!("the environment variable {variable}: {message}");
            let path = segments.join(".");
            out.push(Diagnostic::error(Code::OVERRIDE, path, message).help(help).at(sources.location(at)));
        }
    }
}

/// Sets `leaf` at the path `segments` below `node`.
fn put(
    node: &mut Node,
    segments: &[&str],
    leaf: Node,
    kind: &serde_json::Value,
    schema: &ConfigSchema,
    around: At,
) -> Result<(), (At, String, String)> {
    let at = node.at;
    let Some((segment, rest)) = segments.split_first() else {
        if matches!(node.value, Value::Map(_) | Value::Seq(_)) {
            return Err((
                at,
                "cannot set a map or list".to_owned(),
                "a variable sets a single value; append the key to its name".to_owned(),
            ));
        }
        *node = Node { at, ..leaf };
        return Ok(());
    };
    if segment.is_empty() {
        return Err((
            around,
            "its name has an empty part".to_owned(),
            "separate keys with two underscores: `GATEWRIGHT__ADMIN__ADDRESS`".to_owned(),
        ));
    }
    match &mut node.value {
        Value::Map(entries) => {
            if let Some((key, child)) = entries.iter_mut().find(|(key, _)| words::same(&key.name, segment)) {
                let kind = schema.entry(kind, &key.name).unwrap_or(&serde_json::Value::Bool(true));
                return put(child, rest, leaf, kind, schema, key.at);
            }
            let known =
                schema.branches(kind).into_iter().filter_map(|(_, branch)| branch.get("properties")?.as_object());
            let known: Vec<&str> = known.flat_map(|properties| properties.keys().map(String::as_str)).collect();
            let name = known.iter().find(|name| words::same(name, segment)).map_or(*segment, |name| *name);
            let Some(entry) = schema.entry(kind, name) else {
                return Err((at, format!("unknown key `{segment}`"), words::way_out(segment, &known)));
            };
            let lists = schema.branches(entry).iter().any(|(_, branch)| branch.get("items").is_some());
            if lists && !rest.is_empty() {
                let help = "define the list in the file; a variable can only change an existing entry";
                return Err((at, format!("the list `{name}` does not exist"), help.to_owned()));
            }
            let value = if rest.is_empty() { Value::Null } else { Value::Map(Vec::new()) };
            let mut child = Node::new(value, at, leaf.origin.clone());
            put(&mut child, rest, leaf, entry, schema, at)?;
            entries.push((Key { name: name.to_owned(), at }, child));
            Ok(())
        }
        Value::Seq(items) => match segment.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
            Some(item) => {
                let kind = schema.branches(kind).into_iter().find_map(|(_, branch)| branch.get("items"));
                put(item, rest, leaf, kind.unwrap_or(&serde_json::Value::Bool(true)), schema, at)
            }
            None => {
                Err((at, format!("the list has no entry `{segment}`"), "list entries are numbered from 0".to_owned()))
            }
        },
        _ => Err((at, format!("this value has no key `{segment}`"), "remove that part of the name".to_owned())),
    }
}
