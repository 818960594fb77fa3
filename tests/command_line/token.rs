//! `gatewright token`.

use super::{err, out, root, run, run_in, run_with};
use crate::harness::command;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::path::Path;

const FILE: &str = "config/examples/jwt.yaml";

#[test]
fn a_token_is_refused_in_production() {
    let good = run(&["token", FILE, "--sub", "ada"]);
    assert_eq!(out(&good).trim().split('.').count(), 3, "{}", err(&good));
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(root().join(FILE)).unwrap();
    std::fs::write(folder.path().join("p.yaml"), format!("{text}\nenvironment: production\n")).unwrap();
    let refused = run_in(folder.path(), &["token", "p.yaml", "--sub", "ada"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("production"));
}

#[test]
fn an_admin_token_that_everyone_knows_is_rejected_in_production() {
    let folder = tempfile::tempdir().unwrap();
    let check = |environment: &str, token: &str| {
        let text = format!(
            "version: 1\nenvironment: {environment}\nlisteners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\n\
             admin: {{ address: \"127.0.0.1:0\", token: \"{token}\" }}\nroutes: {{ r: {{ path: /, respond: {{ text: x }} }} }}\n"
        );
        std::fs::write(folder.path().join("a.yaml"), text).unwrap();
        run_in(folder.path(), &["check", "a.yaml"])
    };
    for token in ["changemechangemechangemechangeme", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        let refused = check("production", token);
        let said = out(&refused) + &err(&refused);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("GW0434") && !said.contains(token), "{said}");
        assert_eq!(check("development", token).status.code(), Some(0));
    }
    assert_eq!(check("production", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c").status.code(), Some(0));
}

#[test]
fn the_former_option_for_the_file_still_works() {
    let good = run(&["token", "--config", FILE, "--sub", "ada"]);
    assert_eq!(out(&good).trim().split('.').count(), 3, "{}", err(&good));
    assert_eq!(run(&["token", FILE, "--config", FILE, "--sub", "ada"]).status.code(), Some(2));
}

#[test]
fn a_token_of_the_development_default_comes_with_a_note() {
    let output = command(root()).env_remove("JWT_SECRET").args(["token", FILE, "--sub", "ada"]).output().unwrap();
    assert_eq!(out(&output).trim().split('.').count(), 3);
    let note = err(&output);
    assert!(note.contains("the running gateway may use another value"), "{note}");
    assert_eq!(err(&run(&["token", FILE, "--sub", "ada"])), "");
}

#[test]
fn several_plugins_are_named() {
    let jwt = |name: &str| {
        format!(
            "  {name}: {{ jwt: {{ issuer: i, audiences: [a], algorithms: [HS256], secret: \"${{env.JWT_SECRET}}\" }} }}\n"
        )
    };
    let head = "version: 1\nlisteners: { web: { address: \"127.0.0.1:0\" } }\n";
    let yaml = format!("{head}plugins:\n{}{}", jwt("a"), jwt("b"));
    let here = Path::new(".");
    let output = run_with(here, &["token", "-", "--sub", "ada"], &yaml);
    assert_eq!(err(&output), "error: several jwt plugins are configured; pick one with --plugin (a, b)\n");
    assert_eq!(run_with(here, &["token", "-", "--sub", "ada", "--plugin", "b"], &yaml).status.code(), Some(0));
    let other = run_with(here, &["token", "-", "--sub", "ada", "--plugin", "c"], &yaml);
    assert!(err(&other).contains("the configuration has a, b"), "{}", err(&other));
    let none = run_with(here, &["token", "-", "--sub", "ada"], head);
    assert_eq!(err(&none), "error: the configuration has no jwt plugin\n");
}

#[test]
fn a_token_is_for_the_issuer_that_has_a_secret() {
    let yaml = "version: 1\nlisteners: { web: { address: \"127.0.0.1:0\" } }\nplugins:\n  login:\n    jwt:\n      \
                audiences: [a]\n      algorithms: [ES256]\n      issuers:\n        - { issuer: \"https://idp.example/\", \
                jwks: { discovery: true } }\n        - { issuer: own, algorithms: [HS512], secret: \
                \"${env.OWN:-1f0c9a7e5b3d2846a1f0c9a7e5b3d2846a1f0c9a7e5b3d2846a1f0c9a7e5b3d2846c}\" }\n";
    let output = run_with(Path::new("."), &["token", "-", "--sub", "ada"], yaml);
    let token = out(&output);
    let claims = token.split('.').nth(1).unwrap_or_default();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert!(claims.contains(r#""iss":"own""#) && claims.contains(r#""aud":"a""#), "{claims} {}", err(&output));
    assert!(err(&output).contains("OWN is not set in this shell"), "{}", err(&output));
}
