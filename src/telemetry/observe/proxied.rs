//! Which target of an upstream a response came from, and how long that took, or why there was none. Attached to the
//! response if it is logged or reported.

use gatewright_sdk::Response;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A target of an upstream.
#[derive(Debug)]
pub struct ProxyTarget {
    /// The name of the upstream.
    pub upstream: Box<str>,
    /// Its address: `HOST:PORT`.
    pub address: Box<str>,
    /// The IP address, if the host is a name that was looked up.
    pub peer: Option<Box<str>>,
}

/// `HOST:PORT`, or `HOST:PORT (IP)`.
impl fmt::Display for ProxyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peer {
            None => f.write_str(&self.address),
            Some(peer) => write!(f, "{} ({peer})", self.address),
        }
    }
}

/// The use of an upstream by one request.
#[derive(Debug, Clone)]
pub struct Proxied {
    pub target: Arc<ProxyTarget>,
    /// The time until the response head, or until the request failed.
    pub taken: Duration,
    /// How many attempts were made to reach a target, including refused connections.
    pub attempts: u32,
    /// Why there was no response.
    pub error: Option<Arc<str>>,
}

impl Proxied {
    /// Records the use in `response`.
    pub fn attach(self, response: &mut Response) {
        response.extensions_mut().insert(self);
    }

    pub(super) fn of(response: &Response) -> Option<Self> {
        response.extensions().get::<Self>().cloned()
    }
}

/// Logs that the upstream of `response` failed, for requests without an access log line.
pub fn warn_of_failure(response: &Response) {
    let Some(Proxied { target, error: Some(error), .. }) = response.extensions().get::<Proxied>() else { return };
    tracing::warn!(
        target: "gatewright::upstream",
        upstream = &*target.upstream,
        upstream_target = (!target.address.is_empty()).then_some(&*target.address),
        peer = target.peer.as_deref(),
        error = &**error,
        human = %format_args!("upstream {}: {error}", target.upstream),
        "upstream request failed"
    );
}
