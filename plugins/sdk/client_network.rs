//! Clients in a configuration, by address.

use crate::written::shown;
use crate::{Code, Fault, Network, Written, written};
use ipnet::{IpNet, Ipv4Net};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address, a network, or `unix:` for clients that connect through a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientNetwork {
    Address(IpAddr),
    Network(Network),
    Unix,
}

impl ClientNetwork {
    /// The network, without the bits after its prefix. An IPv4 network that is mapped to IPv6 becomes an IPv4 network.
    /// `None` for Unix sockets.
    pub fn network(self) -> Option<IpNet> {
        let network = match self {
            Self::Address(ip) => IpNet::from(ip),
            Self::Network(network) => *network,
            Self::Unix => return None,
        };
        let mapped = match network {
            IpNet::V6(network) => network.addr().to_ipv4_mapped().zip(network.prefix_len().checked_sub(96)),
            IpNet::V4(_) => None,
        };
        let mapped = mapped.and_then(|(ip, length)| Ipv4Net::new(ip, length).ok());
        Some(mapped.map_or(network, IpNet::V4).trunc())
    }
}

impl FromStr for ClientNetwork {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if text == "unix:" {
            return Ok(Self::Unix);
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self::Address(ip));
        }
        if text.contains('/') {
            return text.parse().map(Self::Network);
        }
        let message = format!("`{}` is not a valid address or network", shown(text));
        let help = "write an address or a network, such as `10.0.0.1` or `10.0.0.0/8`, or `unix:`";
        Err(Fault::new("", message).code(Code::INVALID_NETWORK).help(help))
    }
}

impl fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(f),
            Self::Network(network) => network.fmt(f),
            Self::Unix => f.write_str("unix:"),
        }
    }
}

impl Written for ClientNetwork {
    const FORMAT: &'static str = "client-network";
    const STAND_IN: Option<&'static str> = Network::STAND_IN;
}

written!(ClientNetwork, "examples": ["10.0.0.0/8", "127.0.0.1", "unix:"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_and_a_mapped_one_is_ipv4() {
        for (written, network) in [
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("::1", Some("::1/128")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("::ffff:10.1.2.3", Some("10.1.2.3/32")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:0:0/96", Some("0.0.0.0/0")),
            ("::/0", Some("::/0")),
            ("unix:", None),
        ] {
            let parsed: ClientNetwork = written.parse().unwrap();
            assert_eq!(parsed.network().map(|network| network.to_string()).as_deref(), network, "{written}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed), "{written}");
        }
    }

    #[test]
    fn names_and_zones_are_not_addresses() {
        for bad in ["localhost", "fe80::1%eth0", "10.0.0.0/33", "10.0.0.0-10.0.0.9", "*", "", "unix", "010.0.0.1"] {
            let fault = bad.parse::<ClientNetwork>().unwrap_err();
            assert!(fault.help.is_some() && fault.code == Code::INVALID_NETWORK, "{bad}: {fault}");
        }
    }
}
