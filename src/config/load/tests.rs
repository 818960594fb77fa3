//! Loading as a whole: files, includes, overrides, and no panic for any text.

use super::*;
use std::fs;
use tempfile::TempDir;

const BASE: &str = "version: 1\nlisteners: { web: { address: \"127.0.0.1:3000\" } }\n";

/// Loads the configuration in a new folder with these files.
fn loaded(root: &str, files: &[(&str, &str)], environment: &[(&str, &str)]) -> (Loaded, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files.iter().chain(&[("gateway.yaml", root)]) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    (load(&folder.path().join("gateway.yaml"), &environment, &ConfigSchema::new([])), folder)
}

/// `file:line message` of each diagnostic.
fn said(loaded: &Loaded) -> Vec<String> {
    let one = |diagnostic: &Diagnostic| {
        let at = diagnostic.at.as_ref().unwrap();
        format!("{}:{} {}", at.file.file_name().unwrap().display(), at.line, diagnostic.message)
    };
    loaded.diagnostics.iter().map(one).collect()
}

#[test]
fn the_smallest_file_is_read() {
    let (loaded, _folder) = loaded(BASE, &[], &[]);
    assert_eq!(said(&loaded), [""; 0]);
    let document = loaded.document.unwrap();
    assert_eq!(document.listeners.get("web").unwrap().address.to_string(), "127.0.0.1:3000");
    assert_eq!(loaded.sources.locate("listeners.web.address").unwrap().column, 30);
}

#[test]
fn an_entry_with_a_fault_hides_no_other() {
    let routes = "routes:\n  bad: { path: 1 }\n  good: { path: /, respond: {} }\n";
    let (loaded, _folder) = loaded(&format!("{BASE}{routes}"), &[], &[]);
    assert_eq!(said(&loaded), ["gateway.yaml:4 `path` must be a string, not `1`"]);
    assert_eq!(loaded.document.unwrap().routes.names().collect::<Vec<_>>(), ["good"]);
}

#[test]
fn included_maps_are_joined() {
    let a = "routes:\n  a: { path: /a, respond: {} }\ninclude: [more/b.yaml]\n";
    let b = "routes:\n  b: { path: /b, respond: {} }\n";
    let files = [("routes.d/a.yaml", a), ("routes.d/more/b.yaml", b), ("routes.d/.hidden.yaml", "x: 1")];
    let (loaded, _folder) = loaded(&format!("{BASE}include: [routes.d/*.yaml]\n"), &files, &[]);
    assert_eq!(said(&loaded), [""; 0]);
    assert!(loaded.sources.locate("routes.b.path").unwrap().file.ends_with("routes.d/more/b.yaml"));
    assert_eq!(loaded.document.unwrap().routes.len(), 2);
}

#[test]
fn an_included_file_may_name_the_same_version() {
    let files = [("a.yaml", "version: 1\nroutes: { a: { path: /a, respond: {} } }\n")];
    let (loaded, _folder) = loaded(&format!("{BASE}include: [a.yaml]\n"), &files, &[]);
    assert_eq!(said(&loaded), [""; 0]);
    assert_eq!(loaded.document.unwrap().routes.len(), 1);
}

#[test]
fn an_included_file_may_add_nothing() {
    for (text, expected) in [
        ("# later\n", vec![]),
        ("---\n", vec![]),
        ("", vec!["a.yaml:1 the file is empty"]),
        (" \n", vec!["a.yaml:1 the file is empty"]),
    ] {
        let (loaded, _folder) = loaded(&format!("{BASE}include: [a.yaml]\n"), &[("a.yaml", text)], &[]);
        assert!(!loaded.diagnostics.has_errors(), "{text:?}");
        assert_eq!(said(&loaded), expected, "{text:?}");
    }
}

#[test]
fn what_cannot_be_included_is_said() {
    for (include, files, part) in [
        ("nope.yaml", vec![], "gateway.yaml:3 `nope.yaml` does not exist"),
        ("gateway.yaml", vec![], "`gateway.yaml` includes itself"),
        ("/etc/passwd", vec![], "is an absolute path"),
        ("../x.yaml", vec![], "points outside the configuration"),
        ("d/../../x.yaml", vec![], "points outside the configuration"),
        ("d", vec![("d/a.yaml", "")], "`d` is a directory"),
        ("a.yaml", vec![("a.yaml", "[1]")], "a.yaml:1 expected a map"),
        (
            "a.yaml",
            vec![("a.yaml", "include: [b.yaml]"), ("b.yaml", "include: [a.yaml]")],
            "b.yaml:1 `a.yaml` includes itself",
        ),
        ("a.yaml", vec![("a.yaml", "listeners:\n  web: {}")], "a.yaml:2 duplicate `web`"),
        ("a.yaml", vec![("a.yaml", "version: 2")], "a.yaml:1 duplicate `version`"),
        ("a.yaml", vec![("a.yaml", "rotes: {}")], "a.yaml:1 unknown key `rotes`"),
        ("**/*.yaml", vec![], "contains `**`"),
        ("[a.yaml", vec![], "`[a.yaml` is not a valid pattern: unclosed character class"),
    ] {
        let (loaded, _folder) = loaded(&format!("{BASE}include: [\"{include}\"]\n"), &files, &[]);
        let said = said(&loaded);
        assert!(loaded.diagnostics.has_errors() && said.iter().any(|said| said.contains(part)), "{include}: {said:?}");
    }
}

