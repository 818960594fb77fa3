//! The OpenAPI description: what it says, where it is served, and that it changes with the configuration.

use crate::harness::{Answer, Gateway, HEAD, command, send};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::SocketAddr;

const KINDS: &str = include_str!("openapi/kinds.yaml");

/// The file with every type, on a free port, without what the harness sets.
fn kinds() -> String {
    let lines = KINDS.lines().filter(|line| !line.starts_with("version:") && !line.starts_with("admin:"));
    let text: Vec<&str> = lines.collect();
    text.join("\n").replace("${env.HOST:-127.0.0.1}:${env.PORT:-3000}", "127.0.0.1:0")
}

const TWO: &str = r#"
listeners:
  public: { address: "127.0.0.1:0", chain: edge }
  internal: { address: "127.0.0.1:0" }
stores: { main: { url: "sqlite::memory:" } }
plugins:
  id: { request_id: { header: x-request-id } }
  deadline: { timeout: { request: 5s } }
  slow: { rate_limit: { key: client.ip, quota: 100, window: 1s } }
  bearer: { jwt: { issuer: i, audiences: [a], algorithms: [HS256], secret: "a-secret-of-32-bytes-at-the-least" } }
  guests: { jwt: { issuer: i, audiences: [a], algorithms: [HS256], secret: "a-secret-of-32-bytes-at-the-least", on_missing: continue } }
  staff: { basic: { htpasswd_file: htpasswd } }
  either: { any_of: [bearer, staff] }
  watch: { ip_filter: { allow: [127.0.0.0/8] } }
chains: { edge: [id, deadline, slow], closed: [either], open: [guests], watched: [{ use: watch, mode: observe }] }
resources:
  notes: { store: main, access: { list: public, default: authenticated }, fields: { title: { type: string, required: true, max: 80 } } }
  logs: { store: main, access: { list: public, read: public, default: none }, operations: [list, read], fields: { line: { type: text } } }
routes:
  closed: { path: /closed, chain: closed, resource: notes }
  open: { path: /open, chain: open, resource: notes, methods: [GET, POST] }
  logs: { path: /logs, chain: watched, resource: logs, listeners: [internal] }
  openapi: { path: /openapi.json, openapi: { title: Notes, version: 1.2.0, contact: { email: api@example.com } } }
  docs: { path: /docs, openapi: { show: page }, listeners: [internal] }
"#;

const HTPASSWD: &str = "ada:$2y$05$abcdefghijklmnopqrstuuKKbWBoq7/Jd1tdKEOh0Wm0oKBmvBmxC\n";

/// The gateway with both listeners, and their addresses.
fn two() -> (Gateway, SocketAddr, SocketAddr) {
    let yaml = format!("{HEAD}{TWO}");
    let mut gateway = Gateway::start_in(&[("gateway.yaml", &yaml), ("htpasswd", HTPASSWD)]);
    let [public, internal] = ["public", "internal"].map(|name| {
        let line = gateway.wait_for_log(|line| line["message"] == "listening" && line["listener"] == name);
        line["address"].as_str().unwrap().parse().unwrap()
    });
    (gateway, public, internal)
}

fn get(at: SocketAddr, path: &str) -> Answer {
    send(at, "GET", path, &[], "")
}

fn operation<'a>(document: &'a Value, path: &str, method: &str) -> &'a Value {
    &document["paths"][path][method]
}

#[test]
fn the_document_is_valid_by_the_schema_of_the_specification() {
    let gateway = Gateway::start(&kinds());
    let document = gateway.get("/openapi.json").json();
    assert_eq!(document["info"]["title"], "Every type");
    // Of the schema of OpenAPI 3.1 only the objects that are used here: it is published with a base of its own.
    let names: Vec<&str> = document["components"]["schemas"].as_object().unwrap().keys().map(String::as_str).collect();
    for wanted in [
        "Article",
        "NewArticle",
        "ReplacedArticle",
        "ChangedArticle",
        "SelectedArticle",
        "NewSetting",
        "Error",
        "Problem",
    ] {
        assert!(names.contains(&wanted), "{wanted} is not among {names:?}");
    }
    // Each reference leads somewhere, and each operation has a name of its own.
    let mut ids = HashSet::new();
    visit(&document, &mut |key, value| {
        if key == "$ref" {
            let pointer = value.as_str().unwrap().trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
        }
        if key == "operationId" && value.is_string() {
            let _ = ids.insert(value.as_str().unwrap().to_owned());
        }
    });
    let operations = document["paths"].as_object().unwrap().values();
    let count = operations.flat_map(|item| item.as_object().unwrap().keys()).filter(|key| *key != "parameters").count();
    assert!(count >= 14, "{count}");
    let links = ids.iter().filter(|id| document.to_string().matches(&format!("\"operationId\":\"{id}\"")).count() == 0);
    assert_eq!((links.count(), ids.len()), (0, count));
}

