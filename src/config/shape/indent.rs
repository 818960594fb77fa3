//! Entries that are indented too little: they follow an empty entry on the same level and belong into it.

use super::{Found, Shape, shown};
use crate::config::diagnostic::Diagnostic;
use crate::config::tree::{At, Key, Node, Origin, Value};
use crate::config::words;
use gatewright_sdk::Code;
use serde_json::{Map, Value as Json};

impl<'a> Shape<'a> {
    /// Moves such entries to where they belong, and reports each run of them once, at its first.
    pub(super) fn rejoin(
        &mut self,
        entries: &mut Vec<(Key, Node)>,
        properties: Option<&'a Map<String, Json>>,
        others: Option<&'a Json>,
    ) {
        let mut index = 0;
        while let Some((key, node)) = entries.get(index) {
            index += 1;
            let empty = matches!(node.value, Value::Null) && node.origin == Origin::Plain && key.at != At::default();
            let kind = properties.and_then(|all| all.get(&key.name)).or(others.filter(|any| any.is_object()));
            let Some(kind) = kind.filter(|_| empty) else { continue };
            let belongs = |(next, _): &&(Key, Node)| {
                let aligned =
                    next.at.column == key.at.column && next.at.line > key.at.line && next.at.file == key.at.file;
                aligned && self.belongs(&next.name, kind, properties)
            };
            let count = entries.get(index..).unwrap_or_default().iter().take_while(belongs).count();
            if count == 0 {
                continue;
            }
            let moved: Vec<(Key, Node)> = entries.drain(index..index + count).collect();
            self.report(&moved, entries.get(index - 1).map(|(key, _)| key));
            let at = moved.first().map(|(key, _)| key.at).unwrap_or_default();
            if let Some((_, node)) = entries.get_mut(index - 1) {
                *node = Node::new(Value::Map(moved), at, Origin::Plain);
            }
        }
    }

    /// Whether an entry `name` belongs into an entry of this `kind`, not next to it.
    fn belongs(&self, name: &str, kind: &'a Json, properties: Option<&'a Map<String, Json>>) -> bool {
        let ways = self.schema.branches(kind);
        let known = ways.iter().any(|(_, way)| way.get("properties").and_then(|all| all.get(name)).is_some());
        let Some(beside) = properties else { return known };
        let named = ways.iter().any(|(_, way)| way.get("additionalProperties").is_some_and(Json::is_object));
        let names: Vec<&str> = beside.keys().map(String::as_str).collect();
        !beside.contains_key(name) && (known || named && words::nearest(name, &names).is_none())
    }

    fn report(&mut self, moved: &[(Key, Node)], into: Option<&Key>) {
        let (Some((first, _)), Some(into)) = (moved.first(), into) else { return };
        let (name, above) = (shown(&first.name), shown(&into.name));
        let inside = if self.path.is_empty() { String::new() } else { format!(" under `{}`", self.last()) };
        let message = format!(
            "`{name}`{inside} looks like a key of `{above}`: line {} may not be indented enough",
            first.at.line
        );
        let path = if self.path.is_empty() { first.name.clone() } else { format!("{}.{}", self.path, first.name) };
        let names = moved.iter().map(|(key, _)| format!("`{}`", shown(&key.name))).collect::<Vec<_>>();
        let help = format!("indent {} more than `{above}`", words::and(&names));
        let diagnostic = Diagnostic::error(Code::INDENTATION, path, message).help(help);
        self.faults.push(Found {
            at: first.at,
            diagnostic,
            related: Some((into.at, format!("`{above}` has no value"))),
        });
    }
}
