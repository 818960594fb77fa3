//! Warns of valid settings that are probably mistakes, based on the document alone: unused entries, a path that matches
//! less than it seems to, text that looks like a template.

use super::reference::used;
use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::document::Document;
use crate::config::document::fields::Field;
use crate::config::document::route::{Route, Target};
use crate::config::sources::Sources;
use crate::config::tree::{Node, Value};
use gatewright_sdk::Code;
use std::collections::HashMap;

/// The sections whose entries should be used, a word for such an entry, and what uses them.
const SECTIONS: [(&str, &str, &str); 5] = [
    ("plugins", "plugin", "use it in a chain or route"),
    ("chains", "chain", "use it in a listener or route"),
    ("stores", "store", "use it in a resource"),
    ("upstreams", "upstream", "use it in a route"),
    ("resources", "resource", "use it in a route"),
];

/// Where `$claims.NAME` is plain text. Elsewhere it is evaluated, or a plugin decides.
const NO_CLAIMS: [&str; 9] = [
    "routes.*.headers.*",
    "routes.*.respond.text",
    "routes.*.respond.json.*",
    "routes.*.respond.headers.*",
    "routes.*.redirect.to",
    "resources.*.access.*.role",
    "resources.*.access.*.scope",
    "resources.*.access.*.claims.*",
    "resources.*.access.*.any.*.claims.*",
];

pub(super) fn check(document: &Document, sources: &Sources, out: &mut Diagnostics) {
    let mut doubt = Doubt { sources, out };
    doubt.routeless(document);
    doubt.unused();
    doubt.roots(document);
    doubt.claims();
    for (name, route) in document.routes.iter() {
        doubt.placeholders(name, route);
    }
}

struct Doubt<'a> {
    sources: &'a Sources,
    out: &'a mut Diagnostics,
}

impl Doubt<'_> {
    fn warn(&mut self, code: Code, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.out.push(self.sources.place(Diagnostic::warning(code, path, message).help(help)));
    }

    /// Nothing to serve.
    fn routeless(&mut self, document: &Document) {
        if document.routes.is_empty() {
            let message = "no routes: every request gets 404, except for health endpoints";
            self.warn(Code::NO_ROUTES, "routes", message, "add a route under `routes`");
        }
    }

    fn unused(&mut self) {
        let tree = self.sources.tree();
        for (section, what, way_out) in SECTIONS {
            let used = used(tree, section);
            let entries = tree.get(section).map_or(&[][..], Node::entries);
            for (key, _) in entries.iter().filter(|(key, _)| !used.contains(&*key.name)) {
                let message = format!("unused {what} `{}`", key.name.escape_debug());
                let idle = Diagnostic::warning(Code::UNUSED, format!("{section}.{}", key.name), message);
                let help = format!("{way_out}, or remove it");
                self.out.push(idle.at(self.sources.location(key.at)).help(help));
            }
        }
    }

    /// `path: /` with an upstream that no other route leads to.
    fn roots(&mut self, document: &Document) {
        let mut routes: HashMap<&str, usize> = HashMap::new();
        let of = |(name, route)| (name, route, Route::targets(route).flat_map(Target::upstreams).collect());
        let all: Vec<(&str, &Route, Vec<&str>)> = document.routes.iter().map(of).collect();
        all.iter().flat_map(|(.., led)| led).for_each(|name| *routes.entry(name).or_default() += 1);
        for (name, route, led) in &all {
            let is_root = route.path.as_ref().is_some_and(|path| **path == *"/") && route.methods.is_empty();
            if is_root && !led.is_empty() && led.iter().all(|name| routes.get(name) == Some(&1)) {
                let help = "use `path_prefix: /` to match all paths, or add `methods` if you mean only `/`";
                let message = "`path: /` matches only `/`, not the paths below it";
                self.warn(Code::ROOT_ONLY, &format!("routes.{name}.path"), message, help);
            }
        }
    }

    fn claims(&mut self) {
        let mut found = Vec::new();
        for pattern in NO_CLAIMS {
            self.sources.tree().each(pattern, &mut |path, node| {
                let claims = |value: &Value| matches!(value, Value::Str(text) if text.contains("$claims."));
                if claims(&node.value) || node.items().iter().any(|item| claims(&item.value)) {
                    found.push(path.to_owned());
                }
            });
        }
        for path in found {
            let help = "write a literal value; `$claims.NAME` works only in `where`, `set` and `default` of a resource";
            self.warn(Code::LITERAL_PLACEHOLDER, &path, "`$claims.` is not expanded here", help);
        }
    }

    /// A parameter of the route's own path in a fixed response.
    fn placeholders(&mut self, name: &str, route: &Route) {
        let (Some(respond), Some(path)) = (&route.respond, &route.path) else { return };
        let value = |field: &Field| String::from_utf8_lossy(field.value.expose().as_bytes()).into_owned();
        let headers = respond.headers.iter().map(|field| (format!(".headers.{}", field.written), value(field)));
        let text = respond.text.iter().map(|text| (".text".to_owned(), text.clone()));
        for (key, text) in text.chain(headers) {
            let named = path.parameters().find(|parameter| text.contains(&format!("{{{parameter}}}")));
            if let Some(parameter) = named {
                let message = format!("`{{{parameter}}}` is not expanded here: the text is sent literally");
                let help =
                    "parameters are expanded only in `redirect`; to send this text literally, rename the parameter";
                self.warn(Code::LITERAL_PLACEHOLDER, &format!("routes.{name}.respond{key}"), message, help);
            }
        }
    }
}