#[test]
fn a_variable_sets_a_single_key_in_the_type_it_needs() {
    let environment = [
        ("GATEWRIGHT__LISTENERS__WEB__ADDRESS", "127.0.0.1:4000"),
        ("GATEWRIGHT__LISTENERS__WEB__LIMITS__HEADERS", "50"),
        ("GATEWRIGHT__RELOAD__WATCH", "false"),
        ("GATEWRIGHT_CONFIG", "not an override"),
    ];
    let (loaded, _folder) = loaded(BASE, &[], &environment);
    assert_eq!(said(&loaded), [""; 0]);
    let document = loaded.document.unwrap();
    let web = document.listeners.get("web").unwrap();
    assert_eq!((&*web.address.to_string(), web.limits.headers, document.reload.watch), ("127.0.0.1:4000", 50, false));
}

#[test]
fn a_variable_that_does_not_fit_is_named() {
    for (name, part) in [
        ("GATEWRIGHT__LISTENERS__WEB__ADRESS", "unknown key `adress`"),
        ("GATEWRIGHT__LISTNERS__WEB__ADDRESS", "unknown key `listners`"),
        ("GATEWRIGHT__VERSION__X", "this value has no key `x`"),
        ("GATEWRIGHT__LISTENERS", "cannot set a map or list"),
        ("GATEWRIGHT____", "its name has an empty part"),
        ("GATEWRIGHT__RELOAD__WATCH", "not the value of the environment variable"),
        ("GATEWRIGHT__RELOAD__DEBOUNCE", "is not a valid duration"),
    ] {
        let (loaded, _folder) = loaded(BASE, &[], &[(name, "hush-hush-7")]);
        let said = said(&loaded);
        assert!(said.iter().any(|said| said.contains(part) && said.contains(name)), "{name}: {said:?}");
    }
}

#[test]
fn values_are_expanded_once_and_keep_their_type() {
    let root = format!(
        "{BASE}reload: {{ watch: \"${{env.WATCH}}\" }}\nadmin: {{ token: \"${{file.secrets/token}}\" }}\n\
         telemetry: {{ service_name: \"${{env.NONE:-a:b}}-$${{x}}-$claims.y\" }}\n"
    );
    let token = "0123456789abcdef0123456789abcdef";
    let (loaded, _folder) = loaded(&root, &[("secrets/token", &format!("{token}\n"))], &[("WATCH", "false")]);
    assert_eq!(said(&loaded), [""; 0]);
    let document = loaded.document.unwrap();
    assert!(!document.reload.watch);
    assert_eq!(document.telemetry.service_name, "a:b-${x}-$claims.y");
    assert_eq!(document.admin.unwrap().token.unwrap().expose(), token);
}

#[test]
fn what_is_no_configuration_is_said_without_reading_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let schema = ConfigSchema::new([]);
    let said = |file: &Path| {
        let loaded = load(file, &HashMap::new(), &schema);
        assert!(loaded.document.is_none());
        super::tests::said(&loaded).join("\n")
    };
    assert!(said(&file).contains("does not exist"));
    for (bytes, part) in [
        (&b""[..], "the file is empty"),
        (b"# only a comment", "the file is empty"),
        (b"hello", "expected a map of sections"),
        (b"a: \xff", "is not valid UTF-8 on line 1"),
        (b"a: 1\nb: \0", "contains a NUL byte on line 2"),
        (b"\x1f\x8b\x08\x00", "is not valid UTF-8"),
    ] {
        fs::write(&file, bytes).unwrap();
        assert!(said(&file).contains(part), "{part}: {}", said(&file));
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(said(&file).contains("is a directory"));
    let large = folder.path().join("large.yaml");
    fs::File::create(&large).unwrap().set_len(3 << 30).unwrap();
    assert!(said(&large).contains("exceeds the size limit of 8 MiB"));
}

