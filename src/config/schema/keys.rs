//! The reference of all keys, as Markdown, made from the schema for editors.

pub mod plugins;

use super::{ConfigSchema, Published};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt::Write as _;

/// One example of each section; together they are a configuration without faults, as a test shows.
pub const EXAMPLES: &str = include_str!("examples.yaml");

/// The text above the sections.
const INTRODUCTION: &str = "\
A configuration is one YAML file, and the files that its `include` names. This page lists every key. It is generated from the
schema: `gatewright schema --markdown` prints it for the program that you run, with the plugins compiled into it.

How values are written:

| written | what it is |
|---|---|
| `10s`, `200ms`, `1h 30m` | a duration: numbers with units (`ms`, `s`, `m`, `h`, `d`, …) |
| `512B`, `64KiB`, `2MiB` | a size: a whole number with a unit (`B`, `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`) |
| `${env.NAME}`, `${env.NAME:-default}` | the value of an environment variable, in any single value |
| `${file./run/secrets/token}` | the content of a small file, without its last line break |
| `$${` | a plain `${` |

Paths of files are relative to the main configuration file. `NAME` in a heading below is a name that you choose. One key can also
be set from the environment: `GATEWRIGHT__LISTENERS__WEB__ADDRESS=127.0.0.1:8080` sets `listeners.web.address`.
";

/// The whole page.
pub fn markdown(schema: &ConfigSchema) -> String {
    let schema = schema.published(Published::Document);
    let mut page =
        Page { schema: &schema, text: format!("# Configuration reference\n\n{INTRODUCTION}"), seen: HashMap::new() };
    let sections = schema.get("properties").and_then(Value::as_object);
    page.text.push_str("\n## Sections\n\n| section | what it is for |\n|---|---|\n");
    for (name, section) in sections.into_iter().flatten() {
        let required = if required(&schema, name) { " **Required.**" } else { "" };
        let text = cell(&first_sentence(&page.description(section)));
        let _ = writeln!(page.text, "| [`{name}`](#{name}) | {text}{required} |");
    }
    for (name, section) in sections.into_iter().flatten() {
        page.section(name, section);
    }
    page.text
}

/// Of a longer list, the beginning is printed.
const MOST_ITEMS: usize = 8;

struct Page<'a> {
    schema: &'a Value,
    text: String,
    /// The headings under which objects are explained, by the names of their definitions.
    seen: HashMap<&'a str, String>,
}

/// One way to write a value, and the name of its definition.
type Way<'a> = (Option<&'a str>, &'a Value);

impl<'a> Page<'a> {
    fn section(&mut self, name: &str, section: &'a Value) {
        let _ = write!(self.text, "\n## {name}\n\n{}\n", self.description(section));
        let kind = self.kind(name, section).replace(&format!("[object](#{name})"), "object");
        let _ = writeln!(self.text, "\nType: {kind}.");
        let words = self.words(section, "\n");
        if !words.is_empty() {
            let _ = writeln!(self.text, "{words}");
        }
        // The version is in every example of a whole configuration.
        if let Some(example) = example(name).filter(|_| name != "version") {
            let _ = write!(self.text, "\n```yaml\n{example}```\n");
        }
        self.inside(name, section, false);
    }

    /// Explains the objects in a value at this path.
    fn inside(&mut self, path: &str, schema: &'a Value, heading: bool) {
        for (name, way) in self.ways(schema) {
            if let Some(keys) = way.get("properties").and_then(Value::as_object) {
                self.object(path, name, way, keys, heading);
            } else if let Some((path, inner)) = inner(path, way) {
                self.inside(&path, inner, true);
            }
        }
    }

    fn object(
        &mut self,
        path: &str,
        name: Option<&'a str>,
        object: &'a Value,
        keys: &'a Map<String, Value>,
        heading: bool,
    ) {
        if name.is_some_and(|name| *self.seen.entry(name).or_insert_with(|| path.to_owned()) != path) {
            return;
        }
        if heading {
            let text = object.get("description").and_then(Value::as_str).unwrap_or_default();
            let _ = write!(self.text, "\n### {path}\n{}{text}", if text.is_empty() { "" } else { "\n" });
            self.text.push_str(if text.is_empty() { "" } else { "\n" });
        }
        self.text.push_str("\n| key | type | default | description |\n|---|---|---|---|\n");
        let keys: Vec<_> = keys.iter().filter(|(_, property)| property.get("doNotSuggest").is_none()).collect();
        for (key, property) in &keys {
            let default = match property.get("default") {
                _ if required(object, key) => "**required**".to_owned(),
                Some(Value::Array(empty)) if empty.is_empty() => String::new(),
                Some(default) => format!("`{}`", cell(&written(default))),
                None => String::new(),
            };
            let kind = self.kind(&format!("{path}.{key}"), property);
            let mut text = self.description(property);
            if property.get("description").is_none() {
                // The whole text is below, where the keys of the object are.
                text = first_sentence(&text);
            }
            let text = cell(&(text + &self.words(property, "<br>")));
            let _ = writeln!(self.text, "| `{key}` | {} | {default} | {text} |", cell(&kind));
        }
        for (key, property) in keys {
            self.inside(&format!("{path}.{key}"), property, true);
        }
    }

    /// The definition that a schema refers to, with its name.
    fn resolve(&self, schema: &'a Value) -> Way<'a> {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.rsplit('/').next());
        match name.and_then(|name| self.schema.get("definitions")?.get(name)) {
            Some(definition) => (name, definition),
            None => (None, schema),
        }
    }

