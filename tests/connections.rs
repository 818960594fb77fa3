//! Connections and HTTP framing, through the real program: who gets a response, who has to wait or leave, and how.

mod bodies;
mod heads;
mod unread;

use crate::harness::{Gateway, HEAD, PATIENCE, command_after, connect, head_of, read_answer};
use crate::http2;
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// An upstream that hands each connection to the test.
fn by_hand() -> (SocketAddr, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, connections) = channel();
    std::thread::spawn(move || {
        let give = |stream: TcpStream| {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            sender.send(stream)
        };
        listener.incoming().map_while(Result::ok).try_for_each(give)
    });
    (address, connections)
}

/// A gateway in front of that upstream, with `limits` for its clients.
fn gateway(upstream: SocketAddr, limits: &str) -> Gateway {
    Gateway::start(&format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0", protocols: [http1, http2], limits: {{ {limits} }} }} }}
stores: {{ main: {{ url: "sqlite::memory:" }} }}
upstreams: {{ there: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
resources:
  notes: {{ store: main, access: {{ default: public }}, fields: {{ title: {{ type: string, required: true }} }} }}
routes:
  hello: {{ path: /hello, respond: {{ text: hi }} }}
  notes: {{ path: /notes, resource: notes }}
  there: {{ path_prefix: /there, upstream: there }}
"#
    ))
}

const GET: &str = "GET /there HTTP/1.1\r\nHost: a\r\n\r\n";

/// Everything received until the connection ends.
fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_half_closed_client_gets_every_response() {
    let (upstream, connections) = by_hand();
    let gateway = gateway(upstream, "");
    let hello = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    let note = r#"{"title":"a"}"#;
    let create = format!(
        "POST /notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{note}",
        note.len()
    );
    let chunked = format!(
        "POST /notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{note}\r\n0\r\n\r\n",
        note.len()
    );
    for (requests, responses) in [
        ("GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), vec!["200"]),
        ("GET /hello HTTP/1.0\r\n\r\n".to_owned(), vec!["200"]),
        (hello.repeat(5), vec!["200"; 5]),
        (create.clone(), vec!["201"]),
        (format!("{create}{hello}{chunked}{hello}"), vec!["201", "200", "201", "200"]),
        ("GET /hello HTTP/1.1\r\n\r\n".to_owned(), vec!["400"]),
    ] {
        for _ in 0..20 {
            let mut client = connect(gateway.address);
            client.write_all(requests.as_bytes()).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let text = rest(&mut client);
            let found: Vec<_> = text.split("HTTP/1.").skip(1).map(|response| &response[2..5]).collect();
            assert_eq!(found, responses, "{requests}{text}");
        }
    }
    // An upstream that responds only after the client has ended its sending half; the second request waits for the
    // first.
    let mut client = connect(gateway.address);
    client.write_all(format!("{GET}{GET}").as_bytes()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut upstream = connections.recv_timeout(PATIENCE).unwrap();
    for body in ["first", "other"] {
        assert!(head_of(&mut upstream).starts_with("get /there"));
        // This request takes longer than it takes to notice the end.
        assert_eq!(gateway.get("/hello").status, 200);
        upstream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{body}").as_bytes()).unwrap();
    }
    let text = rest(&mut client);
    assert!(text.contains("first") && text.ends_with("other"), "{text}");
}

#[test]
fn a_half_sent_request_of_a_half_closed_client_is_not_waited_for() {
    let (upstream, _connections) = by_hand();
    let gateway = gateway(upstream, "header_timeout: 1h, body_idle_timeout: 1h, idle_timeout: 1h");
    for half in ["", "GET /hello HT", "GET /hello HTTP/1.1\r\nHost: a\r\n", "PRI * HT"] {
        let mut client = connect(gateway.address);
        client.write_all(half.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert!(!rest(&mut client).contains(" 200 "), "{half}");
    }
    for half in
        ["Content-Length: 50\r\n\r\n{\"title\":\"a\"}", "Transfer-Encoding: chunked\r\n\r\nd\r\n{\"title\":\"a\"}\r\n"]
    {
        let mut client = connect(gateway.address);
        let head = "POST /notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
        client.write_all(format!("{head}{half}").as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let text = rest(&mut client);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{text}");
    }
}

/// What an upstream sees of a client that sends a request and then does `leave`.
fn upstream_after(limits: &str, leave: impl FnOnce(TcpStream)) {
    let (upstream, connections) = by_hand();
    let gateway = gateway(upstream, limits);
    let mut client = connect(gateway.address);
    client.write_all(GET.as_bytes()).unwrap();
    let mut upstream = connections.recv_timeout(PATIENCE).unwrap();
    assert!(head_of(&mut upstream).starts_with("get /there"));
    leave(client);
    assert_eq!(upstream.read(&mut [0; 16]).unwrap(), 0, "the request is given up");
    assert_eq!(gateway.get("/hello").status, 200);
}

#[test]
fn a_client_that_disconnects_releases_the_upstream() {
    let reset = |stream: TcpStream| SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    upstream_after("half_close_timeout: 1h", reset);
    upstream_after("half_close_timeout: 1h", |stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        reset(stream);
    });
}

#[test]
fn a_half_closed_client_that_gets_nothing_is_considered_gone_after_the_timeout() {
    upstream_after("half_close_timeout: 300ms", drop);
    let (sender, receiver): (Sender<TcpStream>, _) = channel();
    upstream_after("half_close_timeout: 300ms", |stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        sender.send(stream).unwrap();
    });
    assert_eq!(rest(&mut receiver.recv().unwrap()), "");
}

#[test]
fn a_client_that_leaves_behind_a_further_request_releases_the_upstream() {
    let leave = |end: fn(&TcpStream)| {
        move |mut stream: TcpStream| {
            stream.write_all(GET.as_bytes()).unwrap();
            end(&stream);
        }
    };
    upstream_after("half_close_timeout: 300ms", leave(|_| {}));
    let reset = |stream: &TcpStream| SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
    upstream_after("half_close_timeout: 1h", leave(reset));
}

#[test]
fn a_response_of_unknown_length_closes_a_connection_of_http10_and_says_so() {
    let (upstream, connections) = by_hand();
    let gateway = gateway(upstream, "");
    for (answer, close) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\n\r\nok", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
        ("HTTP/1.1 204 No Content\r\n\r\n", false),
    ] {
        let mut client = connect(gateway.address);
        client.write_all(b"GET /there HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
        let mut upstream = connections.recv_timeout(PATIENCE).unwrap();
        head_of(&mut upstream);
        upstream.write_all(answer.as_bytes()).unwrap();
        drop(upstream);
        if close {
            let text = rest(&mut client).to_lowercase();
            assert!(text.contains("\r\nconnection: close\r\n") && text.ends_with("\r\n\r\nok"), "{text}");
        } else {
            let first = read_answer(&mut client).unwrap();
            assert_eq!(first.header("connection"), Some("keep-alive"), "{first:?}");
            client.write_all(b"GET /hello HTTP/1.0\r\n\r\n").unwrap();
            assert!(rest(&mut client).ends_with("hi"));
        }
    }
}

#[test]
fn a_connection_of_http10_that_closes_does_not_say_keep_alive() {
    let (upstream, _connections) = by_hand();
    let gateway = gateway(upstream, "body_bytes: 4B");
    for request in ["GET /a/../b HTTP/1.0\r\n", "TRACE / HTTP/1.0\r\n", "POST /hello HTTP/1.0\r\nContent-Length: 9\r\n"]
    {
        let mut client = connect(gateway.address);
        client.write_all(format!("{request}Connection: keep-alive\r\n\r\n").as_bytes()).unwrap();
        let text = rest(&mut client).to_lowercase();
        assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
    }
}

#[test]
fn a_transfer_coding_besides_chunked_is_rejected_and_the_connection_closed() {
    let (upstream, _connections) = by_hand();
    let gateway = gateway(upstream, "");
    let said = |path: &str, fields: &str| {
        let mut client = connect(gateway.address);
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nAccept: application/problem+json\r\n{fields}\r\n");
        client.write_all(format!("{head}\r\n2\r\nhi\r\n0\r\n\r\n{GET}").as_bytes()).unwrap();
        let rest = rest(&mut client);
        assert_eq!(rest.matches("HTTP/1.1 ").count(), 1, "{fields}: {rest}");
        assert!(rest.contains("\r\nconnection: close\r\n"), "{fields}: {rest}");
        rest
    };
    for coding in ["gzip", "deflate", "x-foo", "GZIP ;q=1", "identity"] {
        for path in ["/there", "/notes", "/hello", "/nowhere"] {
            for fields in [
                format!("Transfer-Encoding: {coding}, chunked"),
                format!("Transfer-Encoding: {coding}\r\nTransfer-Encoding: Chunked"),
            ] {
                let answer = said(path, &fields);
                assert!(answer.starts_with("HTTP/1.1 501 "), "{fields}: {answer}");
                assert!(answer.contains("\"reason\":\"transfer_coding_unsupported\""), "{answer}");
            }
        }
    }
    for fields in [
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, gzip, chunked",
    ] {
        let answer = said("/there", fields);
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("must be given once"), "{fields}: {answer}");
    }
    let mut client = connect(gateway.address);
    client.write_all(b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,Chunked\r\n\r\n0\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut client).unwrap().status, 200, "one coding, whatever its letters");
}

#[test]
fn the_soft_limit_of_descriptors_does_not_bound_the_connections() {
    let rest = r#"listeners: { web: { address: "127.0.0.1:0" } }"#;
    let yaml = HEAD.replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },") + rest;
    let gateway = Gateway::start_as(&yaml, |folder| command_after("ulimit -Sn 256 && ulimit -Hn 4096", folder));
    let metrics = gateway.admin("GET", "/metrics").body;
    assert!(metrics.contains("\nprocess_max_fds 4096\n"), "{metrics}");
}

#[test]
fn a_start_warns_of_too_few_descriptors_for_the_connections() {
    let listeners = r#"listeners: { web: { address: "127.0.0.1:0", limits: { connections: 100 } } }
routes: { a: { path: /a, respond: { text: a } } }"#;
    let few = |folder: &std::path::Path| command_after("ulimit -n 256", folder);
    let mut gateway = Gateway::start_as(&format!("{HEAD}{listeners}"), few);
    let line = gateway.wait_for_log(|line| line["level"] == "WARN");
    assert_eq!((&line["listener"], &line["connections"]), (&"web".into(), &100.into()), "{line}");
    assert_eq!((&line["ceiling"], &line["needed"]), (&96.into(), &264.into()), "{line}");
    let reloaded = gateway.reload(&format!("{listeners}\nerrors: {{ format: problem }}"));
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    gateway.wait_for_log(|line| line["generation"] == 2);
    assert_eq!(gateway.log().matches("WARN").count(), 1, "said once, not at each reload");
    let enough = listeners.replace("100", "96");
    let mut gateway = Gateway::start_as(&format!("{HEAD}{enough}"), few);
    gateway.wait_for_log(|line| line["message"] == "serving");
    assert!(!gateway.log().contains("WARN"));
}
