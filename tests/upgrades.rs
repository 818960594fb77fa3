//! WebSockets and other upgrades through the real program: reloads, shutdown, and requests that are not upgraded.

use crate::harness::{Gateway, HEAD, connect, head_of, read_answer};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";

/// An upstream that switches to an echo.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                if head_of(&mut stream).to_lowercase().contains("upgrade: websocket") {
                    let switch =
                        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
                    stream.write_all(switch.as_bytes()).unwrap();
                    let mut writer = stream.try_clone().unwrap();
                    drop(std::io::copy(&mut stream, &mut writer));
                    drop(writer.shutdown(std::net::Shutdown::Both));
                } else {
                    drop(stream.write_all(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n"));
                }
            });
        }
    });
    address
}

fn yaml(upstream: SocketAddr) -> String {
    format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
upstreams: {{ there: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
routes:
  hello: {{ path: /hello, respond: {{ text: hi }} }}
  chat: {{ path_prefix: /chat, upstream: there }}
  plain: {{ path_prefix: /plain, upstream: there, upgrades: [] }}
"#
    )
}

fn ask(gateway: &Gateway, path: &str) -> TcpStream {
    let mut client = connect(gateway.address);
    client.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{WEBSOCKET}\r\n").as_bytes()).unwrap();
    client
}

fn open(gateway: &Gateway) -> TcpStream {
    let mut client = ask(gateway, "/chat");
    assert!(head_of(&mut client).starts_with("http/1.1 101 "));
    client
}

fn echoes(client: &mut TcpStream) {
    client.write_all(b"hello").unwrap();
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
}

#[test]
fn an_upgraded_connection_survives_reloads_and_is_measured() {
    let yaml = yaml(echo());
    let head = HEAD
        .replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },")
        .replace("level: info", "level: debug");
    let mut gateway = Gateway::start_whole(&format!("{head}{yaml}"));
    let mut clients: Vec<_> = (0..3).map(|_| open(&gateway)).collect();
    let metric = "gateway_upstream_upgraded_connections{gateway_upstream=\"there\"}";
    let measured = |gateway: &Gateway| {
        let text = gateway.admin("GET", "/metrics").body;
        text.lines().find_map(|line| line.strip_prefix(metric)).unwrap_or_default().trim().to_owned()
    };
    for turn in 0..3 {
        for client in &mut clients {
            echoes(client);
        }
        assert_eq!(measured(&gateway), "3", "turn {turn}");
        std::fs::write(gateway.file(), format!("{head}{yaml}  more{turn}: {{ path: /more, respond: {{}} }}\n"))
            .unwrap();
        assert_eq!(gateway.admin("POST", "/reload").status, 200);
    }
    for client in &mut clients {
        echoes(client);
    }
    drop(clients);
    let line = gateway.wait_for_log(|line| line["message"] == "upgraded connection ended");
    assert_eq!((line["sent"].as_u64(), line["received"].as_u64()), (Some(20), Some(20)), "{line}");
    while measured(&gateway) != "0" {
        std::thread::yield_now();
    }
}

#[test]
fn an_upgraded_connection_counts_until_it_ends() {
    let yaml = yaml(echo());
    for limited in [
        yaml.replace("127.0.0.1:0\"", "127.0.0.1:0\", limits: { concurrency: 1 }"),
        yaml.replace("path_prefix: /chat,", "path_prefix: /chat, limits: { concurrency: 1 },"),
    ] {
        let gateway = Gateway::start(&limited);
        let mut client = open(&gateway);
        echoes(&mut client);
        assert_eq!(gateway.get("/chat").status, 503);
        drop(client);
        while gateway.get("/chat").status == 503 {
            std::thread::yield_now();
        }
        assert_eq!(gateway.get("/chat").status, 426);
    }
}

#[test]
fn a_drain_lets_upgraded_connections_go_on_and_then_cuts_them() {
    let head = HEAD.replace("drain: 5s", "drain: 1s");
    let mut gateway = Gateway::start_whole(&format!("{head}{}", yaml(echo())));
    let mut client = open(&gateway);
    gateway.signal("TERM");
    gateway.wait_for_log(|line| line["message"] == "shutting down");
    echoes(&mut client);
    // A reset, or the end of the stream.
    assert!(matches!(client.read(&mut [0; 8]), Ok(0) | Err(_)));
    assert_eq!(gateway.wait(), Some(0));
}

#[test]
fn a_request_that_is_not_upgraded_gets_a_normal_response_and_the_connection_closes() {
    let gateway = Gateway::start(&yaml(echo()));
    for (path, status) in [("/hello", 200), ("/nowhere", 404), ("/health/live", 200), ("/plain", 403)] {
        let mut client = ask(&gateway, path);
        let answer = read_answer(&mut client).unwrap();
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{path}");
        // What follows may be in the other protocol: it must not be parsed as a request.
        drop(client.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
        let mut rest = Vec::new();
        drop(client.read_to_end(&mut rest));
        assert!(rest.is_empty(), "{path}: {}", String::from_utf8_lossy(&rest));
    }
    // An offer that may be ignored, and a field that asks for nothing.
    let curl = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")];
    assert_eq!(gateway.send("GET", "/hello", &curl, "").status, 200);
    assert_eq!(gateway.send("GET", "/chat", &[("upgrade", "websocket")], "").status, 426);
    let websocket = [("connection", "upgrade"), ("upgrade", "websocket")];
    assert_eq!(gateway.send("POST", "/chat", &websocket, "").status, 400);
}
