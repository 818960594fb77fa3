//! The identity in header fields for upstreams.

use super::{Gateway, echo, jwt, token, values};

fn start() -> Gateway {
    Gateway::start(&format!(
        r#"listeners: {{ web: {{ address: "127.0.0.1:0", chain: edge, protocols: [http1, http2] }} }}
plugins:
  request-id: {{ request_id: {{}} }}
  {jwt}
  forward:
    headers:
      request:
        set:
          x-user: "{{auth.subject}}"
          x-how: "{{auth.method}}"
          x-plan: "{{auth.claims.plan}}"
          x-roles: "{{auth.roles}}"
          x-from: "{{client.ip}}"
          x-id: "{{request.id}}"
          x-order: "{{order}}"
chains: {{ edge: [request-id] }}
upstreams: {{ app: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
routes:
  order: {{ path: "/orders/{{order}}", plugins: [login, forward], upstream: app }}
  open: {{ path: /open, upstream: app }}
"#,
        jwt = jwt(),
        upstream = echo(),
    ))
}

#[test]
fn upstreams_learn_who_asks_and_clients_cannot_forge_it() {
    let gateway = start();
    let token = token(&gateway, &["--sub", "Zoë", "--role", "a", "--role", "b,c", "--claim", "plan=pro"]);
    let bearer = format!("Bearer {token}");
    let forged = [
        ("authorization", bearer.as_str()),
        ("x-user", "root"),
        ("X-User", "root"),
        ("x_user", "root"),
        ("x.user", "root"),
        ("x-plan", "root"),
        ("connection", "x-user, x-plan"),
    ];
    let answer = gateway.send("GET", "/orders/a%20b", &forged, "");
    assert_eq!(answer.status, 200, "{answer:?}");
    for (name, expected) in [
        ("x-user", "zo%c3%ab"),
        ("x-how", "jwt"),
        ("x-plan", "pro"),
        ("x-roles", "a,b%2cc"),
        ("x-from", "127.0.0.1"),
        ("x-order", "a%20b"),
    ] {
        assert_eq!(values(&answer, name), [expected], "{name}: {}", answer.body);
    }
    assert_eq!(values(&answer, "x-id"), [answer.header("x-request-id").unwrap()]);
    assert!(!answer.body.contains("root"), "{}", answer.body);

    // Without the claim, what the client sends for it is gone too.
    let plain = format!("Bearer {}", self::token(&gateway, &["--sub", "u1"]));
    let answer = gateway.send("GET", "/orders/1", &[("authorization", &plain), ("x-plan", "root")], "");
    assert_eq!((answer.status, values(&answer, "x-plan").len()), (200, 0), "{}", answer.body);
}

#[test]
fn a_route_to_the_same_upstream_without_the_plugin_is_no_way_around() {
    let gateway = start();
    for name in ["x-user", "X-USER", "x_user", "x.user", "x-plan"] {
        let answer = gateway.send("GET", "/open", &[(name, "root"), ("x-other", "1")], "");
        assert_eq!((answer.status, values(&answer, "x-other")), (200, vec!["1"]));
        assert!(!answer.body.contains("root"), "{name}: {}", answer.body);
    }
}
