//! When a slot is taken, and when it is free again.

use super::*;
use gatewright_sdk::testing::{answers, bytes, faults, header, install_keeping, install_observing, request};
use gatewright_sdk::{Body, Facts, HttpService, Keep, Refusal, Reply, WouldRefuse};

fn settings() -> Value {
    json!({ "key": "client.ip", "max": 2 })
}

async fn from(service: &HttpService, ip: &str) -> Response {
    let mut request = request("GET", &[]);
    Facts::of_mut(&mut request).client.ip = ip.parse().unwrap();
    service.call(request).await
}

#[tokio::test]
async fn a_slot_is_free_when_the_body_has_ended_or_was_dropped() {
    let keep = Keep::default();
    let service = install_keeping::<ConcurrencyLimit>(settings(), &keep, answers(|_| "in"));
    let (first, second) = (from(&service, "192.0.2.1").await, from(&service, "192.0.2.1").await);
    let refused = from(&service, "192.0.2.1").await;
    assert_eq!((refused.status().as_u16(), &*header(&refused, "retry-after")), (429, "1"));
    assert_eq!(refused.extensions().get::<Refusal>().unwrap().reason, "concurrency");
    assert_eq!(from(&service, "192.0.2.2").await.status(), 200, "others are not concerned");
    assert_eq!(bytes(first).await, b"in");
    let third = from(&service, "192.0.2.1").await;
    assert_eq!(third.status(), 200, "the first has ended");
    assert_eq!(from(&service, "192.0.2.1").await.status(), 429);
    drop(second);
    assert_eq!(from(&service, "192.0.2.1").await.status(), 200, "the client of the second has left");
    drop((third, service));
    assert!(keep.is_empty());
}

#[tokio::test]
async fn a_slot_is_free_when_the_client_leaves_before_the_response() {
    let never = HttpService::from_call(|_| Reply::pending(std::future::pending::<Response>()));
    let keep = Keep::default();
    let service = install_keeping::<ConcurrencyLimit>(json!({ "key": "client.ip", "max": 1 }), &keep, never);
    let waiting = service.call(request("GET", &[]));
    assert_eq!(service.call(request("GET", &[])).await.status(), 429);
    drop(waiting);
    let waiting = service.call(request("GET", &[]));
    assert!(matches!(waiting, Reply::Pending(_)));
}

#[tokio::test]
async fn an_upgraded_connection_keeps_its_slot() {
    let (sender, held) = std::sync::mpsc::channel();
    let upgrades = answers(move |mut request: Request| {
        sender.send(std::mem::take(HeldByUpgrade::of(&mut request))).unwrap();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
        response
    });
    let keep = Keep::default();
    let service = install_keeping::<ConcurrencyLimit>(json!({ "key": "client.ip", "max": 1 }), &keep, upgrades);
    let websocket = || service.call(request("GET", &[("upgrade", "websocket"), ("connection", "upgrade")]));
    assert_eq!(websocket().await.status(), 101);
    assert_eq!(websocket().await.status(), 429);
    drop(held.recv().unwrap());
    assert_eq!(websocket().await.status(), 101);
}

#[tokio::test]
async fn a_reload_counts_what_is_in_progress_and_overrides_apply() {
    let keep = Keep::default();
    let before = install_keeping::<ConcurrencyLimit>(settings(), &keep, answers(|_| "in"));
    let held = [from(&before, "10.0.0.1").await, from(&before, "10.0.0.1").await];
    let overrides = json!({ "10.0.0.0/8": { "max": 3 } });
    let after = json!({ "key": "client.ip", "max": 2, "overrides": overrides });
    let after = install_keeping::<ConcurrencyLimit>(after, &keep, answers(|_| "in"));
    let third = from(&after, "10.0.0.1").await;
    assert_eq!((third.status().as_u16(), from(&after, "10.0.0.1").await.status().as_u16()), (200, 429));
    drop((held, third));
    assert_eq!(from(&after, "10.0.0.1").await.status(), 200);
}

#[tokio::test]
async fn a_plugin_that_only_observes_counts_requests_to_their_end() {
    let (sender, held) = std::sync::mpsc::channel();
    let next = answers(move |mut request: Request| {
        if request.headers().contains_key("upgrade") {
            sender.send(std::mem::take(HeldByUpgrade::of(&mut request))).unwrap();
            return Response::new(Body::empty());
        }
        Response::new(Body::from("in"))
    });
    let keep = Keep::default();
    let service = install_observing::<ConcurrencyLimit>(json!({ "key": "client.ip", "max": 1 }), &keep, next);
    let seen = |response: &Response| {
        let seen = response.extensions().get::<WouldRefuse>().cloned().unwrap_or_default();
        assert_eq!(response.status(), 200);
        seen.0.into_iter().map(|refusal| refusal.reason.into_owned()).collect::<Vec<_>>().join(",")
    };
    let ask = async |headers: &[(&str, &str)]| service.call(request("GET", headers)).await;
    let first = ask(&[]).await;
    assert_eq!(seen(&first), "");
    let second = ask(&[]).await;
    assert_eq!(seen(&second), "concurrency", "the first is still being sent");
    assert_eq!(bytes(second).await, b"in");
    assert_eq!(bytes(first).await, b"in");
    let third = ask(&[]).await;
    assert_eq!(seen(&third), "", "the first has ended");
    drop(third);
    assert_eq!(seen(&ask(&[("upgrade", "websocket")]).await), "");
    assert_eq!(seen(&ask(&[]).await), "concurrency", "the connection is still open");
    drop(held.recv().unwrap());
    assert_eq!(seen(&ask(&[]).await), "");
}

#[test]
fn nonsensical_settings_are_faults() {
    for (settings, start) in [
        (json!({ "key": "client.ip", "max": 0 }), "max: a maximum of zero"),
        (json!({ "key": "client.ip" }), "missing field `max`"),
        (json!({ "key": "client.ip", "max": 1, "ipv6_prefix": 129 }), "ipv6_prefix: "),
        (
            json!({ "key": "client.ip", "max": 1, "overrides": { "acme": { "max": 2 } } }),
            "overrides.acme: `acme` is not a",
        ),
        (json!({ "key": "header.x-id", "max": 1, "overrides": { "a": { "max": 0 } } }), "overrides.a.max: a maximum"),
    ] {
        let found = faults::<ConcurrencyLimit>(settings.clone(), false);
        assert!(found.len() == 1 && found[0].starts_with(start), "{settings}: {found:?}");
    }
}
