//! Validates requests against a file that describes the API: paths, methods, parameters, header fields and bodies.

mod form;
pub mod kinds;
mod names;
mod operation;
mod pairs;
mod parameter;
mod paths;
mod schema;
#[cfg(test)]
mod tests;
pub mod ways;

use self::operation::Operation;
use self::parameter::Sent;
use self::paths::Paths;
use self::schema::Schemas;
use super::formats::Formats;
use super::invalid::Unusable;
use super::{keywords, zero};
use gatewright_openapi::members::Kind;
use gatewright_openapi::{METHODS, Place, Spec, shape};
use gatewright_sdk::{
    ByteSize, CheckContext, Code, Compiled, Facts, Fault, Filter, NamedFile, Note, Problem, Request, Verdict,
};
use http::{HeaderValue, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The description of the API that requests must match.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// A file with the description: OpenAPI 3.0 or 3.1, in JSON or YAML. It has the paths that the upstream sees, after `rewrite`.
    file: NamedFile,
    /// What happens to requests for paths and methods that the file does not describe.
    #[serde(default)]
    undescribed: Undescribed,
    /// The largest body that is read. Larger ones get 413.
    #[serde(default = "super::one_mebibyte")]
    max: ByteSize,
}

/// What happens to requests that are not described.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Undescribed {
    /// They get 404, or 405 if the path has other methods.
    #[default]
    Reject,
    /// They pass.
    Pass,
}

impl Described {
    pub fn compile(&self, formats: Formats, check: &CheckContext<'_>) -> Compiled {
        let compiled = match self.operations(formats, check) {
            Ok(Read { base, paths, warnings }) => {
                let describes = Describes { base, paths, undescribed: self.undescribed, max: self.max };
                Compiled::filter(describes).warnings(warnings)
            }
            Err(faults) => faults.into(),
        };
        compiled.faults(zero("openapi.max", self.max))
    }

    fn operations(&self, formats: Formats, check: &CheckContext<'_>) -> Result<Read, Vec<Fault>> {
        const UNREADABLE: &str = "write the name of a file with the description, such as `specs/orders.yaml`";
        let file = &self.file;
        let fault =
            |message: String, help: &str| Fault::new("openapi.file", message).code(Code::OPENAPI_FILE).help(help);
        let content = check.read(file).map_err(|message| vec![fault(message, UNREADABLE)])?;
        let spec = Spec::parse(&content, file.path())
            .map_err(|flaw| vec![fault(format!("`{file}`: {}", flaw.message), flaw.help)])?;
        let (mut paths, mut faults, mut schemas) = (Paths::default(), Vec::new(), Schemas::new(&spec, formats));
        let mut warnings: Vec<Fault> =
            ignored(&spec, formats).map(|(message, help)| fault(format!("`{file}`: {message}"), &help)).collect();
        for (path, item) in spec.paths() {
            let root = Place::root("paths");
            let place = root.key(path);
            if let Some((why, help)) = paths::unreachable(&format!("{}{}", spec.base(), shape::shape(path))) {
                warnings.push(fault(format!("`{file}`: `{place}` is never reached: {why}"), help));
            }
            let names: Vec<&str> = shape::names(path).collect();
            let mut here = Item::default();
            for method in METHODS {
                let Some(operation) = item.get(method).and_then(|operation| spec.resolved(operation).as_object())
                else {
                    continue;
                };
                let Ok(known) = Method::from_bytes(method.to_ascii_uppercase().as_bytes()) else { continue };
                let place = place.key(method);
                if known == Method::TRACE {
                    warnings.push(fault(format!("`{file}`: `{place}` is never reached: {NO_TRACE}"), "remove it"));
                    continue;
                }
                match Operation::new(&spec, (item, operation), &names, &mut schemas) {
                    Ok((operation, unread)) => {
                        here.0.push((known, Arc::new(operation)));
                        warnings.extend(unread.into_iter().map(|(at, why)| {
                            fault(format!("`{file}`: `{place}{at}`: {why}"), "forms for it pass unchecked")
                        }));
                    }
                    Err((at, Unusable { why, help })) => {
                        let help = help.as_deref().unwrap_or(OTHERWISE);
                        faults.push(fault(format!("`{file}`: `{place}{at}`: {why}"), help));
                    }
                }
            }
            paths.add(path, Arc::new(here));
        }
        faults.truncate(super::MOST);
        warnings.truncate(super::MOST);
        if faults.is_empty() { Ok(Read { base: spec.base().to_owned(), paths, warnings }) } else { Err(faults) }
    }
}

const NO_TRACE: &str = "requests with the method `TRACE` get 405";

/// What was read from a file.
struct Read {
    base: String,
    paths: Paths<Arc<Item>>,
    warnings: Vec<Fault>,
}

const OTHERWISE: &str = "requests for it cannot be validated: describe it in another way";

