//! Validates the tree by the schema: unknown keys, wrong types, missing keys, invalid words, numbers out of bounds.
//! Reports all faults.

mod example;
mod hiding;
mod indent;
mod keys;
mod missing;
mod scalar;
mod synonyms;

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::format::Format;
use crate::config::schema::{ConfigSchema, MASK, is_secret};
use crate::config::sources::Sources;
use crate::config::tree::{At, Key, Node, Origin, Value};
use crate::config::yaml::REJECTED;
use crate::config::{pending, words};
use gatewright_sdk::{Code, NamedFile};
use keys::meant;
use missing::MapKind;
use regex::Regex;
use serde_json::Value as Json;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;

/// The maximum number of faults, because a hostile file could take a long time for each.
const MOST_FAULTS: usize = 1000;

/// Validates everything. Values from `${…}` and variables get the type required at their place, unknown keys are
/// removed from the tree, and `sound` of each node is whether it can be parsed as it is. The files that settings name
/// are read, as part of the configuration; the owner of the setting checks their content.
pub fn check(sources: &mut Sources, schema: &ConfigSchema, out: &mut Diagnostics) {
    let mut tree = std::mem::replace(sources.tree_mut(), Node::new(Value::Null, At::default(), Origin::Broken));
    let mut shape = Shape {
        schema,
        path: String::new(),
        secrets: Vec::new(),
        files: BTreeSet::new(),
        patterns: HashMap::new(),
        stood_in: false,
        faults: Vec::new(),
    };
    let at = tree.at;
    shape.node(&mut tree, schema.root(), at);
    let Shape { secrets, files, faults, .. } = shape;
    *sources.tree_mut() = tree;
    sources.files_mut().hide(secrets);
    files.iter().for_each(|file| sources.take_named_file(file));
    for Found { at, diagnostic, related } in faults {
        let found = diagnostic.at(sources.location(at));
        out.push(match related {
            Some((at, word)) => found.related(Some(sources.location(at)), word),
            None => found,
        });
    }
}

/// A fault, its place, and a related place.
struct Found {
    at: At,
    diagnostic: Diagnostic,
    related: Option<(At, String)>,
}

struct Shape<'a> {
    schema: &'a ConfigSchema,
    path: String,
    secrets: Vec<At>,
    files: BTreeSet<PathBuf>,
    /// Each compiled once.
    patterns: HashMap<&'a str, Option<Regex>>,
    /// Whether the last node contained a rejected value that was replaced by a stand-in.
    stood_in: bool,
    faults: Vec<Found>,
}

impl<'a> Shape<'a> {
    /// Validates a node. `here` is where faults of a whole map or list are shown: at its key, if it has one.
    fn node(&mut self, node: &mut Node, schema: &'a Json, here: At) -> bool {
        let since = self.faults.len();
        let broken = node.origin == Origin::Broken;
        let chosen = !(broken && node.is_scalar()) && self.choose(node, schema, here);
        let fits = chosen && !broken;
        if broken {
            // Some of its keys were rejected: nothing is reported about what it lacks, or about those keys.
            let rejected = if self.path.is_empty() { REJECTED.to_owned() } else { format!("{}.{REJECTED}", self.path) };
            let later = self.faults.split_off(since);
            let follows = |path: &str| path == self.path || path.starts_with(&rejected);
            self.faults.extend(later.into_iter().filter(|found| !follows(&found.diagnostic.path)));
        }
        node.stood_in = std::mem::take(&mut self.stood_in) && !broken;
        node.sound = fits && !node.stood_in;
        fits
    }

    fn choose(&mut self, node: &mut Node, schema: &'a Json, here: At) -> bool {
        let branches = self.schema.branches(schema);
        if let [(name, only)] = branches.as_slice() {
            return self.one(node, only, *name, here);
        }
        let words: Vec<&str> = branches.iter().flat_map(|(_, branch)| scalar::words(branch)).collect();
        let fitting: Vec<_> = branches.iter().filter(|(_, branch)| scalar::admits(node, branch)).collect();
        match fitting.as_slice() {
            [] => self.wrong_type(node, &branches, here),
            [(name, only)] => self.one(node, only, *name, here),
            // Each word is a separate branch, so that each has a description.
            _ if matches!(node.value, Value::Str(_)) && !words.is_empty() => self.word(node, &words),
            // Several maps with one key each: the key decides.
            [_, ..] if matches!(node.value, Value::Map(_)) => {
                let chosen = fitting.iter().find(|(_, branch)| {
                    let known = branch.get("properties").and_then(Json::as_object);
                    node.entries()
                        .first()
                        .is_some_and(|(key, _)| known.is_some_and(|known| known.contains_key(&key.name)))
                });
                match chosen {
                    Some((name, branch)) => self.one(node, branch, *name, here),
                    None => {
                        let known = fitting.iter().filter_map(|(_, branch)| branch.get("properties")?.as_object());
                        let known = known.flat_map(|known| known.keys().map(String::as_str));
                        let known: Vec<&str> = words.iter().copied().chain(known).collect();
                        match node.entries().first() {
                            Some((key, _)) => self.fault(
                                Code::UNKNOWN_KEY,
                                key.at,
                                format!("unknown key `{}`", shown(&key.name)),
                                words::way_out(&key.name, &known),
                            ),
                            None => self.fault(
                                Code::ONE_ENTRY,
                                here,
                                "the map is empty".to_owned(),
                                format!("write one of {}", words::list(&known)),
                            ),
                        }
                    }
                }
            }
            [(name, first), ..] => self.one(node, first, *name, here),
        }
    }

