//! The shown configuration: no secrets, and in the words of the file.

use super::*;
use crate::config::load;
use std::collections::HashMap;

fn shown(text: &str, environment: &[(&str, &str)]) -> Json {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, text).unwrap();
    let schema = ConfigSchema::new([]);
    let environment: HashMap<_, _> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let loaded = load(&file, &environment, &schema);
    assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
    show(&loaded.document.unwrap(), &Named::default(), &loaded.sources, &schema)
}

#[test]
fn secrets_are_masked_and_expansions_are_shown_as_written() {
    let text = "version: 1\nlisteners: { web: { address: \"${env.A:-127.0.0.1:3000}\" } }\n\
                admin: { token: \"a-secret-that-nobody-should-ever-see\" }\nstores: { main: { url: \"${env.B:-sqlite://x.db}\" }, other: { url: \"${env.C:-sqlite://u:p@x.db}\" } }\n";
    let shown = shown(text, &[("GATEWRIGHT__TELEMETRY__SERVICE_NAME", "hush"), ("GATEWRIGHT__RELOAD__DRAIN", "7s")]);
    assert_eq!(shown["listeners"]["web"]["address"], "${env.A:-127.0.0.1:3000}");
    assert_eq!(shown["admin"], json!({ "address": "127.0.0.1:9901", "token": "***", "plain_http": false }));
    assert_eq!(shown["stores"]["main"], json!({ "url": "${env.B:-sqlite://x.db}" }));
    assert_eq!(shown["stores"]["other"], json!({ "url": "***" }), "a password may be in it");
    assert_eq!(shown["telemetry"]["service_name"], "***");
    assert_eq!(shown["reload"]["drain"], "***");
    assert_eq!(shown["shutdown"], json!({ "grace": "0s", "drain": "30s" }), "defaults that apply");
}

#[test]
fn what_says_nothing_is_left_out_unless_the_file_says_it() {
    let text = |fields: &str| {
        format!(
            "version: 1\nlisteners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\nchains: {{ none: [] }}\nstores: {{ main: {{ url: \"sqlite::memory:\" }} }}\n\
             resources: {{ notes: {{ store: main, access: {{ default: public }}, fields: {{ title: {{ {fields} }} }} }} }}\n\
             routes: {{ root: {{ path: /, respond: {{ text: \"$${{x}}\" }} }} }}\n"
        )
    };
    let brief = shown(&text("type: string"), &[]);
    assert_eq!(brief["routes"]["root"], json!({ "path": "/", "respond": { "status": 200, "text": "$${x}" } }));
    assert_eq!(brief["resources"]["notes"]["fields"]["title"], json!({ "type": "string" }));
    assert_eq!(brief["chains"], json!({ "none": [] }));
    assert_eq!((brief.get("plugins"), brief.get("tests"), brief.get("admin")), (None, None, None));
    let said = shown(&text("type: string, required: false, filter: [], unique: { ignore_case: false }"), &[]);
    let title = json!({ "type": "string", "unique": true, "filter": [], "required": false });
    assert_eq!(said["resources"]["notes"]["fields"]["title"], title);
}
