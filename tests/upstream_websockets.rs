//! WebSockets to upstreams that speak HTTP/2 (RFC 8441), through the real program.

mod peer;

use crate::collector::Collector;
use crate::harness::{Gateway, HEAD, connect, read_answer};
use crate::http2::Client;
use crate::tracing::{CLIENT, span, traced};
use axum::body::Body;
use http::{Method, Request};
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use peer::Peer;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\n\
     Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// A gateway for these targets.
fn start(protocol: &str, urls: &[String], tls: &str) -> Gateway {
    let targets: Vec<_> = urls.iter().map(|url| format!("{{ url: \"{url}\" }}")).collect();
    let yaml = format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0", protocols: [http1, http2] }} }}
upstreams: {{ there: {{ protocol: {protocol}, {tls} targets: [{}] }} }}
routes:
  hello: {{ path: /hello, respond: {{ text: hi }} }}
  chat: {{ path_prefix: /chat, upstream: there }}
"#,
        targets.join(", ")
    );
    let head = HEAD
        .replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },")
        .replace("level: info", "level: debug, access: {}");
    Gateway::start_whole(&format!("{head}{yaml}"))
}

fn plain(peer: &Peer) -> String {
    format!("http://127.0.0.1:{}", peer.port)
}

fn ask(gateway: &Gateway, path: &str, fields: &str) -> TcpStream {
    let mut client = connect(gateway.address);
    client.write_all(format!("GET {path} HTTP/1.1\r\nHost: gate.example\r\n{fields}\r\n").as_bytes()).unwrap();
    client
}

/// A client whose connection has switched, and the head of its response.
fn open(gateway: &Gateway, path: &str) -> (TcpStream, String) {
    let mut client = ask(gateway, path, WEBSOCKET);
    // One byte at a time, because what follows is not part of the head.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    (client, head)
}

fn echoes(client: &mut TcpStream, message: &[u8]) {
    let mut writer = client.try_clone().unwrap();
    let sent = message.to_vec();
    let writing = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut bytes = vec![0; message.len()];
    client.read_exact(&mut bytes).unwrap();
    writing.join().unwrap();
    assert!(bytes == message);
}

#[test]
fn a_websocket_becomes_a_stream_of_an_http2_upstream() {
    let peer = Peer::start(true, None);
    let mut gateway = start("http2", &[plain(&peer)], "");
    let (mut client, granted) = open(&gateway, "/chat?a=b");
    for field in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
        "sec-websocket-protocol: chat",
        "sec-websocket-extensions: permessage-deflate",
    ] {
        assert!(granted.contains(&format!("\r\n{field}\r\n")), "{field} in {granted}");
    }
    let asked = peer.next();
    assert!(asked.starts_with(&format!("CONNECT {}/chat?a=b websocket\n", plain(&peer))), "{asked}");
    for field in ["sec-websocket-version: 13", "sec-websocket-protocol: chat", "x-forwarded-host: gate.example"] {
        assert!(asked.contains(&format!("\n{field}\n")), "{field} in {asked}");
    }
    for name in ["connection", "upgrade", "sec-websocket-key", "te", "content-length", "transfer-encoding", "host"] {
        assert!(!asked.contains(&format!("\n{name}: ")), "{name} in {asked}");
    }
    echoes(&mut client, b"hello");
    // Longer than all windows and buffers on the way.
    echoes(&mut client, &vec![7; 24 << 20]);
    let metric = "gateway_upstream_upgraded_connections{gateway_upstream=\"there\"} 1";
    assert!(gateway.admin("GET", "/metrics").body.contains(metric));
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0, "both directions end");
    assert_eq!(peer.next(), "ended");
    let line = gateway.wait_for_log(|line| line["message"] == "upgraded connection ended");
    assert_eq!((line["sent"].as_u64(), line["reason"].as_str()), (Some(5 + (24 << 20)), Some("closed")), "{line}");
    let line = gateway.wait_for_log(|line| line["path"] == "/chat" && line["status"] == 101);
    assert_eq!(line["upstream_target"].as_str(), Some(&*format!("127.0.0.1:{}", peer.port)), "{line}");
}

#[test]
fn an_end_on_one_side_is_the_same_end_on_the_other() {
    let peer = Peer::start(true, None);
    let mut gateway = start("http2", &[plain(&peer)], "");
    let (mut client, _) = open(&gateway, "/chat/ends");
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "goodbye");
    peer.next();
    client.write_all(b"the other direction is open").unwrap();
    drop(client);
    assert_eq!(peer.next(), "ended");

    let (mut client, _) = open(&gateway, "/chat/resets");
    client.write_all(b"now").unwrap();
    assert!(matches!(client.read(&mut [0; 8]), Ok(0) | Err(_)));
    peer.next();
    gateway.wait_for_log(|line| line["message"] == "upgraded connection ended" && line["reason"] == "reset");

    let (client, _) = open(&gateway, "/chat");
    peer.next();
    // With a reset, as if the process had ended.
    socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(peer.next(), "reset Some(CANCEL)");
}

