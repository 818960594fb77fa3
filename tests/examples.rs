//! Every shipped YAML file is valid, and the shipped schema is up to date.

use crate::harness::{SECRET, command};
use gatewright_sdk::Code;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shipped() -> Vec<PathBuf> {
    let mut files = vec![root().join("config/gateway.yaml"), root().join("benches/gateway.yaml")];
    files.push(root().join("tests/openapi/kinds.yaml"));
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
        let report = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !lets_callers_choose(&report), "{}: {report}", file.display());
    }
}

/// Whether an example teaches to let callers choose who they are or what they may do.
fn lets_callers_choose(report: &str) -> bool {
    [Code::CHOSEN_CLAIM, Code::OTHER_ISSUER].iter().any(|code| report.contains(code.id()))
}

#[test]
fn the_shipped_schemas_and_the_reference_are_fresh() {
    for (option, file) in [
        ("", "config/gateway.schema.json"),
        (" --fragment", "config/gateway.fragment.schema.json"),
        (" --markdown", "docs/configuration.md"),
    ] {
        let output = command(root()).arg("schema").args(option.split_whitespace()).output().unwrap();
        let shipped = std::fs::read(root().join(file)).unwrap();
        assert!(output.stdout == shipped, "run: cargo run -- schema{option} > {file}");
    }
}

/// Its sections are the examples of docs/configuration.md.
#[test]
fn the_examples_of_the_reference_are_one_good_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    std::fs::copy(root().join("src/config/schema/examples.yaml"), &file).unwrap();
    std::fs::create_dir(folder.path().join("routes.d")).unwrap();
    std::fs::write(folder.path().join("routes.d/a.yaml"), "version: 1\n").unwrap();
    let output = command(folder.path()).arg("check").arg(&file).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The sections that surround a fragment from the documentation, unless it has them itself.
const AROUND: [&str; 8] = [
    "version: 1",
    "listeners: { web: { address: \"127.0.0.1:3000\" } }",
    "admin: { address: \"127.0.0.1:9901\" }",
    "stores: { main: { url: \"sqlite::memory:\" } }",
    "upstreams: { orders: { targets: [{ url: \"http://127.0.0.1:8081\" }] } }",
    "plugins: { login: { jwt: { issuer: app, audiences: [app], algorithms: [HS256], \
     secret: k7Qm2vXr9TfB4nLs8WdZ1pYc6HgJ3eRu, on_missing: continue } } }",
    "resources: { users: { store: main, access: { default: { role: admin } }, fields: { email: { type: email, required: true, unique: true }, \
     password: { type: password, required: true }, active: { type: boolean, hidden: true } } } }",
    "routes: { root: { path: /, respond: { text: here } } }",
];

/// The first comments of YAML for other programs, which `.ci/run` and `.ci/packages` check.
const OTHERS: [&str; 4] = ["prometheus.yml", "part of a Deployment", "values.yaml", "compose.yaml"];

fn around(block: &str) -> String {
    let missing = |section: &&str| {
        let key = section.split(' ').next().unwrap();
        !block.lines().any(|line| line.starts_with(key))
    };
    AROUND.into_iter().filter(missing).map(|section| format!("{section}\n")).collect()
}

/// Writes the certificates, keys and other files that the documentation names.
fn write_named_files(folder: &Path) {
    let digest = format!("sha256:{}", "0f".repeat(32));
    std::fs::write(folder.join("api-keys.yaml"), format!("- {{ owner: acme, hash: \"{digest}\" }}\n")).unwrap();
    let users = "ada:$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e\n";
    std::fs::write(folder.join("htpasswd"), users).unwrap();
    std::fs::create_dir_all(folder.join("secrets")).unwrap();
    std::fs::write(folder.join("secrets/admin-token"), "k7Qm2vXr9TfB4nLs8WdZ1pYc6HgJ3eRu").unwrap();
    std::fs::create_dir_all(folder.join("specs")).unwrap();
    let paths = "paths: { /orders: { get: { responses: { 200: { description: All orders. } } } } }";
    std::fs::write(folder.join("specs/orders.yaml"), format!("openapi: 3.1.0\n{paths}\n")).unwrap();
    let file = "described-requests-orders.yml";
    std::fs::copy(root().join("config/examples").join(file), folder.join(file)).unwrap();
    std::fs::create_dir_all(folder.join("certs")).unwrap();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["orders.internal".to_owned()]).unwrap();
    let (cert, key) = (cert.pem(), signing_key.serialize_pem());
    for name in ["internal-ca", "clients", "gateway", "admin", "example.com", "example.org"] {
        std::fs::write(folder.join(format!("certs/{name}.crt")), &cert).unwrap();
        std::fs::write(folder.join(format!("certs/{name}.key")), &key).unwrap();
    }
    // RFC 8410, section 10.3.
    let ed25519 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    std::fs::create_dir_all(folder.join("keys")).unwrap();
    std::fs::write(folder.join("keys/2026-11.pem"), ed25519).unwrap();
}

/// YAML blocks in the documentation with `version:` are whole configurations; those with another section are fragments.
/// Files of other programs begin with a comment that names them.
#[test]
fn each_configuration_in_the_documentation_is_valid() {
    let mut open: Vec<PathBuf> = vec![root().join("README.md")];
    for folder in ["docs", "docs/cookbook", "docs/plugins"] {
        open.extend(std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    write_named_files(folder.path());
    let mut checked = 0;
    // Checked in their own folder, by `each_shipped_configuration_is_valid`.
    let recipes: BTreeSet<String> = shipped().iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    // The sections there are one configuration: `the_examples_of_the_reference_are_one_good_configuration`.
    open.retain(|page| !page.ends_with("docs/configuration.md"));
    for page in open.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(page).unwrap();
        for block in text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            let comment = block.strip_prefix("# ").and_then(|rest| rest.lines().next()).unwrap_or_default();
            // A file that the next configuration names.
            if let Some(name) = comment.strip_prefix("specs/") {
                std::fs::write(folder.path().join("specs").join(name), block).unwrap();
                continue;
            }
            if OTHERS.contains(&comment) || recipes.contains(block) {
                continue;
            }
            let part = comment.ends_with("gateway.yaml")
                || ["telemetry:", "dns:", "stores:", "resources:", "upstreams:", "routes:"]
                    .iter()
                    .any(|key| block.starts_with(key))
                || comment.ends_with("fragment.schema.json");
            assert!(part || block.lines().any(|line| line.starts_with("version:")), "{}:\n{block}", page.display());
            std::fs::write(&file, format!("{}{block}", if part { around(block) } else { String::new() })).unwrap();
            let mut command = command(folder.path());
            let output = command.env("OTEL_TOKEN", "token").arg("check").arg(&file).output().unwrap();
            let report = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !lets_callers_choose(&report), "{}: {report}\n{block}", page.display());
            checked += 1;
        }
    }
    assert!(checked > 70, "{checked}");
}
