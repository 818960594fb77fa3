//! One request to a running gateway, over plain HTTP.

use crate::cli::runtime_file::reachable;
use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The maximum size of a response body.
const MOST_BYTES: usize = 32 << 20;

/// A request.
pub struct Call<'a> {
    pub method: Method,
    pub url: &'a Uri,
    /// Whether only HTTP/2 is supported there.
    pub http2: bool,
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

impl Call<'_> {
    /// Sends it, and waits for the response.
    pub fn send(self) -> anyhow::Result<Reply> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (url, patience) = (self.url, self.patience);
        let sent = runtime.block_on(async { timeout(patience, self.exchange()).await });
        sent.with_context(|| format!("{url} did not respond within {patience:?}"))?
            .with_context(|| format!("{url} did not respond"))
    }

    async fn exchange(&self) -> anyhow::Result<Reply> {
        let authority = self.url.authority().context("the URL has no host")?;
        let io = TokioIo::new(connect(authority.host(), authority.port_u16().unwrap_or(80)).await?);
        let mut request = Request::builder().method(&self.method);
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        if self.http2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            let request = request.uri(self.url.clone()).body(Empty::<Bytes>::new())?;
            return drive(sender.send_request(request), connection).await;
        }
        let (mut sender, connection) = http1::handshake(io).await?;
        let path = self.url.path_and_query().map_or("/", PathAndQuery::as_str);
        let host = HeaderValue::from_str(authority.as_str())?;
        let request = request.uri(path).header(HOST, host).header(CONNECTION, "close").body(Empty::<Bytes>::new())?;
        drive(sender.send_request(request), connection).await
    }
}

async fn connect(host: &str, port: u16) -> anyhow::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
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
        // It may have ended after the response arrived.
        ended = connection => { ended?; reply.await }
    }
}
