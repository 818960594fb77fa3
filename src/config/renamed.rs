//! Old names of keys and words. They are still read, each with a warning that shows the new one.

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::sources::Sources;
use crate::config::tree::{At, Key, Node, Origin, Value};
use gatewright_sdk::Code;

/// A key or a word with a new name. Paths have `*` for any name or index.
enum Renamed {
    /// The key at this path, and what it is called now.
    Key(&'static str, &'static str),
    /// A word of the key at this path, and what it is called now.
    Word(&'static str, &'static str, &'static str),
}

use Renamed::{Key as OldKey, Word as OldWord};

/// Everything that has been renamed since version 1 of the format. YAML 1.1 reads `on` and `off` as true and false.
const RENAMED: &[Renamed] = &[
    OldKey("resources.*.fields.*.on", "accept_on"),
    OldKey("resources.*.events.*.on", "after"),
    OldWord("resources.*.put", "off", "none"),
    OldWord("resources.*.patch", "off", "none"),
    OldWord("resources.*.concurrency", "off", "none"),
    OldWord("resources.*.count", "off", "none"),
    OldWord("telemetry.logs.access.fields.*", "target", "upstream_target"),
];

/// Gives everything in the tree its new name.
pub fn apply(sources: &mut Sources, out: &mut Diagnostics) {
    let mut tree = std::mem::replace(sources.tree_mut(), Node::new(Value::Null, At::default(), Origin::Broken));
    let mut found = Vec::new();
    for renamed in RENAMED {
        match renamed {
            OldKey(path, now) => {
                let (parent, was) = path.rsplit_once('.').unwrap_or(("", path));
                each(&mut tree, &parts(parent), String::new(), &mut |path, node| key(node, was, now, path, &mut found));
            }
            OldWord(path, was, now) => {
                let name = path.rsplit('.').next().unwrap_or_default();
                each(&mut tree, &parts(path), String::new(), &mut |path, node| {
                    if matches!(&node.value, Value::Str(text) if text == was) {
                        node.value = Value::Str((*now).to_owned());
                        // An item of a list has no key.
                        let key = if name == "*" { String::new() } else { format!("{name}: ") };
                        let message = format!("`{key}{was}` was renamed to `{key}{now}`");
                        let warning = Diagnostic::warning(Code::RENAMED, path, message);
                        found.push((node.at, warning.help(format!("write `{key}{now}`"))));
                    }
                });
            }
        }
    }
    *sources.tree_mut() = tree;
    for (at, diagnostic) in found {
        out.push(diagnostic.at(sources.location(at)));
    }
}

/// Renames the key `was` of a map.
fn key(map: &mut Node, was: &str, now: &str, path: &str, found: &mut Vec<(At, Diagnostic)>) {
    let Value::Map(entries) = &mut map.value else { return };
    let Some(index) = entries.iter().position(|(key, _)| key.name == was) else { return };
    let path = format!("{path}.{now}");
    if entries.iter().any(|(key, _)| key.name == now) {
        let (old, _) = entries.remove(index);
        let both =
            Diagnostic::error(Code::RENAMED, path, format!("`{was}` is the old name of `{now}`, but both are set"));
        found.push((old.at, both.help(format!("remove `{was}`"))));
        return;
    }
    if let Some((key, _)) = entries.get_mut(index) {
        *key = Key { name: now.to_owned(), at: key.at };
        let renamed = Diagnostic::warning(Code::RENAMED, path, format!("`{was}` was renamed to `{now}`"));
        found.push((key.at, renamed.help(format!("write `{now}:` instead of `{was}:`"))));
    }
}

fn parts(path: &str) -> Vec<&str> {
    path.split('.').filter(|part| !part.is_empty()).collect()
}

/// Calls `act` with every value that the parts of a path lead to.
fn each(node: &mut Node, parts: &[&str], path: String, act: &mut impl FnMut(&str, &mut Node)) {
    let Some((part, rest)) = parts.split_first() else { return act(&path, node) };
    match &mut node.value {
        Value::Map(entries) => {
            for (key, child) in entries.iter_mut().filter(|(key, _)| *part == "*" || key.name == *part) {
                let dot = if path.is_empty() { "" } else { "." };
                each(child, rest, format!("{path}{dot}{}", key.name), act);
            }
        }
        Value::Seq(items) if *part == "*" => {
            for (index, child) in items.iter_mut().enumerate() {
                each(child, rest, format!("{path}[{index}]"), act);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::ConfigSchema;
    use std::path::Path;

    fn applied(text: &str) -> (Sources, Vec<(String, String)>) {
        let mut sources = Sources::in_memory(Path::new("gateway.yaml"), text, &[]);
        let mut out = Diagnostics::default();
        apply(&mut sources, &mut out);
        let found = out.iter().map(|one| (one.at.clone().unwrap().to_string(), one.message.clone())).collect();
        (sources, found)
    }

    #[test]
    fn an_old_key_and_an_old_word_are_read_with_a_warning() {
        let (sources, found) =
            applied("resources:\n  notes:\n    put: off\n    fields: { a: { type: text, on: [create] } }\n");
        let notes = sources.tree().get("resources").unwrap().get("notes").unwrap().to_json();
        let expected =
            serde_json::json!({ "put": "none", "fields": { "a": { "type": "text", "accept_on": ["create"] } } });
        assert_eq!(notes, expected);
        let expected = [
            ("gateway.yaml:4:32", "`on` was renamed to `accept_on`"),
            ("gateway.yaml:3:10", "`put: off` was renamed to `put: none`"),
        ];
        assert_eq!(found, expected.map(|(at, message)| (at.to_owned(), message.to_owned())));
    }

    #[test]
    fn an_old_word_in_a_list_is_read_with_a_warning() {
        let (sources, found) = applied("telemetry: { logs: { access: { fields: [path, target] } } }");
        let logs = sources.tree().get("telemetry").unwrap().to_json();
        assert_eq!(logs["logs"]["access"]["fields"], serde_json::json!(["path", "upstream_target"]));
        let expected = ("gateway.yaml:1:47".to_owned(), "`target` was renamed to `upstream_target`".to_owned());
        assert_eq!(found, [expected]);
    }

    #[test]
    fn the_old_and_the_new_key_together_are_an_error() {
        let (_, found) = applied("resources: { a: { fields: { b: { on: [create], accept_on: [update] } } } }");
        assert_eq!(found.len(), 1);
        assert!(found.iter().all(|(_, message)| message.ends_with("but both are set")), "{found:?}");
    }

    #[test]
    fn the_schema_has_the_new_name_only() {
        let schema = ConfigSchema::new([]);
        for renamed in RENAMED {
            let (path, was, now) = match renamed {
                OldKey(path, now) => {
                    let (parent, was) = path.rsplit_once('.').unwrap();
                    (parent, was, now)
                }
                OldWord(path, was, now) => (*path, *was, now),
            };
            let places = schema.places(path);
            assert!(!places.is_empty(), "{path}");
            let text = serde_json::to_string(&places).unwrap();
            assert!(text.contains(&format!("\"{now}\"")) && !text.contains(&format!("\"{was}\"")), "{path}: {text}");
        }
    }
}
