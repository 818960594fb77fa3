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
