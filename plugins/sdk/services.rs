//! The services that plugins share instead of bringing their own.

use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// The services that the gateway provides to plugins: one HTTP client with one TLS library for all of them.
pub trait Services: Send + Sync + 'static {
    /// Sends `request` to its URI, over HTTP/1.1 with or without TLS, and reads the whole response. Does not follow
    /// redirects. A body of more than `most` bytes is an error. The caller sets the timeout.
    fn fetch(&self, request: http::Request<Bytes>, most: usize) -> Fetching;
}

/// A pending response.
pub type Fetching = Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, FetchError>> + Send>>;

/// Why there is no response, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchError(pub String);

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FetchError {}