#[test]
fn a_byte_order_mark_and_other_line_ends_are_read() {
    for text in [format!("\u{feff}{BASE}"), BASE.replace('\n', "\r\n"), format!("{BASE}...\n")] {
        let (loaded, _folder) = loaded(&text, &[], &[]);
        assert_eq!(said(&loaded), [""; 0], "{text:?}");
    }
}

#[test]
fn a_file_that_is_named_belongs_to_the_configuration() {
    let root = format!("{BASE}routes: {{ a: {{ path: /a, respond: {{ body_file: a.html }} }} }}\n");
    let (one, folder) = loaded(&root, &[("a.html", "one")], &[]);
    let (two, _folder) = loaded(&root, &[("a.html", "two")], &[]);
    assert!(one.sources.watched().any(|path| path == folder.path().join("a.html")));
    assert_ne!(
        one.sources.prints().last().map(|(_, print)| print),
        two.sources.prints().last().map(|(_, print)| print)
    );
}

#[test]
fn the_hash_tells_different_content_apart() {
    let hash = |text: &str, folder: &TempDir| {
        let file = folder.path().join("gateway.yaml");
        fs::write(&file, text).unwrap();
        load(&file, &HashMap::new(), &ConfigSchema::new([])).sources.hash_text()
    };
    let folder = tempfile::tempdir().unwrap();
    let first = hash(BASE, &folder);
    assert_eq!(hash(BASE, &folder), first);
    assert_ne!(hash(&format!("{BASE}#"), &folder), first);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_it_panic(tail in "[a-z:{}\\[\\]&*!|'\"$. \n-]{0,60}", key in "(plugins|routes|stores|chains|tests|include|reload)") {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        fs::write(&file, format!("{BASE}{key}: {tail}")).unwrap();
        let loaded = load(&file, &HashMap::new(), &ConfigSchema::new([]));
        let _ = loaded.sources.render(&loaded.diagnostics, crate::config::report::Rendering::Human { colour: true });
    }
}

#[test]
fn a_misspelled_key_that_is_required_is_one_fault_at_the_key() {
    let routes =
        "stores: { main: { uri: \"sqlite://a.db\" } }\nupstreams: { app: { target: [{ url: \"http://a\" }] } }\n";
    let (loaded, _folder) = loaded(&format!("{BASE}{routes}"), &[], &[]);
    assert_eq!(said(&loaded), ["gateway.yaml:3 unknown key `uri`", "gateway.yaml:4 unknown key `target`"]);
    let help: Vec<_> = loaded.diagnostics.iter().map(|found| found.help.as_deref().unwrap()).collect();
    assert_eq!(help, ["did you mean `url`, which is required?", "did you mean `targets`, which is required?"]);
}

#[test]
fn a_renamed_definition_is_shown_beside_its_use() {
    let renamed = "stores: { mainq: { url: \"sqlite://a.db\" }, other: { url: \"sqlite://b.db\" } }\nresources:\n";
    let notes = "  notes: { store: main, access: { default: public }, fields: { a: { type: text } } }\n  more: { store: other, access: { default: public }, fields: { a: { type: text } } }\n";
    let (loaded, _folder) = loaded(&format!("{BASE}{renamed}{notes}"), &[], &[]);
    let fault = loaded.diagnostics.iter().find(|found| found.path == "resources.notes.store").unwrap();
    assert_eq!(fault.message, "unknown store `main`");
    let (at, word) = fault.related.first().unwrap();
    assert_eq!((at.line, at.column, word.contains("`mainq` is defined here but not used")), (3, 11, true), "{word}");
}

#[test]
fn patterns_of_include_know_classes_and_alternatives() {
    let route = |name: &str| format!("routes:\n  {name}: {{ path: /{name}, respond: {{}} }}\n");
    let (a, b, c) = (route("a"), route("b"), route("c"));
    let files = [("d/1.yaml", a.as_str()), ("d/2.yaml", &b), ("d/3.yml", &c), ("d/.4.yaml", "x: 1")];
    for (include, wanted) in [
        ("d/*", &["a", "b", "c"][..]),
        ("d/?.yaml", &["a", "b"]),
        ("d/[2-9].{yaml,yml}", &["b", "c"]),
        ("d/[!1].yaml", &["b"]),
        ("[d]/1*", &["a"]),
    ] {
        let (loaded, _folder) = loaded(&format!("{BASE}include: [\"{include}\"]\n"), &files, &[]);
        assert_eq!(said(&loaded), [""; 0], "{include}");
        assert_eq!(loaded.document.unwrap().routes.names().collect::<Vec<_>>(), wanted, "{include}");
    }
}
