//! `check` warns of guard bypasses, and of nothing else.

mod rewrites;

use crate::harness::command;

const HEAD: &str = r#"version: 1
listeners: { web: { address: "127.0.0.1:0" } }
plugins:
  login: { jwt: { issuer: iss, audiences: [api], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
  staff: { authorize: { role: staff } }
upstreams:
  app:    { targets: [{ url: "http://127.0.0.1:9001" }] }
  again:  { targets: [{ url: "http://LOCALHOST.:9001" }, { url: "http://127.0.0.1:9003" }] }
  other:  { targets: [{ url: "http://127.0.0.1:9002" }] }
stores: { main: { url: "sqlite::memory:" } }
resources:
  notes: { store: main, fields: { text: { type: string } }, access: { default: public } }
  own:   { store: main, fields: { text: { type: string } }, access: { default: authenticated, create: { role: admin } } }
"#;

/// Each bypass warning: its place, its message, and the lines it shows.
fn warnings(head: &str, routes: &str) -> Vec<(String, String, Vec<u64>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, format!("{head}routes:\n{routes}")).unwrap();
    let output = command(folder.path()).args(["check", "--format", "json", "gateway.yaml"]).output().unwrap();
    let found: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{routes}: {found:?}");
    let says = |found: &serde_json::Value, key: &str, part: &str| found[key].as_str().unwrap().contains(part);
    let about_routes =
        found.iter().filter(|found| says(found, "path", "routes.") && says(found, "message", " reach the same "));
    let first = u64::try_from(head.lines().count()).unwrap() + 1;
    let line = |at: &serde_json::Value| at["line"].as_u64().unwrap() - first;
    about_routes
        .map(|found| {
            let text = |key: &str| found[key].as_str().unwrap().to_owned();
            let related = found["related"].as_array().into_iter().flatten();
            (text("path"), text("message"), std::iter::once(found).chain(related).map(line).collect())
        })
        .collect()
}

const REST: &str = "path_prefix: /, upstream: app";

/// The warnings about the route `guarded`, which has a guard and `matching`, alongside the route `rest`: key and
/// message.
fn said_beside(rest: &str, matching: &str) -> Vec<(String, String)> {
    let routes = format!("  guarded: {{ {matching}, plugins: [login] }}\n  rest: {{ {rest} }}");
    let said = warnings(HEAD, &routes);
    assert!(said.iter().all(|(.., lines)| *lines == [1, 2]), "{matching}: both routes are shown: {said:?}");
    said.into_iter().map(|(path, message, _)| (path.replace("routes.guarded.", ""), message)).collect()
}

/// The only warning.
fn said(rest: &str, matching: &str) -> (String, String) {
    let said = said_beside(rest, matching);
    let [only] = said.as_slice() else { panic!("{matching}: {said:?}") };
    only.clone()
}

fn with_rest(key: &str, which: &str, target: &str) -> (String, String) {
    (key.to_owned(), format!("requests {which} reach the same {target} through route `rest`, bypassing `login`"))
}

#[test]
fn a_method_that_bypasses_a_guard_is_a_warning() {
    let by_method = |rest: &str, methods: &str, which: &str| {
        let said = said(rest, &format!("path_prefix: /admin, methods: [{methods}], upstream: app"));
        assert_eq!(said, with_rest("methods", which, "server"), "{methods}");
    };
    by_method(REST, "GET", "with methods other than `GET` and `HEAD`");
    by_method(REST, "GET, HEAD", "with methods other than `GET` and `HEAD`");
    let all = "GET, POST, PUT, PATCH, DELETE";
    by_method(REST, all, "with methods other than `GET`, `HEAD`, `POST`, `PUT`, `PATCH` and `DELETE`");
    by_method("path_prefix: /, methods: [OPTIONS], upstream: app", all, "with `OPTIONS`");
    by_method("path_prefix: /, methods: [GET, POST, DELETE], upstream: app", "GET", "with `POST` and `DELETE`");
}

#[test]
fn a_guarded_route_that_gets_none_of_its_requests_is_a_warning() {
    let all = "methods: [GET, POST, PUT, PATCH, DELETE, OPTIONS], upstream: app";
    let message = "all its requests reach the same server through route `rest`, bypassing `login`".to_owned();
    for path in ["path: \"/x/{id}\"", "path_prefix: /x"] {
        let (key, _) = path.split_once(':').unwrap();
        let guarded = format!("{path}, upstream: app");
        assert_eq!(said(&format!("{path}, {all}"), &guarded), (key.to_owned(), message.clone()));
        // The file states which methods need no guard.
        assert_eq!(said_beside(&format!("{path}, methods: [GET], upstream: app"), &guarded), []);
    }
}

#[test]
fn a_method_that_writes_past_a_guard_of_reads_is_a_warning() {
    let open = |methods: &str| format!("path: /admin, methods: [{methods}], upstream: app");
    let guarded = "path: /admin, upstream: app";
    assert_eq!(said(&open("POST"), guarded), with_rest("path", "with `POST`", "server"));
    for (rest, guarded) in [
        // Reading without a login, preflights, a method that the guarded route does not accept, and another server.
        (open("GET"), guarded),
        (open("OPTIONS"), guarded),
        (open("POST"), "path: /admin, methods: [GET], upstream: app"),
        (open("POST"), "path: /admin, upstream: other"),
        // Nothing but writing is guarded.
        (open("POST"), "path: /admin, methods: [PUT, DELETE], upstream: app"),
    ] {
        assert_eq!(said_beside(&rest, guarded), [], "{rest} {guarded}");
    }
}

#[test]
fn a_slash_that_bypasses_a_guard_is_a_warning() {
    for (path, which) in [
        ("/admin", "`/admin/`"),
        ("/admin/", "`/admin`"),
        ("/users/{id}", "`/users/{id}/`"),
        ("/users/{id}/", "`/users/{id}`"),
        ("/files/{*rest}", "`/files` and `/files/`"),
        ("/{kind}/{*rest}", "`/{kind}` and `/{kind}/`"),
        ("/{*rest}", "`/`"),
    ] {
        let said = said(REST, &format!("path: \"{path}\", upstream: app"));
        assert_eq!(said, with_rest("path", &format!("for {which}"), "server"), "{path}");
    }
}

#[test]
fn a_route_that_precedes_a_guarded_one_is_a_warning() {
    for (rest, key, path, which) in [
        ("/{*rest}", "path_prefix", "/admin", "/admin/*"),
        ("/{section}", "path_prefix", "/admin", "/admin"),
        ("/{section}/users", "path_prefix", "/admin", "/admin/users"),
        ("/users/{page}", "path", "/{id}/admin", "/users/admin"),
    ] {
        let said = said(&format!("path: \"{rest}\", upstream: app"), &format!("{key}: \"{path}\", upstream: app"));
        assert_eq!(said, with_rest(key, &format!("for `{which}`"), "server"), "{path} beside {rest}");
    }
}

#[test]
fn a_header_or_host_that_bypasses_a_guard_is_a_warning() {
    let by_header = said(REST, "path_prefix: /a, headers: { x-a: b }, upstream: app");
    let message = "requests without these headers reach the same server through route `rest`, bypassing `login`";
    assert_eq!(by_header, ("headers".to_owned(), message.to_owned()));
    let by_host = said(REST, "hosts: [a.example], path_prefix: /a, upstream: app");
    assert_eq!(by_host, with_rest("hosts", "for other hosts", "server"));
    for (own, host) in [("path_prefix: /a", "b.example"), ("hosts: [\"*.example\"], path_prefix: /a", "b.example")] {
        let rest = format!("hosts: [{host}], path_prefix: /, upstream: app");
        let said = said(&rest, &format!("{own}, upstream: app"));
        assert_eq!(said, with_rest("path_prefix", &format!("for the host `{host}`"), "server"), "{own}");
    }
}

#[test]
fn upstreams_that_share_a_server_lead_to_the_same() {
    let said = said("path_prefix: /, upstream: again", "path: /admin, upstream: app");
    assert_eq!(said, with_rest("path", "for `/admin/`", "server"));
    let routes =
        "  guarded: { path: /admin, plugins: [login], upstream: app }\n  rest: { path_prefix: /, upstream: again }";
    for (one, other) in [
        ("http://[2001:db8::1]:9001", "http://[2001:DB8:0:0::1]:9001"),
        ("http://127.0.0.1:9001", "http://127.1:9001"),
        ("unix:u.sock", "unix:./run/../u.sock"),
    ] {
        let addresses = HEAD.replace("http://127.0.0.1:9001", one).replace("http://LOCALHOST.:9001", other);
        assert_eq!(warnings(&addresses, routes).len(), 1, "{one} is {other}");
    }
}

#[test]
fn a_rewritten_path_that_bypasses_a_guard_is_a_warning() {
    for (rest, matching, which) in [
        ("path_prefix: /x, rewrite: { strip_prefix: /x }, upstream: again", "path_prefix: /admin", "/x/admin/{*rest}"),
        ("path_prefix: /x, rewrite: { strip_prefix: /x }, upstream: app", "path_prefix: /", "/x/{*rest}"),
        (REST, "path_prefix: /api/admin, rewrite: { strip_prefix: /api }", "/admin/{*rest}"),
    ] {
        let said = said(rest, &format!("{matching}, upstream: app"));
        assert_eq!(said, with_rest("path_prefix", &format!("for `{which}`"), "server"), "{matching}");
    }
}

#[test]
fn bypasses_of_a_guard_in_two_steps_are_warnings() {
    let strip = "rewrite: { strip_prefix: /api }, upstream: app";
    for (rest, key, path, which) in [
        // A rewrite, and a parameter in place of a literal segment of the guarded route.
        (format!("path: \"/api/{{section}}\", {strip}"), "path_prefix", "/admin", "/api/admin"),
        (format!("path: \"/api/{{x}}/users\", {strip}"), "path_prefix", "/secret", "/api/secret/users"),
        (format!("path: \"/api/{{x}}/users\", {strip}"), "path", "/secret/{page}", "/api/secret/users"),
        (format!("path_prefix: /api/acme, {strip}"), "path", "/{tenant}/users", "/api/acme/users"),
        // A parameter and a trailing slash.
        ("path_prefix: /acme, upstream: app".to_owned(), "path", "/{tenant}/admin", "/acme/admin/"),
        ("path: \"/acme/{page}/\", upstream: app".to_owned(), "path", "/{tenant}/admin", "/acme/admin/"),
        // A rewrite and a slash; a rewrite and a header field.
        (format!("path: \"/api/{{x}}/{{y}}/\", {strip}"), "path", "/admin/users", "/api/admin/users/"),
        (format!("path: \"/api/{{x}}\", headers: {{ x-a: b }}, {strip}"), "path", "/admin", "/api/admin"),
        // A segment unlike any other, and one spelled with escapes.
        ("path: \"/~\", upstream: app }\n  page: { path: \"/{page}/\", upstream: app".to_owned(), "path", "/x", "/x/"),
        ("path_prefix: /, upstream: app".to_owned(), "path", "/caf%C3%A9", "/caf%C3%A9/"),
    ] {
        let through = if rest.contains("page:") { "page" } else { "rest" };
        let routes =
            format!("  guarded: {{ {key}: \"{path}\", plugins: [login], upstream: app }}\n  rest: {{ {rest} }}");
        let said: Vec<_> = warnings(HEAD, &routes).into_iter().map(|(at, message, _)| (at, message)).collect();
        let message =
            format!("requests for `{which}` reach the same server through route `{through}`, bypassing `login`");
        assert_eq!(said, [(format!("routes.guarded.{key}"), message)], "{path} beside {rest}");
    }
}

#[test]
fn a_header_field_required_by_another_route_bypasses_a_guard() {
    let canary = "path_prefix: /admin, headers: { x-canary: \"1\" }, upstream: app";
    for guarded in ["path_prefix: /admin", "path_prefix: /admin, headers: { x-a: b }"] {
        let canary = canary.replace("{ x", if guarded.contains("x-a") { "{ x-a: b, x" } else { "{ x" });
        let said = said(&canary, &format!("{guarded}, upstream: app"));
        let message =
            "requests with the header `x-canary` reach the same server through route `rest`, bypassing `login`";
        assert_eq!(said, ("path_prefix".to_owned(), message.to_owned()), "{guarded}");
    }
    assert_eq!(said_beside(canary, "path_prefix: /admin, headers: { x-canary: \"0\" }, upstream: app"), []);
}

#[test]
fn methods_that_another_guarded_route_accepts_are_not_open() {
    let routes = "  read:  { path: /a, methods: [GET], plugins: [login], upstream: app }\n  write: { path: /a, methods: [POST], plugins: [login], upstream: app }\n  rest: { path_prefix: /a, upstream: app }";
    let said = warnings(HEAD, routes);
    let by_method = said.iter().filter(|(path, ..)| path.ends_with(".methods"));
    let messages: Vec<_> = by_method.map(|(_, message, _)| message.split(" reach").next().unwrap()).collect();
    let [read, write] = ["`GET`, `HEAD` and `POST`", "`POST`, `GET` and `HEAD`"]
        .map(|methods| format!("requests with methods other than {methods}"));
    assert_eq!(messages, [read, write]);
}

#[test]
fn a_resource_that_an_open_route_serves_too_is_a_warning() {
    let everywhere = said_beside("path: /open, resource: notes", "path: \"/t/{tenant}/notes\", resource: notes");
    let both = [with_rest("path", "for `/open`", "resource"), with_rest("path", "for `/open/{id}`", "resource")];
    assert_eq!(everywhere, both);
    let on_a_host = said_beside("hosts: [b.example], path: /notes, resource: notes", "path: /notes, resource: notes");
    assert!(on_a_host.contains(&with_rest("path", "for the host `b.example`", "resource")), "{on_a_host:?}");
    let by_method = said_beside("path: /notes, resource: notes", "path: /notes, methods: [GET], resource: notes");
    assert_eq!(by_method[0], with_rest("methods", "with `POST`", "resource"), "{by_method:?}");
}

#[test]
fn without_a_bypass_of_a_guard_there_is_no_warning() {
    let guarded = |matching: &str| format!("  guarded: {{ {matching}, plugins: [login] }}\n");
    for (matching, others) in [
        ("path_prefix: /admin, upstream: app", "rest: { path_prefix: /, upstream: app }"),
        ("path: /admin, methods: [GET], upstream: app", "rest: { path_prefix: /, upstream: other }"),
        ("path: /admin/, upstream: app", "rest: { path: /admin, upstream: other }"),
        ("path: /admin, upstream: app", "rest: { path_prefix: /, plugins: [login], upstream: app }"),
        ("path: \"/{*rest}\", upstream: app", "home: { path: /, upstream: app }"),
        // A deeper path is an explicit exception; so is a method on the same path.
        ("path_prefix: /admin, upstream: app", "rest: { path_prefix: /admin/public, upstream: app }"),
        ("path: /a, methods: [POST], upstream: app", "rest: { path: /a, methods: [GET], upstream: app }"),
        ("hosts: [a.b], path: /a, upstream: app", "rest: { hosts: [a.b], path: /a, methods: [GET], upstream: app }"),
        ("path_prefix: /api, upstream: app", "rest: { path_prefix: /api, methods: [OPTIONS], upstream: app }"),
        ("path_prefix: /admin, upstream: app", "rest: { path: \"/admin/{page}\", upstream: app }"),
        ("path: \"/admin/{page}\", upstream: app", "rest: { path: \"/{section}/users\", upstream: app }"),
        ("path_prefix: /, upstream: app", "rest: { path: \"/{page}\", upstream: app }"),
        (
            "path_prefix: /admin, upstream: app",
            "rest: { path: /api/admin/open, rewrite: { strip_prefix: /api }, upstream: app }",
        ),
        (
            "path: \"/users/{id}\", upstream: app",
            "rest: { path: \"/api/users/{id}/posts\", rewrite: { strip_prefix: /api }, upstream: app }",
        ),
        // The server sees another path, or a different host may be a different site.
        (
            "path_prefix: /v1/admin, rewrite: { strip_prefix: /v1 }, upstream: app",
            "rest: { path_prefix: /v1, upstream: app }",
        ),
        (
            "hosts: [a.example], path_prefix: /, upstream: app",
            "rest: { hosts: [b.example], path_prefix: /, upstream: app }",
        ),
        // The resource authenticates by itself, on any route.
        ("path: /own, resource: own", "rest: { path: /open, resource: own }"),
        ("path: /notes, resource: notes", "rest: { path: /own, resource: own }"),
        ("path: /notes, methods: [POST], resource: notes", "rest: { path: /open, methods: [GET], resource: notes }"),
    ] {
        assert_eq!(warnings(HEAD, &format!("{}  {others}", guarded(matching))), [], "{matching}: {others}");
    }
    let refused = "  refused: { path_prefix: /x, respond: { status: 404 } }\n  rest: { path_prefix: /, upstream: app }";
    let routes = format!("{}{refused}", guarded("path_prefix: /x, methods: [GET], upstream: app"));
    assert_eq!(warnings(HEAD, &routes), []);
}

#[test]
fn no_route_lacks_a_guard_of_every_listener() {
    let asking = HEAD.replace(":0\" }", ":0\", chain: edge }") + "chains: { edge: [login] }\n";
    let routes =
        |guard: &str| format!("  admin: {{ path: /admin, plugins: [{guard}], upstream: app }}\n  rest: {{ {REST} }}");
    assert_eq!(warnings(&asking, &routes("login")), []);
    let (path, message, _) = warnings(&asking, &routes("staff")).remove(0);
    let expected = "requests for `/admin/` reach the same server through route `rest`, bypassing `staff`";
    assert_eq!((&*path, &*message), ("routes.admin.path", expected));
}

#[test]
fn a_listener_that_bypasses_a_guard_is_a_warning() {
    let head = HEAD.replace("0\" } }\nplugins", "0\" }, inner: { address: \"127.0.0.1:0\" } }\nplugins");
    let routes = |guarded: &str, rest: &str| {
        format!(
            "  guarded: {{ path_prefix: /a, {guarded}upstream: app, plugins: [login] }}\n  rest: {{ path_prefix: /a, {rest}upstream: app }}"
        )
    };
    let said = warnings(&head, &routes("listeners: [web], ", ""));
    let [(path, message, lines)] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!((path.as_str(), lines.as_slice()), ("routes.guarded.listeners", &[1, 2][..]));
    assert_eq!(message, "requests on other listeners reach the same server through route `rest`, bypassing `login`");
    let meant = warnings(&head, &routes("listeners: [web], ", "listeners: [inner], "));
    assert!(meant.is_empty(), "an exception that the file names: {meant:?}");
}
