//! Reads files that describe APIs: OpenAPI 3.0 and 3.1, in JSON or YAML.

mod check;
mod discriminator;
pub mod json;
mod json_schema;
pub mod members;
pub mod parts;
mod place;
mod read;
mod security;
pub mod shape;
#[cfg(test)]
mod tests;
mod upgrade;

pub use json_schema::json_schema;
pub use members::Unknown;
pub use place::Place;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::path::Path;
use url::Url;

/// The methods that a path can have, as the specification writes them.
pub const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// A description of an API, as OpenAPI 3.1.
#[derive(Debug, PartialEq)]
pub struct Spec {
    document: Value,
    base: String,
    /// What it says about tags, by name.
    tags: HashMap<String, String>,
    unknown: Vec<Unknown>,
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

/// A reference to a component: its kind, its name, and what follows, which begins with a slash unless it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub kind: String,
    pub name: String,
    pub below: String,
}

impl Spec {
    /// Reads the content of the file at `path`, whose name ends with its language.
    ///
    /// # Errors
    /// It is not OpenAPI 3.0 or 3.1, or not a whole description.
    pub fn parse(content: &[u8], path: &Path) -> Result<Self, Flaw> {
        let mut document = read::read(content, path)?;
        let version = check::version(&document)?;
        check::whole(&document)?;
        let unknown = members::unknown(&document, version);
        if version == check::Version::V3_0 {
            upgrade::upgrade(&mut document);
        }
        discriminator::complete(&mut document);
        let (base, tags) = (base(&document), tags(&document));
        Ok(Self { document, base, tags, unknown })
    }

    /// The path in the first of its `servers`, in front of all paths: empty, or `/v1`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Its members that the specification does not know, some of them if they are many.
    pub fn unknown(&self) -> &[Unknown] {
        &self.unknown
    }

    /// The whole document.
    pub const fn document(&self) -> &Value {
        &self.document
    }

    /// Calls `visit` with each object of its paths and components, and the place of the object.
    pub fn each(&self, visit: &mut impl FnMut(&Place<'_>, &Map<String, Value>)) {
        let mut all = |at: &Place<'_>, object: &Map<String, Value>| {
            visit(at, object);
            Ok::<(), Infallible>(())
        };
        let Ok(()) = parts::every(&self.document, &mut all);
    }

    /// The paths, and what is at each.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        let paths = self.document.get("paths").and_then(Value::as_object).into_iter().flatten();
        paths
            .filter(|(path, _)| path.starts_with('/'))
            .filter_map(|(path, item)| Some((path.as_str(), self.resolved(item).as_object()?)))
    }

    /// A component.
    pub fn component(&self, kind: &str, name: &str) -> Option<&Value> {
        self.document.get("components")?.get(kind)?.get(name)
    }

    /// The parameters of an operation: those of its path, unless it has its own, and then its own.
    pub fn parameters<'a>(&'a self, item: &'a Map<String, Value>, operation: &'a Map<String, Value>) -> Vec<&'a Value> {
        let list =
            |around: &'a Map<String, Value>| around.get("parameters").and_then(Value::as_array).into_iter().flatten();
        let key = |parameter: &'a Value| {
            let parameter = self.resolved(parameter);
            (parameter.get("in"), parameter.get("name"))
        };
        let own: HashSet<_> = list(operation).map(|one| named(key(one))).collect();
        let of_path = list(item).filter(|one| !own.contains(&named(key(one))));
        of_path.chain(list(operation)).collect()
    }

    /// What it says about a tag.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.get(name).map(String::as_str)
    }

    /// What a reference leads to, or the value itself.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        resolved(&self.document, value)
    }

    /// What a reference leads to.
    pub fn target(&self, reference: &str) -> Option<&Value> {
        target(&self.document, reference)
    }
}

fn named<'a>((place, name): (Option<&'a Value>, Option<&'a Value>)) -> (&'a str, &'a str) {
    (place.and_then(Value::as_str).unwrap_or_default(), name.and_then(Value::as_str).unwrap_or_default())
}

impl Reference {
    /// Reads `#/components/schemas/Order`.
    pub fn read(reference: &str) -> Option<Self> {
        let pointer = pointer(reference)?;
        let mut segments = pointer.strip_prefix("/components/")?.splitn(3, '/');
        let kind = segments.next()?.to_owned();
        let name = segments.next()?.replace("~1", "/").replace("~0", "~");
        let below = segments.next().map(|below| format!("/{below}")).unwrap_or_default();
        Some(Self { kind, name, below })
    }
}

/// The characters that a fragment may not have (RFC 3986, section 3.5).
const FRAGMENT: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The reference to a component, and to what is below it.
pub fn write_reference(kind: &str, name: &str, below: &str) -> String {
    let name = name.replace('~', "~0").replace('/', "~1");
    let pointer = format!("/components/{kind}/{name}{below}");
    format!("#{}", utf8_percent_encode(&pointer, &FRAGMENT))
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

fn tags(document: &Value) -> HashMap<String, String> {
    let tags = document.get("tags").and_then(Value::as_array).into_iter().flatten();
    let text = |tag: &Value, key: &str| Some(tag.get(key)?.as_str()?.to_owned());
    tags.filter_map(|tag| Some((text(tag, "name")?, text(tag, "description")?))).collect()
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