    /// Validates a node by a schema without alternatives.
    fn one(&mut self, node: &mut Node, schema: &'a Json, name: Option<&'a str>, here: At) -> bool {
        if scalar::may_hold_secret(node, schema) {
            self.hide(node);
        }
        if is_secret(schema) {
            self.hide(node);
            if matches!(&node.value, Value::Str(text) if text == MASK) {
                let message = format!("`{}` is `{MASK}`, the placeholder for a hidden value", self.last());
                return self.fault(
                    Code::MASKED_VALUE,
                    node.at,
                    message,
                    "write the actual value, or `${env.NAME}`".to_owned(),
                );
            }
        }
        if !scalar::admits(node, schema) {
            return self.wrong_type(node, &[(name, schema)], here);
        }
        match &mut node.value {
            Value::Map(_) => self.map(node, schema, name, here),
            Value::Seq(_) => self.list(node, schema, here),
            _ => self.scalar(node, schema) && self.named_file(node, schema),
        }
    }

    /// Records the file that a setting names, if it names one.
    fn named_file(&mut self, node: &Node, schema: &Json) -> bool {
        if let Value::Str(file) = &node.value
            && schema.get("format").is_some_and(|format| *format == NamedFile::FORMAT)
        {
            self.files.insert(PathBuf::from(file));
        }
        true
    }

    fn list(&mut self, node: &mut Node, schema: &'a Json, here: At) -> bool {
        let bound = |key: &str| schema.get(key).and_then(Json::as_u64).and_then(|bound| usize::try_from(bound).ok());
        let count = node.items().len();
        let mut sound = true;
        if bound("minItems").is_some_and(|least| count < least) {
            sound = self.fault(
                Code::WRONG_LENGTH,
                here,
                format!("`{}` is empty", self.last()),
                "add at least one entry".to_owned(),
            );
        }
        if let Some(most) = bound("maxItems").filter(|most| count > *most) {
            sound = self.fault(
                Code::WRONG_LENGTH,
                here,
                format!("too many entries: {count}"),
                format!("at most {most} are allowed"),
            );
        }
        let Some(kind) = schema.get("items") else { return sound };
        let Value::Seq(items) = &mut node.value else { return sound };
        let length = self.path.len();
        for (index, item) in items.iter_mut().enumerate() {
            let _ = write!(self.path, "[{index}]");
            let at = item.at;
            sound &= self.node(item, kind, at);
            self.path.truncate(length);
        }
        sound
    }

