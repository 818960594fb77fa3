//! Metrics about connections.

use super::{start, wait_for};
use crate::harness::connect;
use crate::http2::{ACK, PREFACE, frame};
use std::io::{Read, Write};

#[test]
fn connections_closed_because_of_their_client_are_counted() {
    let gateway = start(
        r#"
listeners: { web: { address: "127.0.0.1:0", protocols: [http1, http2], limits: { header_timeout: 3s, connections_per_client: 3 } } }
routes: { hello: { path: /hello, respond: { text: hi } } }
"#,
    );
    let sent = |bytes: &[u8]| {
        let mut stream = connect(gateway.address);
        stream.write_all(bytes).unwrap();
        stream
    };
    let ended = |mut stream: std::net::TcpStream| drop(stream.read_to_end(&mut Vec::new()));
    ended(sent(b"GET\0/ HTTP/1.1\r\n\r\n"));
    ended(sent(&[PREFACE, &frame(4, 0, 0, b""), &frame(4, ACK, 0, b"xx")].concat()));
    let none = |scraped: &super::Scraped| scraped.value("gateway_connections", &[("gateway_listener", "web")]) == 0.0;
    wait_for(&gateway, none);
    let kept: Vec<_> = (0..4).map(|_| sent(b"")).collect();
    kept.into_iter().for_each(ended);
    wait_for(&gateway, none);
    // Connections that the client ends normally do not count.
    assert_eq!(gateway.get("/hello").status, 200);
    drop(sent(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    let counted = [
        ("malformed", 1.0),
        ("http2_error", 1.0),
        ("client_limit", 1.0),
        ("header_timeout", 3.0),
        ("write_timeout", 0.0),
    ];
    let scraped = wait_for(&gateway, |scraped| {
        counted.iter().all(|(reason, count)| {
            scraped
                .value("gateway_connections_closed_total", &[("gateway_listener", "web"), ("gateway_reason", reason)])
                == *count
        })
    });
    assert_eq!(scraped.sum("gateway_connections_closed_total", &[]), 6.0);
}