fn visit(value: &Value, each: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            each(key, value);
            visit(value, each);
        }),
        Value::Array(items) => items.iter().for_each(|item| visit(item, each)),
        _ => {}
    }
}

#[test]
fn the_fields_have_the_rules_that_validate_requests() {
    let gateway = Gateway::start(&kinds());
    let document = gateway.get("/openapi.json").json();
    let schemas = &document["components"]["schemas"];
    let new = &schemas["NewArticle"];
    assert_eq!((&new["required"], &new["additionalProperties"]), (&json!(["title"]), &json!(false)));
    let title = &new["properties"]["title"];
    assert_eq!(
        (&title["minLength"], &title["maxLength"], &title["examples"]),
        (&json!(1), &json!(80), &json!(["Hello"]))
    );
    assert_eq!(
        new["properties"]["views"],
        json!({
            "type": ["integer", "null"], "format": "int64", "minimum": 0, "maximum": 1_000_000, "default": 0
        })
    );
    assert_eq!(new["properties"]["slug"]["pattern"], "^[a-z][a-z0-9-]{0,30}$");
    assert_eq!(new["properties"]["level"]["enum"], json!(["low", "high", null]));
    assert_eq!(schemas["ArticleTags"]["items"]["$ref"], "#/components/schemas/ArticleTags/$defs/tag");
    for hidden in ["note", "created_at", "id"] {
        assert!(new["properties"].get(hidden).is_none(), "{hidden}");
    }
    assert!(schemas["ReplacedArticle"]["properties"].get("link").is_none(), "it is accepted on create only");
    let shown = &schemas["Article"];
    assert!(shown["properties"].get("secret").is_none() && shown["properties"].get("note").is_none());
    assert_eq!(shown["properties"]["created_at"]["readOnly"], true);
    assert!(schemas["SelectedArticle"].get("required").is_none());
    // Names of operators, values and pages.
    let list = operation(&document, "/api/articles", "get")["parameters"].as_array().unwrap();
    let named =
        |name: &str| list.iter().find(|parameter| parameter["name"] == name).unwrap_or_else(|| panic!("{name}"));
    assert_eq!(named("page")["schema"]["maximum"], 101);
    assert_eq!(named("filter[day][lt]")["schema"]["format"], "date");
    assert_eq!(named("sort")["schema"]["items"]["enum"][0], "title");
    assert!(!list.iter().any(|parameter| parameter["name"] == "filter[body]"));
    assert_eq!(gateway.get("/api/articles?page=101").status, 200);
    assert_eq!(gateway.get("/api/articles?page=102").status, 400);
}

