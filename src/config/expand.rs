//! Expands `${env.NAME}`, `${env.NAME:-default}` and `${file.PATH}` in each scalar, after the YAML has been parsed.

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::schema::{ConfigSchema, is_secret};
use crate::config::sources::{Sources, absolute, read_bytes};
use crate::config::tree::{At, Node, Origin, Value};
use gatewright_sdk::Code;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::path::PathBuf;

/// The maximum size of a file used as a value.
const MOST_BYTES: u64 = 64 << 10;

/// Expands every scalar of the tree. `$${` stands for a literal `${`; a `$` before anything else is left alone.
pub fn expand(
    sources: &mut Sources,
    environment: &HashMap<String, String>,
    schema: &ConfigSchema,
    out: &mut Diagnostics,
) {
    let mut tree = std::mem::replace(sources.tree_mut(), Node::new(Value::Null, <_>::default(), Origin::Broken));
    let mut expander =
        Expander { folder: sources.folder().to_owned(), environment, files: HashMap::new(), faults: Vec::new() };
    expander.node(&mut tree, &mut String::new());
    let Expander { mut files, faults, .. } = expander;
    *sources.tree_mut() = tree;
    let mut paths: Vec<_> = files.drain().collect();
    paths.sort();
    for (path, content) in paths {
        sources.files_mut().note_file(path, content.as_deref().map_err(String::as_str));
    }
    for (at, mut fault) in faults {
        let secret = is_secret_at(sources.tree(), schema.root(), schema, at);
        if secret {
            // It is not known where the variable ends and its default begins.
            sources.files_mut().hide([at]);
        }
        if fault.code == Code::UNSET_VARIABLE && secret {
            fault = fault.help("set it, or read the secret from a file: `${file.PATH}`");
        }
        out.push(fault.at(sources.location(at)));
    }
}

/// Whether the scalar at this place is a secret.
fn is_secret_at(node: &Node, kind: &Json, schema: &ConfigSchema, at: At) -> bool {
    match &node.value {
        Value::Map(entries) => entries.iter().any(|(key, child)| {
            schema.entry(kind, &key.name).is_some_and(|kind| is_secret_at(child, kind, schema, at))
        }),
        Value::Seq(items) => {
            let kind = schema.branches(kind).into_iter().find_map(|(_, branch)| branch.get("items"));
            kind.is_some_and(|kind| items.iter().any(|item| is_secret_at(item, kind, schema, at)))
        }
        // A store's URL has a password in it where there is an `@`.
        Value::Str(text) if node.at == at && text.contains('@') => true,
        _ => node.at == at && schema.branches(kind).iter().any(|(_, branch)| is_secret(branch)),
    }
}

/// What is wrong with a `${…}`: the code, the message and the help.
type Flaw = (Code, String, String);

struct Expander<'a> {
    folder: PathBuf,
    environment: &'a HashMap<String, String>,
    files: HashMap<PathBuf, Result<Vec<u8>, String>>,
    faults: Vec<(At, Diagnostic)>,
}