#[test]
fn what_the_target_does_not_accept_is_a_normal_response() {
    let peer = Peer::start(true, None);
    let gateway = start("http2", &[plain(&peer)], "");
    let answer = read_answer(&mut ask(&gateway, "/chat/no", WEBSOCKET)).unwrap();
    assert_eq!((answer.status, &*answer.body, answer.header("connection")), (403, "not here", Some("close")));
    for key in ["", "Sec-WebSocket-Key: short\r\n"] {
        let fields = format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{key}");
        let answer = read_answer(&mut ask(&gateway, "/chat", &fields)).unwrap();
        assert_eq!(answer.status, 400, "{key}");
        assert_eq!(answer.json()["message"], "sec-websocket-key: must be 16 bytes in Base64");
    }
    // Not defined for HTTP/2, so it is not offered.
    let answer = read_answer(&mut ask(&gateway, "/chat", "Connection: Upgrade\r\nUpgrade: foo\r\n")).unwrap();
    assert_eq!(answer.status, 403);
    peer.next();
    assert!(peer.next().starts_with("GET "));
}

#[test]
fn a_target_that_announces_nothing_gets_no_websocket() {
    let (without, with) = (Peer::start(false, None), Peer::start(true, None));
    let mut gateway = start("http2", &[plain(&without)], "");
    let answer = read_answer(&mut ask(&gateway, "/chat", WEBSOCKET)).unwrap();
    assert_eq!(answer.status, 501);
    assert_eq!(answer.json()["error"], "upgrade_not_supported");
    let line = gateway.wait_for_log(|line| line["status"] == 501);
    assert_eq!(line["reason"], "upstream_no_websocket", "{line}");
    let error = format!("127.0.0.1:{}: WebSockets over HTTP/2 are not supported by the target", without.port);
    assert_eq!(line["error"].as_str(), Some(&*error), "{line}");

    let gateway = start("http2", &[plain(&without), plain(&with)], "");
    for _ in 0..3 {
        echoes(&mut open(&gateway, "/chat").0, b"the other target accepts");
    }
}

#[test]
fn a_websocket_over_http2_stays_one() {
    let peer = Peer::start(true, None);
    let gateway = start("http2", &[plain(&peer)], "");
    let mut client = Client::new(gateway.address);
    // The client learns from the first settings of the server that it may ask for a tunnel.
    assert_eq!(client.send("GET", "/hello", &[], "").status, 200);
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = "http://a/chat".parse().unwrap();
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    let Client { runtime, sender } = &mut client;
    runtime.block_on(async {
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        for name in ["connection", "upgrade", "sec-websocket-accept"] {
            assert!(!response.headers().contains_key(name), "{name}");
        }
        let mut tunnel = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        tunnel.write_all(b"hello").await.unwrap();
        let mut bytes = [0; 5];
        tunnel.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello");
        tunnel.shutdown().await.unwrap();
        assert_eq!(tunnel.read(&mut bytes).await.unwrap(), 0);
    });
    let asked = peer.next();
    assert!(asked.starts_with("CONNECT ") && !asked.contains("sec-websocket-key"), "{asked}");
    assert_eq!(peer.next(), "ended");
}

/// A certificate for 127.0.0.1, and the settings of a server that has it.
fn certificate(alpn: &[&str]) -> (String, ServerConfig) {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    (cert, config)
}

#[test]
fn over_tls_the_target_decides_which_protocol_carries_websockets() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    let both = ["h2", "http/1.1"];
    for (alpn, tunnels, asked) in
        [(&both[..], true, "CONNECT "), (&both[..], false, "GET /chat HTTP/1.1\r\n"), (&both[1..], false, "GET /chat ")]
    {
        let (cert, config) = certificate(alpn);
        std::fs::write(&ca, cert).unwrap();
        let peer = Peer::start(tunnels, Some(config));
        let url = format!("https://127.0.0.1:{}", peer.port);
        let gateway = start("auto", &[url], &format!("tls: {{ ca_file: \"{}\" }},", ca.display()));
        for _ in 0..2 {
            let (mut client, _) = open(&gateway, "/chat");
            echoes(&mut client, b"hello");
            assert!(peer.next().starts_with(asked), "{alpn:?} {tunnels}");
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
            if tunnels {
                assert_eq!(peer.next(), "ended");
            }
        }
    }
    let (cert, config) = certificate(&["h2"]);
    std::fs::write(&ca, cert).unwrap();
    let peer = Peer::start(false, Some(config));
    let url = format!("https://127.0.0.1:{}", peer.port);
    let mut gateway = start("auto", &[url], &format!("tls: {{ ca_file: \"{}\" }},", ca.display()));
    assert_eq!(read_answer(&mut ask(&gateway, "/chat", WEBSOCKET)).unwrap().status, 502);
    let line = gateway.wait_for_log(|line| line["status"] == 502);
    assert_eq!(line["reason"], "upstream_tls", "{line}");
}

#[test]
fn the_span_has_the_version_that_carried_the_websocket() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = runtime.block_on(Collector::grpc());
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    let (cert, config) = certificate(&["h2", "http/1.1"]);
    std::fs::write(&ca, cert).unwrap();
    let peer = Peer::start(false, Some(config));
    let gateway = traced(
        &collector.endpoint,
        &format!(
            r#"
listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
upstreams: {{ there: {{ tls: {{ ca_file: "{}" }}, targets: [{{ url: "https://127.0.0.1:{}" }}] }} }}
routes: {{ chat: {{ path_prefix: /chat, upstream: there }} }}
"#,
            ca.display(),
            peer.port
        ),
    );
    for (websocket, version) in [(true, "1.1"), (false, "2")] {
        if websocket {
            echoes(&mut open(&gateway, "/chat/1.1").0, b"hello");
        } else {
            assert_eq!(gateway.get("/chat/2").status, 403);
        }
        let sent = span(&collector, |span| {
            span.kind == CLIENT && span.attributes["url.full"].ends_with(&format!("/chat/{version}"))
        });
        assert_eq!(sent.attributes["network.protocol.version"], version);
    }
}
