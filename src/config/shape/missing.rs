//! Required keys that are missing: one report for a map, at what was written instead of them.

use super::{Found, Shape, example, of_variable, shown};
use crate::config::diagnostic::Diagnostic;
use crate::config::schema::ConfigSchema;
use crate::config::tree::{At, Key, Node, Origin, Value};
use crate::config::words;
use crate::config::yaml::slip::value_end;
use gatewright_sdk::Code;
use serde_json::{Map, Value as Json};
use std::collections::HashSet;

/// What the schema defines for a map.
#[derive(Clone, Copy)]
pub(super) struct MapKind<'a> {
    /// The name of its type.
    pub name: Option<&'a str>,
    pub properties: Option<&'a Map<String, Json>>,
}

impl<'a> MapKind<'a> {
    /// An example of the whole map.
    pub fn example(self) -> Option<&'static str> {
        self.name.and_then(example::of_type)
    }

    /// An example of the value of one of its keys.
    pub fn example_of(self, all: &ConfigSchema, key: &str) -> Option<String> {
        let property = self.properties?.get(key)?;
        let (_, resolved) = all.resolve(property);
        let written = resolved.get("examples").and_then(|examples| examples.get(0)?.as_str());
        let of_map = || {
            let map = self.example()?;
            let start = [format!("{{ {key}: "), format!(", {key}: ")];
            let start = start.iter().find_map(|start| Some(map.find(start.as_str())? + start.len()))?;
            map.get(start..value_end(map, start, true))
        };
        let found = of_map().or(written).map(str::to_owned);
        found.or_else(|| example::shape(all, &all.branches(property)))
    }
}

impl<'a> Shape<'a> {
    /// Reports the unknown keys that were written instead of `missing` ones, together and once. Returns their indices.
    pub(super) fn strangers(
        &mut self,
        entries: &[(Key, Node)],
        kind: MapKind<'a>,
        missing: &[&str],
        is_stranger: impl Fn(&Key, &Node) -> bool,
    ) -> HashSet<usize> {
        let strangers = entries.iter().enumerate().filter(|(_, (key, child))| is_stranger(key, child));
        let strangers: Vec<(usize, &Key, &Node)> = strangers.map(|(index, (key, child))| (index, key, child)).collect();
        let Some((_, first, value)) = strangers.first().filter(|_| !missing.is_empty()) else { return HashSet::new() };
        for (_, key, child) in &strangers {
            self.hide_unknown(key, child, None);
        }
        let names: Vec<String> = strangers.iter().map(|(_, key, _)| format!("`{}`", shown(&key.name))).collect();
        let keys = if names.len() == 1 { "key" } else { "keys" };
        let message = format!("unknown {keys} {}{}", words::and(&names), of_variable(&value.origin));
        let is = if missing.len() == 1 { "is" } else { "are" };
        let help = match (kind.name, self.whole(kind)) {
            // `- login: { … }` in a chain.
            (Some("Step"), _) if !matches!(value.value, Value::Str(_)) => {
                format!("write `- {0}`, or `- use: {0}`", shown(&first.name))
            }
            (_, Some(whole)) => format!("{} {is} required: write {whole}", quoted(missing)),
            (_, None) => self.added(kind, missing),
        };
        let path = if self.path.is_empty() { first.name.clone() } else { format!("{}.{}", self.path, first.name) };
        self.note(first.at, Diagnostic::error(Code::UNKNOWN_KEY, path, message).help(help));
        strangers.iter().map(|(index, ..)| *index).collect()
    }

    /// Reports the `missing` keys of a map; `since` is the number of faults before its entries were validated. If a
    /// required key has a value of the wrong type, its report shows the whole shape instead.
    pub(super) fn missing(
        &mut self,
        kind: MapKind<'a>,
        (required, missing): (&[&str], &[&str]),
        since: usize,
        (here, origin): (At, &Origin),
    ) {
        if missing.is_empty() {
            return;
        }
        let whole = self.whole(kind);
        let dot = if self.path.is_empty() { "" } else { "." };
        let of_required = |found: &&mut Found| {
            let inner = found.diagnostic.path.strip_prefix(&self.path).and_then(|rest| rest.strip_prefix(dot));
            found.diagnostic.code == Code::WRONG_TYPE && inner.is_some_and(|inner| required.contains(&inner))
        };
        let wrong = self.faults.get_mut(since..).and_then(|faults| faults.iter_mut().find(of_required));
        if let (Some(wrong), Some(whole)) = (wrong, &whole) {
            wrong.diagnostic.help = Some(format!("write {whole}"));
            return;
        }
        let keys = if missing.len() == 1 { "key" } else { "keys" };
        let of = if self.path.is_empty() { String::new() } else { format!(" in `{}`", shown(&self.path)) };
        let help = match whole {
            Some(whole) if missing.len() > 1 => format!("write {whole}"),
            _ => self.added(kind, missing),
        };
        let help = help + &of_variable(origin);
        self.fault(Code::MISSING_KEY, here, format!("missing required {keys} {}{of}", quoted(missing)), help);
    }

    /// The whole map with its key: `u: { targets: […] }`.
    fn whole(&self, kind: MapKind<'a>) -> Option<String> {
        let example = kind.example()?;
        let last = self.last();
        Some(if last.ends_with(']') { format!("`{example}`") } else { format!("`{last}: {example}`") })
    }

    fn added(&self, kind: MapKind<'a>, missing: &[&str]) -> String {
        let added: Vec<String> = (missing.iter())
            .map(|key| {
                let example = kind.example_of(self.schema, key).map(|example| format!(" {example}"));
                format!("`{key}:{}`", example.unwrap_or_default())
            })
            .collect();
        format!("add {}", words::and(&added))
    }
}

fn quoted(keys: &[&str]) -> String {
    words::and(&keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>())
}
