//! No secret is in the configuration that is shown.

use super::*;
use crate::config::load;
use std::collections::HashMap;

#[test]
fn secrets_are_masked_and_expansions_are_shown_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let text = "version: 1\nlisteners: { web: { address: \"${env.A:-127.0.0.1:3000}\" } }\n\
                admin: { token: \"a-secret-that-nobody-should-ever-see\" }\nstores: { main: { url: \"${env.B:-sqlite://x.db}\" } }\n";
    std::fs::write(&file, text).unwrap();
    let schema = ConfigSchema::new([]);
    let environment = HashMap::from([("GATEWRIGHT__TELEMETRY__SERVICE_NAME".to_owned(), "hush".to_owned())]);
    let loaded = load(&file, &environment, &schema);
    assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
    assert_eq!(
        masked(&loaded.sources, &schema),
        serde_json::json!({
            "version": 1,
            "listeners": { "web": { "address": "${env.A:-127.0.0.1:3000}" } },
            "admin": { "token": "***" },
            "stores": { "main": { "url": "***" } },
            "telemetry": { "service_name": "***" },
        })
    );
}
