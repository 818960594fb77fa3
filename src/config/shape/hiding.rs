//! Which parts of a value may be a secret, so that reports mask them: all of a secret setting, and under a key that is not known
//! whatever its name or its neighbors do not clear. Keys that the schema knows are shown, so that a misspelled key can be found.

use super::Shape;
use super::keys::meant;
use super::scalar::may_hold_secret;
use crate::config::schema::{entry_of, is_secret};
use crate::config::tree::{At, Key, Node, Value};
use crate::config::yaml::slip::OPEN_KEYS;
use serde_json::Value as Json;

/// What the names of secret settings contain, without `_` and `-`.
const SECRET_WORDS: [&str; 8] = ["pass", "pwd", "secret", "token", "credential", "apikey", "privatekey", "bearer"];

impl Shape<'_> {
    /// Records that this is a secret, with everything in it.
    pub(super) fn hide(&mut self, node: &Node) {
        self.secrets.extend(node.entries().iter().map(|(key, _)| key.at));
        node.items().iter().chain(node.entries().iter().map(|(_, child)| child)).for_each(|child| self.hide(child));
        self.hide_itself(node);
    }

    /// A scalar with its anchor; of a map or list the anchor alone, because its brackets are no secret.
    fn hide_itself(&mut self, node: &Node) {
        let end = if node.is_scalar() { node.at.end } else { node.at.start };
        self.secrets.push(At { end, ..node.at });
    }

    /// Records what may be a secret in an entry whose key is unknown. `near` is the known key that is meant, with its
    /// schema.
    pub(super) fn hide_unknown(&mut self, key: &Key, child: &Node, near: Option<(&str, &Json)>) {
        let is_secret = sounds_secret(&key.name) && !near.is_some_and(|(near, _)| sounds_secret(near));
        match near {
            _ if is_secret => self.hide(child),
            Some((_, kind)) => self.hide_as(child, kind),
            None => self.hide_values(child),
        }
        let in_key = key.name.contains(':') || key.name.contains('@');
        let holds_none = near.is_some_and(|(_, kind)| !self.schema.holds_secret(kind));
        if in_key && (is_secret || !holds_none || key.name.contains('@')) {
            self.secrets.push(key.at);
        }
    }

    /// Records what may be a secret in a value for this schema, although it does not fit.
    pub(super) fn hide_as(&mut self, node: &Node, kind: &Json) {
        let branches = self.schema.branches(kind);
        if branches.iter().any(|(_, branch)| is_secret(branch) || may_hold_secret(node, branch)) {
            return self.hide(node);
        }
        match &node.value {
            Value::Map(entries) => {
                let properties = branches.iter().filter_map(|(_, branch)| branch.get("properties")?.as_object());
                let properties: Vec<_> = properties.collect();
                let named = branches.iter().any(|(_, branch)| branch.get("additionalProperties").is_some());
                if properties.is_empty() && !named && self.schema.holds_secret(kind) {
                    return self.hide_values(node);
                }
                let names: Vec<&str> = properties.iter().flat_map(|all| all.keys().map(String::as_str)).collect();
                for (key, child) in entries {
                    if let Some(kind) = branches.iter().find_map(|(_, branch)| entry_of(branch, &key.name)) {
                        self.hide_as(child, kind);
                        continue;
                    }
                    // Without properties it is free JSON.
                    if properties.is_empty() {
                        continue;
                    }
                    let kind_of = |near: &str| properties.iter().find_map(|all| all.get(near));
                    let near = meant(&key.name, &names).and_then(|near| Some((near, kind_of(near)?)));
                    self.hide_unknown(key, child, near);
                    // `secret: ab,cd` between brackets is the secret `ab` and the key `cd`.
                    if matches!(child.value, Value::Null) {
                        self.secrets.push(key.at);
                    }
                }
            }
            Value::Seq(items) => {
                // A list instead of a map has the entries of that map, or the map itself.
                let listed = branches.iter().find_map(|(_, branch)| branch.get("items"));
                let entry = || branches.iter().find_map(|(_, branch)| branch.get("additionalProperties"));
                let kind = listed.or_else(|| entry().filter(|entry| entry.is_object())).unwrap_or(kind);
                let nests = items.iter().any(|item| matches!(item.value, Value::Seq(_)));
                items.iter().for_each(|item| if nests { self.hide_values(item) } else { self.hide_as(item, kind) });
            }
            Value::Str(text) if text.contains('@') => self.hide_itself(node),
            Value::Null => {}
            _ if self.is_nested(kind) && self.schema.holds_secret(kind) => self.hide_itself(node),
            _ => {}
        }
    }

    /// Whether a value of this schema is a map or a list.
    fn is_nested(&self, kind: &Json) -> bool {
        let nested =
            |branch: &Json| ["properties", "additionalProperties", "items"].iter().any(|key| branch.get(key).is_some());
        self.schema.branches(kind).iter().any(|(_, branch)| nested(branch))
    }

    /// Records the values of something unknown, and the keys that the configuration has nowhere. Keys that never have a
    /// secret keep their values.
    fn hide_values(&mut self, node: &Node) {
        for (key, child) in node.entries() {
            if !self.schema.has_key(&key.name) || matches!(child.value, Value::Null) {
                self.secrets.push(key.at);
            }
            let is_open = OPEN_KEYS.contains(&&*key.name)
                && match &child.value {
                    Value::Str(text) => !text.contains('@') && child.origin.outside().is_none(),
                    _ => false,
                };
            match is_open {
                true => {}
                false if sounds_secret(&key.name) => self.hide(child),
                false => self.hide_values(child),
            }
        }
        node.items().iter().for_each(|item| self.hide_values(item));
        if !matches!(node.value, Value::Bool(_) | Value::Null) {
            self.hide_itself(node);
        }
    }
}

/// Whether a setting of this name is probably a secret.
fn sounds_secret(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| letters.contains(word))
}
