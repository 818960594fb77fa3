//! The services that plugins share instead of bringing their own.

use crate::ClientKey;
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;

/// The services that the gateway provides to plugins: one HTTP client with one TLS library for all of them.
pub trait Services: Send + Sync + 'static {
    /// Sends `request` to its URI, over HTTP/1.1 with or without TLS, and reads the whole response. Does not follow
    /// redirects. A body of more than `most` bytes is an error. The caller sets the timeout, and restricts the addresses
    /// with [`RemoteOnly`].
    fn fetch(&self, request: http::Request<Bytes>, most: usize) -> Fetching;

    /// Runs work that takes milliseconds of CPU, such as hashing a password, on another thread. A bounded number runs
    /// and waits at the same time; beyond that, the work is refused. The first work of each client comes before the second of
    /// any, and in a full queue the client with the most waiting work gives way. Work that no one waits for any more does not
    /// start.
    fn compute(&self, _client: ClientKey, _work: Box<dyn FnOnce() -> bool + Send>) -> Computing {
        Box::pin(std::future::ready(Err(Busy)))
    }
}

/// Pending work.
pub type Computing = Pin<Box<dyn Future<Output = Result<bool, Busy>> + Send>>;

/// Too much work is waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// In the extensions of a request: it must not reach this machine, link-local addresses or the metadata services of
/// clouds. The addresses that a name resolves to are checked when connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteOnly;

/// Metadata and platform services outside of the link-local networks.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), // Alibaba Cloud
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),   // Azure
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),     // Oracle Cloud
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), // AWS
];

impl RemoteOnly {
    /// Whether `address` is refused. Private networks are not: identity providers are often there.
    #[must_use]
    pub fn refuses(address: IpAddr) -> bool {
        let address = address.to_canonical();
        METADATA.contains(&address)
            || match address {
                IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_loopback() || v4.is_link_local(),
                IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local(),
            }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_link_local_addresses_and_metadata_services_are_refused() {
        for refused in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "::1",
            "::",
            "169.254.169.254",
            "fe80::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
        ] {
            assert!(RemoteOnly::refuses(refused.parse().unwrap()), "{refused}");
        }
        for allowed in ["10.0.0.1", "192.168.1.1", "203.0.113.7", "2001:db8::1", "fd00::1", "::ffff:203.0.113.7"] {
            assert!(!RemoteOnly::refuses(allowed.parse().unwrap()), "{allowed}");
        }
    }
}
