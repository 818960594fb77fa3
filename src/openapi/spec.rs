//! A file that describes the API of an upstream: OpenAPI 3.0 or 3.1, in JSON or YAML.

mod check;
mod import;
mod parts;
mod read;
mod security;
#[cfg(test)]
mod tests;
mod upgrade;

pub use import::Import;

use serde_json::{Map, Value};
use url::Url;

/// The methods that a path can have, as the specification writes them.
pub const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// A description of an API, as OpenAPI 3.1.
#[derive(Debug, PartialEq)]
pub struct Spec {
    document: Value,
    base: String,
}

/// What is wrong with a file: the message, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    pub message: String,
    pub help: &'static str,
}

impl Flaw {
    fn new(message: impl Into<String>, help: &'static str) -> Self {
        Self { message: message.into(), help }
    }
}

impl Spec {
    /// # Errors
    /// It is not OpenAPI 3.0 or 3.1, or not a whole description.
    pub fn parse(content: &[u8]) -> Result<Self, Flaw> {
        let mut document = read::read(content)?;
        let version = check::version(&document)?;
        check::whole(&document)?;
        if version == check::Version::V3_0 {
            upgrade::upgrade(&mut document);
        }
        let base = base(&document);
        Ok(Self { document, base })
    }

    /// The path in the first of its `servers`, in front of all paths: empty, or `/v1`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The paths, and what is at each.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        let paths = self.document.get("paths").and_then(Value::as_object).into_iter().flatten();
        paths
            .filter(|(path, _)| path.starts_with('/'))
            .filter_map(|(path, item)| Some((path.as_str(), self.resolved(item).as_object()?)))
    }

    /// What it says about a tag.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let tags = self.document.get("tags")?.as_array()?;
        let tag = tags.iter().find(|tag| tag.get("name").is_some_and(|known| known == name))?;
        tag.get("description")?.as_str()
    }

    /// What a reference leads to, or the value itself.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        resolved(&self.document, value)
    }

    fn target(&self, reference: &str) -> Option<&Value> {
        target(&self.document, reference)
    }
}

/// What a reference leads to, or the value itself. `check` looks for circles of bare references first.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let mut value = value;
    while let Some(next) = value.get("$ref").and_then(Value::as_str).and_then(|path| target(document, path)) {
        value = next;
    }
    value
}

fn target<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    document.pointer(&pointer(reference)?)
}

/// The JSON Pointer in a reference within the document.
fn pointer(reference: &str) -> Option<String> {
    let fragment = reference.strip_prefix('#')?;
    percent_encoding::percent_decode_str(fragment).decode_utf8().ok().map(Into::into)
}

/// The path of the first server, with the defaults of its variables.
fn base(document: &Value) -> String {
    let server = document.pointer("/servers/0");
    let Some(url) = server.and_then(|server| server.get("url")?.as_str()) else { return String::new() };
    let mut url = url.to_owned();
    let variables = server.and_then(|server| server.get("variables")?.as_object());
    for (name, variable) in variables.into_iter().flatten() {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
    }
    let path = match Url::parse(&url) {
        Ok(url) => url.path().to_owned(),
        Err(_) if url.starts_with('/') => url,
        Err(_) => String::new(),
    };
    path.trim_end_matches('/').to_owned()
}