#[test]
fn each_listener_has_its_own_document_with_its_credentials() {
    let (gateway, public, internal) = two();
    let (public, internal) = (get(public, "/openapi.json").json(), get(internal, "/openapi.json").json());
    let paths = |document: &Value| document["paths"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&public), ["/closed", "/closed/{id}", "/open", "/open/{id}"]);
    assert_eq!(paths(&internal), ["/closed", "/closed/{id}", "/open", "/open/{id}", "/logs", "/logs/{id}"]);
    let schemes = &public["components"]["securitySchemes"];
    assert_eq!(schemes["bearer"], json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" }));
    assert_eq!(schemes["staff"], json!({ "type": "http", "scheme": "basic" }));
    let security = |path: &str, method: &str| operation(&public, path, method)["security"].clone();
    assert_eq!(security("/closed", "get"), json!([{ "bearer": [] }, { "staff": [] }]), "one of both, always");
    assert_eq!(security("/open", "get"), json!([{}, { "guests": [] }]), "anyone, with or without a token");
    assert_eq!(security("/open", "post"), json!([{ "guests": [] }]), "the resource asks who it is");
    assert!(operation(&public, "/open/{id}", "delete").is_null(), "the route accepts other methods");
    let list = &operation(&public, "/closed", "get")["responses"];
    for name in ["RateLimit", "RateLimit-Policy", "X-Request-Id"] {
        assert!(list["200"]["headers"].get(name).is_some(), "{name}: {list}");
    }
    let unlimited = &operation(&internal, "/closed", "get")["responses"];
    assert!(unlimited["200"]["headers"].get("RateLimit").is_none() && unlimited.get("429").is_none());
    assert!(list.get("429").is_some() && list.get("401").is_some());
    let fields = |status: &str| {
        let name = list[status]["$ref"].as_str().unwrap().trim_start_matches('#');
        public.pointer(name).unwrap()["headers"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    for status in ["429", "503"] {
        assert_eq!(fields(status), ["X-Request-Id", "RateLimit-Policy", "RateLimit", "Retry-After"], "{status}");
    }
    assert!(list.get("504").is_some(), "the chain has a timeout");
    let logs = &operation(&internal, "/logs", "get")["responses"];
    assert!(logs.get("403").is_none(), "a plugin that observes rejects nothing");
    let printed =
        command(gateway.folder()).args(["openapi", "gateway.yaml", "--listener", "internal"]).output().unwrap();
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(printed, internal);
    let wrong = command(gateway.folder()).args(["openapi", "gateway.yaml", "--listener", "intern"]).output().unwrap();
    let message = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        !wrong.status.success() && message.contains("there is no listener `intern`, only public, internal"),
        "{message}"
    );
}

#[test]
fn the_tag_begins_with_the_generation_and_changes_with_a_reload() {
    let gateway = Gateway::start(&kinds());
    let first = gateway.get("/openapi.json");
    let tag = first.header("etag").unwrap().to_owned();
    assert!(tag.starts_with("\"1-"), "{tag}");
    for sent in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let same = gateway.send("GET", "/openapi.json", &[("if-none-match", &sent)], "");
        assert_eq!((same.status, same.header("etag"), &*same.body), (304, Some(&*tag), ""), "{sent}");
    }
    assert_eq!(gateway.reload(&kinds().replace("max: 80", "max: 90")).status, 200);
    let next = gateway.send("GET", "/openapi.json", &[("if-none-match", &tag)], "");
    assert_eq!(next.status, 200);
    assert!(next.header("etag").unwrap().starts_with("\"2-"));
    assert_eq!(next.json()["components"]["schemas"]["NewArticle"]["properties"]["title"]["maxLength"], 90);
    let refused = gateway.send("POST", "/openapi.json", &[], "");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    assert_eq!(gateway.send("HEAD", "/openapi.json", &[], "").header("etag"), next.header("etag"));
}

#[test]
fn the_page_loads_its_own_files_alone() {
    let (_gateway, public, internal) = two();
    let page = get(internal, "/docs");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'; script-src 'self'") && !policy.contains("unsafe-eval"), "{policy}");
    assert!(!page.body.contains("http"), "{}", page.body);
    for link in ["docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/page.js"] {
        assert!(page.body.contains(&format!("\"./{link}\"")), "{link}");
        let file = get(internal, &format!("/{link}"));
        assert_eq!((file.status, file.header("content-encoding")), (200, None), "{link}");
        assert!(file.body.len() > 300 && !file.body.contains("sourceMappingURL="), "{link}");
    }
    let compressed = send(internal, "HEAD", "/docs/swagger-ui.css", &[("accept-encoding", "br, gzip")], "");
    assert_eq!(
        (compressed.header("content-encoding"), compressed.header("vary")),
        (Some("gzip"), Some("accept-encoding"))
    );
    let tag = compressed.header("etag").unwrap().to_owned();
    let same =
        send(internal, "HEAD", "/docs/swagger-ui.css", &[("accept-encoding", "gzip"), ("if-none-match", &tag)], "");
    assert_eq!(same.status, 304);
    assert_eq!(
        get(internal, "/docs/openapi.json").json()["info"],
        get(internal, "/openapi.json").json()["info"],
        "written once"
    );
    assert_eq!(get(internal, "/docs/other.js").status, 404);
    assert_eq!(get(public, "/docs").status, 404);
}

#[test]
fn a_contact_that_no_one_can_reach_is_refused_at_its_line() {
    let yaml = TWO.replace("email: api@example.com", "email: nobody, url: /support");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), format!("version: 1\n{yaml}")).unwrap();
    std::fs::write(folder.path().join("htpasswd"), HTPASSWD).unwrap();
    let output = command(folder.path()).args(["check", "gateway.yaml"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("not an e-mail address") && text.contains("not an absolute URL"), "{text}");
}
