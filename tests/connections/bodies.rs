//! Slow request bodies: a client that keeps sending is waited for, a silent one gets an error.

use super::{by_hand, gateway, http2, rest};
use crate::harness::{Gateway, PATIENCE, connect, head_of, read_answer};
use crate::http2::{END_HEADERS, PREFACE, frame};
use std::io::{Read, Write};
use std::net::TcpListener;

/// A gateway with short upstream timeouts, in front of an upstream that echoes and one that is silent.
fn impatient(limits: &str) -> (Gateway, TcpListener) {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = Gateway::start(&format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0", protocols: [http1, http2], chain: edge, limits: {{ {limits} }} }} }}
stores: {{ main: {{ url: "sqlite::memory:" }} }}
plugins: {{ soon: {{ timeout: {{ request: 2s }} }} }}
chains: {{ edge: [soon] }}
upstreams: {{ mute: {{ targets: [{{ url: "http://{}" }}] }} }}
resources:
  notes: {{ store: main, access: {{ default: public }}, fields: {{ title: {{ type: string, required: true }} }} }}
routes:
  notes: {{ path: /notes, resource: notes }}
  mute: {{ path: /mute, upstream: mute }}
"#,
        mute.local_addr().unwrap()
    ));
    (gateway, mute)
}

const NOTE: &str = r#"{"title":"a whole note"}"#;

fn post(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn an_ongoing_upload_is_not_ended_by_the_request_timeout() {
    let (gateway, _mute) = impatient("");
    let mut client = connect(gateway.address);
    client.write_all(post("/notes", NOTE.len()).as_bytes()).unwrap();
    // Each request that comes too late shows that the time has passed.
    for piece in [&NOTE[..5], &NOTE[5..]] {
        assert_eq!(gateway.get("/mute").status, 504);
        client.write_all(piece.as_bytes()).unwrap();
    }
    assert_eq!(read_answer(&mut client).unwrap().status, 201);
}

#[test]
fn a_stalled_body_is_the_clients_fault_whatever_reads_it() {
    let (gateway, mute) = impatient("body_idle_timeout: 3s");
    std::thread::spawn(move || {
        mute.incoming().map_while(Result::ok).for_each(|mut stream| drop(stream.read_to_end(&mut Vec::new())))
    });
    let clients = ["/notes", "/mute"].map(|path| {
        let mut client = connect(gateway.address);
        client.write_all(format!("{}{}", post(path, 100), &NOTE[..9]).as_bytes()).unwrap();
        client
    });
    for mut client in clients {
        let answer = read_answer(&mut client).unwrap();
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")), "{answer:?}");
        assert_eq!(answer.json()["error"], "request_timeout");
        assert_eq!(rest(&mut client), "");
    }
}

#[test]
fn a_stream_with_a_stalled_body_gets_a_response_and_the_others_continue() {
    let (gateway, _mute) = impatient("body_idle_timeout: 3s");
    let mut client = connect(gateway.address);
    // `:method POST`, `:scheme http`, `:path /notes`, `:authority a`, `content-type: application/json`.
    let head = b"\x83\x86\x44\x06/notes\x41\x01a\x5f\x10application/json";
    let opening = [PREFACE, &frame(4, 0, 0, b""), &frame(1, END_HEADERS, 1, head), &frame(0, 0, 1, b"{")].concat();
    client.write_all(&opening).unwrap();
    let (mut seen, mut asked) = (Vec::new(), false);
    // The response, NO_ERROR for the rest of the body (RFC 9113 section 8.1), and a later request on the same
    // connection.
    while !(seen.contains(&(3, 1)) && seen.contains(&(1, 3))) {
        let mut start = [0; 9];
        client.read_exact(&mut start).unwrap();
        let length = u32::from_be_bytes([0, start[0], start[1], start[2]]) as usize;
        let mut payload = vec![0; length];
        client.read_exact(&mut payload).unwrap();
        let (kind, stream) = (start[3], start[8]);
        assert_ne!(kind, 7, "GOAWAY {payload:?}");
        if kind == 3 {
            assert_eq!((stream, &payload[..]), (1, &[0, 0, 0, 0][..]));
        }
        seen.push((kind, stream));
        if seen.contains(&(1, 1)) && !std::mem::replace(&mut asked, true) {
            client.write_all(&frame(1, END_HEADERS | 1, 3, b"\x82\x86\x44\x0c/health/live\x41\x01a")).unwrap();
        }
    }
    let status = http2::Client::new(gateway.address).send("GET", "/notes", &[], "").status;
    assert_eq!(status, 200);
}

#[test]
fn an_upstream_gets_an_upload_as_it_comes_however_long_it_takes() {
    let (upstream, connections) = by_hand();
    let gateway = gateway(upstream, "");
    let mut client = connect(gateway.address);
    client.write_all(b"POST /there HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n").unwrap();
    let mut upstream = connections.recv_timeout(PATIENCE).unwrap();
    head_of(&mut upstream);
    for piece in [b"01234", b"56789"] {
        client.write_all(piece).unwrap();
        let mut taken = [0; 5];
        upstream.read_exact(&mut taken).unwrap();
        assert_eq!(&taken, piece);
    }
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    assert_eq!(read_answer(&mut client).unwrap().body, "ok");
}

#[test]
fn an_upstreams_error_before_the_end_of_an_upload_says_that_the_connection_closes() {
    let (upstream, connections) = by_hand();
    let gateway = gateway(upstream, "");
    let length = "Content-Length: 10";
    let chunked = "Transfer-Encoding: chunked";
    for (framing, sent, status, closes) in [
        (length, "01234", "404 Not Found", true),
        (length, "01234", "302 Found", true),
        (length, "0123456789", "404 Not Found", false),
        (chunked, "5\r\n01234\r\n", "404 Not Found", true),
        (chunked, "5\r\n01234\r\n0\r\n\r\n", "404 Not Found", false),
    ] {
        let mut client = connect(gateway.address);
        client.write_all(format!("POST /there HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n").as_bytes()).unwrap();
        let mut upstream = connections.recv_timeout(PATIENCE).unwrap();
        head_of(&mut upstream);
        client.write_all(sent.as_bytes()).unwrap();
        upstream.read_exact(&mut vec![0; sent.len()]).unwrap();
        // The test's upstream never keeps a connection, so each request has its own.
        let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
        upstream.write_all(answer.as_bytes()).unwrap();
        let answer = read_answer(&mut client).unwrap();
        assert_eq!(answer.body, "no");
        assert_eq!(answer.header("connection"), closes.then_some("close"), "{framing} {sent:?} {status}");
        if closes {
            assert_eq!(rest(&mut client), "", "and it does");
        }
    }
}