/// What has no effect because it is misspelled, and what to do about it.
fn ignored(spec: &Spec, formats: Formats) -> impl Iterator<Item = (String, String)> {
    let mut misspelled = Vec::new();
    if formats == Formats::Check {
        spec.each(&mut |at, part| {
            let format = part.get("format").and_then(Value::as_str);
            let found = format.and_then(|format| keywords::misspelled(&|| at.key("format").to_string(), format));
            misspelled.extend(found);
        });
    }
    let unknown = spec.unknown().iter().map(|unknown| {
        let language = if unknown.kind == Kind::Schema { "a keyword of JSON Schema" } else { "part of OpenAPI" };
        let help = match unknown.kind {
            Kind::Schema => keywords::help(&unknown.name),
            _ => keywords::did_you_mean(&unknown.name, unknown.known()),
        };
        (format!("`{}` is not {language}, and has no effect", unknown.place), help)
    });
    unknown.chain(misspelled)
}

/// The operations of one path.
#[derive(Default)]
struct Item(Vec<(Method, Arc<Operation>)>);

impl Item {
    /// GET includes HEAD.
    fn of(&self, method: &Method) -> Option<&Arc<Operation>> {
        let find = |wanted: &Method| self.0.iter().find(|(known, _)| known == wanted).map(|(_, operation)| operation);
        find(method).or_else(|| if *method == Method::HEAD { find(&Method::GET) } else { None })
    }

    fn allow(&self) -> HeaderValue {
        let mut names: Vec<&str> = self.0.iter().map(|(method, _)| method.as_str()).collect();
        if names.contains(&"GET") && !names.contains(&"HEAD") {
            names.push("HEAD");
        }
        HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static(""))
    }
}

/// A description, ready for requests.
struct Describes {
    /// The path in front of all paths.
    base: String,
    paths: Paths<Arc<Item>>,
    undescribed: Undescribed,
    max: ByteSize,
}

const AMBIGUOUS: &str = "path: is ambiguous, other servers may read it as another path";

/// What the description has at the path of a request.
enum Found {
    /// With the parameters of the path.
    Operation(Arc<Operation>, Vec<String>),
    OtherMethods(Arc<Item>),
    /// Servers read the path differently.
    Ambiguous,
    Nothing,
}

impl Describes {
    fn find(&self, request: &Request) -> Found {
        let (facts, path) = (Facts::of(request), request.uri().path());
        // A server whose path begins with what the route removes is the gateway itself.
        let is_ours = facts.rewrite.as_ref().is_some_and(|rewrite| rewrite.strips(&self.base));
        let path = if is_ours { Some(path.into()) } else { facts.upstream_path(path) };
        let Some(path) = path.as_deref() else { return Found::Nothing };
        if paths::is_ambiguous(path) {
            return Found::Ambiguous;
        }
        let Some(path) = path.strip_prefix(&*self.base) else { return Found::Nothing };
        match self.paths.find(path) {
            Some((item, values)) => match item.of(request.method()) {
                Some(operation) => Found::Operation(Arc::clone(operation), values),
                // An empty `Allow` would mean that the path is only switched off (RFC 9110 section 10.2.1).
                None if item.0.is_empty() => Found::Nothing,
                None => Found::OtherMethods(Arc::clone(item)),
            },
            None => Found::Nothing,
        }
    }

    fn judge(&self, request: &Request, found: Found) -> Result<(), Box<Problem>> {
        let (operation, values) = match found {
            Found::Operation(operation, values) => (operation, values),
            Found::Ambiguous => return Err(Problem::validation(AMBIGUOUS).log_reason("path_ambiguous").into()),
            _ if self.undescribed == Undescribed::Pass => return Ok(()),
            Found::OtherMethods(item) => {
                return Err(Problem::method_not_allowed(item.allow()).log_reason("undescribed").into());
            }
            Found::Nothing => return Err(Problem::not_found().log_reason("undescribed").into()),
        };
        let Some(sent) = Sent::new(&values, request.uri().query()) else {
            return Err(Problem::validation("The query is not UTF-8").log_reason("schema").into());
        };
        operation.check(request, &sent, self.max)
    }
}

impl Filter for Describes {
    type Ticket = ();
    const RESPONDS: bool = false;

    fn reads_body(&self) -> Option<ByteSize> {
        Some(self.max)
    }

    /// The path is looked up once, also if the body is read in between.
    fn wants_body(&self, request: &Request, note: &mut Note) -> bool {
        let found = self.find(request);
        let wanted = matches!(&found, Found::Operation(operation, _) if operation.reads_body(request));
        *note = Some(Box::new(found));
        wanted
    }

    fn decide(&self, request: &Request) -> Verdict<()> {
        self.decide_with(request, None)
    }

    fn decide_with(&self, request: &Request, note: Note) -> Verdict<()> {
        let found = note.and_then(|note| note.downcast().ok()).map_or_else(|| self.find(request), |found| *found);
        match self.judge(request, found) {
            Ok(()) => Verdict::Continue(()),
            Err(problem) => Verdict::refuse(*problem),
        }
    }
}
