//! Parses YAML text into a tree, within limits, and reports everything that is wrong with it.

pub mod slip;
pub mod write;

use crate::config::tree::{At, Key, Node, Origin, Value};
use gatewright_sdk::Code;
use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, Tag};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// The maximum nesting depth of maps and lists.
const DEPTH: usize = 64;
/// The maximum number of values in a file.
const NODES: usize = 1_000_000;
/// The maximum number of values and bytes that aliases may add, so that a small file cannot become a large tree.
const COPIED_NODES: usize = 100_000;
const COPIED_BYTES: usize = 4 << 20;

/// The name of an entry whose key was rejected. Its value may contain secrets, so it is kept.
pub const REJECTED: &str = "<<";

/// A problem in the text.
#[derive(Debug)]
pub struct Flaw {
    pub code: Code,
    pub at: At,
    pub message: String,
    pub help: Option<Box<str>>,
    pub related: Option<Box<(At, &'static str)>>,
    /// Values that are no longer in the tree, and may be secrets.
    pub dropped: Vec<At>,
}

impl Flaw {
    fn new(code: Code, at: At, message: impl Into<String>) -> Self {
        Self { code, at, message: message.into(), help: None, related: None, dropped: Vec::new() }
    }

    fn help(mut self, help: impl Into<Box<str>>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Parses one file: the tree, `None` if the file is empty, and the problems.
pub fn parse(text: &str, file: u32) -> (Option<Node>, Vec<Flaw>) {
    let mut options = Options::default();
    options.flow_nesting_limit = DEPTH;
    options.block_nesting_limit = DEPTH;
    let mut builder = Builder { file, ..Builder::default() };
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => Err(syntax(text, file, &error)),
        };
        if let Err(flaw) = step {
            builder.flaws.push(flaw);
            return (None, builder.flaws);
        }
    }
    (builder.root, builder.flaws)
}

/// A map or list that is still open.
struct Open {
    at: At,
    anchor: usize,
    kind: Collection,
    /// Whether a map has a rejected key.
    incomplete: bool,
}

enum Collection {
    Seq(Vec<Node>),
    /// The entries, and the key of the next value.
    Map(Vec<(Key, Node)>, Option<Key>),
}

#[derive(Default)]
struct Builder {
    file: u32,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Weight)>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    copied: (usize, usize),
    flaws: Vec<Flaw>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Flaw> {
        let at = self.at(&span.start, &span.end);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Flaw::new(Code::SECOND_DOCUMENT, at, "unexpected second YAML document")
                        .help("remove the `---`, or split the configuration with `include`"));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag_at = span.tag_span().map_or(at, |tag| self.at(&tag.start, &tag.end));
                let (value, origin) = self.scalar(&text, style, tag.as_deref(), tag_at);
                self.place(Node::new(value, at, origin), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => self.begin(Collection::Seq(Vec::new()), anchor, tag.as_deref(), at),
            Event::MappingStart(_, anchor, tag) => {
                self.begin(Collection::Map(Vec::new(), None), anchor, tag.as_deref(), at)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { at, anchor, kind: Collection::Seq(items), .. }) => {
                    self.place(Node::new(Value::Seq(items), at, Origin::Plain), anchor)
                }
                Some(Open { at, anchor, kind: Collection::Map(mut entries, _), incomplete }) => {
                    self.duplicates(&mut entries);
                    // Nothing is reported about what it lacks.
                    let origin = if incomplete { Origin::Broken } else { Origin::Plain };
                    self.place(Node::new(Value::Map(entries), at, origin), anchor)
                }
                None => Ok(()),
            },
            Event::Alias(id) => self.alias(id, at),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, kind: Collection, anchor: usize, tag: Option<&Tag>, at: At) -> Result<(), Flaw> {
        if self.open.len() >= DEPTH {
            return Err(Flaw::new(
                Code::TOO_LARGE,
                at,
                format!("nested too deeply: at most {DEPTH} levels are allowed"),
            ));
        }
        let usual = if matches!(kind, Collection::Seq(_)) { "seq" } else { "map" };
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema_tag(usual) && tag.original() != "!") {
            self.flaws.push(refused_tag(at));
        }
        self.open.push(Open { at, anchor, kind, incomplete: false });
        Ok(())
    }

    /// Adds a completed value to its parent.
    fn place(&mut self, node: Node, anchor: usize) -> Result<(), Flaw> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(Flaw::new(Code::TOO_LARGE, node.at, format!("too many values: at most {NODES} are allowed")));
        }
        if anchor != 0 {
            let weight = weigh(&node);
            self.copy(weight, node.at)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { kind: Collection::Seq(items), .. }) => items.push(node),
            Some(Open { kind: Collection::Map(entries, pending), incomplete, .. }) => match pending.take() {
                None => {
                    let at = node.at;
                    *pending = Some(key(node).unwrap_or_else(|flaw| {
                        *incomplete = true;
                        self.flaws.push(flaw);
                        Key { name: REJECTED.to_owned(), at }
                    }));
                }
                Some(key) => entries.push((key, node)),
            },
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, at: At) -> Result<(), Flaw> {
        let Some((_, weight)) = self.anchors.get(&id) else {
            return Err(Flaw::new(Code::RECURSIVE_ALIAS, at, "recursive alias: the value would contain itself"));
        };
        self.copy(*weight, at)?;
        match self.anchors.get(&id) {
            Some((node, _)) => self.place(Node { at, ..node.clone() }, 0),
            None => Ok(()),
        }
    }

    /// Counts what is about to be copied, before it is copied.
    fn copy(&mut self, weight: Weight, at: At) -> Result<(), Flaw> {
        if self.open.len() + weight.depth > DEPTH {
            return Err(Flaw::new(
                Code::TOO_LARGE,
                at,
                format!("nested too deeply: at most {DEPTH} levels are allowed"),
            ));
        }
        self.copied = (self.copied.0.saturating_add(weight.nodes), self.copied.1.saturating_add(weight.bytes));
        if self.copied.0 > COPIED_NODES || self.copied.1 > COPIED_BYTES {
            return Err(Flaw::new(Code::TOO_LARGE, at, "the file is too large after expanding its aliases")
                .help("move repeated settings into a chain or plugin"));
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, tag_at: At) -> (Value, Origin) {
        let quoted = style != ScalarStyle::Plain;
        let text_tag = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str") || tag.original() == "!");
        if tag.is_some() && !text_tag {
            self.flaws.push(refused_tag(tag_at));
            return (Value::Str(text.to_owned()), Origin::Broken);
        }
        if quoted || text_tag { (Value::Str(text.to_owned()), Origin::Text) } else { (plain(text), Origin::Plain) }
    }

    /// Reports duplicate keys, and removes the later entry so that nothing else is reported about it.
    fn duplicates(&mut self, entries: &mut Vec<(Key, Node)>) {
        const FEW: usize = 8;
        let mut seen: HashMap<&str, At> = HashMap::new();
        let mut twice = HashSet::new();
        for (index, (key, value)) in entries.iter().enumerate() {
            if key.name == REJECTED {
                continue;
            }
            let first = if entries.len() <= FEW {
                entries.iter().take(index).find(|(first, _)| first.name == key.name).map(|(first, _)| first.at)
            } else {
                seen.insert(&key.name, key.at)
            };
            if let Some(first) = first {
                twice.insert(index);
                let mut dropped = Vec::new();
                scalars(&key.name, value, &mut dropped);
                self.flaws.push(Flaw {
                    related: Some(Box::new((first, "first defined here"))),
                    dropped,
                    ..Flaw::new(Code::DUPLICATE_KEY, key.at, format!("duplicate key `{}`", key.name.escape_debug()))
                        .help("remove or rename one of them")
                });
            }
        }
        let mut index = 0;
        entries.retain(|_| {
            index += 1;
            !twice.contains(&(index - 1))
        });
    }

    fn at(&self, start: &Marker, end: &Marker) -> At {
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        At {
            file: self.file,
            line: small(start.line()).max(1),
            column: small(start.col()).saturating_add(1),
            start: small(start.byte_offset().unwrap_or(0)),
            end: small(end.byte_offset().unwrap_or(0)),
        }
    }
}

