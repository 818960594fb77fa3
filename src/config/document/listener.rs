//! Settings of a listener: address, protocols, limits, TLS.

use super::address::ListenAddress;
use super::network::Network;
use super::paths::Paths;
use gatewright_sdk::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The maximum number of listeners: the listeners of a route are a bit set of 64 bits.
pub const MOST_LISTENERS: usize = 64;

/// An address to accept connections on.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// IP address and port: `127.0.0.1:3000`, `[::]:3000`. `localhost:3000` is 127.0.0.1, and `:3000` all IPv4 interfaces. Port 0
    /// takes a free one. An edit may give it any address that
    /// it, another listener or the admin API has now, and a wildcard of the same port: they change places in one step.
    /// Between an address and its wildcard a connection that is being made at that moment may be reset.
    pub address: ListenAddress,
    /// HTTP versions that are spoken.
    #[serde(default = "http1_only")]
    #[schemars(length(min = 1))]
    pub protocols: Vec<Protocol>,
    /// Proxies whose `X-Forwarded-For` is believed, as networks: `10.0.0.0/8`. They decide `client.ip`, right to left.
    #[serde(default)]
    pub trusted_proxies: Vec<Network>,
    /// What a single client may use.
    #[serde(default)]
    pub limits: Limits,
    /// Which doubtful spellings of a path are taken.
    #[serde(default)]
    pub paths: Paths,
    /// The chain that runs for every request, also those that match no route. Without it: `request_id, compression,
    /// timeout` with their defaults.
    #[serde(default)]
    pub chain: Option<String>,
    /// TLS.
    #[serde(default)]
    pub tls: Option<Tls>,
}

fn http1_only() -> Vec<Protocol> {
    vec![Protocol::Http1]
}

/// An HTTP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/1.0.
    Http1,
    /// HTTP/2; on plaintext with prior knowledge (RFC 9113 section 3.3).
    Http2,
}

/// What a single client may use of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most bytes of the header fields of a request, on HTTP/1 and HTTP/2 alike. `Authorization` does not count.
    pub header_bytes: ByteSize,
    /// The most header fields. The pieces in which HTTP/2 clients may send their cookies are one field.
    #[schemars(range(min = 1, max = 1000))]
    pub headers: u32,
    /// The longest request body. The answer to a longer one comes before the body has come: on HTTP/2 it is followed by
    /// RST_STREAM with NO_ERROR (RFC 9113 section 8.1), which some clients, such as curl 7.88, report as an error of the stream
    /// instead of the 413.
    pub body_bytes: ByteSize,
    /// The most connections at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: u32,
    /// The most connections at once from one client address.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_per_client: u32,
    /// How long a request head may take, and the first byte of a connection.
    pub header_timeout: HumanDuration,
    /// How long a request body may pause; then the client gets 408. An upload that goes on is not ended, but less than
    /// 1 KiB for each second beyond the first `body_idle_timeout` counts as a pause.
    pub body_idle_timeout: HumanDuration,
    /// How long a request body may take as a whole, also one that keeps coming. Without it there is no such bound.
    pub body_timeout: Option<HumanDuration>,
    /// How long a client may take no byte of its response.
    pub write_timeout: HumanDuration,
    /// How long a request goes on without a byte of its response after an HTTP/1 client has shut its sending half down.
    /// Such a client may only have nothing more to say, or it may have left: TCP does not tell the two apart.
    pub half_close_timeout: HumanDuration,
    /// How long a kept connection may be idle.
    pub idle_timeout: HumanDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: ByteSize::kib(32),
            headers: 100,
            body_bytes: ByteSize::mib(2),
            connections: 10_000,
            connections_per_client: 10_000,
            header_timeout: HumanDuration::from_secs(10),
            body_idle_timeout: HumanDuration::from_secs(15),
            body_timeout: None,
            write_timeout: HumanDuration::from_secs(30),
            half_close_timeout: HumanDuration::from_secs(10),
            idle_timeout: HumanDuration::from_secs(75),
        }
    }
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert_file: String,
    /// Its private key, PEM.
    pub key_file: String,
    /// Certificates of clients.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
}

/// Certificates of clients.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientAuth {
    /// Whether a client must present one.
    pub mode: ClientAuthMode,
    /// The authorities that sign them, PEM.
    pub ca_file: String,
}

/// Whether a client must present a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMode {
    /// It may.
    Optional,
    /// It must.
    Required,
}