impl Expander<'_> {
    fn node(&mut self, node: &mut Node, path: &mut String) {
        let length = path.len();
        match &mut node.value {
            Value::Map(entries) => {
                for (key, node) in entries {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&key.name);
                    self.node(node, path);
                    path.truncate(length);
                }
            }
            Value::Seq(items) => {
                for (index, node) in items.iter_mut().enumerate() {
                    path.push_str(&format!("[{index}]"));
                    self.node(node, path);
                    path.truncate(length);
                }
            }
            Value::Str(text) if text.contains("${") => match self.text(text) {
                // It contains only escapes, so it is written in the file and may be shown.
                Ok((value, false)) => *text = value,
                Ok((value, true)) => {
                    node.origin = Origin::Expanded(std::mem::replace(text, value).into());
                }
                Err(faults) => {
                    node.origin = Origin::Broken;
                    let faults = faults.into_iter().map(|(code, message, help)| {
                        (node.at, Diagnostic::error(code, path.clone(), message).help(help))
                    });
                    self.faults.extend(faults);
                }
            },
            _ => {}
        }
    }

    /// The expanded text, and whether anything was expanded; or everything that is wrong with it.
    fn text(&mut self, text: &str) -> Result<(String, bool), Vec<Flaw>> {
        let (mut whole, mut rest, mut expanded) = (String::with_capacity(text.len()), text, false);
        let mut flaws = Vec::new();
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                whole.push_str(before);
                whole.push_str("${");
                rest = after;
                continue;
            }
            whole.push_str(before);
            let Some((inner, after)) = after.split_once('}') else {
                flaws.push((
                    Code::EXPANSION_SYNTAX,
                    "unclosed `${`".to_owned(),
                    "add the missing `}`, or write `$${` for a literal `${`".to_owned(),
                ));
                break;
            };
            match self.value(inner) {
                Ok(value) => whole.push_str(&value),
                Err(flaw) => flaws.push(flaw),
            }
            expanded = true;
            rest = after;
        }
        whole.push_str(rest);
        if flaws.is_empty() { Ok((whole, expanded)) } else { Err(flaws) }
    }

    fn value(&mut self, inner: &str) -> Result<String, Flaw> {
        const WAYS: &str = "write `${env.NAME}`, `${env.NAME:-default}` or `${file.PATH}`; `$${` is a literal `${`";
        let (name, value) = match inner.split_once('.') {
            Some(("env", name)) => (name, self.variable(name)?),
            Some(("file", "")) => {
                return Err((Code::EXPANSION_SYNTAX, "`${file.}` is missing a path".to_owned(), WAYS.to_owned()));
            }
            Some(("file", path)) => (path, self.file(path)?),
            Some((provider, _)) => {
                return Err((
                    Code::EXPANSION_SYNTAX,
                    format!("`${{{provider}.…}}` has an unknown source, `{provider}`"),
                    WAYS.to_owned(),
                ));
            }
            None => {
                // It may be a secret, or a variable with a secret as its default.
                let name = inner.split(":-").next().unwrap_or_default();
                let upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
                let (name, ways) = if !name.is_empty() && name.bytes().all(upper) {
                    (name, format!("write `${{env.{name}}}` for the environment variable `{name}`"))
                } else {
                    ("…", WAYS.to_owned())
                };
                return Err((Code::EXPANSION_SYNTAX, format!("`${{{name}}}` does not name a source"), ways));
            }
        };
        if value.contains("${") {
            let message = format!("the value of `{name}` contains `${{`, which is not expanded again");
            return Err((Code::NESTED_EXPANSION, message, "set it to the final value".to_owned()));
        }
        Ok(value)
    }

    fn variable(&self, text: &str) -> Result<String, Flaw> {
        let (name, default) = text.split_once(":-").map_or((text, None), |(name, default)| (name, Some(default)));
        let valid = |name: &str| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !name.starts_with(|c: char| c.is_ascii_digit())
        };
        if name.is_empty() || !valid(name) {
            // What follows the name may be a secret.
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
            let (shown, rest) = name.split_at_checked(end).unwrap_or_default();
            let rest = if rest.is_empty() { "" } else { "…" };
            let message = format!("`${{env.{shown}{rest}}}` does not name an environment variable");
            return Err((Code::EXPANSION_SYNTAX, message, "write `${env.NAME}` or `${env.NAME:-default}`".to_owned()));
        }
        let set = self.environment.get(name);
        match (set, default) {
            (Some(value), None) => Ok(value.clone()),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value.clone()),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err((
                Code::UNSET_VARIABLE,
                format!("environment variable `{name}` is not set"),
                format!("set it, or provide a default: `${{env.{name}:-default}}`"),
            )),
        }
    }

    fn file(&mut self, written: &str) -> Result<String, Flaw> {
        let path = self.folder.join(written);
        let tried = absolute(&path);
        let content = self.files.entry(path).or_insert_with_key(|path| read_bytes(path, MOST_BYTES));
        let value = content.as_ref().map_err(String::as_str).and_then(|content| value(content));
        value.map_err(|reason| {
            (
                Code::EXPANSION_FILE,
                format!("file `{written}` {reason}"),
                format!("resolved to {tried}; paths are relative to the main configuration file"),
            )
        })
    }
}

/// The content of a file as a value, without a trailing newline.
fn value(content: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(content).map_err(|_| "is not valid UTF-8")?;
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() { Err("is empty") } else { Ok(text.to_owned()) }
}
