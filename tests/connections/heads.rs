//! The same limits apply to a request head on HTTP/1.1 and HTTP/2.

use super::{by_hand, gateway, http2};
use crate::harness::Gateway;

/// The statuses of the same request over both versions.
fn both(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> (u16, u16) {
    (
        gateway.send("GET", path, headers, "").status,
        http2::Client::new(gateway.address).send("GET", path, headers, "").status,
    )
}

#[test]
fn the_limits_of_a_head_are_the_same_on_http1_and_http2() {
    let (upstream, _connections) = by_hand();
    for (limits, bytes) in [
        ("header_bytes: 64KiB", 64 << 10),
        ("header_bytes: 1KiB", 1 << 10),
        ("", 32 << 10),
        ("header_bytes: 500KiB", 500 << 10),
    ] {
        let gateway = gateway(upstream, limits);
        for (length, status) in [(bytes - 256, 200), (bytes / 2, 200), (bytes, 431), (bytes + bytes / 2, 431)] {
            let value = "v".repeat(length);
            assert_eq!(both(&gateway, "/hello", &[("cookie", &value)]), (status, status), "{limits} {length}");
            assert_eq!(both(&gateway, "/hello", &[("x-a", &value)]), (status, status), "{limits} {length}");
        }
    }
    for (limits, count) in [("", 100), ("headers: 20", 20), ("headers: 300", 300)] {
        let gateway = gateway(upstream, limits);
        let names: Vec<_> = (0..count).map(|n| format!("x-{n}")).collect();
        // `Host` and, on HTTP/1.1, `connection` come on top.
        let fields: Vec<_> = names.iter().map(|name| (&**name, "")).collect();
        assert_eq!(both(&gateway, "/hello", &fields[..count - 2]), (200, 200), "{limits}");
        let more = [&fields[..], &[("x-more", "")]].concat();
        assert_eq!(both(&gateway, "/hello", &more), (431, 431), "{limits}");
    }
}

#[test]
fn the_pieces_of_a_cookie_field_are_one_field() {
    let (upstream, heads) = http2::upstream();
    let gateway = gateway(upstream, "headers: 10");
    let mut client = http2::Client::new(gateway.address);
    let cookies: Vec<_> = (0..110).map(|n| format!("c{n}={n}")).collect();
    let crumbs: Vec<_> = cookies.iter().map(|cookie| ("cookie", &**cookie)).collect();
    assert_eq!(client.send("GET", "/there", &crumbs, "").status, 200);
    let head = heads.recv().unwrap();
    assert!(head.contains(&format!("\r\ncookie: {}\r\n", cookies.join("; "))), "{head}");
    let long = "v".repeat(400);
    let many: Vec<_> = (0..110).map(|_| ("cookie", &*long)).collect();
    assert_eq!(client.send("GET", "/hello", &many, "").status, 431, "together they are too long");
}
