//! The proxy target: what the upstream sees, and what the client sees of a failing upstream.

use crate::harness::{Gateway, connect, read_answer, refusing};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

/// An upstream that sends `answer` to each request and reports its connection and head.
fn upstream(answer: &'static [u8]) -> (SocketAddr, Receiver<(usize, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, seen) = channel();
    std::thread::spawn(move || {
        for (connection, mut stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = stream.read(&mut chunk) {
                    bytes.extend_from_slice(&chunk[..read]);
                    while let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
                        bytes.drain(..end + 4);
                        if sender.send((connection, head)).is_err() || stream.write_all(answer).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    (address, seen)
}

fn gateway(address: SocketAddr) -> Gateway {
    Gateway::start(&yaml(address))
}

fn yaml(address: SocketAddr) -> String {
    format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\", chain: edge }} }}
plugins: {{ request-id: {{ request_id: {{}} }} }}
chains: {{ edge: [request-id] }}
upstreams:
  there: {{ targets: [{{ url: \"http://{address}\" }}], timeouts: {{ connect: 1s, response_header: 1s }} }}
routes:
  there: {{ path_prefix: /api/there, rewrite: {{ strip_prefix: /api }}, upstream: there }}\n"
    )
}

const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-from: upstream\r\nconnection: x-secret\r\nx-secret: 1\r\n\r\nok";

#[test]
fn the_upstream_sees_a_clean_request() {
    let (address, seen) = upstream(OK);
    let gateway = gateway(address);
    let headers = [("x-forwarded-for", "6.6.6.6"), ("x-hop", "1"), ("connection", "x-hop"), ("x-kept", "yes")];
    let answer = gateway.send("GET", "/api/there/a%20b?q=1", &headers, "");
    assert_eq!((answer.status, answer.body.as_str(), answer.header("x-from")), (200, "ok", Some("upstream")));
    assert!(answer.header("x-secret").is_none());
    let head = seen.recv().unwrap().1.to_lowercase();
    assert!(head.starts_with("get /there/a%20b?q=1 http/1.1"), "{head}");
    assert!(head.contains("x-kept: yes") && head.contains("x-request-id: "), "{head}");
    assert!(head.contains("x-forwarded-for: 127.0.0.1") && head.contains("x-forwarded-proto: http"), "{head}");
    assert!(!head.contains("x-hop") && !head.contains("6.6.6.6"), "{head}");
}

#[test]
fn connections_to_the_upstream_are_kept_across_reloads() {
    let (address, seen) = upstream(OK);
    let gateway = gateway(address);
    // A client's connection stays on one worker, and each worker has its own upstream connections.
    let mut client = connect(gateway.address);
    let mut get = || {
        client.write_all(b"GET /api/there HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        read_answer(&mut client).unwrap().status
    };
    assert_eq!((get(), get()), (200, 200));
    assert_eq!(gateway.reload(&yaml(address).replace("response_header: 1s", "response_header: 2s")).status, 200);
    assert_eq!((gateway.generation(), get()), (2, 200));
    let connections: Vec<_> = seen.try_iter().map(|(connection, _)| connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[test]
fn a_space_between_a_name_and_its_colon_is_removed_from_a_response() {
    let (address, _seen) = upstream(b"HTTP/1.1 200 OK\r\nX-Odd : 1\r\nX-Tab\t: 2\r\nContent-Length : 2\r\n\r\nok");
    let answer = gateway(address).get("/api/there");
    assert_eq!((answer.status, &*answer.body), (200, "ok"));
    assert_eq!((answer.header("x-odd"), answer.header("x-tab")), (Some("1"), Some("2")));
}

#[test]
fn a_failing_upstream_produces_a_problem_of_ours() {
    let (_socket, closed) = refusing();
    let refused = gateway(closed).get("/api/there");
    assert_eq!((refused.status, refused.json()["error"].as_str()), (502, Some("bad_gateway")));
    let (garbage, _seen) = upstream(b"nonsense\r\n\r\n");
    assert_eq!(gateway(garbage).get("/api/there").status, 502);
    let (silent, _seen) = upstream(b"");
    let late = gateway(silent).get("/api/there");
    assert_eq!((late.status, late.json()["error"].as_str()), (504, Some("gateway_timeout")));
}

#[test]
fn a_failing_response_body_is_cut_after_what_has_arrived() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = gateway(listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789");
        }
    });
    for _ in 0..20 {
        let answer = gateway.get("/api/there");
        assert_eq!((answer.status, answer.header("content-length"), &*answer.body), (200, Some("100"), "0123456789"));
    }
}
