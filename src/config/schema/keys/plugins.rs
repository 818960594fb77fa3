//! The settings of each plugin type, as the generated part of its page.

use super::{ConfigSchema, Page, Published};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;

/// The page of one plugin type.
pub struct PluginPage {
    /// The name of the type.
    pub kind: String,
    /// What it does.
    pub about: String,
    /// Its settings, below a heading.
    pub settings: String,
}

/// The pages of all known plugin types.
pub fn pages(schema: &ConfigSchema) -> Vec<PluginPage> {
    let schema = schema.published(Published::Document);
    let kinds = schema.pointer("/definitions/Plugin/properties").and_then(Value::as_object);
    kinds.into_iter().flatten().map(|(kind, settings)| page(&schema, kind, settings)).collect()
}

fn page(schema: &Value, kind: &str, settings: &Value) -> PluginPage {
    let mut page = Page { schema, text: "## Settings\n".to_owned(), seen: HashMap::new() };
    let about = page.description(settings);
    let written = page.kind(kind, settings);
    if !written.contains("[object]") {
        let _ = writeln!(page.text, "\nType: {written}.");
    }
    page.inside(kind, settings, false);
    PluginPage { kind: kind.to_owned(), about, settings: page.text }
}
