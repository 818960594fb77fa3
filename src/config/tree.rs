//! The YAML tree: values, and where each of them is written.

use serde_json::Number;
use std::fmt::Write as _;
use std::sync::Arc;

/// A location in one of the files. Lines and columns count from 1; `start` and `end` are byte offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct At {
    /// The index of the file.
    pub file: u32,
    pub line: u32,
    pub column: u32,
    pub start: u32,
    pub end: u32,
}

/// A value and its location.
#[derive(Debug, Clone)]
pub struct Node {
    pub value: Value,
    pub at: At,
    pub origin: Origin,
    /// Whether it and everything in it have the right shape. A text that its format rejects does not, but if it has a
    /// stand-in, the values around it do.
    pub sound: bool,
    /// Whether it was rejected and has a stand-in, so that the values around it are checked.
    pub stood_in: bool,
    /// Whether it is ignored, so that its default applies.
    pub left_out: bool,
}

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Written without quotes.
    Plain,
    /// Written as text: in quotes or as a block.
    Text,
    /// From `${…}`, stored here as written.
    Expanded(Arc<str>),
    /// Set by the environment variable with this name.
    Variable(Arc<str>),
    /// Could not be expanded. This was already reported, so nothing else is.
    Broken,
}

impl Origin {
    /// The label of an external value. A default in `${env.NAME:-default}` may be a secret, so it is omitted. `None`
    /// for a value written in the file.
    pub fn outside(&self) -> Option<String> {
        match self {
            Self::Expanded(written) => Some(format!("`{}`", without_defaults(written))),
            Self::Variable(name) => Some(format!("the environment variable {name}")),
            Self::Plain | Self::Text | Self::Broken => None,
        }
    }

    /// ` (from …)` for an external value.
    pub fn suffix(&self) -> String {
        self.outside().map(|from| format!(" (from {from})")).unwrap_or_default()
    }

    /// Like [`Origin::outside`], for a value that is not shown: only the `${…}`, without the text around them.
    pub fn outside_only(&self) -> Option<String> {
        let Self::Expanded(written) = self else { return self.outside() };
        let (mut names, mut rest) = (Vec::new(), &**written);
        while let Some((_, after)) = rest.split_once("${") {
            let (name, behind) = after.split_once('}').unwrap_or((after, ""));
            names.push(format!("`${{{}}}`", name.split(":-").next().unwrap_or_default().escape_debug()));
            rest = behind;
        }
        Some(names.join(" and "))
    }

    /// Whether it is the content of a file: usually a secret, so it is never shown.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::Expanded(written) if written.contains("${file."))
    }
}

/// `${env.NAME}` for `${env.NAME:-default}`, on one line and truncated.
fn without_defaults(written: &str) -> String {
    const MOST: usize = 80;
    let (mut short, mut rest) = (String::new(), written);
    while let Some((before, after)) = rest.split_once(":-") {
        short.push_str(before);
        rest = after.find('}').and_then(|end| after.get(end..)).unwrap_or_default();
    }
    short.push_str(rest);
    let cut = if short.chars().nth(MOST).is_some() { "…" } else { "" };
    short.chars().take(MOST).collect::<String>().escape_debug().to_string().replace("\\\"", "\"") + cut
}

#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(String),
    Seq(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The name of a map entry.
#[derive(Debug, Clone)]
pub struct Key {
    pub name: String,
    pub at: At,
}

impl Node {
    pub const fn new(value: Value, at: At, origin: Origin) -> Self {
        Self { value, at, origin, sound: true, stood_in: false, left_out: false }
    }

    pub fn entries(&self) -> &[(Key, Self)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// Whether it is neither a map nor a list.
    pub const fn is_scalar(&self) -> bool {
        !matches!(self.value, Value::Map(_) | Value::Seq(_))
    }

    pub fn items(&self) -> &[Self] {
        if let Value::Seq(items) = &self.value { items } else { &[] }
    }

    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entries().iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The names of the entries of the map `section`.
    pub fn names<'a>(&'a self, section: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.get(section).map_or(&[][..], Self::entries).iter().map(|(key, _)| key.name.as_str())
    }

    /// Calls `found` with every value that matches a path with `*` for any name or index.
    pub fn each<'a>(&'a self, pattern: &str, found: &mut impl FnMut(&str, &'a Self)) {
        let parts: Vec<&str> = pattern.split('.').collect();
        self.descend(&parts, &mut String::new(), found);
    }

    fn descend<'a>(&'a self, parts: &[&str], path: &mut String, found: &mut impl FnMut(&str, &'a Self)) {
        let Some((part, rest)) = parts.split_first() else { return found(path, self) };
        let length = path.len();
        for (key, child) in self.entries().iter().filter(|(key, _)| *part == "*" || key.name == *part) {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&key.name);
            child.descend(rest, path, found);
            path.truncate(length);
        }
        for (index, child) in self.items().iter().enumerate().filter(|_| *part == "*") {
            let _ = write!(path, "[{index}]");
            child.descend(rest, path, found);
            path.truncate(length);
        }
    }

    /// The value as JSON, for the types that parse it.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => number(*value).map_or(Json::Null, Json::Number),
            Value::Float(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Value::Str(value) => Json::String(value.clone()),
            Value::Seq(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                let read = entries.iter().filter(|(_, node)| !node.left_out);
                read.map(|(key, node)| (key.name.clone(), node.to_json())).collect()
            }
        }
    }

    /// The value at a path and its key: `routes.users.methods[0]`. If there is none, the nearest value around it.
    pub fn locate(&self, path: &str) -> (Option<&Key>, &Self) {
        let (key, node, _) = self.walk(path);
        (key, node)
    }

    /// Whether there is a value at this path.
    pub fn holds(&self, path: &str) -> bool {
        self.walk(path).2.is_empty()
    }

    /// Follows the path as far as possible; also returns the rest of it.
    fn walk<'a, 'p>(&'a self, path: &'p str) -> (Option<&'a Key>, &'a Self, &'p str) {
        let (mut key, mut node, mut rest) = (None, self, path);
        while !rest.is_empty() {
            let next = match rest.strip_prefix('[') {
                Some(index) => index
                    .split_once(']')
                    .and_then(|(index, rest)| Some((None, node.items().get(index.parse::<usize>().ok()?)?, rest))),
                None => entry(node, rest).map(|(key, child, rest)| (Some(key), child, rest)),
            };
            let Some((found, child, tail)) = next else { break };
            (key, node, rest) = (found, child, tail.strip_prefix('.').unwrap_or(tail));
        }
        (key, node, rest)
    }
}

/// The entry that `path` begins with. Names may contain dots: the longest match wins.
fn entry<'a, 'p>(node: &'a Node, path: &'p str) -> Option<(&'a Key, &'a Node, &'p str)> {
    let fits = |name: &str| path.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    let fitting = node.entries().iter().filter_map(|(key, child)| Some((key, child, fits(&key.name)?)));
    fitting.max_by_key(|(key, ..)| key.name.len())
}

fn number(value: i128) -> Option<Number> {
    u64::try_from(value).map(Number::from).or_else(|_| i64::try_from(value).map(Number::from)).ok()
}
