//! One HTTP request and its response, complete and bounded: shared by gRPC and OTLP over HTTP.

use super::{ExportFailure, tls};
use crate::config::document::telemetry::OtlpCompression;
use crate::telemetry::receiver::Receiver;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use gatewright_sdk::Fault;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// The maximum length of a response, in bytes. A server that sends more is not a receiver.
pub(super) const LONGEST_ANSWER: usize = 64 * 1024;

/// How long a silent connection is considered alive.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The errors that indicate the other protocol, and the help for that case.
type Mismatch = (&'static [&'static str], &'static str);

/// How a protocol uses HTTP.
pub(super) struct HttpUse {
    pub http2: bool,
    pub content_type: &'static str,
    pub encoding: HeaderName,
    pub more: Vec<(HeaderName, HeaderValue)>,
    pub mismatch: Mismatch,
}

/// As in the OTLP exporter specification: the exporter with its language.
const AGENT: &str =
    concat!("gatewright/", env!("CARGO_PKG_VERSION"), " OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

/// An HTTP client for one receiver.
pub(super) struct Wire {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    compression: OtlpCompression,
    mismatch: Mismatch,
}

/// A response, read to its end.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Wire {
    pub(super) fn new(receiver: &Receiver, uri: Uri, form: HttpUse, folder: &Path) -> Result<Self, Fault> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls::config(receiver, folder)?).https_or_http();
        let connector = match form.http2 {
            true => builder.enable_http2().wrap_connector(connector),
            false => builder.enable_http1().wrap_connector(connector),
        };
        let client = Client::builder(TokioExecutor::new())
            .http2_only(form.http2)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE)
            .build(connector);
        let mut headers = HeaderMap::new();
        for (name, value) in &receiver.headers {
            let mut value = value.clone();
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        headers.extend(form.more);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if receiver.compression == OtlpCompression::Gzip {
            headers.insert(form.encoding, HeaderValue::from_static("gzip"));
        }
        Ok(Self { client, uri, headers, compression: receiver.compression, mismatch: form.mismatch })
    }

    pub(super) const fn is_compressed(&self) -> bool {
        matches!(self.compression, OtlpCompression::Gzip)
    }

    /// `message`, compressed if configured.
    pub(super) fn compress(&self, message: Bytes) -> Bytes {
        if !self.is_compressed() {
            return message;
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::fast());
        // Writing to a Vec cannot fail.
        let _ = encoder.write_all(&message);
        encoder.finish().unwrap_or_default().into()
    }

    fn failure(&self, error: &(dyn std::error::Error + 'static)) -> ExportFailure {
        let mut failure = ExportFailure::of_connection(error);
        let (signs, hint) = self.mismatch;
        if signs.iter().any(|sign| failure.message.contains(sign)) {
            failure.message = format!("{}; {hint}", failure.message);
        }
        failure
    }

    pub(super) async fn post(&self, body: Bytes) -> Result<Answer, ExportFailure> {
        let mut request = Request::post(self.uri.clone()).body(Full::new(body)).unwrap_or_default();
        request.headers_mut().extend(self.headers.clone());
        let response = self.client.request(request).await.map_err(|error| self.failure(&error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                ExportFailure::lasting(format!("the response is longer than {LONGEST_ANSWER} bytes"))
            } else {
                self.failure(&*error)
            }
        })?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes(), trailers })
    }
}
