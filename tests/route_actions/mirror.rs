//! Copies of requests go to another upstream, whatever becomes of them.

use super::{response, upstream};
use crate::harness::{ADMIN_TOKEN, Gateway, HEAD, PATIENCE, head_of, refusing, send};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

fn start(real: SocketAddr, copies: SocketAddr, mirror: &str) -> Gateway {
    let head = HEAD.replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },");
    Gateway::start_whole(&format!(
        "{head}listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
upstreams:
  real:   {{ targets: [{{ url: \"http://{real}\" }}] }}
  copies: {{ targets: [{{ url: \"http://{copies}\" }}] }}
routes:
  app: {{ path_prefix: /api, upstream: real, rewrite: {{ strip_prefix: /api }}, mirror: {{ upstream: copies{mirror} }} }}\n"
    ))
}

/// An upstream that reports whole requests in lower case. It sends `answer`, or nothing if that is empty.
fn recording(answer: String) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, seen) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (sender, answer) = (sender.clone(), answer.clone());
            std::thread::spawn(move || {
                let mut request = head_of(&mut stream);
                let length =
                    request.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok());
                let whole = request.find("\r\n\r\n").unwrap() + 4 + length.unwrap_or(0);
                while request.len() < whole {
                    let mut chunk = [0; 4096];
                    let read = stream.read(&mut chunk).unwrap();
                    request += &String::from_utf8_lossy(&chunk[..read]);
                }
                sender.send(request).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                if answer.is_empty() {
                    let _ = stream.read(&mut [0]);
                }
            });
        }
    });
    (address, seen)
}

/// Reads a request with a body, then responds.
fn reading() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut bytes = head_of(&mut stream);
                while !bytes.ends_with("end") {
                    let mut chunk = [0; 4096];
                    match stream.read(&mut chunk) {
                        Ok(read @ 1..) => bytes += &String::from_utf8_lossy(&chunk[..read]),
                        _ => return,
                    }
                }
                let _ = stream.write_all(response("200 OK", "connection: close\r\n", "real").as_bytes());
            });
        }
    });
    address
}

fn count(gateway: &Gateway, outcome: &str) -> u64 {
    let token = format!("Bearer {ADMIN_TOKEN}");
    let metrics = send(gateway.admin, "GET", "/metrics", &[("authorization", &token)], "").body;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("gateway_upstream_mirrored_total{") && line.contains(&format!("\"{outcome}\"")));
    line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map_or(0, |count| count as u64)
}

fn wait_for(gateway: &Gateway, outcome: &str, wanted: u64) {
    let until = Instant::now() + PATIENCE;
    while count(gateway, outcome) != wanted {
        assert!(Instant::now() < until, "{outcome}: {}", count(gateway, outcome));
        std::thread::yield_now();
    }
}

#[test]
fn a_copy_has_the_same_path_headers_and_body_and_its_response_is_discarded() {
    let (copies, seen) = recording(response("200 OK", "connection: close\r\n", "copy"));
    let gateway = start(reading(), copies, "");
    let answer = gateway.send("POST", "/api/orders?a=1", &[("x-kept", "yes")], "the end");
    assert_eq!(answer.body, "real");
    let head = seen.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("post /orders?a=1 http/1.1\r\n"), "{head}");
    for line in ["x-kept: yes", "x-mirrored: true", "content-length: 7", "x-forwarded-for: 127.0.0.1"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    assert!(head.ends_with("the end"), "{head}");
    wait_for(&gateway, "sent", 1);
}

#[test]
fn an_upstream_that_hangs_or_is_down_delays_no_request() {
    let (real, _real) = upstream(response("200 OK", "", "real"));
    let (copies, seen) = recording(String::new());
    let gateway = start(real, copies, ", concurrency: 2");
    for _ in 0..5 {
        assert_eq!(gateway.get("/api/orders").body, "real");
    }
    assert!((0..2).all(|_| seen.recv_timeout(PATIENCE).is_ok()));
    assert_eq!(count(&gateway, "overloaded"), 3);
    let (_socket, closed) = refusing();
    let gateway = start(real, closed, "");
    assert_eq!(gateway.get("/api/orders").body, "real");
    wait_for(&gateway, "failed", 1);
}

#[test]
fn long_bodies_and_upgrades_and_other_requests_are_not_copied() {
    let (copies, seen) = recording(response("200 OK", "connection: close\r\n", "copy"));
    let gateway = start(reading(), copies, ", body: 10B");
    assert_eq!(gateway.send("POST", "/api/a", &[], "longer, to the end").body, "real");
    let chunked = "POST /api/b HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
                   5\r\nlong,\r\n8\r\n the end\r\n0\r\n\r\n";
    let mut stream = crate::harness::connect(gateway.address);
    stream.write_all(chunked.as_bytes()).unwrap();
    wait_for(&gateway, "too_large", 2);
    assert_eq!(gateway.send("POST", "/api/c", &[], "the end").body, "real");
    assert!(seen.recv_timeout(PATIENCE).unwrap().starts_with("post /c "));
    let gateway = start(reading(), copies, ", percent: 0");
    assert_eq!(gateway.send("POST", "/api/d", &[], "the end").body, "real");
    assert!(seen.try_recv().is_err());
}
