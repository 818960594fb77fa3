//! Settings of a listener: address, protocols, limits, TLS.

use super::address::{ListenAddress, TcpAddress};
use super::paths::Paths;
use super::socket_mode::SocketMode;
use super::trusted_proxy::TrustedProxy;
use gatewright_sdk::{ByteSize, HumanDuration, NamedFile};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The maximum number of listeners: the listeners of a route are a bit set of 64 bits.
pub const MOST_LISTENERS: usize = 64;

/// An address to accept connections on.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// IP address and port, such as `127.0.0.1:3000` or `[::]:3000`. `localhost:3000` means 127.0.0.1, `:3000` means all
    /// IPv4 interfaces, and port 0 picks a free port. `unix:/run/gatewright.sock` is a Unix socket; relative paths are
    /// resolved against the folder of the main configuration file.
    ///
    /// A reload can move the listener to any address, including one that another listener or the admin API uses now: they
    /// swap in one step. It can also move between an address and the wildcard of the same port, such as `127.0.0.1:3000`
    /// and `0.0.0.0:3000`: no connection is refused or reset, and open ones close with their next response.
    pub address: ListenAddress,
    /// Whether another process may listen on the same address (SO_REUSEPORT), so that a new gateway can start next to the
    /// old one and take over without a refused connection. A Unix socket is replaced by that of the new process. Give each
    /// its own admin address.
    #[serde(default)]
    pub share_address: bool,
    /// The permissions of a Unix socket, in octal and in quotes: `"0660"` allows the owner and the group to connect,
    /// `"0666"` allows all users. Default: `"0660"`.
    #[serde(default)]
    pub socket_mode: Option<SocketMode>,
    /// The HTTP versions to speak.
    #[serde(default = "http1_only")]
    #[schemars(length(min = 1))]
    pub protocols: Vec<Protocol>,
    /// Networks of proxies whose `X-Forwarded-For` header is trusted, such as `10.0.0.0/8`. The header is read from right
    /// to left; the first address that is not trusted becomes `client.ip`. `unix:` trusts every process that connects
    /// through a Unix socket.
    #[serde(default)]
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Limits on what a single client may use.
    #[serde(default)]
    pub limits: Limits,
    /// Which ambiguous spellings of a path are accepted.
    #[serde(default)]
    pub paths: Paths,
    /// The chain that runs for every request, including requests that match no route. Default: `request_id`,
    /// `compression` and `timeout` with their default settings.
    #[serde(default)]
    pub chain: Option<String>,
    /// TLS: the listener serves https. Without it, the listener serves plain http.
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
    /// HTTP/2. Without TLS, clients must use prior knowledge (RFC 9113, section 3.3).
    Http2,
}

/// Limits on what a single client may use.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Maximum total size of the request header fields, for HTTP/1 and HTTP/2 alike. `Authorization` does not count.
    pub header_bytes: ByteSize,
    /// Maximum number of request header fields. A cookie header that an HTTP/2 client has split counts as one field.
    #[schemars(range(min = 1, max = 1000))]
    pub headers: u32,
    /// Maximum size of a request body. Larger requests are rejected with 413, before the whole body has arrived. On
    /// HTTP/2 the response is followed by RST_STREAM with NO_ERROR (RFC 9113, section 8.1), which some clients, such as
    /// curl 7.88, report as a stream error instead of the 413.
    pub body_bytes: ByteSize,
    /// Maximum number of concurrent connections.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: u32,
    /// Maximum number of concurrent connections from one client address. Connections through a Unix socket have no
    /// client address and are not counted.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_per_client: u32,
    /// Maximum number of requests in progress, until their responses have ended. Requests beyond it get 503 with
    /// `Retry-After`. Health endpoints and the admin API are never limited. Default: no limit.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
    /// Maximum number of requests that wait because `concurrency` is reached. Default: 0.
    pub queue: Option<u32>,
    /// How long a request waits in the queue before it gets 503. Default: 100ms.
    pub queue_timeout: Option<HumanDuration>,
    /// How long a client may take to send the request head, and the first byte of a new connection.
    pub header_timeout: HumanDuration,
    /// How long a request body may pause before the client gets 408. An upload that makes progress may continue, but
    /// after the first `body_idle_timeout`, less than 1 KiB per second counts as a pause. It applies until the response
    /// begins.
    pub body_idle_timeout: HumanDuration,
    /// How long a whole request body may take, even if it makes progress. Default: no limit.
    pub body_timeout: Option<HumanDuration>,
    /// How long a client may go without reading any of its response.
    pub write_timeout: HumanDuration,
    /// How long a request may continue without sending a byte of its response after an HTTP/1 client has closed its
    /// sending side. Such a client may be waiting for the response or may be gone; TCP cannot tell the difference.
    pub half_close_timeout: HumanDuration,
    /// How long a keep-alive connection may be idle.
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
            concurrency: None,
            queue: None,
            queue_timeout: None,
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
    /// The certificates. A client that names a host gets the first one for that host; any other client gets the first one.
    #[schemars(length(min = 1))]
    pub certificates: Vec<Certificate>,
    /// The minimum version of TLS.
    #[serde(default)]
    pub min_version: TlsVersion,
    /// Certificates of clients. Default: none are requested.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// Another address, such as `:8080`, for plain http. It redirects every request to https on this listener with 308,
    /// and does nothing else.
    #[serde(default)]
    pub redirect_from: Option<TcpAddress>,
}

/// A certificate. Its files are watched: after a change, new connections get the new certificate.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// PEM file with the certificate, followed by the intermediate certificates.
    pub cert_file: NamedFile,
    /// PEM file with its private key, without a passphrase.
    pub key_file: NamedFile,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    V13,
}

/// Certificates of clients.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientAuth {
    /// Whether a client must present a certificate.
    pub mode: ClientAuthMode,
    /// PEM file with the authorities that sign the certificates of clients.
    pub ca_file: NamedFile,
}

/// Whether a client must present a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMode {
    /// A client may present a certificate. It is rejected if it is not valid.
    Optional,
    /// The handshake fails without a valid certificate.
    Required,
}
