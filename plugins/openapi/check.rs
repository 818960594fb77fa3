//! What a description must have to become part of another one.

use crate::shape::{names, shape};
use crate::{Flaw, METHODS, Place, Reference, discriminator, parts, resolved, security, target};
use serde_json::{Map, Value};
use std::collections::HashMap;

const LINT: &str = "`npx @redocly/cli lint FILE` finds everything that is wrong with such a file";

/// How many references may lead from one to the next: with longer chains, each look at one would take long.
const LINKS: usize = 32;

/// The version of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V3_0,
    V3_1,
}

pub(crate) fn version(document: &Value) -> Result<Version, Flaw> {
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

/// Everything that is used later. Each part is looked at once, and each reference once.
pub(crate) fn whole(document: &Value) -> Result<(), Flaw> {
    let Some(described) = document.get("paths").and_then(Value::as_object) else {
        return Err(Flaw::new("it has no `paths`", "add the paths of the API, such as `paths: { /orders: … }`"));
    };
    components(document)?;
    every_part(document)?;
    if let Some(requirements) = document.get("security") {
        security::check(document, requirements, &Place::root("security"))?;
    }
    paths(document, described)
}

fn paths(document: &Value, described: &Map<String, Value>) -> Result<(), Flaw> {
    let all = Place::root("paths");
    let mut shapes: HashMap<String, &str> = HashMap::with_capacity(described.len());
    for (path, item) in described.iter().filter(|(path, _)| !path.starts_with("x-")) {
        let at = all.key(path);
        if !path.starts_with('/') {
            return Err(Flaw::new(format!("`{at}`: a path begins with a slash"), "write `/` in front of it"));
        }
        if let Some(other) = shapes.insert(shape(path), path) {
            let (message, help) = (
                format!("`{at}` is the same path as `{}`, with another name for a parameter", all.key(other)),
                "describe all operations of a path in one place",
            );
            return Err(Flaw::new(message, help));
        }
        let item = object(document, item, &at)?;
        if let Some(name) = item.keys().find(|name| is_method_in_capitals(name)) {
            let message = format!("`{}` describes nothing: the names of methods are in lower case", at.key(name));
            return Err(Flaw::new(message, "write it in lower case, such as `get`"));
        }
        let shared = parameters(document, item, &at)?;
        for method in METHODS {
            let Some(given) = item.get(method) else { continue };
            let at = at.key(method);
            operation(document, (path, given), &shared, &at)?;
        }
    }
    Ok(())
}

fn is_method_in_capitals(name: &str) -> bool {
    METHODS.iter().any(|method| name.eq_ignore_ascii_case(method) && name != *method)
}

fn operation(
    document: &Value,
    (path, operation): (&str, &Value),
    shared: &[(&str, &str)],
    at: &Place<'_>,
) -> Result<(), Flaw> {
    let operation = object(document, operation, at)?;
    let own = parameters(document, operation, at)?;
    let of_path = || shared.iter().chain(&own).filter(|(place, _)| *place == "path").map(|(_, name)| *name);
    for name in names(path) {
        if !of_path().any(|known| known == name) {
            let name = name.escape_debug();
            let message = format!("`{at}`: the parameter `{name}` of the path is not among `parameters`");
            return Err(Flaw::new(message, "add it, with `in: path`"));
        }
    }
    if let Some(name) = of_path().find(|known| names(path).all(|name| name != *known)) {
        let name = name.escape_debug();
        let message = format!("`{at}`: the path has no parameter `{name}`, which is among `parameters`");
        return Err(Flaw::new(message, "write `{…}` with its name into the path, or remove it"));
    }
    if let Some(requirements) = operation.get("security") {
        security::check(document, requirements, &at.key("security"))?;
    }
    if let Some(tags) = operation.get("tags")
        && !tags.as_array().is_some_and(|tags| tags.iter().all(Value::is_string))
    {
        return Err(Flaw::new(format!("`{}` is not a list of texts", at.key("tags")), LINT));
    }
    if let Some(responses) = operation.get("responses") {
        let at = at.key("responses");
        let responses = object(document, responses, &at)?;
        for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with("x-")) {
            object(document, response, &at.key(status))?;
        }
    }
    Ok(())
}

fn object<'a>(document: &'a Value, value: &'a Value, at: &Place<'_>) -> Result<&'a Map<String, Value>, Flaw> {
    resolved(document, value).as_object().ok_or_else(|| Flaw::new(format!("`{at}` is not an object"), LINT))
}