/// The places of the scalars in the value of `key`, except those that never are secrets.
fn scalars(key: &str, value: &Node, found: &mut Vec<At>) {
    match &value.value {
        Value::Map(entries) => entries.iter().for_each(|(key, value)| scalars(&key.name, value, found)),
        Value::Seq(items) => items.iter().for_each(|item| scalars(key, item, found)),
        _ if slip::OPEN_KEYS.contains(&key) => {}
        _ => found.push(value.at),
    }
}

/// A syntax error, explained if it is a common mistake in this format.
fn syntax(text: &str, file: u32, error: &ScanError) -> Flaw {
    let offset = error.marker().byte_offset().unwrap_or(0);
    let what = error.info().lines().next().unwrap_or("not valid YAML").to_lowercase();
    match slip::explain(text, offset, &what) {
        Some(found) => Flaw::new(Code::YAML_SYNTAX, place(text, file, found.range), found.message).help(found.help),
        None => Flaw::new(Code::YAML_SYNTAX, place(text, file, offset..offset), format!("not valid YAML: {what}"))
            .help("check for a missing quote, bracket, colon or space before this point"),
    }
}

/// The place of these bytes.
fn place(text: &str, file: u32, range: Range<usize>) -> At {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let before = text.get(..range.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    At {
        file,
        line: small(before.matches('\n').count()).saturating_add(1),
        column: small(before.get(line_start..).unwrap_or_default().chars().count()).saturating_add(1),
        start: small(range.start),
        end: small(range.end),
    }
}

/// The tag itself is not shown: it may be a secret that begins with `!`.
fn refused_tag(at: At) -> Flaw {
    let help = "remove the tag, or quote the value if it starts with `!`".to_owned();
    Flaw::new(Code::YAML_TAG, at, "YAML tags are not supported").help(help)
}

fn key(node: Node) -> Result<Key, Flaw> {
    let at = node.at;
    match node.value {
        Value::Str(name) if name == "<<" && node.origin == Origin::Plain => {
            Err(Flaw::new(Code::MERGE_KEY, at, "YAML merge keys (`<<`) are not supported")
                .help("write out the keys, or use an alias for a whole value: `limits: *base`"))
        }
        // serde_json would interpret such a name and take the value apart, wherever a setting accepts any JSON.
        Value::Str(name) if name.starts_with("$serde_json::private::") => {
            Err(Flaw::new(Code::INVALID_KEY, at, "this name is reserved")
                .help("names that begin with `$serde_json::private::` cannot be used"))
        }
        Value::Str(name) => Ok(Key { name, at }),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            Err(Flaw::new(Code::INVALID_KEY, at, "keys must be strings").help("quote the key"))
        }
        Value::Null => Err(Flaw::new(Code::INVALID_KEY, at, "missing key before the colon")),
        Value::Seq(_) | Value::Map(_) => Err(Flaw::new(Code::INVALID_KEY, at, "a list or map cannot be a key")),
    }
}

