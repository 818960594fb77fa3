//! HTTP/2 upstreams through the real program, with all its workers.

use crate::harness::{Gateway, HEAD, send};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Runtime;

#[test]
fn the_connections_of_all_workers_count_for_max_connections() {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let service =
                service_fn(|_| async { Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from("ok")))) });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    let gateway = Gateway::start(&format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
upstreams:
  app: {{ protocol: http2, targets: [{{ url: \"http://{address}\" }}], circuit_breaker: {{ max_connections: 1 }} }}
routes: {{ app: {{ path_prefix: /, upstream: app }} }}\n"
    ));
    let to = gateway.address;
    // Each client connection goes to one of the workers.
    let clients: Vec<_> = (0..16)
        .map(|_| std::thread::spawn(move || (0..8).map(|_| send(to, "GET", "/", &[], "").status).collect::<Vec<_>>()))
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), [200; 8]);
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

/// The types of frames (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// GOAWAY that says that streams up to `last` are processed.
fn goaway(last: u32, code: u32, data: &str) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[&last.to_be_bytes()[..], &code.to_be_bytes(), data.as_bytes()].concat())
}

/// A target that sends the frames of `answer` when a stream begins, given its number. Then it closes the connection, if it `closes`.
fn target(closes: bool, answer: fn(u32) -> Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut preface = [0; "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()];
                stream.read_exact(&mut preface)?;
                stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
                loop {
                    let mut head = [0; 9];
                    stream.read_exact(&mut head)?;
                    let [_, a, b, kind, flags, stream_id @ ..] = head;
                    std::io::copy(
                        &mut (&mut stream).take(u64::from(u16::from_be_bytes([a, b]))),
                        &mut std::io::sink(),
                    )?;
                    if kind == SETTINGS && flags == 0 {
                        stream.write_all(&frame(SETTINGS, 1, 0, &[]))?;
                    } else if kind == HEADERS {
                        stream.write_all(&answer(u32::from_be_bytes(stream_id)))?;
                        if closes {
                            return Ok(());
                        }
                    }
                }
                #[allow(unreachable_code)]
                std::io::Result::Ok(())
            });
        }
    });
    address
}

#[test]
fn the_log_says_how_a_target_ended_a_stream_or_its_connection() {
    let cases: [(&str, SocketAddr, &str); 8] = [
        (
            "reset",
            target(false, |stream| frame(RST_STREAM, 0, stream, &2_u32.to_be_bytes())),
            "stream reset with INTERNAL_ERROR before the response",
        ),
        (
            "odd",
            target(false, |stream| frame(RST_STREAM, 0, stream, &42_u32.to_be_bytes())),
            "stream reset with code 0x2a before the response",
        ),
        (
            "refused",
            target(false, |stream| frame(RST_STREAM, 0, stream, &7_u32.to_be_bytes())),
            "stream reset with REFUSED_STREAM before the response",
        ),
        (
            "calm",
            target(true, |_| goaway(0, 11, "too_many_pings")),
            "connection closed with GOAWAY ENHANCE_YOUR_CALM (too_many_pings) before the response",
        ),
        (
            "crash",
            target(true, |stream| goaway(stream, 2, "")),
            "connection closed with GOAWAY INTERNAL_ERROR before the response",
        ),
        ("closed", target(true, |_| Vec::new()), "connection closed before the response"),
        (
            "wrong",
            target(false, |stream| frame(DATA, 0, stream, b"x")),
            "invalid response: violation of HTTP/2: PROTOCOL_ERROR",
        ),
        (
            "midway",
            target(false, |stream| {
                // `:status: 200`.
                let head = frame(HEADERS, 4, stream, &[0x88]);
                [head, frame(DATA, 0, stream, b"part"), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
            }),
            "stream reset with CANCEL in the middle of the response",
        ),
    ];
    let mut yaml = HEAD.replace("level: info", "level: info, access: {}");
    yaml.push_str("listeners: { web: { address: \"127.0.0.1:0\" } }\n");
    let upstreams = cases.each_ref().map(|(name, address, ..)| {
        format!("  {name}: {{ protocol: http2, targets: [{{ url: \"http://{address}\" }}] }}\n")
    });
    let routes = cases.each_ref().map(|(name, ..)| format!("  {name}: {{ path: /{name}, upstream: {name} }}\n"));
    let mut gateway =
        Gateway::start_whole(&format!("{yaml}upstreams:\n{}routes:\n{}", upstreams.concat(), routes.concat()));
    for (name, address, error) in cases {
        let path = format!("/{name}");
        // A part of the body is sent only if the reset is read later.
        assert!(gateway.get(&path).status == 502 || name == "midway", "{name}");
        let line = gateway.wait_for_log(|line| line["path"] == *path);
        assert_eq!(line["error"].as_str().map(|said| said.contains(error)), Some(true), "{name}: {line}");
        assert!(line["error"].as_str().unwrap().starts_with(&address.to_string()), "{name}: {line}");
    }
}

#[test]
fn a_target_that_speaks_only_http1_is_named_as_such_whenever_it_closes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            // It reads nothing, so the connection is reset while the gateway writes.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let head = HEAD.replace("level: info", "level: info, access: {}");
    let mut gateway = Gateway::start_whole(&format!(
        "{head}listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
upstreams: {{ app: {{ protocol: http2, targets: [{{ url: \"http://{address}\" }}] }} }}
routes: {{ app: {{ path_prefix: /, upstream: app }} }}\n"
    ));
    for number in 0..20 {
        let path = format!("/{number}");
        let answer = gateway.get(&path);
        assert_eq!(
            (answer.status, answer.json()["message"].as_str()),
            (502, Some("The upstream could not be reached"))
        );
        let line = gateway.wait_for_log(|line| line["path"] == *path);
        assert_eq!(line["error"], format!("connect {address}: the target does not support HTTP/2"));
    }
}
