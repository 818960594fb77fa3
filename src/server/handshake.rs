//! The TLS handshake of a connection, which must finish within the time for a request head.

use super::closed::Closed;
use super::deadlines::{Deadlines, Ending};
use super::lingering::close_politely;
use super::stream::Io;
use crate::tls::server::ServerTls;
use gatewright_sdk::ClientCertificate;
use rustls::pki_types::CertificateDer;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// The content type of a TLS record that begins a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 0x16;

/// The response to plain HTTP on a port for HTTPS.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 86\r\n\
    connection: close\r\n\r\n{\"error\":\"validation_error\",\"message\":\"this port requires https; the request is http\"}";

/// An encrypted connection.
pub(super) struct Encrypted {
    pub(super) io: Io,
    /// The protocol that was negotiated (RFC 7301): HTTP/2, HTTP/1.1, or none.
    pub(super) http2: Option<bool>,
    /// The verified certificate of the client.
    pub(super) certificate: Option<Arc<ClientCertificate>>,
    /// It and those of its issuers, as they were presented.
    pub(super) chain: Option<Arc<[CertificateDer<'static>]>>,
}

/// Performs the handshake. An error is the reason for closing the connection, if there is one. Boxed, because it is
/// large and plain connections have none.
pub(super) fn perform<'a>(
    tls: &'a ServerTls,
    stream: TcpStream,
    deadlines: &'a Deadlines,
) -> Pin<Box<dyn Future<Output = Result<Encrypted, Option<Closed>>> + Send + 'a>> {
    Box::pin(async move {
        deadlines.begin_handshake();
        let mut handshaking = pin!(handshake(tls, stream));
        let finished = poll_fn(|cx| {
            deadlines.waker.register(cx.waker());
            if deadlines.is_cut() {
                return Poll::Ready(Err(None));
            }
            if deadlines.ending() != Ending::NotYet {
                return Poll::Ready(Err(Some(Closed::HandshakeTimeout)));
            }
            handshaking.as_mut().poll(cx)
        })
        .await?;
        deadlines.end_handshake();
        Ok(finished)
    })
}

async fn handshake(tls: &ServerTls, stream: TcpStream) -> Result<Encrypted, Option<Closed>> {
    let mut first = [0];
    // A port scan or a TCP health check ends here, and is not an error.
    if !matches!(stream.peek(&mut first).await, Ok(1)) {
        return Err(None);
    }
    if first != [HANDSHAKE] {
        let mut stream = stream;
        if first[0].is_ascii_uppercase() && stream.write_all(PLAIN_HTTP).await.is_ok() {
            close_politely(&mut stream, || false).await;
        }
        return Err(Some(Closed::TlsError));
    }
    match TlsAcceptor::from(Arc::clone(tls.config())).accept(stream).into_fallible().await {
        Ok(stream) => {
            let connection = stream.get_ref().1;
            let http2 = connection.alpn_protocol().map(|protocol| protocol == b"h2");
            let certificate = connection.peer_certificates().and_then(|chain| tls.client_certificate(chain.first()?));
            let chain = connection.peer_certificates().map(Arc::from);
            Ok(Encrypted { io: Io::Right(Box::new(stream)), http2, certificate, chain })
        }
        Err((_, mut stream)) => {
            // Closing at once might discard the alert that names the reason.
            close_politely(&mut stream, || false).await;
            Err(Some(Closed::TlsError))
        }
    }
}