    fn map(&mut self, node: &mut Node, schema: &'a Json, name: Option<&'a str>, here: At) -> bool {
        let mut sound = true;
        let properties = schema.get("properties").and_then(Json::as_object);
        let others = schema.get("additionalProperties");
        let closed = others.is_some_and(|others| others == false);
        let names = schema.get("propertyNames").and_then(Format::named_by);
        let origin = node.origin.clone();
        let Value::Map(entries) = &mut node.value else { return true };
        self.rejoin(entries, properties, others);
        if !self.count(entries, schema, name, here) {
            sound = false;
            if name == Some("Plugin") && entries.len() > 1 {
                for (key, child) in entries {
                    match properties.and_then(|all| all.get(&key.name)) {
                        Some(kind) => self.hide_as(child, kind),
                        None => self.hide_unknown(key, child, None),
                    }
                }
                return false;
            }
        }
        let required = schema.get("required").and_then(Json::as_array);
        let known: Vec<&str> = properties.map_or_else(Vec::new, |all| all.keys().map(String::as_str).collect());
        let required: Vec<&str> = required.into_iter().flatten().filter_map(Json::as_str).collect();
        let present = |name: &str| entries.iter().any(|(key, _)| key.name == name);
        let misspelled = |name: &str| {
            // Most names are valid, and finding similar ones takes time.
            let near = if known.contains(&name) { None } else { meant(name, &known) }?;
            (required.contains(&near) && !present(near)).then_some(near)
        };
        // A misspelled key is not reported as missing as well: that is reported at the key.
        let absent = required.iter().copied().filter(|missing| !present(missing));
        let (misspelt, missing): (Vec<&str>, Vec<&str>) =
            absent.partition(|missing| entries.iter().any(|(key, _)| misspelled(&key.name) == Some(*missing)));
        sound &= misspelt.is_empty() && missing.is_empty();
        let misspelled: HashMap<String, &str> =
            entries.iter().filter_map(|(key, _)| Some((key.name.clone(), misspelled(&key.name)?))).collect();
        // The removed entries, and whether some were removed because of their names.
        let kind = MapKind { name, properties };
        let stranger = |key: &Key, child: &Node| closed && keys::is_stranger(key, child, &known);
        let (mut unknown, mut misnamed) = (self.strangers(entries, kind, &missing, stranger), false);
        let missing = if unknown.is_empty() { missing } else { Vec::new() };
        let since = self.faults.len();
        let mut secret_line = None;
        for (index, (key, child)) in entries.iter_mut().enumerate() {
            if unknown.contains(&index) {
                secret_line = Some(key.at.line);
                continue;
            }
            let length = self.path.len();
            // `secret: ab,cd` between brackets is the secret `ab` and the key `cd`.
            if secret_line == Some(key.at.line)
                && matches!(child.value, Value::Null)
                && properties.is_none_or(|all| !all.contains_key(&key.name))
            {
                self.secrets.push(key.at);
                let help = "quote the value";
                sound = self.fault(
                    Code::UNKNOWN_KEY,
                    key.at,
                    "unquoted value contains a comma".to_owned(),
                    help.to_owned(),
                );
                unknown.insert(index);
                continue;
            }
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(&key.name);
            match properties.and_then(|all| all.get(&key.name)).or(others.filter(|any| any.is_object())) {
                Some(kind) => {
                    secret_line = self.schema.holds_secret(kind).then_some(key.at.line);
                    let named = properties.is_some() || self.name(key);
                    let here = if key.at == At::default() { here } else { key.at };
                    let before = self.faults.len();
                    let fits = named & self.node(child, kind, here);
                    // What is not implemented is reported once, at its key.
                    if self.faults.len() > before && pending::is_pending(&self.path) {
                        self.faults.truncate(before);
                    }
                    // With the default instead, the rest of the entry can be checked.
                    child.left_out =
                        !child.sound && !required.contains(&&*key.name) && scalar::has_default(self.schema, kind);
                    sound &= fits || child.left_out;
                    if let Some(fault) = names.filter(|_| named).and_then(|names| (names.check)(&key.name).err()) {
                        self.note(key.at, Diagnostic::fault(&self.path, fault));
                        unknown.insert(index);
                        misnamed = true;
                    }
                }
                None if closed => {
                    let hidden = self.unknown(key, child, kind, misspelled.get(&key.name).copied());
                    secret_line = hidden.then_some(key.at.line);
                    unknown.insert(index);
                }
                None => sound &= self.name(key) & self.node(child, &Json::Bool(true), key.at),
            }
            self.path.truncate(length);
        }
        self.missing(kind, (&required, &missing), since, (here, &origin));
        let mut index = 0;
        entries.retain(|_| {
            index += 1;
            !unknown.contains(&(index - 1))
        });
        self.stood_in = misnamed;
        // A plugin without a type is useless.
        sound && !(name == Some("Plugin") && entries.is_empty())
    }

    fn last(&self) -> String {
        let last = self.path.rsplit('.').next().unwrap_or_default();
        if last.is_empty() { "the configuration".to_owned() } else { shown(last) }
    }

    /// Records a fault; returns `false` so that validating functions can end with it.
    fn fault(&mut self, code: Code, at: At, message: String, help: String) -> bool {
        let fault = Diagnostic::error(code, self.path.clone(), message);
        self.note(at, if help.is_empty() { fault } else { fault.help(help) })
    }

    fn note(&mut self, at: At, fault: Diagnostic) -> bool {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Found { at, diagnostic: fault, related: None });
        }
        false
    }
}

/// ` (set by …)` if the value comes from a variable.
fn of_variable(origin: &Origin) -> String {
    match origin {
        Origin::Variable(name) => format!(" (set by environment variable {name})"),
        _ => String::new(),
    }
}

/// A name or word from the file, escaped for printing and truncated.
fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut short: String = text.chars().take(MOST).collect::<String>().escape_debug().to_string();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short.replace("\\'", "'").replace("\\\"", "\"")
}
