//! From files to a document: reads, expands, overrides and validates, and reports all faults.

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::document::Document;
use crate::config::named::Named;
use crate::config::schema::ConfigSchema;
use crate::config::sources::Sources;
use crate::config::tree::{Node, Origin, Value};
use crate::config::{expand, lint, overlay, pending, renamed, shape, stand_in};
use gatewright_sdk::Code;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::path::Path;

/// The result of loading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The document without entries that have faults, so that one fault hides no other. It must be served only if there
    /// are no errors. `None` if the file could not be read at all.
    pub document: Option<Document>,
    pub diagnostics: Diagnostics,
    pub sources: Sources,
}

/// Loads the configuration in `root` and everything it includes. Reads only files; variables come from `environment`.
pub fn load(root: &Path, environment: &HashMap<String, String>, schema: &ConfigSchema) -> Loaded {
    let (sources, diagnostics) = Sources::read(root);
    judge(sources, diagnostics, environment, schema)
}

/// Turns the sources into a document. Reads the files that settings name.
pub fn judge(
    mut sources: Sources,
    mut diagnostics: Diagnostics,
    environment: &HashMap<String, String>,
    schema: &ConfigSchema,
) -> Loaded {
    if sources.tree().origin == Origin::Broken {
        return Loaded { document: None, diagnostics, sources };
    }
    expand::expand(&mut sources, environment, schema, &mut diagnostics);
    overlay::overlay(&mut sources, environment, schema, &mut diagnostics);
    renamed::apply(&mut sources, &mut diagnostics);
    shape::check(&mut sources, schema, &mut diagnostics);
    let mut document = Reader { sources: &sources, out: &mut diagnostics }.document();
    pending::check(&sources, &mut diagnostics);
    lint::check(&document, &sources, schema, &mut diagnostics);
    if diagnostics.has_errors() {
        stand_in::take_out(&mut document, sources.tree());
    }
    diagnostics.sort();
    Loaded { document: Some(document), diagnostics, sources }
}

/// The variables of this process, for [`load`]. Those that are not valid Unicode are skipped.
pub fn environment() -> HashMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Builds the document piece by piece: each section separately, and each entry of the named sections.
struct Reader<'a> {
    sources: &'a Sources,
    out: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn document(&mut self) -> Document {
        Document {
            version: self.section("version").unwrap_or(1),
            include: self.section("include").unwrap_or_default(),
            reload: self.section("reload").unwrap_or_default(),
            shutdown: self.section("shutdown").unwrap_or_default(),
            admin: self.section("admin"),
            health: self.section("health").unwrap_or_default(),
            errors: self.section("errors").unwrap_or_default(),
            maintenance: self.section("maintenance").unwrap_or_default(),
            environment: self.section("environment"),
            listeners: self.entries("listeners"),
            telemetry: self.section("telemetry").unwrap_or_default(),
            dns: self.section("dns").unwrap_or_default(),
            stores: self.entries("stores"),
            plugins: self.entries("plugins"),
            chains: self.entries("chains"),
            upstreams: self.entries("upstreams"),
            resources: self.entries("resources"),
            routes: self.entries("routes"),
            tests: self.section("tests").unwrap_or_default(),
        }
    }

    fn section<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let node = self.sources.tree().get(name)?;
        self.piece(|| name.to_owned(), node)
    }

    fn entries<T: DeserializeOwned>(&mut self, section: &str) -> Named<T> {
        let entries = self.sources.tree().get(section).map_or(&[][..], Node::entries);
        entries
            .iter()
            .filter_map(|(key, node)| Some((key.name.clone(), self.piece(|| format!("{section}.{}", key.name), node)?)))
            .collect()
    }

    fn piece<T: DeserializeOwned>(&mut self, path: impl FnOnce() -> String, node: &Node) -> Option<T> {
        if !node.sound {
            return None;
        }
        let error = match serde_path_to_error::deserialize::<_, T>(node.to_json()) {
            Ok(piece) => return Some(piece),
            Err(error) => error,
        };
        let inner = error.path().to_string();
        let path = path();
        let path = match inner.as_str() {
            "." => path,
            index if index.starts_with('[') => format!("{path}{index}"),
            inner => format!("{path}.{inner}"),
        };
        let (key, found) = self.sources.tree().locate(&path);
        let secret = self.sources.secrets().contains(&found.at);
        let name = key.map_or("this", |key| key.name.as_str());
        let message = match found.origin.outside() {
            _ if secret => format!("`{name}` cannot be read"),
            None => match &found.value {
                Value::Str(text) => format!("`{}` cannot be read as `{name}`: {}", text.escape_debug(), error.inner()),
                _ => error.inner().to_string(),
            },
            Some(from) => format!("the value of {from} cannot be read as `{name}`"),
        };
        self.out.push(self.sources.place(Diagnostic::error(Code::WRONG_FORM, path, message)));
        None
    }
}

#[cfg(test)]
mod tests;
