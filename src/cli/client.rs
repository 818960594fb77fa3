//! One request to a running gateway, over http or https.

use crate::cli::address::{Address, reachable};
use crate::net::as_tcp;
use crate::tls::trust::Trust;
use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The maximum size of a response body.
const MOST_BYTES: usize = 32 << 20;

/// A request.
pub struct Call<'a> {
    pub method: Method,
    pub address: &'a Address,
    /// Whether only HTTP/2 is supported there.
    pub http2: bool,
    /// Who is trusted over https.
    pub trust: &'a Trust,
    /// The value of `authorization`.
    pub authorization: Option<HeaderValue>,
    /// How long the whole call may take.
    pub patience: Duration,
}

/// Its response.
pub struct Reply {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Reply {
    /// The body as text, for people.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }
}

/// What `--ca-file` trusts.
///
/// # Errors
/// The file cannot be read.
pub fn trust(ca_file: Option<&Path>) -> anyhow::Result<Option<Trust>> {
    let Some(file) = ca_file.filter(|file| !file.as_os_str().is_empty()) else { return Ok(None) };
    let pem = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Some(Trust::Pem(pem)))
}

impl Call<'_> {
    /// Sends it, and waits for the response.
    pub fn send(self) -> anyhow::Result<Reply> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (address, patience) = (self.address, self.patience);
        let sent = runtime.block_on(async { timeout(patience, self.exchange()).await });
        sent.with_context(|| format!("{address} did not respond within {patience:?}"))?
            .with_context(|| format!("{address} did not respond"))
    }

    async fn exchange(&self) -> anyhow::Result<Reply> {
        let url = &self.address.url;
        let authority = url.authority().context("the URL has no host")?;
        let stream = match &self.address.socket {
            Some(socket) => TcpStream::from_std(as_tcp(UnixStream::connect(socket).await?.into_std()?))?,
            None => connect(authority.host(), self.address.port()).await?,
        };
        if url.scheme_str() != Some("https") {
            return self.exchange_on(TokioIo::new(stream)).await;
        }
        let mut config = self.trust.config()?;
        config.alpn_protocols = vec![if self.http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let name = ServerName::try_from(bare(authority.host()).to_owned())?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        self.exchange_on(TokioIo::new(stream)).await
    }

    async fn exchange_on<I: Read + Write + Unpin + Send + 'static>(&self, io: I) -> anyhow::Result<Reply> {
        let url = &self.address.url;
        let authority = url.authority().context("the URL has no host")?;
        let mut request = Request::builder().method(&self.method);
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        if self.http2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            let request = request.uri(url.clone()).body(Empty::<Bytes>::new())?;
            return drive(sender.send_request(request), connection).await;
        }
        let (mut sender, connection) = http1::handshake(io).await?;
        let path = url.path_and_query().map_or("/", PathAndQuery::as_str);
        let host = HeaderValue::from_str(authority.as_str())?;
        let request = request.uri(path).header(HOST, host).header(CONNECTION, "close").body(Empty::<Bytes>::new())?;
        drive(sender.send_request(request), connection).await
    }
}

/// A host without the brackets of IPv6 addresses.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

async fn connect(host: &str, port: u16) -> anyhow::Result<TcpStream> {
    let host = bare(host);
    let mut stream = Err(anyhow!("`{host}` has no address"));
    for address in tokio::net::lookup_host((host, port)).await? {
        stream = TcpStream::connect(reachable(address)).await.map_err(anyhow::Error::from);
        if stream.is_ok() {
            break;
        }
    }
    stream
}

/// Waits for the response while the connection does its work.
async fn drive(
    response: impl Future<Output = hyper::Result<Response<Incoming>>>,
    connection: impl Future<Output = hyper::Result<()>>,
) -> anyhow::Result<Reply> {
    let reply = async {
        let response = response.await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
        Ok(Reply { status, body: body.map_err(|error| anyhow!("cannot read the body: {error}"))?.to_bytes() })
    };
    tokio::pin!(reply);
    tokio::select! {
        biased;
        reply = &mut reply => reply,
        // It may have ended after the response arrived, also with an error: a server that has closed a Unix socket cannot
        // be told that TLS ends.
        ended = connection => match (reply.await, ended) {
            (Err(_), Err(error)) => Err(error.into()),
            (reply, _) => reply,
        }
    }
}
