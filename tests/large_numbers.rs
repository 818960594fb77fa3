//! Bounds of integer fields at the ends of 64 bits: taken, compared and shown exactly.

use crate::harness::{Gateway, HEAD, command};

const NOTES: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
stores: { main: { url: "sqlite::memory:" } }
resources:
  notes:
    store: main
    access: { default: public }
    fields:
      whole: { type: integer, min: -9223372036854775808, max: 9223372036854775807 }
      less: { type: integer, max: 9223372036854775806 }
      money: { type: decimal, precision: 30, scale: 2, max: 9223372036854775807 }
routes:
  notes: { path: /notes, resource: notes }
  docs: { path: /docs, openapi: {} }
"#;

#[test]
fn bounds_of_64_bits_are_exact() {
    let gateway = Gateway::start(NOTES);
    let send = |body: &str| gateway.send("POST", "/notes", &[("content-type", "application/json")], body);
    for body in [r#"{"whole":9223372036854775807}"#, r#"{"whole":-9223372036854775808}"#] {
        assert_eq!(send(body).status, 201, "{body}");
    }
    let over = send(r#"{"less":9223372036854775807,"money":"9223372036854775807.01"}"#);
    let message = "less: must be at most 9223372036854775806, money: must be at most 9223372036854775807";
    assert_eq!((over.status, over.json()["message"].as_str().unwrap().to_owned()), (400, message.to_owned()));
    let described = gateway.get("/docs").body;
    for part in ["\"maximum\":9223372036854775806", "\"maximum\":9223372036854775807", "At most 9223372036854775807."] {
        assert!(described.replace(": ", ":").contains(part), "{part}: {described}");
    }
}

#[test]
fn numbers_beyond_64_bits_are_shown_as_they_were_written() {
    for (bound, help) in [
        ("max: 9223372036854775808", "`max` is too large: 9223372036854775808"),
        ("min: -9223372036854775809", "`min` is too small: -9223372036854775809"),
    ] {
        let wrong = NOTES.replace("max: 9223372036854775806", bound);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{wrong}")).unwrap();
        let output = command(folder.path()).args(["check", "gateway.yaml"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(help), "{said}");
        assert!(
            said.contains(if bound.starts_with("max") {
                "use 9223372036854775807 or less"
            } else {
                "use -9223372036854775808 or more"
            }),
            "{said}"
        );
    }
}
