//! Shows the current configuration as parsed: in the form of the file, with defaults and without secrets.

use crate::config::document::Document;
use crate::config::document::chain::PluginSpec;
use crate::config::named::Named;
use crate::config::schema::{ConfigSchema, MASK, entry_of, is_secret};
use crate::config::sources::Sources;
use crate::config::tree::{Key, Node, Origin, Value};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use std::collections::HashMap;

/// The document with the parsed settings of `plugins`: everything in the file, and the defaults of what is not. Secrets
/// and values of environment variables are `***`; values from `${…}` are shown as written. If nothing is masked, the
/// result is an equivalent configuration.
pub fn show(document: &Document, plugins: &Named<PluginSpec>, sources: &Sources, schema: &ConfigSchema) -> Json {
    // The content of included files is part of it.
    let Document { version, include: _, reload, shutdown, admin, health, errors, maintenance, environment, .. } =
        document;
    let Document { listeners, telemetry, dns, stores, plugins: _, chains, upstreams, resources, routes, tests, .. } =
        document;
    let mut shown = Sections { view: View { schema }, tree: sources.tree(), shown: Map::new() };
    shown.section("version", version);
    shown.section("environment", environment);
    shown.section("reload", reload);
    shown.section("shutdown", shutdown);
    shown.section("admin", admin);
    shown.section("health", health);
    shown.section("errors", errors);
    shown.section("maintenance", maintenance);
    shown.section("telemetry", telemetry);
    shown.section("dns", dns);
    shown.entries("listeners", listeners, written);
    shown.entries("stores", stores, written);
    shown.entries("plugins", plugins, |PluginSpec { kind, settings }| json!({ kind: settings }));
    shown.entries("chains", chains, written);
    shown.entries("upstreams", upstreams, written);
    shown.entries("resources", resources, written);
    shown.entries("routes", routes, written);
    shown.section("tests", tests);
    Json::Object(shown.shown)
}

/// A value as written in a file. If it cannot be serialized, the file's own text is used.
fn written(value: &impl Serialize) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

/// The sections shown so far.
struct Sections<'a> {
    view: View<'a>,
    tree: &'a Node,
    shown: Map<String, Json>,
}

impl Sections<'_> {
    fn section(&mut self, name: &str, parsed: &impl Serialize) {
        let kind = self.view.kind(Some(self.view.schema.root())).entry(name);
        let shown = self.view.entry(written(parsed), self.tree.get(name), kind);
        self.shown.extend(shown.map(|shown| (name.to_owned(), shown)));
    }

    /// One entry at a time, because there may be many thousands.
    fn entries<T>(&mut self, section: &str, parsed: &Named<T>, written: impl Fn(&T) -> Json) {
        let entries = self.tree.get(section).map(Node::entries).unwrap_or_default();
        let nodes: HashMap<&str, &Node> = entries.iter().map(|(key, node)| (key.name.as_str(), node)).collect();
        let kind = self.view.kind(self.view.kind(Some(self.view.schema.root())).entry(section));
        let entry = |(name, entry): (&str, &T)| {
            let shown = self.view.entry(written(entry), nodes.get(name).copied(), kind.entry(name))?;
            Some((name.to_owned(), shown))
        };
        let shown: Map<String, Json> = parsed.iter().filter_map(entry).collect();
        if !shown.is_empty() || self.tree.get(section).is_some() {
            self.shown.insert(section.to_owned(), Json::Object(shown));
        }
    }
}

/// The schema of a value: its alternatives.
struct Kind<'a>(Vec<&'a Json>);

impl<'a> Kind<'a> {
    fn is_secret(&self) -> bool {
        self.0.iter().any(|way| is_secret(way))
    }

    /// Of the entry `name` of a map.
    fn entry(&self, name: &str) -> Option<&'a Json> {
        self.0.iter().find_map(|way| entry_of(way, name))
    }

    /// Of the items of a list.
    fn item(&self) -> Option<&'a Json> {
        self.0.iter().find_map(|way| way.get("items"))
    }
}

/// How values are shown.
#[derive(Clone, Copy)]
struct View<'a> {
    schema: &'a ConfigSchema,
}

