//! What a description must have to become part of another one.

use super::{Flaw, METHODS, parts, resolved, target};
use serde_json::{Map, Value};
use std::collections::HashSet;

const LINT: &str = "`npx @redocly/cli lint FILE` finds everything that is wrong with such a file";

/// The version of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V3_0,
    V3_1,
}

pub(super) fn version(document: &Value) -> Result<Version, Flaw> {
    if document.get("swagger").is_some() {
        let help = "convert it: `npx swagger2openapi FILE` makes OpenAPI 3.0 of it";
        return Err(Flaw::new("this is Swagger 2.0; only OpenAPI 3.0 and 3.1 are supported", help));
    }
    let help = "begin the file with `openapi: 3.1.0`, or name another file";
    match document.get("openapi") {
        Some(Value::String(version)) if version.starts_with("3.0.") => Ok(Version::V3_0),
        Some(Value::String(version)) if version.starts_with("3.1.") => Ok(Version::V3_1),
        Some(Value::String(version)) => {
            let version = version.escape_debug();
            Err(Flaw::new(format!("its version is `{version}`; only OpenAPI 3.0 and 3.1 are supported"), help))
        }
        Some(_) => Err(Flaw::new("`openapi` is not text such as `3.1.0`", "quote the version: `openapi: \"3.1.0\"`")),
        None => Err(Flaw::new("this is not an OpenAPI description: it has no `openapi`", help)),
    }
}

/// Everything that is used later.
pub(super) fn whole(document: &Value) -> Result<(), Flaw> {
    let Some(paths) = document.get("paths").and_then(Value::as_object) else {
        return Err(Flaw::new("it has no `paths`", "add the paths of the API, such as `paths: { /orders: … }`"));
    };
    references(document)?;
    for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
        let at = format!("paths.{path}");
        if !path.starts_with('/') {
            return Err(Flaw::new(format!("`{at}`: a path begins with a slash"), "write `/` in front of it"));
        }
        let item = object(document, item, &at)?;
        let shared = parameters(document, item, &at)?;
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let at = format!("{at}.{method}");
            let operation = object(document, operation, &at)?;
            let own = parameters(document, operation, &at)?;
            for name in in_braces(path) {
                if !shared.iter().chain(&own).any(|(place, known)| place == "path" && known == name) {
                    let message = format!("`{at}`: the parameter `{name}` of the path is not among `parameters`");
                    return Err(Flaw::new(message, "add it, with `in: path`"));
                }
            }
            if let Some(responses) = operation.get("responses") {
                let responses = object(document, responses, &format!("{at}.responses"))?;
                for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with("x-")) {
                    object(document, response, &format!("{at}.responses.{status}"))?;
                }
            }
        }
    }
    Ok(())
}

/// The names in braces of a path.
fn in_braces(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

fn object<'a>(document: &'a Value, value: &'a Value, at: &str) -> Result<&'a Map<String, Value>, Flaw> {
    resolved(document, value).as_object().ok_or_else(|| Flaw::new(format!("`{at}` is not an object"), LINT))
}

/// `in` and `name` of each parameter.
fn parameters(document: &Value, around: &Map<String, Value>, at: &str) -> Result<Vec<(String, String)>, Flaw> {
    let none = Vec::new();
    let list = match around.get("parameters") {
        None => &none,
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Flaw::new(format!("`{at}.parameters` is not a list"), LINT)),
    };
    let mut found = Vec::new();
    for (index, parameter) in list.iter().enumerate() {
        let parameter = resolved(document, parameter);
        let text = |key: &str| Some(parameter.get(key)?.as_str()?.to_owned());
        match (text("in"), text("name")) {
            (Some(place), Some(name)) => found.push((place, name)),
            _ => return Err(Flaw::new(format!("`{at}.parameters[{index}]` has no `in` or no `name`"), LINT)),
        }
    }
    Ok(found)
}

/// Each reference leads to a component of the file, and a bare one not back to itself.
fn references(document: &Value) -> Result<(), Flaw> {
    let mut wrong = None;
    let mut look = |at: &str, object: &Map<String, Value>| {
        let Some(reference) = object.get("$ref").and_then(Value::as_str) else { return };
        if wrong.is_none()
            && let Some((message, help)) = flaw(document, reference)
        {
            let reference = reference.escape_debug();
            wrong = Some(Flaw::new(format!("`{at}`: the reference `{reference}` {message}"), help));
        }
    };
    let components = document.get("components").and_then(Value::as_object);
    for (kind, named) in components.into_iter().flatten() {
        for (name, value) in named.as_object().into_iter().flatten() {
            parts::each_at(value, &format!("components.{kind}.{name}"), &mut look);
        }
    }
    for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        parts::each_at(item, &format!("paths.{path}"), &mut look);
    }
    wrong.map_or(Ok(()), Err)
}

fn flaw(document: &Value, reference: &str) -> Option<(&'static str, &'static str)> {
    if !reference.starts_with("#/components/") {
        let help = "put everything into one file: `npx @redocly/cli bundle FILE`";
        return Some(("does not lead to `#/components/…` of the same file", help));
    }
    let mut seen = HashSet::new();
    let mut next = reference;
    while seen.insert(next) {
        let Some(value) = target(document, next) else {
            return Some(("leads nowhere", "correct the name, or add the component"));
        };
        match value.get("$ref").and_then(Value::as_str) {
            Some(further) => next = further,
            None => return None,
        }
    }
    Some(("leads back to itself", "describe one of the components"))
}
