//! The documentation is complete: every page, plugin, reason, problem, example and promise has its place.

use crate::harness::command;
use http::StatusCode;
use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The files below `folder` with this extension, relative to the repository.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap().map(Result::unwrap) {
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == extension) {
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder}");
    found
}

/// `.ci/book` lists decisions and diagnostics by their files.
#[test]
fn every_page_is_in_the_summary() {
    let summary = read("docs/SUMMARY.md");
    let by_file = |page: &str| ["decisions/0", "diagnostics/GW"].iter().any(|start| page.starts_with(start));
    let missing: Vec<_> = (files("docs", "md").iter())
        .filter_map(|page| page.strip_prefix("docs/"))
        .filter(|page| *page != "SUMMARY.md" && !by_file(page) && !summary.contains(&format!("({page})")))
        .map(str::to_owned)
        .collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md does not list {missing:?}");
}

#[test]
fn the_pages_of_plugins_are_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let index = read("docs/plugins/README.md");
    for page in files("docs/plugins", "md") {
        fs::copy(root().join(&page), folder.path().join(Path::new(&page).file_name().unwrap())).unwrap();
    }
    let output = command(root()).args(["docs", "plugins"]).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for page in fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        let name = page.file_name().into_string().unwrap();
        let shipped = fs::read_to_string(root().join("docs/plugins").join(&name)).unwrap_or_default();
        let fresh = fs::read_to_string(page.path()).unwrap();
        assert!(shipped == fresh, "docs/plugins/{name}: run `cargo run -- docs plugins docs/plugins`");
        assert!(name == "README.md" || index.contains(&format!("({name})")), "docs/plugins/README.md lacks {name}");
        assert!(name == "README.md" || shipped.contains("```yaml\nversion: 1\n"), "{name} has no example");
    }
}

