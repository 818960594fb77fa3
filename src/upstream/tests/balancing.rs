//! Which target gets a request: by the hash of a header field or a cookie, and after a target has recovered.

use super::resilience::proxy_with;
use super::server::{Act, OK, Server};
use super::*;
use serde_json::json;
use std::collections::BTreeMap;

async fn three() -> [Server; 3] {
    let start = || Server::start(vec![Act::Say(OK.into())]);
    [start().await, start().await, start().await]
}

/// How often each server gets requests with each value of the header field `name`, of `times` requests each.
async fn spread(key: &str, name: &'static str, values: &[String], times: usize) -> BTreeMap<String, Vec<usize>> {
    let servers = three().await;
    let urls: Vec<&str> = servers.iter().map(|server| &*server.url).collect();
    let balancing = json!({ "load_balancing": { "policy": "ring_hash", "key": key } });
    let (service, _keep) = proxy_with(&urls, balancing, None);
    for value in values.iter().cycle().take(values.len() * times) {
        let mut request = get("/0");
        request.headers_mut().insert(name, value.parse().unwrap());
        let response = service.call(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        text(response).await;
    }
    let count = |server: &Server, value: &str| {
        server.heads().iter().filter(|head| head.contains(&format!("{name}: {value}\r\n"))).count()
    };
    let of = |value: &String| (value.clone(), servers.iter().map(|server| count(server, value)).collect());
    values.iter().map(of).collect()
}

#[tokio::test]
async fn requests_with_the_same_header_or_cookie_go_to_the_same_target() {
    for (key, name, value) in [
        ("header.x-tenant", "x-tenant", (|n| format!("tenant-{n}")) as fn(usize) -> String),
        ("cookie.session", "cookie", |n| format!("other=1; session=s{n}; more={n}")),
    ] {
        let values: Vec<String> = (0..30).map(value).collect();
        let spread = spread(key, name, &values, 4).await;
        for (value, counts) in &spread {
            assert_eq!(counts.iter().filter(|count| **count > 0).count(), 1, "{value}: {counts:?}");
        }
        for server in 0..3 {
            let values = spread.values().filter(|counts| counts[server] > 0).count();
            assert!((2..=22).contains(&values), "server {server} gets {values} of 30 values");
        }
    }
}

#[tokio::test]
async fn requests_without_the_key_go_to_any_target() {
    let spread = spread("cookie.session", "cookie", &["other=1".to_owned()], 60).await;
    assert!(spread["other=1"].iter().all(|count| *count > 5), "{spread:?}");
}

#[tokio::test]
async fn a_target_that_has_recovered_gets_its_share_slowly() {
    let failing = "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n";
    let shares = |slow_start: Option<&'static str>| {
        async move {
            let acts = || vec![Act::Say(OK.into()), Act::Say(failing.into())];
            let (hurt, other) = (Server::start(acts()).await, Server::start(vec![Act::Say(OK.into()); 2]).await);
            let settings = json!({
                "load_balancing": { "slow_start": slow_start },
                "health_checks": { "passive": { "consecutive_failures": 1, "ejection_time": "50ms" } },
            });
            let (service, _keep) = proxy_with(&[&hurt.url, &other.url], settings, None);
            // One of them fails, so the first target is ejected.
            for _ in 0..2 {
                text(service.call(get("/1")).await).await;
            }
            tokio::time::sleep(Duration::from_millis(80)).await;
            let before = hurt.heads().len();
            for _ in 0..200 {
                text(service.call(get("/0")).await).await;
            }
            hurt.heads().len() - before
        }
    };
    assert_eq!(shares(None).await, 100, "its share at once");
    let slow = shares(Some("1m")).await;
    assert!(slow < 20, "{slow} of 200 requests, although it recovered just now");
}
