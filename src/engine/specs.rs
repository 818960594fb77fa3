//! The files that describe the APIs of upstreams.

use crate::config::document::route::Route;
use crate::config::rewriting::Rewriting;
use crate::engine::faults::Faults;
use crate::engine::plan::{Described, PlannedPath, PlannedRoute, Proxied};
use crate::openapi::Spec;
use crate::openapi::spec::Flaw;
use gatewright_sdk::{CheckContext, Code, Fault, NamedFile};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The files that were read. Several routes may name one.
#[derive(Default)]
pub struct Specs(HashMap<PathBuf, Result<Arc<Spec>, Fault>>);

impl Specs {
    /// Adds the description of its API to a route that names one.
    pub fn describe(
        &mut self,
        planned: &mut PlannedRoute,
        route: &Route,
        check: &CheckContext<'_>,
        faults: &mut Faults<'_>,
    ) {
        let Some(file) = route.described_by() else { return };
        let at = format!("routes.{}", planned.name);
        match self.read(file, route, check) {
            Ok(proxied) => {
                if let Some(warning) = unreached(&proxied, &planned.path, file) {
                    faults.warn(&at, warning);
                }
                planned.target.described = Described::Proxied(Arc::new(proxied));
            }
            Err(fault) => faults.add(&at, fault),
        }
    }

    fn read(&mut self, file: &NamedFile, route: &Route, check: &CheckContext<'_>) -> Result<Proxied, Fault> {
        // Its faults were reported when the file was checked.
        let rewriting = route.rewrite.as_ref().and_then(|rewrite| Rewriting::new(rewrite, route).ok());
        let (strip, add) = match rewriting.unwrap_or_default() {
            Rewriting::Nothing => Default::default(),
            Rewriting::Prefix { strip, add } => (strip, add),
            Rewriting::Replace(_) | Rewriting::Regex { .. } => {
                let message =
                    "the paths of the file are not known to clients, because `rewrite` makes them in another way";
                return Err(fault(message, "use `strip_prefix` and `add_prefix`, or remove `openapi`"));
            }
        };
        let known = self.0.entry(file.path().to_owned()).or_insert_with(|| {
            let content = check.read(file).map_err(|message| fault(&message, unreadable(&message)))?;
            let spec = Spec::parse(&content, file.path());
            spec.map(Arc::new).map_err(|Flaw { message, help }| fault(&format!("`{file}`: {message}"), help))
        });
        Ok(Proxied { spec: Arc::clone(known.as_ref().map_err(Clone::clone)?), strip, add })
    }
}

/// What to do about a file that cannot be read.
fn unreadable(message: &str) -> &'static str {
    if message.ends_with("does not exist") {
        "correct the name, or add the file"
    } else if message.contains("size limit") {
        "remove what the route does not serve, such as other paths and long examples: clients read the whole description"
    } else {
        "name a file that the gateway can read"
    }
}

fn fault(message: &str, help: &str) -> Fault {
    Fault::new("openapi", message).code(Code::OPENAPI_FILE).help(help)
}

/// A warning if clients reach nothing that the file describes.
fn unreached(proxied: &Proxied, route: &PlannedPath, file: &NamedFile) -> Option<Fault> {
    let mut paths = proxied.spec.paths().map(|(path, _)| path);
    let first = paths.next();
    if first.into_iter().chain(paths).any(|path| proxied.reached(route, path).is_some()) {
        return None;
    }
    let base = proxied.spec.base();
    let message = match first {
        Some(first) => format!("the route `{route}` serves none of the paths of `{file}`, such as `{base}{first}`"),
        None => format!("`{file}` describes no path"),
    };
    let help = "compare them with `path`, `path_prefix` and `rewrite`: the file has the paths that the upstream sees";
    Some(fault(&message, help))
}