/// Code without its tests and comments.
fn code(file: &str) -> String {
    let text = read(file);
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn sources() -> Vec<String> {
    let mut sources = [files("src", "rs"), files("plugins", "rs")].concat();
    sources.retain(|file| !file.contains("/tests") && !file.contains("/template/") && !file.ends_with("testing.rs"));
    sources
}

/// The words that a pattern finds in a file, as its first group.
fn words(pattern: &Regex, file: &str) -> BTreeSet<String> {
    pattern.captures_iter(&code(file)).map(|found| found[1].to_owned()).collect()
}

/// Where functions return reasons that others log.
const MAKERS: [&str; 9] = [
    "plugins/api_key/check.rs",
    "plugins/authorize.rs",
    "plugins/basic/check.rs",
    "plugins/client_cert.rs",
    "plugins/forward_auth.rs",
    "plugins/ip_filter.rs",
    "plugins/jwt/check.rs",
    "plugins/jwt/token.rs",
    "src/upstream/failure.rs",
];

/// Words in the same places that are no reasons.
const OTHERS: [&str; 11] = [
    "array",
    "certificate",
    "expires",
    "forward_auth",
    "inserted",
    "items",
    "owner",
    "roles",
    "scopes",
    "string",
    "type",
];

fn reasons() -> BTreeSet<String> {
    let logged = Regex::new(r#"reason\((?:format!\()?"([a-z_]+)[:"]"#).unwrap();
    let others = Regex::new(r#"(?:reason: |Refused\(|&desk, |problem\(|refuse\()"([a-z_]+)"[.)]"#).unwrap();
    let made =
        Regex::new(r#"(?:Err\(|Some\(|ok_or\(|then_some\(|\|_\| |=> |\{ |, |\n +)"([a-z0-9_]{3,})"(?:\)| \}|,\n|\n)"#)
            .unwrap();
    let condition = Regex::new(r#"CANNOT: &str = "([a-z_]+)""#).unwrap();
    let mut all = problems();
    for file in sources() {
        all.extend(words(&logged, &file));
        all.extend(words(&others, &file));
        all.extend(words(&condition, &file));
        if MAKERS.contains(&&*file) || file.starts_with("src/resource/sign_in/login") {
            all.extend(words(&made, &file));
        }
    }
    all.retain(|word| !OTHERS.contains(&&**word));
    all
}

/// The kinds of error responses. A problem without a reason has its kind as the reason.
fn problems() -> BTreeSet<String> {
    let kind = Regex::new(r#"(?:Problem|Self)::new\(\s*(?:StatusCode::[A-Z_]+|status),\s*"([a-z_]+)""#).unwrap();
    sources().iter().flat_map(|file| words(&kind, file)).collect()
}

/// The words in the first cells of the tables in a page.
fn first_cells(page: &str) -> BTreeSet<String> {
    let word = Regex::new("`([a-z0-9_]+)`").unwrap();
    let page = read(page);
    let cells = page.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    cells.flat_map(|cell| word.captures_iter(cell).map(|found| found[1].to_owned()).collect::<Vec<_>>()).collect()
}

#[test]
fn every_reason_is_explained() {
    let (made, explained) = (reasons(), first_cells("docs/reasons.md"));
    assert!(made.len() > 80, "{made:?}");
    let missing: Vec<_> = made.difference(&explained).collect();
    assert!(missing.is_empty(), "docs/reasons.md does not explain {missing:?}");
    let all: String = sources().iter().map(|file| code(file)).collect();
    let gone: Vec<_> = explained
        .iter()
        .filter(|word| !all.contains(&format!("\"{word}\"")) && !all.contains(&format!("\"{word}:")))
        .collect();
    assert!(gone.is_empty(), "docs/reasons.md explains {gone:?}, which the program does not have");
}

/// Read by libraries: sd-notify, anstream and rustls-native-certs.
const OF_LIBRARIES: [&str; 9] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "TERM",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The variables that the code names. Overrides of the configuration have two underscores.
fn variables() -> BTreeSet<String> {
    let whole = Regex::new(r#""((?:GATEWRIGHT_|OTEL_|PG|RUST_|XDG_)[A-Z][A-Z_]*[A-Z]|HOME)""#).unwrap();
    let mut all: BTreeSet<String> = OF_LIBRARIES.map(str::to_owned).into();
    for file in sources() {
        all.extend(words(&whole, &file));
    }
    // Made of two parts.
    assert!(all.remove("OTEL_BSP") && all.remove("OTEL_BLRP"), "{all:?}");
    let queue = Regex::new(r#"(?:count\("|\{prefix\}_)([A-Z_]+)""#).unwrap();
    let receiver = Regex::new(r#"\("([A-Z]+(?:_[A-Z]+)*)""#).unwrap();
    for name in words(&queue, "src/telemetry/queue.rs") {
        all.extend([format!("OTEL_BSP_{name}"), format!("OTEL_BLRP_{name}")]);
    }
    let receiver = words(&receiver, "src/telemetry/environment/receiver.rs");
    all.extend(receiver.iter().map(|name| format!("OTEL_EXPORTER_OTLP_{name}")));
    all.extend(["TRACES", "METRICS", "LOGS"].map(|signal| format!("OTEL_{signal}_EXPORTER")));
    all
}

#[test]
fn the_page_of_variables_is_complete() {
    let name = Regex::new("`([A-Z][A-Z_]+)`").unwrap();
    let page = read("docs/environment.md");
    let cells = page.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    let listed: BTreeSet<_> =
        cells.flat_map(|cell| name.captures_iter(cell).map(|found| found[1].to_owned()).collect::<Vec<_>>()).collect();
    assert_eq!(variables(), listed);
    let expansion = Regex::new(r"\$\{env\.([A-Z_]+)").unwrap();
    for found in expansion.captures_iter(&read("config/gateway.yaml")) {
        assert!(page.contains(&format!("`{}`", &found[1])), "docs/environment.md does not name {}", &found[1]);
    }
}

#[test]
fn every_problem_has_a_section_with_its_status() {
    let page = read("docs/problems.md");
    let sections: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).map(|title| title.replace('-', "_")).collect();
    assert_eq!(problems(), sections);
    let made = Regex::new(r#"(?:Problem|Self)::new\(\s*StatusCode::([A-Z_]+),\s*"([a-z_]+)""#).unwrap();
    let status = |name: &str| {
        let named = |status: &StatusCode| status.canonical_reason().is_some_and(|reason| constant(reason) == name);
        (400..600)
            .filter_map(|number| StatusCode::from_u16(number).ok())
            .find(named)
            .unwrap_or_else(|| panic!("{name}"))
    };
    for text in sources().iter().map(|file| code(file)) {
        for found in made.captures_iter(&text) {
            let section = format!("\n## {}\n\nStatus {}.", found[2].replace('_', "-"), status(&found[1]).as_u16());
            assert!(page.contains(&section), "docs/problems.md does not say{section}");
        }
    }
}

/// `Not Found` as it is called in code.
fn constant(reason: &str) -> String {
    reason.to_uppercase().replace([' ', '-'], "_")
}

/// What new users tried first.
const JOBS: [&str; 10] = [
    "lists",
    "public-read",
    "proxy-with-tokens",
    "cors",
    "redirects",
    "canary",
    "two-listeners",
    "several-files",
    "production",
    "debugging",
];

/// Each file is shown in the cookbook as it is, and explained there.
#[test]
fn every_example_is_a_recipe() {
    let pages: String = files("docs/cookbook", "md").iter().map(|page| read(page)).collect();
    let examples = files("config/examples", "yaml");
    for job in JOBS {
        assert!(examples.contains(&format!("config/examples/{job}.yaml")), "{job} has no example");
    }
    for file in examples {
        let link = format!("(../../{file})");
        let Some((_, recipe)) = pages.split_once(&link) else { panic!("no recipe in docs/cookbook links to {file}") };
        let recipe = recipe.split("\n## ").next().unwrap();
        let shown = recipe.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
        assert!(shown == Some(&read(&file)), "docs/cookbook does not show {file} as it is");
        assert!(recipe.contains("```sh\n"), "the recipe with {file} has no commands");
    }
}

/// `tests/tls.rs: a_name`, in the last column of the tables.
#[test]
fn each_promise_is_held_by_a_test_that_exists() {
    let named = Regex::new(r"`((?:src|plugins|tests)/[a-z0-9_/.]+): ([A-Za-z0-9_.]+)`").unwrap();
    let (text, mut promises) = (read("THREAT_MODEL.md"), 0);
    for line in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what")) {
        let held: Vec<_> = named.captures_iter(line).collect();
        assert!(!held.is_empty(), "no test holds this: {line}");
        for test in held {
            assert!(has_test(&read(&test[1]), &test[2]), "{} has no test {} that runs", &test[1], &test[2]);
        }
        promises += 1;
    }
    assert!(promises >= 33, "a promise is gone: {promises} are left");
}

/// Whether `cargo test` runs a test of this name: it has the attribute of a test, and is not ignored, left out or in a comment.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let function = format!("fn {name}(");
    let Some(at) = lines.iter().position(|line| line.trim_start_matches("async ").starts_with(&function)) else {
        return false;
    };
    let above = || lines[..at].iter().rev();
    let comment = above().find(|line| line.starts_with("/*") || line.ends_with("*/"));
    let commented = comment.is_some_and(|line| !line.ends_with("*/"));
    let attributes: Vec<_> =
        above().take_while(|line| line.starts_with("#[") || line.starts_with("///")).copied().collect();
    let any = |starts: &[&str]| attributes.iter().any(|line| starts.iter().any(|start| line.starts_with(start)));
    !commented && any(&["#[test]", "#[tokio::test"]) && !any(&["#[ignore", "#[cfg"])
}

#[test]
fn a_test_that_does_not_run_holds_no_promise() {
    for runs in ["#[test]\nfn a() {", "/* note */\n#[test]\nfn a() {", "/// Text.\n#[tokio::test]\nasync fn a() {"] {
        assert!(has_test(runs, "a"), "{runs}");
    }
    for runs_not in [
        "fn a() {",
        "#[test]\n\nfn a() {",
        "#[test]\nfn ab() {",
        "#[test]\n// fn a() {",
        "/*\n#[test]\nfn a() {",
        "#[ignore]\n#[test]\nfn a() {",
        "#[test]\n#[ignore = \"slow\"]\nfn a() {",
        "#[cfg(any())]\n#[test]\nfn a() {",
    ] {
        assert!(!has_test(runs_not, "a"), "{runs_not}");
    }
}

/// The policy is in packaging/README.md.
#[test]
fn the_changelog_and_the_packages_follow_the_version_policy() {
    let own = env!("CARGO_PKG_VERSION");
    let chart = read("deploy/helm/gatewright/Chart.yaml");
    assert!(chart.contains(&format!("\nappVersion: {own}\n")), "{chart}");
    let page = read("docs/deployment.md");
    let named = Regex::new(r#"gatewright(?:_|:|, tag: ")(\d+\.\d+\.\d+)"#).unwrap();
    let versions: BTreeSet<&str> = named.captures_iter(&page).map(|found| found.get(1).unwrap().as_str()).collect();
    assert_eq!(versions, BTreeSet::from([own]), "docs/deployment.md");
    let debian = read("packaging/debian/changelog");
    assert!(debian.starts_with(&format!("gatewright ({own}-")), "{debian}");
    let release = Regex::new(r"^(Unreleased|\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d)$").unwrap();
    let sections = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
    let (text, mut titles) = (read("CHANGELOG.md"), Vec::new());
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            assert!(release.is_match(title), "{title}");
            titles.push(title);
        }
        if let Some(section) = line.strip_prefix("### ") {
            assert!(sections.contains(&section), "{section}");
        }
    }
    assert_eq!(titles.first(), Some(&"Unreleased"));
    let released = titles.get(1).is_none_or(|title| title.starts_with(&format!("{own} - ")));
    assert!(released, "{own} is not the version on top of CHANGELOG.md: {titles:?}");
}
