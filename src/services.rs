//! What plugins share: an HTTP client, and threads for expensive work.

mod compute;
mod resolver;

use bytes::Bytes;
use compute::Compute;
use gatewright_sdk::{ClientKey, Computing, FetchError, Fetching, RemoteOnly, Services};
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use resolver::Resolver;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use std::error::Error;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);

/// The `User-Agent` of this client (RFC 9110 section 10.1.5).
const AGENT: HeaderValue = HeaderValue::from_static(concat!("gatewright/", env!("CARGO_PKG_VERSION")));

/// [`Services`] over the network. Created on first use.
#[derive(Default)]
pub struct HttpServices {
    client: OnceLock<Result<HttpClient, FetchError>>,
    /// For requests with [`RemoteOnly`]. It has its own connections, so that none to a refused address is reused.
    remote: OnceLock<Result<HttpClient, FetchError>>,
    compute: Compute,
}

type HttpClient = Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>;

impl Services for HttpServices {
    fn compute(&self, client: ClientKey, work: Box<dyn FnOnce() -> bool + Send>) -> Computing {
        self.compute.run(client, work)
    }

    fn fetch(&self, request: Request<Bytes>, most: usize) -> Fetching {
        let remote = request.extensions().get::<RemoteOnly>().is_some();
        let client = if remote { &self.remote } else { &self.client };
        let client = client.get_or_init(|| client_of(Resolver::new(remote))).clone();
        Box::pin(async move {
            let host = request.uri().host().unwrap_or_default().trim_matches(['[', ']']);
            // The resolver is asked only for names.
            if remote && host.parse().is_ok_and(RemoteOnly::refuses) {
                return Err(FetchError(resolver::Refused.to_string()));
            }
            let mut request = request.map(Full::new);
            request.headers_mut().entry(USER_AGENT).or_insert(AGENT);
            let (client, again) = (client?, request.method().is_safe().then(|| request.clone()));
            let response = match (client.request(request).await, again) {
                // A server closes connections after a while, and that may cross a request on the wire.
                (Err(error), Some(again)) if !error.is_connect() => client.request(again).await,
                (outcome, _) => outcome,
            };
            let response = response.map_err(|error| failure(&error))?;
            let (head, body) = response.into_parts();
            match Limited::new(body, most).collect().await {
                Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
                Err(error) if error.is::<LengthLimitError>() => {
                    Err(FetchError(format!("the response has more than {most} bytes")))
                }
                Err(error) => Err(failure(&*error)),
            }
        })
    }
}

/// A client for HTTP/1.1 that trusts the authorities browsers trust, and does not follow redirects.
fn client_of(resolver: Resolver) -> Result<HttpClient, FetchError> {
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError(error.to_string()))?
        .with_webpki_roots()
        .with_no_client_auth();
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.enforce_http(false);
    connector.set_nodelay(true);
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
    let client =
        Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(connector);
    Ok(client)
}

/// An error with its causes, because the outermost often says nothing.
fn failure(error: &(dyn Error + 'static)) -> FetchError {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(message, ": {error}");
        cause = error.source();
    }
    FetchError(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    async fn head(stream: &mut TcpStream) {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(stream.read_u8().await.unwrap());
        }
    }

    /// Sends `response` to the first request of each connection and closes at the second, like a server that closes
    /// while a request is on its way.
    async fn server(response: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    head(&mut stream).await;
                    stream.write_all(response).await.unwrap();
                    head(&mut stream).await;
                });
            }
        });
        format!("http://{address}/")
    }

    async fn fetch(services: &HttpServices, method: Method, url: &str) -> Result<u16, FetchError> {
        let request = Request::builder().method(method).uri(url).body(Bytes::new()).unwrap();
        services.fetch(request, 8).await.map(|response| response.status().as_u16())
    }

    #[tokio::test]
    async fn only_safe_requests_are_retried_when_an_idle_connection_breaks() {
        let url = server(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        let services = HttpServices::default();
        for _ in 0..4 {
            assert_eq!(fetch(&services, Method::GET, &url).await, Ok(204));
        }
        let services = HttpServices::default();
        assert_eq!(fetch(&services, Method::POST, &url).await, Ok(204));
        assert!(fetch(&services, Method::POST, &url).await.is_err(), "it may have been done");
    }

    #[tokio::test]
    async fn redirects_are_returned_and_long_bodies_are_not_read() {
        let services = HttpServices::default();
        let url = server(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(fetch(&services, Method::GET, &url).await, Ok(302));
        let url = server(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nnine bytes").await;
        let error = fetch(&services, Method::GET, &url).await.unwrap_err();
        assert_eq!(error.to_string(), "the response has more than 8 bytes");
    }

    #[tokio::test]
    async fn remote_requests_never_reach_this_machine() {
        let services = HttpServices::default();
        let url = server(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        let port = url.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
        assert_eq!(fetch(&services, Method::GET, &url).await, Ok(204));
        for host in ["127.0.0.1", "localhost", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0"] {
            let mut request = Request::get(format!("http://{host}:{port}/")).body(Bytes::new()).unwrap();
            request.extensions_mut().insert(RemoteOnly);
            let error = services.fetch(request, 8).await.map(|_| ()).unwrap_err();
            assert!(
                error.0.ends_with(
                    "link-local addresses and metadata services are refused; `allow_local: true` permits them"
                ),
                "{host}: {error}"
            );
        }
    }
}
