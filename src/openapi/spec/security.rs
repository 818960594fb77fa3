//! The credentials for an upstream, joined with those for the gateway.

use crate::openapi::Components;
use crate::openapi::operation::Guards;
use serde_json::{Map, Value, json};

/// The scheme of the gateway that takes the same credentials as `scheme`.
pub(super) fn same(scheme: &Value, guards: &Guards, components: &Components) -> Option<String> {
    let names = guards.required.iter().flatten().chain(&guards.optional);
    let mut same =
        names.filter(|name| components.get("securitySchemes", name).is_some_and(|known| alike(known, scheme)));
    same.next().cloned()
}

/// Whether two schemes are one, whatever is said about them.
fn alike(one: &Value, other: &Value) -> bool {
    let same = |key: &str| {
        let text = |scheme: &Value| scheme.get(key).and_then(Value::as_str).map(str::to_ascii_lowercase);
        text(one).is_some() && text(one) == text(other)
    };
    let kind = one.get("type").and_then(Value::as_str);
    same("type")
        && match kind {
            Some("http") => same("scheme"),
            Some("apiKey") => same("in") && same("name"),
            Some("mutualTLS") => true,
            _ => false,
        }
}

/// Both: one of the alternatives of the upstream, and one of those of the gateway.
pub(super) fn joined(own: Vec<Map<String, Value>>, guards: &Guards) -> Value {
    if own.is_empty() {
        return guards.security(false);
    }
    let gateway = if guards.required.is_empty() { vec![Map::new()] } else { guards.required_sets() };
    let mut all: Vec<Value> = Vec::new();
    for own in &own {
        for gateway in &gateway {
            let mut both = own.clone();
            for (name, scopes) in gateway {
                both.entry(name.clone()).or_insert_with(|| scopes.clone());
            }
            let both = Value::Object(both);
            if !all.contains(&both) {
                all.push(both);
            }
        }
    }
    if all == [json!({})] { json!([]) } else { all.into() }
}
