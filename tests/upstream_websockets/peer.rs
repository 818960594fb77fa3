//! A target that speaks HTTP/2 and accepts WebSockets (RFC 8441), made of frames.

use bytes::Bytes;
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response, StatusCode};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

pub struct Peer {
    pub port: u16,
    /// What happened, in order.
    pub events: Receiver<String>,
    _runtime: Runtime,
}

impl Peer {
    /// `tunnels`: whether it announces them. With TLS it speaks HTTP/1.1 too, and accepts WebSockets there.
    pub fn start(tunnels: bool, tls: Option<rustls::ServerConfig>) -> Self {
        let runtime = Runtime::new().unwrap();
        let (sender, events) = channel();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, acceptor) = (sender.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let Some(acceptor) = acceptor else { return serve(stream, tunnels, sender).await };
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                        serve(stream, tunnels, sender).await;
                    } else {
                        echo_http1(stream, sender).await;
                    }
                });
            }
        });
        Self { port, events, _runtime: runtime }
    }

    pub fn next(&self) -> String {
        self.events.recv_timeout(crate::harness::PATIENCE).unwrap()
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, tunnels: bool, events: Sender<String>) {
    let mut builder = h2::server::Builder::new();
    if tunnels {
        builder.enable_connect_protocol();
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(respond_to(request, respond, events.clone()));
    }
}

async fn respond_to(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, events: Sender<String>) {
    let protocol = request.extensions().get::<Protocol>().map(|protocol| protocol.as_str().to_owned());
    let (head, mut body) = request.into_parts();
    let mut seen = format!("{} {} {}\n", head.method, head.uri, protocol.as_deref().unwrap_or("-"));
    for (name, value) in &head.headers {
        seen.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    drop(events.send(seen));
    if protocol.is_none() || head.uri.path() == "/chat/no" {
        let response = Response::builder().status(StatusCode::FORBIDDEN).body(()).unwrap();
        let mut stream = respond.send_response(response, false).unwrap();
        return stream.send_data("not here".into(), true).unwrap();
    }
    let mut response = Response::new(());
    for name in ["sec-websocket-protocol", "sec-websocket-extensions"] {
        if let Some(value) = head.headers.get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    let mut stream = respond.send_response(response, false).unwrap();
    if head.uri.path() == "/chat/ends" {
        stream.send_data("goodbye".into(), true).unwrap();
    }
    while let Some(piece) = body.data().await {
        let Ok(piece) = piece else {
            return drop(events.send(format!("reset {:?}", piece.unwrap_err().reason())));
        };
        body.flow_control().release_capacity(piece.len()).unwrap();
        if head.uri.path() == "/chat/resets" {
            return stream.send_reset(Reason::CANCEL);
        }
        if head.uri.path() != "/chat/ends" {
            // A window at a time, as the reader makes room.
            let mut rest = piece;
            while !rest.is_empty() {
                stream.reserve_capacity(rest.len());
                if stream.capacity() == 0 {
                    if std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.is_none() {
                        return drop(events.send("reset".to_owned()));
                    }
                    continue;
                }
                let piece = rest.split_to(stream.capacity().min(rest.len()));
                stream.send_data(piece, false).unwrap();
            }
        }
    }
    drop(events.send("ended".to_owned()));
    let _ = stream.send_data(Bytes::new(), true);
}

async fn echo_http1(mut stream: impl AsyncRead + AsyncWrite + Unpin, events: Sender<String>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    drop(events.send(String::from_utf8(head).unwrap()));
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(switch.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
}
