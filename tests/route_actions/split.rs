//! Requests are split between upstreams by weight, and a cookie keeps a client at one.

use super::{response, upstream};
use crate::harness::{Gateway, refusing};
use std::net::SocketAddr;

fn yaml(targets: &[(&str, SocketAddr)], shares: &str) -> String {
    let upstreams: String = targets
        .iter()
        .map(|(name, address)| format!("  {name}: {{ targets: [{{ url: \"http://{address}\" }}] }}\n"))
        .collect();
    format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\", trusted_proxies: [127.0.0.1/32] }} }}
upstreams:
{upstreams}routes:
  app: {{ path_prefix: /, split: [{shares}], sticky: {{ cookie: canary }} }}\n"
    )
}

#[test]
fn a_cookie_keeps_a_client_at_the_upstream_that_was_chosen_by_weight() {
    let (one, _one) = upstream(response("200 OK", "", "one"));
    let (two, _two) = upstream(response("200 OK", "", "two"));
    let targets = [("one", one), ("two", two)];
    let even = yaml(&targets, "{ upstream: one, weight: 1 }, { upstream: two, weight: 1 }");
    let gateway = Gateway::start(&even);
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..100 {
        let first = gateway.get("/");
        *seen.entry(first.body.clone()).or_default() += 1;
        let cookie = format!("canary={}", first.body);
        assert_eq!(first.header("set-cookie"), Some(&*format!("{cookie}; Path=/; HttpOnly; SameSite=Lax")));
        let again = gateway.send("GET", "/", &[("cookie", &format!("a=1; {cookie}"))], "");
        assert_eq!((&again.body, again.header("set-cookie")), (&first.body, None));
    }
    assert!(seen.len() == 2 && seen.values().all(|count| *count > 20), "{seen:?}");

    let other = gateway.send("GET", "/", &[("cookie", "canary=three"), ("x-forwarded-proto", "https")], "");
    assert!(other.header("set-cookie").unwrap().ends_with("; Secure"), "an unknown upstream: assigned again");

    // The clients of an upstream with weight 0 stay; new ones do not come.
    gateway.reload(&yaml(&targets, "{ upstream: one, weight: 0 }, { upstream: two, weight: 1 }"));
    assert_eq!(gateway.send("GET", "/", &[("cookie", "canary=one")], "").body, "one");
    assert!((0..10).all(|_| gateway.get("/").body == "two"));
    gateway.reload(&yaml(&targets, "{ upstream: two, weight: 1 }"));
    let moved = gateway.send("GET", "/", &[("cookie", "canary=one")], "");
    assert_eq!(&*moved.body, "two");
    assert!(moved.header("set-cookie").unwrap().starts_with("canary=two;"));
}

#[test]
fn an_upstream_that_fails_does_not_hand_its_share_to_the_other() {
    let (_socket, closed) = refusing();
    let (two, _two) = upstream(response("200 OK", "", "two"));
    let gateway = Gateway::start(&yaml(
        &[("one", closed), ("two", two)],
        "{ upstream: one, weight: 9 }, { upstream: two, weight: 1 }",
    ));
    let failed = (0..50).map(|_| gateway.get("/")).find(|answer| answer.status == 502).unwrap();
    assert_eq!(failed.header("set-cookie"), None, "a client is not kept at an upstream that does not work");
    assert_eq!(gateway.send("GET", "/", &[("cookie", "canary=one")], "").status, 502);
    assert_eq!(gateway.send("GET", "/", &[("cookie", "canary=two")], "").status, 200);
}
