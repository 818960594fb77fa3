//! What the plugins in front of a target mean to its clients.

use crate::engine::plan::PlannedStep;
use crate::openapi::Components;
use crate::openapi::operation::Guards;
use gatewright_sdk::{Contract, Credentials};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What these steps do, the first outermost.
pub(super) fn of<'a>(steps: impl Iterator<Item = &'a PlannedStep>, components: &mut Components) -> Guards {
    let mut guards = Guards::default();
    for step in steps.filter(|step| !step.observes) {
        let mut schemes = BTreeSet::new();
        for (name, contract) in &step.contracts {
            schemes.extend(contract.credentials.as_ref().map(|one| components.security(name, scheme(one))));
            add(&mut guards, contract);
        }
        if schemes.is_empty() {
            continue;
        }
        if step.refuses_strangers && step.when.is_none() {
            guards.required = joined(&guards.required, &schemes);
        } else {
            guards.optional.extend(schemes);
        }
    }
    guards
}

/// The same for an operation that needs a token of the plugin with this name.
pub(super) fn with_token(guards: &Guards, plugin: &str, components: &mut Components) -> Guards {
    let scheme = components.security(plugin, scheme(&Credentials::Bearer("JWT")));
    Guards {
        required: joined(&guards.required, &BTreeSet::from([scheme])),
        optional: BTreeSet::new(),
        rejects: guards.rejects.clone(),
        is_foreign: guards.is_foreign,
        adds: guards.adds.clone(),
    }
}

/// The sets of schemes with one of `schemes` in addition.
fn joined(required: &[BTreeSet<String>], schemes: &BTreeSet<String>) -> Vec<BTreeSet<String>> {
    let before = if required.is_empty() { vec![BTreeSet::new()] } else { required.to_vec() };
    let with = |set: &BTreeSet<String>| {
        schemes.iter().map(|scheme| set.iter().cloned().chain([scheme.clone()]).collect()).collect::<Vec<_>>()
    };
    before.iter().flat_map(with).collect()
}

fn add(guards: &mut Guards, contract: &Contract) {
    guards.is_foreign |= contract.is_foreign;
    for status in contract.rejects {
        *guards.rejects.entry(*status).or_default() |= contract.is_foreign;
    }
    for field in &contract.adds {
        if !guards.adds.contains(field) {
            guards.adds.push(field.clone());
        }
    }
}

/// The security scheme for credentials.
fn scheme(credentials: &Credentials) -> Value {
    match credentials {
        Credentials::Bearer(format) => json!({ "type": "http", "scheme": "bearer", "bearerFormat": format }),
        Credentials::Basic => json!({ "type": "http", "scheme": "basic" }),
        Credentials::Key(header) => json!({ "type": "apiKey", "in": "header", "name": header.as_str() }),
        Credentials::Certificate => json!({ "type": "mutualTLS", "description": "A client certificate." }),
    }
}
