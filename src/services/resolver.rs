//! Resolves names with the system's resolver, and leaves out addresses that a request must not reach.

use gatewright_sdk::RemoteOnly;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::IntoIter;
use tower::Service;

/// The system's resolver, with [`RemoteOnly`] if `remote`.
#[derive(Clone)]
pub struct Resolver {
    system: GaiResolver,
    remote: bool,
}

impl Resolver {
    pub fn new(remote: bool) -> Self {
        Self { system: GaiResolver::new(), remote }
    }
}

/// A name resolved only to refused addresses.
#[derive(Debug)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this machine, link-local addresses and metadata services are refused; `allow_local: true` permits them",
        )
    }
}

impl Error for Refused {}

impl Service<Name> for Resolver {
    type Response = IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.system.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolved, remote) = (self.system.call(name), self.remote);
        Box::pin(async move {
            let all = resolved.await?;
            let allowed: Vec<_> = all.filter(|address| !remote || !RemoteOnly::refuses(address.ip())).collect();
            if remote && allowed.is_empty() { Err(Refused.into()) } else { Ok(allowed.into_iter()) }
        })
    }
}
