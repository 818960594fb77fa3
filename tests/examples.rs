//! Every shipped YAML file is valid, and the shipped schema is up to date.

use crate::harness::{SECRET, command};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shipped() -> Vec<PathBuf> {
    let mut files = vec![root().join("config/gateway.yaml"), root().join("benches/gateway.yaml")];
    for entry in std::fs::read_dir(root().join("config/examples")).unwrap() {
        files.push(entry.unwrap().path());
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    assert!(files.len() > 5);
    files
}

#[test]
fn each_shipped_configuration_is_valid() {
    for file in shipped() {
        let output = command(root())
            .env("BENCH_DATA", "data")
            .env("BENCH_SECRET", SECRET)
            .arg("check")
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_shipped_schema_is_up_to_date() {
    let output = command(root()).arg("schema").output().unwrap();
    let shipped = std::fs::read(root().join("config/gateway.schema.json")).unwrap();
    assert!(output.stdout == shipped, "run: cargo run -- schema > config/gateway.schema.json");
}

/// The configuration that surrounds a fragment from the documentation.
const AROUND: &str = r#"
version: 1
listeners: { web: { address: "127.0.0.1:3000" } }
admin:     { address: "127.0.0.1:9901" }
stores:    { main: { url: "sqlite::memory:" } }
routes:    { root: { path: /, respond: { text: here } } }
"#;

/// YAML blocks in the documentation that begin with `version:` are whole configurations; those with `telemetry:` or
/// `resources:` are fragments. Files of other programs begin with a comment that names them.
#[test]
fn each_configuration_in_the_documentation_is_valid() {
    let mut open: Vec<PathBuf> = vec![root().join("README.md")];
    open.extend(std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let mut checked = 0;
    for page in open.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(page).unwrap();
        for block in text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            let part = block.starts_with("telemetry:") || block.starts_with("resources:");
            assert!(part || block.starts_with("version:") || block.starts_with("# "), "{}:\n{block}", page.display());
            if !block.starts_with("# ") {
                std::fs::write(&file, format!("{}{block}", if part { AROUND } else { "" })).unwrap();
                let mut command = command(folder.path());
                let output = command.env("OTEL_TOKEN", "token").arg("check").arg(&file).output().unwrap();
                let report = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{}: {report}\n{block}", page.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 0);
}
