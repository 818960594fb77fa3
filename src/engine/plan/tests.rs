//! A configuration that is printed and loaded again has the same plan.

#![expect(clippy::disallowed_methods, reason = "files are read here, not by what is tested")]

use super::*;
use crate::config::load;
use crate::config::schema::ConfigSchema;
use crate::config::show::show;
use crate::config::sources::Sources;
use crate::config::tree::{Node, Origin, Value as Written};
use crate::config::yaml;
use crate::engine::compile::compile;
use crate::engine::registry::Registry;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A loaded file and its plan.
struct Read {
    plan: Plan,
    sources: Sources,
    shown: Value,
}

fn registry() -> Registry {
    Registry::new(gatewright_plugins::ALL, gatewright_plugins::DEFAULT_CHAIN)
}

fn read(file: &Path) -> Read {
    let registry = registry();
    let schema = ConfigSchema::new(registry.kinds());
    let environment = [("HUSH", "hush"), ("BENCH_DATA", "data"), ("BENCH_SECRET", "k7Qm2vXr9TfB4nLs8WdZ1pYc6HgJ3eRu")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let loaded = load(file, &environment, &schema);
    let text = fs::read_to_string(file).unwrap();
    assert!(!loaded.diagnostics.has_errors(), "{:#?}\n{text}", loaded.diagnostics);
    let (compiled, found) = compile(Arc::new(loaded.document.unwrap()), &loaded.sources, &registry);
    let plan = compiled.unwrap_or_else(|| panic!("{found:#?}\n{text}")).plan;
    let shown = show(&plan.document, &plan.plugins, &loaded.sources, &schema);
    Read { plan, sources: loaded.sources, shown }
}

/// The printed configuration, with masked values restored from the file.
fn unmasked(shown: Value, written: &Node) -> Value {
    match (shown, &written.value) {
        (Value::Object(shown), Written::Map(_)) => shown
            .into_iter()
            .map(|(key, value)| match written.get(&key) {
                Some(written) => (key, unmasked(value, written)),
                None => (key, value),
            })
            .collect(),
        (Value::Array(shown), Written::Seq(items)) => {
            shown.into_iter().zip(items).map(|(value, written)| unmasked(value, written)).collect()
        }
        (shown, _) if shown == "***" => match &written.origin {
            Origin::Expanded(written) => Value::String(written.to_string()),
            _ => match written.to_json() {
                Value::String(text) => text.replace("${", "$${").into(),
                other => other,
            },
        },
        (shown, _) => shown,
    }
}

/// The plan without anything that depends on where and how the file was written.
fn bare(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let mut document = (*plan.document).clone();
    (document.include, document.plugins) = (Vec::new(), Named::default());
    plan.document = Arc::new(document);
    let listeners = plan.listeners.iter_mut().map(|listener| (&mut listener.at, &mut listener.steps));
    for (at, steps) in listeners.chain(plan.routes.iter_mut().map(|route| (&mut route.at, &mut route.steps))) {
        *at = None;
        *steps = steps.iter().map(|step| PlannedStep { at: None, ..step.clone() }).collect();
    }
    for check in plan.routes.iter_mut().filter_map(|route| route.target.token_check.as_mut()) {
        check.at = None;
    }
    plan
}

/// Prints the configuration of `file`, loads it again, and compares.
fn comes_round(file: &Path) {
    let first = read(file);
    let again = unmasked(first.shown.clone(), first.sources.tree());
    let shown = file.with_file_name("shown.yaml");
    fs::write(&shown, yaml::write::write(&again).unwrap()).unwrap();
    let second = read(&shown);
    assert_eq!(second.shown, first.shown, "{}", file.display());
    assert_eq!(bare(&second.plan), bare(&first.plan), "{}", file.display());
}

#[test]
fn shipped_configurations_are_shown_as_equivalent_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["config", "config/examples", "benches", "tests/golden/documents"] {
        let temporary = tempfile::tempdir().unwrap();
        let files: Vec<_> = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        for file in files.iter().filter(|file| file.is_file()) {
            fs::copy(file, temporary.path().join(file.file_name().unwrap())).unwrap();
        }
        let whole = |file: &&std::path::PathBuf| {
            file.extension().is_some_and(|kind| kind == "yaml")
                && fs::read_to_string(file).unwrap().contains("version: 1")
        };
        let whole: Vec<_> = files.iter().filter(whole).collect();
        assert!(!whole.is_empty(), "{folder}");
        whole.iter().for_each(|file| comes_round(&temporary.path().join(file.file_name().unwrap())));
    }
}

#[test]
fn unusual_values_are_shown_as_equivalent_ones() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("gateway.yaml");
    fs::write(&file, include_str!("tests/unusual.yaml")).unwrap();
    comes_round(&file);
}

/// Every scalar of the tree.
fn scalars<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
    match &node.value {
        Written::Map(entries) => entries.iter().for_each(|(_, node)| scalars(node, found)),
        Written::Seq(items) => items.iter().for_each(|node| scalars(node, found)),
        _ => found.push(node),
    }
}

#[test]
fn variables_are_shown_as_written_everywhere() {
    let schema = ConfigSchema::new(registry().kinds());
    let (temporary, text) = (tempfile::tempdir().unwrap(), include_str!("tests/unusual.yaml"));
    let file = temporary.path().join("gateway.yaml");
    fs::write(&file, text).unwrap();
    let plain = read(&file);
    let mut found = Vec::new();
    scalars(plain.sources.tree(), &mut found);
    let masks = |shown: &Value| shown.to_string().matches("\"***\"").count();
    let mut tried = 0;
    for node in found {
        let value = match node.to_json() {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let range = usize::try_from(node.at.start).unwrap()..usize::try_from(node.at.end).unwrap();
        let mut edited = text.to_owned();
        edited.replace_range(range, "\"${env.V}\"");
        fs::write(&file, edited).unwrap();
        let loaded = load(&file, &[("V".to_owned(), value.clone())].into(), &schema);
        // Skips names that must match, and values that are not valid as quoted text.
        let Some(document) = loaded.document.filter(|_| !loaded.diagnostics.has_errors()) else { continue };
        let Some(compiled) = compile(Arc::new(document), &loaded.sources, &registry()).0 else { continue };
        let shown = show(&compiled.plan.document, &compiled.plan.plugins, &loaded.sources, &schema);
        let as_written = shown.to_string().matches("${env.V}").count() == 1;
        let secret = masks(&shown) == masks(&plain.shown)
            && masks(&unmasked(shown.clone(), loaded.sources.tree())) < masks(&shown);
        assert!(as_written || secret, "{value} in line {} is shown: {shown:#}", node.at.line);
        tried += 1;
    }
    assert!(tried > 140, "{tried}");
}
