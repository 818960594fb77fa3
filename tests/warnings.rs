//! Probable mistakes are warnings; the file can state that they are intended, and CI can reject the rest.

use crate::harness::{SECRET, command};
use std::process::Output;

/// Runs `check` on a configuration that continues with `rest`.
fn check(rest: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let yaml = format!("version: 1\nlisteners: {{ web: {{ address: \"127.0.0.1:0\", chain: edge }} }}\n{rest}");
    std::fs::write(folder.path().join("gateway.yaml"), yaml).unwrap();
    let mut check = command(folder.path());
    check.args(["check", "gateway.yaml"]).args(arguments).env("JWT_SECRET", SECRET).output().unwrap()
}

fn messages(rest: &str) -> Vec<String> {
    let found: Vec<serde_json::Value> = serde_json::from_slice(&check(rest, &["--format", "json"]).stdout).unwrap();
    assert!(found.iter().all(|found| found["severity"] == "warning"), "{found:?}");
    found.iter().map(|found| found["message"].as_str().unwrap().to_owned()).collect()
}

/// A configuration that could cause all of the warnings, with the statements that prevent them.
fn document(chain: &str, continues: &str, headers: &str, create: &str, methods: &str) -> String {
    format!(
        r#"
plugins:
  login: {{ jwt: {{ issuer: a, audiences: [b], algorithms: [HS256], secret: "${{env.JWT_SECRET}}"{continues} }} }}
  staff: {{ authorize: {{ role: staff }} }}
  pages: {{ cors: {{ allow_origins: ["https://a.example"], allow_headers: [{headers}] }} }}
  deadline: {{ timeout: {{}} }}
chains:
  edge: [{chain}]
  private: [deadline]
stores: {{ main: {{ url: "sqlite::memory:" }} }}
resources:
  notes:
    store: main
    access: {{ list: public, read: public, create: {create}, update: none, delete: none }}
    fields: {{ a: {{ type: text }} }}
upstreams: {{ site: {{ targets: [{{ url: "http://127.0.0.1:1" }}] }} }}
routes:
  notes: {{ path: /notes, resource: notes }}
  admin: {{ path: /admin, chain: private, plugins: [{{ use: login }}, staff], respond: {{}} }}
  site: {{ path: /{methods}, upstream: site }}
"#
    )
}

#[test]
fn each_warning_can_be_silenced_in_the_file() {
    let without_a_login = document("pages", "", "x-a", "authenticated", "");
    let said = messages(&without_a_login);
    let parts = [
        "this chain has no timeout",
        "does not allow browsers to send `authorization`",
        "no one can create",
        "`path: /` matches only",
    ];
    assert!(said.len() == parts.len() && said.iter().zip(parts).all(|(said, part)| said.contains(part)), "{said:?}");
    let answered = document("deadline, pages", "", "authorization", "none", ", methods: [GET]");
    assert_eq!(messages(&answered), Vec::<String>::new());
    let no_headers = document("deadline, pages", "", "", "none", ", methods: [GET]");
    assert_eq!(messages(&no_headers), Vec::<String>::new(), "an empty list is written");
    let open_behind_login = "deadline, pages, login";
    let said = messages(&document(open_behind_login, "", "authorization", "public", ", methods: [GET]"));
    assert!(
        said.iter()
            .any(|said| said == "anyone may list, read and create, but `login` rejects requests without credentials"),
        "{said:?}"
    );
    let continues = ", on_missing: continue";
    let said = messages(&document(open_behind_login, continues, "authorization", "public", ", methods: [GET]"));
    assert!(!said.iter().any(|said| said.contains("anyone may")), "{said:?}");
}

#[test]
fn denied_warnings_are_exit_code_1_in_every_format() {
    let (warned, good) =
        (document("pages", "", "x-a", "none", ""), document("deadline", "", "x-a", "none", ", methods: [GET]"));
    let good = good.replace("  pages:", "  #");
    for format in ["human", "json", "sarif"] {
        let arguments = ["--strict", "--format", format];
        let output = check(&warned, &arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{format}");
        let last = said.lines().last().unwrap();
        assert_eq!(last, "gateway.yaml: 3 warnings, rejected by `--strict`", "{format}");
        assert!(format == "human" || serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok(), "{format}");
        assert_eq!(check(&warned, &["--format", format]).status.code(), Some(0), "{format}");
        let output = check(&good, &arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{format}: {output:?}");
    }
    let broken = check("routes: { a: { path: b } }\n", &["--deny-warnings"]);
    assert!(!String::from_utf8_lossy(&broken.stderr).contains("rejected by"), "{broken:?}");
}

#[test]
fn an_environment_that_is_not_known_is_an_error() {
    let rest = |word: &str| {
        format!("environment: {word}\nchains: {{ edge: [] }}\nroutes: {{ a: {{ path: /, respond: {{}} }} }}\n")
    };
    for word in ["production", "staging", "test", "development"] {
        assert!(check(&rest(word), &[]).status.success(), "{word}");
    }
    for (word, near) in [
        ("prod", "production"),
        ("PRD", "production"),
        ("Production", "production"),
        ("dev", "development"),
        ("tset", "test"),
    ] {
        for (word, name) in [(word.to_owned(), ""), (format!("\"${{env.WORD:-{word}}}\""), "${env.WORD}")] {
            let output = check(&rest(&word), &[]);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{word}");
            assert!(said.contains(&format!("did you mean `{near}`?")) && said.contains(name), "{said}");
        }
    }
    assert!(String::from_utf8(check(&rest("moon"), &[]).stderr).unwrap().contains("write one of `production`"));
}
