//! What plugins need of the world and must not bring themselves.

use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// What the gateway does for its plugins: one HTTP client with one TLS library, for all of them.
pub trait Services: Send + Sync + 'static {
    /// Sends `request` to where its URI leads, over HTTP/1.1 or TLS, and reads the response whole. Redirects are not followed.
    /// A body of more than `most` bytes is a failure. How long it may take, the caller decides.
    fn fetch(&self, request: http::Request<Bytes>, most: usize) -> Fetching;
}

/// A response on its way.
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
