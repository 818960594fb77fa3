//! Settings of DNS: how the names of targets are looked up.

use gatewright_sdk::written::shown;
use gatewright_sdk::{Code, Fault, HumanDuration, Written, written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// How the names in the `url` of targets are looked up. Each address of a name gets its own share of the requests, health
/// checks and connections.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// The DNS servers, by IP address: `["10.0.0.53"]`. Each is asked only if those before it fail. Default: those in
    /// `/etc/resolv.conf`.
    pub servers: Vec<DnsServer>,
    /// A name is not looked up more often than this, even if the TTL of its records is shorter.
    pub min_ttl: HumanDuration,
    /// A name is looked up at least this often, even if the TTL of its records is longer.
    pub max_ttl: HumanDuration,
    /// How long a DNS server may take to respond. Then the next one is asked.
    pub timeout: HumanDuration,
    /// Which addresses are used if a name has both IPv4 and IPv6 addresses.
    pub prefer: IpVersion,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            min_ttl: HumanDuration::from_secs(1),
            max_ttl: HumanDuration::from_secs(30),
            timeout: HumanDuration::from_secs(2),
            prefer: IpVersion::default(),
        }
    }
}

/// A version of IP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpVersion {
    /// The IPv4 addresses; IPv6 if there are none, or if this host has no route to them.
    #[default]
    Ipv4,
    /// The IPv6 addresses; IPv4 if there are none, or if this host has no route to them.
    Ipv6,
}

/// The address of a DNS server: `10.0.0.53`, `10.0.0.53:5353`, `[fd00::53]:53`. The default port is 53.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsServer(pub SocketAddr);

/// The port of DNS.
pub const PORT: u16 = 53;

impl FromStr for DnsServer {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let address = text.parse().or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT)));
        let is_usable = |address: &SocketAddr| address.port() != 0 && !address.ip().is_unspecified();
        address.ok().filter(is_usable).map(Self).ok_or_else(|| {
            Fault::new("", format!("`{}` is not a valid DNS server", shown(text)))
                .code(Code::WRONG_FORM)
                .help("write an IP address, with a port if it is not 53: `10.0.0.53` or `10.0.0.53:5353`")
        })
    }
}

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.port() == PORT { self.0.ip().fmt(f) } else { self.0.fmt(f) }
    }
}

impl Written for DnsServer {
    const FORMAT: &'static str = "dns-server";
    const STAND_IN: Option<&'static str> = Some("127.0.0.1");
}

written!(DnsServer, "examples": ["10.0.0.53"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_with_or_without_a_port() {
        for (text, address) in [
            ("10.0.0.53", "10.0.0.53:53"),
            ("10.0.0.53:5353", "10.0.0.53:5353"),
            ("fd00::53", "[fd00::53]:53"),
            ("[fd00::53]:5353", "[fd00::53]:5353"),
        ] {
            let server: DnsServer = text.parse().unwrap();
            assert_eq!((server.0.to_string(), server.to_string()), (address.to_owned(), text.to_owned()));
        }
        for bad in ["", "dns.example", "10.0.0.53:", "10.0.0.53:0", "0.0.0.0", "udp://10.0.0.53", "10.0.0.53:99999"] {
            assert_eq!(bad.parse::<DnsServer>().unwrap_err().message, format!("`{bad}` is not a valid DNS server"));
        }
    }
}
