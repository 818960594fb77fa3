//! WebSockets over HTTP/2 (RFC 8441) through the real program, to an upstream that speaks HTTP/1.1.

use crate::harness::{Gateway, HEAD, head_of};
use crate::http2::Client;
use axum::body::Body;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An upstream that switches to an echo, and hands the head of each request to the test.
fn echo() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || {
                drop(sender.send(head_of(&mut stream)));
                let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                              Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
                stream.write_all(switch.as_bytes()).unwrap();
                let mut writer = stream.try_clone().unwrap();
                drop(std::io::copy(&mut stream, &mut writer));
                drop(sender.send("ended".to_owned()));
            });
        }
    });
    (address, heads)
}

fn start(upstream: SocketAddr) -> Gateway {
    let yaml = format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0", protocols: [http1, http2], limits: {{ idle_timeout: 500ms }} }} }}
upstreams: {{ there: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
routes:
  hello: {{ path: /hello, respond: {{ text: hi }} }}
  chat: {{ path_prefix: /chat, upstream: there }}
  plain: {{ path_prefix: /plain, upstream: there, upgrades: [] }}
"#
    );
    Gateway::start_whole(&format!("{}{yaml}", HEAD.replace("level: info", "level: info, access: {}")))
}

/// The response to a request for a tunnel.
fn ask(client: &mut Client, path: &str, protocol: &'static str) -> Response<Incoming> {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = format!("http://a{path}").parse().unwrap();
    request.extensions_mut().insert(Protocol::from_static(protocol));
    request.headers_mut().insert("sec-websocket-version", http::HeaderValue::from_static("13"));
    let Client { runtime, sender } = client;
    runtime.block_on(async {
        sender.ready().await.unwrap();
        sender.send_request(request).await.unwrap()
    })
}

#[test]
fn a_websocket_over_http2_reaches_an_http1_upstream() {
    let (upstream, heads) = echo();
    let mut gateway = start(upstream);
    let mut client = Client::new(gateway.address);
    // The client learns from the first settings of the server that it may ask for a tunnel.
    assert_eq!(client.send("GET", "/hello", &[], "").status, 200);
    let response = ask(&mut client, "/chat?a=b", "websocket");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    for name in ["connection", "upgrade", "sec-websocket-accept", "content-length"] {
        assert!(!response.headers().contains_key(name), "{name}");
    }
    let head = heads.recv().unwrap();
    assert!(head.starts_with("get /chat?a=b http/1.1\r\n"), "{head}");
    for field in ["connection: upgrade", "upgrade: websocket", "x-forwarded-host: a", "sec-websocket-version: 13"] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{field} in {head}");
    }
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
    assert_eq!(key.len(), 24);
    client.runtime.block_on(async {
        let mut tunnel = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        let long = vec![7; 300_000];
        for message in [b"hello".as_slice(), &long] {
            let (mut reading, mut writing) = tokio::io::split(&mut tunnel);
            let mut bytes = vec![0; message.len()];
            let (read, written) = tokio::join!(reading.read_exact(&mut bytes), writing.write_all(message));
            read.unwrap();
            written.unwrap();
            assert!(bytes == message);
            // Longer than the idle time of the connection, and than it may take to end.
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        tunnel.shutdown().await.unwrap();
        assert_eq!(tunnel.read(&mut [0; 8]).await.unwrap(), 0, "both directions end");
    });
    assert_eq!(heads.recv().unwrap(), "ended");
    let line = gateway.wait_for_log(|line| line["path"] == "/chat");
    assert_eq!((line["method"].as_str(), line["status"].as_u64()), (Some("GET"), Some(200)), "{line}");
}

#[test]
fn what_does_not_switch_opens_no_tunnel() {
    let gateway = start(echo().0);
    let mut client = Client::new(gateway.address);
    assert_eq!(client.send("GET", "/hello", &[], "").status, 200);
    for (path, protocol, status) in [
        ("/hello", "websocket", 501),
        ("/health/live", "websocket", 501),
        ("/nowhere", "websocket", 404),
        ("/plain", "websocket", 403),
        ("/chat", "h2c", 400),
        ("/chat", "connect-udp", 502),
        ("/chat/../b", "websocket", 400),
    ] {
        assert_eq!(ask(&mut client, path, protocol).status(), status, "{path} {protocol}");
    }
    assert_eq!(client.send("GET", "/hello", &[], "").status, 200, "the connection stays");
}

#[test]
fn a_refused_tunnel_is_not_a_failure_and_keeps_header_fields() {
    let yaml = r#"
listeners: { web: { address: "127.0.0.1:0", protocols: [http1, http2], chain: edge } }
plugins: { ids: { request_id: {} }, pages: { cors: { allow_origins: ["https://app.example.com"] } } }
chains: { edge: [ids, pages] }
routes: { hello: { path: /hello, respond: { text: hi } } }
"#;
    let mut gateway =
        Gateway::start_whole(&format!("{}{yaml}", HEAD.replace("level: info", "level: info, access: {}")));
    let mut client = Client::new(gateway.address);
    assert_eq!(client.send("GET", "/hello", &[], "").status, 200);
    let response = ask(&mut client, "/hello", "websocket");
    assert_eq!(response.status(), 501);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(response.headers().contains_key("x-request-id") && response.headers()["vary"] == "origin");
    let line = gateway.wait_for_log(|line| line["status"] == 501);
    assert_eq!((line["level"].as_str(), line["outcome"].as_str()), (Some("INFO"), Some("refused")), "{line}");
}

#[test]
fn a_drain_cuts_tunnels() {
    let mut gateway = start(echo().0);
    let mut client = Client::new(gateway.address);
    assert_eq!(client.send("GET", "/hello", &[], "").status, 200);
    let response = ask(&mut client, "/chat", "websocket");
    gateway.signal("TERM");
    gateway.wait_for_log(|line| line["message"] == "shutting down");
    client.runtime.block_on(async {
        let mut tunnel = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        tunnel.write_all(b"still open").await.unwrap();
        let mut bytes = [0; 10];
        tunnel.read_exact(&mut bytes).await.unwrap();
        assert!(matches!(tunnel.read(&mut bytes).await, Ok(0) | Err(_)));
    });
    assert_eq!(gateway.wait(), Some(0));
}
