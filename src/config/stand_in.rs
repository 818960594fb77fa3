//! Finds the stand-ins for rejected texts, and removes from a document what depends on them, so that nothing is
//! compared with a value that is not in the file.

use crate::config::document::Document;
use crate::config::tree::Node;
use std::collections::HashSet;

/// The settings that determine which requests a route accepts.
const MATCH: [&str; 5] = ["path", "path_prefix", "hosts", "methods", "headers"];

/// The settings that determine its path.
pub const PATH: [&str; 2] = ["path", "path_prefix"];

/// Whether this value or one within it was replaced by a stand-in, or an entry with an invalid name was removed.
pub fn holds(node: &Node) -> bool {
    !node.sound || node.items().iter().any(holds) || node.entries().iter().any(|(_, child)| holds(child))
}

/// Whether the value at `path` has a stand-in that is used. Targets of upstreams are removed instead.
pub fn is_read(tree: &Node, path: &str) -> bool {
    tree.locate(path).1.stood_in && !path.contains(".targets[")
}

/// The entries of a section with a stand-in in one of these settings.
pub fn entries<'a>(tree: &'a Node, section: &str, settings: &[&str]) -> HashSet<&'a str> {
    let entries = tree.get(section).map(Node::entries).unwrap_or_default();
    let has = |entry: &Node| settings.iter().filter_map(|setting| entry.get(setting)).any(holds);
    entries.iter().filter(|(_, entry)| has(entry)).map(|(key, _)| key.name.as_str()).collect()
}

/// Routes are compared by the requests they accept and the servers they lead to; a route for which either is unknown is
/// not compared. Stores with the same URL are one store.
pub fn take_out(document: &mut Document, tree: &Node) {
    let routes = entries(tree, "routes", &MATCH);
    for (_, route) in document.routes.iter_mut().filter(|(name, _)| routes.contains(name)) {
        (route.path, route.path_prefix) = (None, None);
    }
    let upstreams = entries(tree, "upstreams", &["targets"]);
    for (name, upstream) in document.upstreams.iter_mut().filter(|(name, _)| upstreams.contains(name)) {
        let targets = tree.get("upstreams").and_then(|all| all.get(name)?.get("targets"));
        let mut written = targets.map(Node::items).unwrap_or_default().iter();
        upstream.targets.retain(|_| !written.next().is_some_and(holds));
    }
    let stores = entries(tree, "stores", &["url"]);
    document.stores.retain(|name| !stores.contains(name));
}
