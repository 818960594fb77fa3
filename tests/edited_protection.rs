//! What an edit takes away is said: plugins that decided about requests, and what limits have counted.

use crate::harness::Gateway;
use serde_json::Value;

const HEAD: &str = r#"listeners: { web: { address: "127.0.0.1:0" CHAIN } }
plugins:
  login: { jwt: { issuer: a, audiences: [b], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
  office: { ip_filter: { allow: [127.0.0.0/8] } }
  admin: { authorize: { role: admin } }
chains: { api: [login], none: [] }
upstreams: { app: { targets: [{ url: "http://127.0.0.1:1" }] }, other: { targets: [{ url: "http://127.0.0.1:2" }] } }
routes:
"#;

fn yaml(routes: &str) -> String {
    format!("{}{routes}\n", HEAD.replace(" CHAIN", ""))
}

/// The warnings of this edit about lost protection: path and message.
fn lost(before: &str, after: &str) -> Vec<(String, String)> {
    let gateway = Gateway::start(before);
    let answer = gateway.reload(after);
    assert_eq!(answer.status, 200, "{answer:?}");
    let status = gateway.admin("GET", "/status").json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = status["warnings"].as_array().unwrap().iter().filter(|warning| warning["code"] == "GW0805");
    found.map(|warning| (text(&warning["path"]), text(&warning["message"]))).collect()
}

#[test]
fn an_edit_that_leaves_a_route_without_protection_is_a_warning_until_the_next() {
    let (guarded, open) = (
        yaml("  app: { path_prefix: /app, chain: api, upstream: app }"),
        yaml("  app: { path_prefix: /app, upstream: app }"),
    );
    let mut gateway = Gateway::start(&guarded);
    let reloaded = gateway.reload(&open).json();
    let said = "since this edit, `login` no longer decides about requests of route `app`, and nothing else decides who may send them";
    let warning = reloaded["warnings"].as_array().unwrap().iter().find(|warning| warning["code"] == "GW0805").unwrap();
    assert_eq!(warning["message"], said, "{reloaded}");
    assert_eq!(&warning["path"], "routes.app");
    let line = gateway.wait_for_log(|line| line["code"] == "GW0805");
    assert_eq!((&line["level"], &line["detail"]), (&"WARN".into(), &said.into()), "{line}");
    assert_eq!(gateway.reload(&open.replace("path_prefix: /app", "path_prefix: /apps")).status, 200);
    let status = gateway.admin("GET", "/status").json();
    assert!(!status["warnings"].to_string().contains("GW0805"), "{status}");
}

#[test]
fn every_way_to_lose_protection_is_found_and_nothing_else() {
    let guarded = "  app: { path_prefix: /app, plugins: [login, office], upstream: app }";
    let nothing = |plugins: &str, which: &str| {
        vec![format!(
            "since this edit, {plugins} about requests of {which}, and nothing else decides who may send them"
        )]
    };
    let both = "`login` and `office` no longer decide";
    for (before, after, expected) in [
        (guarded, "  app: { path_prefix: /app, upstream: app }", nothing(both, "route `app`")),
        (
            guarded,
            "  app: { path_prefix: /app, plugins: [office], upstream: app }",
            vec![
                "since this edit, `login` no longer decides about requests of route `app`, and nothing proves who sends them: there is only \
                 `office`"
                    .to_owned(),
            ],
        ),
        (
            guarded,
            "  app: { path_prefix: /app, plugins: [{ use: login, mode: observe }, { use: office, when: \"request.method == 'GET'\" }], upstream: app }",
            nothing(both, "route `app`"),
        ),
        // Renamed, and then without plugins; or gone, while another route takes its requests.
        (guarded, "  apps: { path_prefix: /app, upstream: app }", nothing(both, "route `app`, which `apps` takes now")),
        (guarded, "  all: { path_prefix: /, upstream: app }", nothing(both, "route `app`, which `all` takes now")),
        (
            "  a: { path: /a, chain: api, upstream: app }\n  b: { path: /b, chain: api, upstream: app }",
            "  a: { path: /a, chain: none, upstream: app }\n  b: { path: /b, chain: none, upstream: app }",
            nothing("`login` no longer decides", "the routes `a` and `b`"),
        ),
        // Something still decides; or nothing did; or the requests come elsewhere.
        (guarded, "  app: { path_prefix: /app, plugins: [login], upstream: app }", vec![]),
        ("  app: { path: /a, plugins: [login, admin], upstream: app }", "  app: { path: /a, plugins: [login], upstream: app }", vec![]),
        ("  app: { path: /a, upstream: app }", "  app: { path: /b, upstream: app }", vec![]),
        (guarded, "  all: { path_prefix: /, upstream: other }", vec![]),
        (guarded, "  other: { path: /other, upstream: app }", vec![]),
        (guarded, "  app: { path_prefix: /app, plugins: [login, office], upstream: app }\n  new: { path: /new, upstream: other }", vec![]),
    ] {
        let messages: Vec<_> = lost(&yaml(before), &yaml(after)).into_iter().map(|(_, message)| message).collect();
        assert_eq!(messages, expected, "{before}\n{after}");
    }
}

/// With a resource, and a `jwt` that rejects or lets pass who sends no token.
fn with_notes(on_missing: &str, routes: &str) -> String {
    let more = "stores: { main: { url: \"sqlite::memory:\" } }\nresources:\n  notes: { store: main, access: { default: authenticated, list: public }, fields: { text: { type: string } } }\n";
    let login = format!("secret: \"${{env.JWT_SECRET}}\", on_missing: {on_missing}");
    let head = HEAD.replace(" CHAIN", "").replace("secret: \"${env.JWT_SECRET}\"", &login);
    let any = "  either: { any_of: [login, basic] }\n  basic: { basic: { htpasswd_file: users, on_missing: continue } }\nchains:";
    format!("{more}{}{routes}\n", head.replace("chains:", any))
}

#[test]
fn a_plugin_that_lets_everyone_pass_without_credentials_protects_only_what_has_rules() {
    let proxied = |plugins: &str| format!("  app: {{ path_prefix: /app, plugins: [{plugins}], upstream: app }}");
    let (alone, with_role) = (proxied("login"), proxied("login, admin"));
    let notes = "  app: { path: /notes, plugins: [login], resource: notes }";
    let lost = |routes: &str| {
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users");
        std::fs::write(&users, "ada:$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e\n").unwrap();
        let at = |yaml: String| {
            yaml.replace("htpasswd_file: users", &format!("htpasswd_file: {:?}", users.display().to_string()))
        };
        let found = lost(&at(with_notes("reject", routes)), &at(with_notes("continue", routes)));
        found.into_iter().map(|(_, message)| message).collect::<Vec<_>>()
    };
    let nothing = |plugin: &str| {
        vec![format!(
            "since this edit, `{plugin}` no longer decides about requests of route `app`, and nothing else decides who may send them"
        )]
    };
    assert_eq!(lost(&alone), nothing("login"));
    assert_eq!(lost(&proxied("either")), nothing("either"));
    let office = "since this edit, `login` no longer decides about requests of route `app`, and nothing proves who sends them: there is only `office`";
    assert_eq!(lost(&proxied("login, office")), [office]);
    // The role needs an identity, and the rules of the resource decide about callers without one.
    for routes in [&*with_role, notes] {
        assert_eq!(lost(routes), [] as [String; 0], "{routes}");
    }
}

#[test]
fn a_new_route_that_takes_some_requests_of_a_protected_one_is_found() {
    let guarded = "  app: { path: /app, plugins: [login], upstream: app }\n";
    let all = "  app: { path_prefix: /app, plugins: [login], upstream: app }\n";
    let taken = "since this edit, `login` no longer decides about requests of route `app`, some of which `open` takes now, and nothing \
                 else decides who may send them";
    for (before, new, expected) in [
        (guarded, "  open: { path: /app, methods: [POST], upstream: app }", vec![taken]),
        (guarded, "  open: { path: /app, methods: [GET], upstream: app }", vec![taken]),
        (all, "  open: { path: \"/app/{id}\", upstream: app }", vec![taken]),
        // Protected as well, elsewhere, a page of its own, or only preflights.
        (guarded, "  open: { path: /app, methods: [POST], plugins: [login], upstream: app }", vec![]),
        (guarded, "  open: { path: /app, methods: [POST], upstream: other }", vec![]),
        (guarded, "  open: { path: /app, methods: [POST], respond: { text: hi } }", vec![]),
        (guarded, "  open: { path: /app, methods: [OPTIONS], upstream: app }", vec![]),
        (all, "  open: { path: /app/public, upstream: app }", vec![]),
    ] {
        let found = lost(&yaml(before), &yaml(&format!("{before}{new}")));
        let messages: Vec<_> = found.iter().map(|(_, message)| &**message).collect();
        assert_eq!(messages, expected, "{before}{new}");
    }
    // What another route took before is no loss.
    let both = format!("{guarded}  open: {{ path: /app, methods: [POST], upstream: app }}\n");
    assert_eq!(lost(&yaml(&both), &yaml(&format!("{both}  more: {{ path: /more, upstream: app }}"))), []);
    // The rules of a resource decide on each way to it.
    let notes = "  app: { path: /notes, plugins: [login], resource: notes }\n";
    let more = format!("{notes}  open: {{ path: /notes, methods: [GET], resource: notes }}");
    let file = |routes: &str| {
        with_notes("reject", routes).replace("  either: { any_of: [login, basic] }\n  basic: { basic: { htpasswd_file: users, on_missing: continue } }\n", "")
    };
    assert_eq!(lost(&file(notes), &file(&more)), []);
}

#[test]
fn the_chain_of_a_listener_protects_too() {
    let routes = "  app: { path: /app, upstream: app }\n  admin: { path: /admin, plugins: [office], upstream: app }\n";
    let with = |chain: &str| format!("{}{routes}", HEAD.replace(" CHAIN", chain));
    let found = lost(&with(", chain: api"), &with(", chain: none"));
    let start = "since this edit, `login` no longer decides about requests of";
    assert_eq!(
        found,
        [
            ("routes.app".into(), format!("{start} route `app`, and nothing else decides who may send them")),
            (
                "routes.admin".into(),
                format!("{start} route `admin`, and nothing proves who sends them: there is only `office`")
            ),
        ]
    );
    let more = with(", chain: api").replace("web: {", "more: { address: \"127.0.0.1:0\", chain: none }, web: {");
    let found = lost(&with(", chain: api"), &more);
    assert!(
        found.iter().any(|(path, said)| path == "routes.app" && said.contains("of route `app` on `more`, and nothing")),
        "{found:?}"
    );
}

fn limited(plugin: &str, settings: &str, route: &str) -> String {
    format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
plugins: {{ {plugin}: {{ rate_limit: {{ quota: 3, window: 1h, {settings} }} }} }}
routes: {{ {route}: {{ path: /, plugins: [{plugin}], respond: {{}} }} }}\n"
    )
}

#[test]
fn the_log_says_which_limits_count_anew_and_why() {
    let by_ip = "key: client.ip";
    for (after, plugin, why) in [
        (limited("calls", "key: header.x-key", "a"), "calls", "`key` changed"),
        (limited("calls", "key: client.ip, scope: plugin", "a"), "calls", "`scope` changed"),
        (
            limited("calls", "key: [client.ip, header.x], ipv6_prefix: 56", "a"),
            "calls",
            "`key` and `ipv6_prefix` changed",
        ),
        (limited("per-ip", by_ip, "a"), "per-ip", "it was `calls` before"),
        (limited("calls", by_ip, "b"), "calls", "it was on `a` before"),
    ] {
        let mut gateway = Gateway::start(&limited("calls", by_ip, "a"));
        let left =
            |gateway: &Gateway| gateway.get("/").header("ratelimit").unwrap().split(';').nth(1).unwrap().to_owned();
        assert_eq!((left(&gateway), left(&gateway)), ("r=2".into(), "r=1".into()));
        assert_eq!(gateway.reload(&limited("calls", "key: client.ip, burst: 3", "a")).status, 200);
        assert_eq!(left(&gateway), "r=0", "an edit that keeps what was used");
        assert_eq!(gateway.reload(&after).status, 200);
        assert_eq!(left(&gateway), "r=2", "{why}");
        let line = gateway.wait_for_log(|line| line["message"] == "limit counts anew");
        assert_eq!(
            (&line["plugin"], &line["why"], &line["level"]),
            (&plugin.into(), &why.into(), &"INFO".into()),
            "{line}"
        );
        assert_eq!(gateway.log().matches("limit counts anew").count(), 1, "{why}");
    }
}

#[test]
fn a_new_limit_and_one_that_is_gone_are_nothing_to_say() {
    let mut gateway = Gateway::start(&limited("calls", "key: client.ip", "a"));
    let other = limited("calls", "key: client.ip", "a")
        .replace("routes: {", "routes: { other: { path: /other, plugins: [calls], respond: {} },");
    assert_eq!(gateway.reload(&other).status, 200);
    let without = limited("calls", "key: client.ip", "a").replace("plugins: [calls], ", "");
    assert_eq!(gateway.reload(&without).status, 200);
    gateway.wait_for_log(|line| line["generation"] == 3);
    assert!(!gateway.log().contains("counts anew"));
}
