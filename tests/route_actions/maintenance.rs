//! One switch turns everything off, except for what the file names.

use crate::harness::Gateway;

fn yaml(maintenance: &str) -> String {
    format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
maintenance: {{ {maintenance} }}
routes:
  status: {{ path_prefix: /status, respond: {{ text: status }} }}
  other:  {{ path: /, respond: {{ text: other }} }}\n"
    )
}

#[test]
fn scripts_of_other_origins_can_read_the_response() {
    let gateway = Gateway::start(
        r#"listeners: { web: { address: "127.0.0.1:0", chain: edge } }
plugins:
  stamp: { request_id: {} }
  pages: { cors: { allow_origins: ["https://app.example"] } }
  safe:  { headers: { response: { set: { x-safe: "1" } } } }
  few:   { rate_limit: { key: client.ip, quota: 1, window: 1h } }
  login: { jwt: { issuer: iss, audiences: [api], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
chains: { edge: [stamp, safe, pages, few, login] }
maintenance: { enabled: true }
routes: { a: { path: /a, respond: { text: a } } }
"#,
    );
    for _ in 0..3 {
        let refused = gateway.send("GET", "/a", &[("origin", "https://app.example")], "");
        let allowed = refused.header("access-control-allow-origin");
        assert_eq!((refused.status, allowed), (503, Some("https://app.example")), "limits and logins do not apply");
        assert_eq!((refused.header("x-safe"), refused.header("x-request-id").is_some()), (Some("1"), true));
    }
    let stranger = gateway.send("GET", "/a", &[("origin", "https://other.example")], "");
    assert_eq!((stranger.status, stranger.header("access-control-allow-origin")), (503, None));
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "PUT")];
    assert_eq!(gateway.send("OPTIONS", "/a", &preflight, "").status, 200, "the request itself gets the 503");
}

#[test]
fn a_reload_starts_and_ends_maintenance() {
    let gateway = Gateway::start(&yaml("enabled: false"));
    assert_eq!(gateway.get("/").status, 200);
    gateway.reload(&yaml("enabled: true, retry_after: 2m, except: [/status]"));
    for path in ["/", "/nowhere", "/statusx"] {
        let refused = gateway.send("GET", path, &[("accept", "application/problem+json")], "");
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("120")), "{path}");
        assert_eq!(refused.json()["reason"], "maintenance");
        assert!(refused.header("x-request-id").is_some());
    }
    for path in ["/status", "/status/deep", "/%73tatus", "/health", "/health/ready"] {
        assert_eq!(gateway.get(path).status, 200, "{path}");
    }
    assert_eq!(gateway.generation(), 2, "the admin API responds");
    gateway.reload(&yaml("enabled: false"));
    assert_eq!(gateway.get("/").body, "other");
}