/// The cost of copying a value.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    /// Bytes of text, including names.
    bytes: usize,
    depth: usize,
}

fn weigh(node: &Node) -> Weight {
    let parts: Vec<Weight> = match &node.value {
        Value::Seq(items) => items.iter().map(weigh).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, node)| {
                let weight = weigh(node);
                Weight { bytes: weight.bytes + key.name.len(), ..weight }
            })
            .collect(),
        Value::Str(text) => return Weight { nodes: 1, bytes: text.len(), depth: 0 },
        _ => return Weight { nodes: 1, ..Weight::default() },
    };
    parts.iter().fold(Weight { nodes: 1, bytes: 0, depth: 1 }, |sum, part| Weight {
        nodes: sum.nodes + part.nodes,
        bytes: sum.bytes + part.bytes,
        depth: sum.depth.max(part.depth + 1),
    })
}

/// A scalar without quotes, by the core schema of YAML 1.2 (section 10.3.2). Only what is also valid in JSON counts as
/// a number, so `017` and `1_000` are text.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let radix = |prefix, radix| i128::from_str_radix(text.strip_prefix(prefix)?, radix).ok();
    if let Some(value) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Value::Int(value);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let leading_zero =
        digits.len() > 1 && digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && !leading_zero;
    if numeric
        && digits.bytes().all(|b| b.is_ascii_digit())
        && let Ok(value) = text.parse()
    {
        return Value::Int(value);
    }
    if numeric && let Ok(value) = text.parse() {
        return Value::Float(value);
    }
    Value::Str(text.to_owned())
}

#[cfg(test)]
mod tests;
