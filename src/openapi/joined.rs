//! The errors of the gateway, joined with the responses of an upstream.

use super::Components;
use super::operation::Guards;
use super::problems::{any_other, problem};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The errors of a gateway in front of an upstream, whatever its plugins do.
const OF_FORWARDING: [u16; 3] = [502, 503, 504];

impl Guards {
    /// The errors of the gateway, by status.
    pub(super) fn problems(&self, components: &mut Components) -> Map<String, Value> {
        let mut statuses: BTreeMap<u16, bool> = OF_FORWARDING.into_iter().map(|status| (status, false)).collect();
        for (status, foreign) in &self.rejects {
            *statuses.entry(*status).or_default() |= foreign;
        }
        let mut problems = Map::new();
        for (status, foreign) in statuses {
            problems.insert(status.to_string(), problem(status, foreign, &self.adds, components));
        }
        problems.insert("default".to_owned(), any_other(self.is_foreign, components));
        problems
    }
}

/// Adds the errors of the gateway to the responses of an upstream.
pub(super) fn join_problems(
    problems: &Map<String, Value>,
    responses: &mut Map<String, Value>,
    components: &Components,
) {
    for (status, reference) in problems {
        join(responses, status, reference, components);
    }
}

/// Adds a shared response of the gateway. If the upstream has one with this status, either of them may come.
fn join(responses: &mut Map<String, Value>, status: &str, reference: &Value, components: &Components) {
    let Some(response) = responses.get_mut(status).and_then(Value::as_object_mut) else {
        responses.insert(status.to_owned(), reference.clone());
        return;
    };
    let name = reference.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let Some(ours) = name.and_then(|name| components.get("responses", name)).and_then(Value::as_object) else { return };
    let said = |response: &Map<String, Value>| response.get("description").and_then(Value::as_str).map(str::to_owned);
    let description = [said(response), said(ours)].into_iter().flatten().filter(|text| !text.is_empty());
    let description = description.collect::<Vec<_>>().join(" From the gateway: ");
    response.insert("description".to_owned(), description.into());
    for key in ["headers", "content"] {
        let Some(added) = ours.get(key).and_then(Value::as_object) else { continue };
        let known = response.entry(key).or_insert_with(|| json!({}));
        for (name, value) in added {
            let Some(known) = known.as_object_mut() else { continue };
            let same = known.keys().find(|known| known.eq_ignore_ascii_case(name)).cloned();
            match same.and_then(|same| known.get_mut(&same)) {
                None => drop(known.insert(name.clone(), value.clone())),
                Some(media) if key == "content" => either(media, value),
                Some(_) => {}
            }
        }
    }
}

/// A media type with the body of the upstream or that of the gateway.
fn either(media: &mut Value, ours: &Value) {
    if let (Some(theirs), Some(ours)) = (media.get_mut("schema"), ours.get("schema"))
        && *theirs != *ours
    {
        *theirs = json!({ "anyOf": [theirs.take(), ours] });
    }
}