    fn ways(&self, schema: &'a Value) -> Vec<Way<'a>> {
        let (name, schema) = self.resolve(schema);
        match schema.get("anyOf").and_then(Value::as_array).filter(|_| schema.get("properties").is_none()) {
            Some(ways) => {
                let ways = ways.iter().filter(|way| !from_outside(way)).flat_map(|way| self.ways(way));
                ways.map(|(inner, way)| (inner.or(name), way)).collect()
            }
            None => vec![(name, schema)],
        }
    }

    fn description(&self, schema: &'a Value) -> String {
        let own = schema.get("description").or_else(|| self.resolve(schema).1.get("description"));
        own.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The values of an enum, or of the items of a list, with their texts.
    fn words(&self, schema: &'a Value, before: &str) -> String {
        let ways = self.ways(schema);
        let items = ways.iter().filter_map(|(_, way)| way.get("items")).flat_map(|items| self.ways(items));
        let mut lists =
            ways.iter().copied().chain(items).filter_map(|(_, way)| Some((way, way.get("enum")?.as_array()?)));
        let Some((way, words)) = lists.next().filter(|(_, words)| words.len() > 1) else { return String::new() };
        let texts = way.get("enumDescriptions").and_then(Value::as_array);
        let mut text = String::new();
        for (index, word) in words.iter().enumerate() {
            let about = texts.and_then(|texts| texts.get(index)?.as_str()).filter(|text| !text.is_empty());
            let about = about.map(|about| format!(": {about}")).unwrap_or_default();
            let _ = write!(text, "{before}- `{}`{about}", written(word));
        }
        text
    }

    /// What may be written at this path.
    fn kind(&mut self, path: &str, schema: &'a Value) -> String {
        let mut kinds: Vec<String> = Vec::new();
        for (name, way) in self.ways(schema) {
            kinds.push(self.one_kind(path, name, way));
        }
        kinds.join(" or ")
    }

    fn one_kind(&mut self, path: &str, name: Option<&'a str>, way: &'a Value) -> String {
        match name {
            Some("Duration") => return "duration".to_owned(),
            Some("Size") => return "size".to_owned(),
            _ => {}
        }
        let kind = way.get("type").and_then(Value::as_str);
        if way.get("enum").is_some() {
            return if kind == Some("string") { "enum" } else { "integer" }.to_owned();
        }
        if way.get("properties").is_some() {
            let path = name.map_or(path, |name| self.seen.entry(name).or_insert_with(|| path.to_owned()));
            return format!("[object](#{})", anchor(path));
        }
        let inner = inner(path, way).map(|(path, inner)| plural(&self.kind(&path, inner)));
        let bound = |key: &str| way.get(key).map(written);
        let range = match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) => format!(" ({least} to {most})"),
            (Some(least), None) if least != "0" => format!(" (at least {least})"),
            _ => String::new(),
        };
        match (kind, inner) {
            (Some("array"), inner) => inner.map_or_else(|| "list".to_owned(), |inner| format!("list of {inner}")),
            (Some("object"), inner) => {
                inner.map_or_else(|| "map".to_owned(), |inner| format!("map of names to {inner}"))
            }
            (Some(kind @ ("integer" | "number")), _) => format!("{kind}{range}"),
            (Some(kind), _) => kind.to_owned(),
            (None, _) => "any value".to_owned(),
        }
    }
}

fn first_sentence(text: &str) -> String {
    let end = text.find(". ").map_or(text.len(), |end| end + 1);
    text.get(..end).unwrap_or(text).split("\n\n").next().unwrap_or_default().to_owned()
}

/// What a map or a list contains, and the path to it.
fn inner<'a>(path: &str, way: &'a Value) -> Option<(String, &'a Value)> {
    let entries = way.get("additionalProperties").filter(|entry| entry.is_object());
    let entries = entries.map(|entry| (format!("{path}.NAME"), entry));
    entries.or_else(|| Some((format!("{path}[]"), way.get("items")?)))
}

/// The address of a heading within the page.
fn anchor(heading: &str) -> String {
    heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

fn from_outside(schema: &Value) -> bool {
    schema.get("pattern").and_then(Value::as_str).is_some_and(|pattern| pattern.contains("env|file"))
}

fn plural(kind: &str) -> String {
    match kind {
        kind if kind.contains(" or ") && !kind.contains("list of") => {
            kind.split(" or ").map(plural).collect::<Vec<_>>().join(" or ")
        }
        "enum" => "enum values".to_owned(),
        kind if kind.starts_with("list of ") => kind.replacen("list", "lists", 1),
        kind if kind.starts_with("[object]") => kind.replacen("object", "objects", 1),
        "any value" => "any values".to_owned(),
        kind if kind.contains([' ', '(']) => kind.to_owned(),
        kind => format!("{kind}s"),
    }
}

fn required(map: &Value, key: &str) -> bool {
    map.get("required").and_then(Value::as_array).is_some_and(|all| all.iter().any(|name| name == key))
}

/// A value as it is written in YAML.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let more = if items.len() > MOST_ITEMS { ", …" } else { "" };
            format!("[{}{more}]", items.iter().take(MOST_ITEMS).map(written).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}: {}", written(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Number(number) => number
            .as_f64()
            .filter(|n| n.fract() == 0.0 && n.abs() < 1e15)
            .map_or_else(|| number.to_string(), |n| format!("{n}")),
        other => other.to_string(),
    }
}

/// Text for the cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace("\n\n", "<br>").replace('\n', " ")
}

/// The example of a section: its lines in [`EXAMPLES`].
fn example(section: &str) -> Option<String> {
    let start = |line: &&str| line.strip_prefix(section).is_some_and(|rest| rest.starts_with(':'));
    let mut lines = EXAMPLES.lines().skip_while(|line| !start(line));
    let first = lines.next()?;
    let rest = lines.take_while(|line| line.starts_with(' '));
    Some(std::iter::once(first).chain(rest).fold(String::new(), |text, line| text + line + "\n"))
}