impl<'a> View<'a> {
    fn kind(self, schema: Option<&'a Json>) -> Kind<'a> {
        let ways = schema.map(|schema| self.schema.branches(schema)).unwrap_or_default();
        Kind(ways.into_iter().map(|(_, way)| way).collect())
    }

    /// The value of a key; `None` if it is not in the file and has no effect.
    fn entry(self, parsed: Json, node: Option<&Node>, schema: Option<&'a Json>) -> Option<Json> {
        match node {
            Some(node) => Some(self.value(parsed, node, schema)),
            None if says_nothing(&parsed) => None,
            None => Some(self.default(parsed, schema)).filter(|value| !says_nothing(value)),
        }
    }

    /// The parsed value of `node`.
    fn value(self, parsed: Json, node: &Node, schema: Option<&'a Json>) -> Json {
        let kind = self.kind(schema);
        if let Some(hidden) = hidden(node, &kind) {
            return hidden;
        }
        match (parsed, &node.value) {
            (Json::Object(parsed), Value::Map(entries)) => {
                // Keys that are serialized only if they have an effect are shown if the file contains them.
                let unsaid = entries.iter().filter(|(key, _)| !parsed.contains_key(&key.name));
                let unsaid: Vec<_> =
                    unsaid.map(|(key, child)| (key, self.written(child, kind.entry(&key.name)))).collect();
                let entry = |(name, parsed): (String, Json)| {
                    let shown = self.entry(parsed, node.get(&name), kind.entry(&name))?;
                    Some((name, shown))
                };
                let mut shown: Map<String, Json> = parsed.into_iter().filter_map(entry).collect();
                shown.extend(unsaid.into_iter().map(|(key, value)| (key.name.clone(), value)));
                Json::Object(shown)
            }
            (Json::Array(parsed), Value::Seq(items)) if parsed.len() == items.len() => {
                parsed.into_iter().zip(items).map(|(parsed, node)| self.value(parsed, node, kind.item())).collect()
            }
            (Json::Null, _) => self.written(node, schema),
            // It was written in another shape, so its parts cannot be matched.
            (_, Value::Map(_) | Value::Seq(_)) if is_from_outside(node) => self.written(node, schema),
            (parsed, _) => self.default(parsed, schema),
        }
    }

    /// The text of the file.
    fn written(self, node: &Node, schema: Option<&'a Json>) -> Json {
        let kind = self.kind(schema);
        if let Some(hidden) = hidden(node, &kind) {
            return hidden;
        }
        match &node.value {
            Value::Map(entries) => {
                let entry = |(key, child): &(Key, Node)| (key.name.clone(), self.written(child, kind.entry(&key.name)));
                entries.iter().map(entry).collect()
            }
            Value::Seq(items) => items.iter().map(|item| self.written(item, kind.item())).collect(),
            _ => unexpanded(node.to_json()),
        }
    }

    /// A value that is not in the file, without parts that have no effect.
    fn default(self, parsed: Json, schema: Option<&'a Json>) -> Json {
        let kind = self.kind(schema);
        match parsed {
            Json::Null => Json::Null,
            _ if kind.is_secret() => MASK.into(),
            Json::Object(entries) => {
                let entry = |(name, value): (String, Json)| {
                    let shown = self.entry(value, None, kind.entry(&name))?;
                    Some((name, shown))
                };
                entries.into_iter().filter_map(entry).collect()
            }
            Json::Array(items) => items.into_iter().map(|item| self.default(item, kind.item())).collect(),
            scalar => unexpanded(scalar),
        }
    }
}

/// What is shown instead of a value that must not be seen.
fn hidden(node: &Node, kind: &Kind<'_>) -> Option<Json> {
    // A default in `${env.NAME:-default}` may be the secret, so nothing of it is shown.
    if kind.is_secret() {
        return Some(MASK.into());
    }
    match &node.origin {
        // As may one in a URL with a name and password.
        Origin::Expanded(written) if written.contains("://") && written.contains('@') => Some(MASK.into()),
        Origin::Expanded(written) => Some(Json::String(written.to_string())),
        Origin::Variable(_) if !matches!(node.value, Value::Map(_)) => Some(MASK.into()),
        Origin::Broken => Some(Json::Null),
        _ => None,
    }
}

/// Whether it is an absent or empty value.
fn says_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        _ => false,
    }
}

/// Whether something in it comes from `${…}` or an environment variable.
fn is_from_outside(node: &Node) -> bool {
    node.origin.outside().is_some()
        || node.entries().iter().any(|(_, child)| is_from_outside(child))
        || node.items().iter().any(is_from_outside)
}

/// A text escaped so that nothing in it is expanded.
fn unexpanded(value: Json) -> Json {
    match value {
        Json::String(text) if text.contains("${") => Json::String(text.replace("${", "$${")),
        value => value,
    }
}

#[cfg(test)]
mod tests;