/// `in` and `name` of each parameter.
fn parameters<'a>(
    document: &'a Value,
    around: &'a Map<String, Value>,
    at: &Place<'_>,
) -> Result<Vec<(&'a str, &'a str)>, Flaw> {
    let at = at.key("parameters");
    let Some(list) = around.get("parameters") else { return Ok(Vec::new()) };
    let Some(list) = list.as_array() else { return Err(Flaw::new(format!("`{at}` is not a list"), LINT)) };
    let mut found = Vec::new();
    for (index, parameter) in list.iter().enumerate() {
        let parameter = resolved(document, parameter);
        let text = |key: &str| parameter.get(key)?.as_str();
        let at = at.index(index);
        match (text("in"), text("name")) {
            (Some(place @ ("query" | "header" | "path" | "cookie")), Some(name)) => found.push((place, name)),
            (Some(_), Some(_)) => {
                return Err(Flaw::new(format!("`{at}` is in none of `query`, `header`, `path` and `cookie`"), LINT));
            }
            _ => return Err(Flaw::new(format!("`{at}` has no `in` or no `name`"), LINT)),
        }
    }
    Ok(found)
}

/// Components are objects, by kind and name.
fn components(document: &Value) -> Result<(), Flaw> {
    let Some(components) = document.get("components") else { return Ok(()) };
    let at = Place::root("components");
    let Some(kinds) = components.as_object() else { return Err(Flaw::new(format!("`{at}` is not an object"), LINT)) };
    for (kind, named) in kinds.iter().filter(|(kind, _)| !kind.starts_with("x-")) {
        let at = at.key(kind);
        let Some(named) = named.as_object() else { return Err(Flaw::new(format!("`{at}` is not an object"), LINT)) };
        // In 3.1, `true` and `false` are schemas.
        let fits = |value: &Value| value.is_object() || (kind == "schemas" && value.is_boolean());
        if let Some((name, _)) = named.iter().find(|(_, value)| !fits(value)) {
            return Err(Flaw::new(format!("`{}` is not an object", at.key(name)), LINT));
        }
    }
    Ok(())
}

/// References and discriminators.
fn every_part(document: &Value) -> Result<(), Flaw> {
    let mut look = |at: &Place<'_>, object: &Map<String, Value>| {
        match object.get("$ref") {
            None => {}
            Some(Value::String(reference)) => {
                if let Some((message, help)) = flaw(document, reference) {
                    let reference = reference.escape_debug();
                    return Err(Flaw::new(format!("`{at}`: the reference `{reference}` {message}"), help));
                }
            }
            Some(_) => {
                let message = format!("`{}` is not text", at.key("$ref"));
                return Err(Flaw::new(message, "write a reference such as `$ref: \"#/components/schemas/Order\"`"));
            }
        }
        match object.get("discriminator") {
            None => Ok(()),
            Some(Value::Object(discriminator)) => mapping(document, discriminator, &at.key("discriminator")),
            Some(_) => Err(Flaw::new(format!("`{}` is not an object", at.key("discriminator")), LINT)),
        }
    };
    parts::every(document, &mut look)
}

/// The values of a discriminator lead to schemas of the file.
fn mapping(document: &Value, discriminator: &Map<String, Value>, at: &Place<'_>) -> Result<(), Flaw> {
    if !discriminator.get("propertyName").is_some_and(Value::is_string) {
        return Err(Flaw::new(format!("`{at}` has no `propertyName`"), LINT));
    }
    let at = at.key("mapping");
    let Some(mapping) = discriminator.get("mapping") else { return Ok(()) };
    let Some(mapping) = mapping.as_object() else { return Err(Flaw::new(format!("`{at}` is not an object"), LINT)) };
    let schemas = document.pointer("/components/schemas");
    for (value, target) in mapping {
        let at = at.key(value);
        let Some(target) = target.as_str() else { return Err(Flaw::new(format!("`{at}` is not text"), LINT)) };
        let known = discriminator::target_of(target);
        if known.is_none_or(|name| schemas.is_none_or(|schemas| schemas.get(&name).is_none())) {
            let message = format!("`{at}` is `{}`, which is not a schema of the file", target.escape_debug());
            return Err(Flaw::new(message, "write the name of one in `components.schemas`"));
        }
    }
    Ok(())
}

/// What is wrong with a reference.
fn flaw(document: &Value, reference: &str) -> Option<(&'static str, &'static str)> {
    if Reference::read(reference).is_none_or(|found| found.name.is_empty()) {
        let help = "put everything into one file: `npx @redocly/cli bundle FILE`";
        return Some(("does not lead to `#/components/…` of the same file", help));
    }
    let mut next = reference;
    for _ in 0..LINKS {
        let Some(value) = target(document, next) else {
            return Some(("leads nowhere", "correct the name, or add the component"));
        };
        match value.get("$ref").and_then(Value::as_str) {
            Some(further) if further == reference => return Some((BACK, DESCRIBE)),
            Some(further) => next = further,
            None => return None,
        }
    }
    // A circle that does not come by here, or a chain: both are refused.
    Some(("leads through more than 32 other references, or back to itself", "refer to the last of them"))
}

const BACK: &str = "leads back to itself";
const DESCRIBE: &str = "describe one of the components";
