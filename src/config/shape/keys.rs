//! Validates the keys of a map: their number, unknown ones, and the names of entries.

use super::missing::MapKind;
use super::scalar::may_hold_credentials;
use super::synonyms::synonym;
use super::{MOST_FAULTS, Shape, of_variable, shown};
use crate::config::schema::PENDING_KEY;
use crate::config::tree::{At, Key, Node, Value};
use crate::config::yaml::REJECTED;
use crate::config::{pending, words};
use gatewright_sdk::Code;
use serde_json::Value as Json;

/// The maximum length of a name.
const LONGEST_NAME: usize = 1000;

impl<'a> Shape<'a> {
    /// The number of entries in a map. Only plugins are limited: one type each.
    pub(super) fn count(&mut self, entries: &[(Key, Node)], schema: &Json, name: Option<&str>, here: At) -> bool {
        let bound = |key: &str| schema.get(key).and_then(Json::as_u64).and_then(|bound| usize::try_from(bound).ok());
        let names = || entries.iter().map(|(key, _)| format!("`{}`", shown(&key.name))).collect::<Vec<_>>();
        let plugin = name == Some("Plugin");
        if bound("minProperties").is_some_and(|least| entries.len() < least) {
            let (message, help) = if plugin {
                ("has no plugin type", "write the type and its settings, such as `timeout: { request: 10s }`")
            } else {
                ("is empty", "add at least one entry")
            };
            return self.fault(
                if plugin { Code::ONE_PLUGIN_TYPE } else { Code::ONE_ENTRY },
                here,
                format!("`{}` {message}", self.last()),
                help.to_owned(),
            );
        }
        if bound("maxProperties").is_some_and(|most| entries.len() > most) {
            let many = if plugin { "has more than one plugin type" } else { "has more than one entry" };
            let at = entries.get(1).map_or(here, |(key, _)| key.at);
            // `{ type: timeout, request: 10s }`.
            let flat = entries.iter().find(|(key, _)| key.name == "type").and_then(|(_, kind)| match &kind.value {
                Value::Str(kind) if schema.get("properties").is_some_and(|known| known.get(kind).is_some()) => {
                    Some(kind)
                }
                _ => None,
            });
            let help = match flat {
                Some(kind) if plugin => {
                    let help = "write the settings under the type";
                    format!("{help}: `{}: {{ {kind}: {{ … }} }}`", self.last())
                }
                // `plugins: { rate_limit: { quota: 1 } }`.
                _ if plugin && schema.get("properties").is_some_and(|known| known.get(self.last()).is_some()) => {
                    let kind = self.last();
                    format!(
                        "`{kind}` is a plugin type; it needs a name of your choice: `my-{kind}: {{ {kind}: {{ … }} }}`"
                    )
                }
                _ if plugin => "define each plugin under its own name".to_owned(),
                _ => "keep one of them".to_owned(),
            };
            return self.fault(
                if plugin { Code::ONE_PLUGIN_TYPE } else { Code::ONE_ENTRY },
                at,
                format!("`{}` {many}: {}", self.last(), names().join(" and ")),
                help,
            );
        }
        true
    }

    /// Reports an unknown key. Returns whether its value may be a secret.
    pub(super) fn unknown(&mut self, key: &Key, child: &Node, kind: MapKind<'a>, required: Option<&str>) -> bool {
        if self.faults.len() >= MOST_FAULTS || key.name == REJECTED {
            self.hide(child);
            return true;
        }
        let around = self.path.strip_suffix(key.name.as_str()).unwrap_or_default().to_owned();
        let known = kind.properties.into_iter().flatten();
        let built = known.filter(|(_, property)| property.get(PENDING_KEY).is_none()).map(|(name, _)| name.as_str());
        let names: Vec<&str> = built.filter(|name| !pending::is_pending(&format!("{around}{name}"))).collect();
        // A misspelled secret is still a secret, and an unrecognizable key may be one.
        let near = meant(&key.name, &names).and_then(|near| Some((near, kind.properties?.get(near)?)));
        let hidden = may_hold_credentials(child) || near.is_none_or(|(_, near)| self.schema.holds_secret(near));
        self.hide_unknown(key, child, near);
        if let Some((name, _)) = key.name.split_once(':').filter(|(name, _)| names.contains(name)) {
            self.path.truncate(self.path.len() + name.len() - key.name.len());
            let help = format!("write `{name}: …`, with a space after the colon");
            self.fault(Code::UNKNOWN_KEY, key.at, format!("missing space after `{name}:`"), help);
            return hidden;
        }
        let (code, what) = if kind.name == Some("Plugin") {
            (Code::UNKNOWN_PLUGIN_TYPE, "plugin type")
        } else {
            (Code::UNKNOWN_KEY, "key")
        };
        let message = format!("unknown {what} `{}`{}", shown(&key.name), of_variable(&child.origin));
        let help = match required {
            Some(near) => format!("did you mean `{near}`, which is required?"),
            None if !names.is_empty() && is_like(child, &names) => {
                format!("its keys belong to the parent entry: line {} may be indented too far", key.at.line)
            }
            None => match synonym(&key.name, &names) {
                Some(meant) => match kind.example_of(self.schema, meant) {
                    Some(example) => format!("write `{meant}: {example}`"),
                    None => format!("did you mean `{meant}`?"),
                },
                None => words::way_out(&key.name, &names),
            },
        };
        self.fault(code, key.at, message, help);
        hidden
    }

    /// Validates the name of an entry.
    pub(super) fn name(&mut self, key: &Key) -> bool {
        if key.name.is_empty() {
            return self.fault(Code::INVALID_NAME, key.at, "the name is empty".to_owned(), "add a name".to_owned());
        }
        if key.name.chars().any(char::is_control) {
            return self.fault(
                Code::INVALID_NAME,
                key.at,
                format!("the name `{}` contains a control character", shown(&key.name)),
                "use letters, digits, `-` and `_`".to_owned(),
            );
        }
        if key.name.contains("${") {
            let help = "write the name literally".to_owned();
            return self.fault(
                Code::EXPANSION_IN_KEY,
                key.at,
                format!("`{}` is not expanded: `${{…}}` works only in values", shown(&key.name)),
                help,
            );
        }
        if key.name.len() > LONGEST_NAME {
            return self.fault(
                Code::INVALID_NAME,
                key.at,
                "the name is too long".to_owned(),
                format!("use at most {LONGEST_NAME} bytes"),
            );
        }
        true
    }
}

/// The known key that `name` is meant to be: the nearest, or the one before a colon without a space.
pub(super) fn meant<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let before = name.split_once(':').map(|(before, _)| before);
    known.iter().copied().find(|known| Some(*known) == before).or_else(|| words::nearest(name, known))
}

/// Whether a key is unknown and similar to none that is known.
pub(super) fn is_stranger(key: &Key, child: &Node, known: &[&str]) -> bool {
    key.name != REJECTED && !known.contains(&&*key.name) && meant(&key.name, known).is_none() && !is_like(child, known)
}

/// Whether this is a map whose keys are all among `names`.
fn is_like(node: &Node, names: &[&str]) -> bool {
    !node.entries().is_empty() && node.entries().iter().all(|(key, _)| names.contains(&&*key.name))
}
