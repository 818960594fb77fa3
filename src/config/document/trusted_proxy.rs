//! Trusted proxies in a configuration.

use gatewright_sdk::{Fault, Network, Written, written};
use std::fmt;
use std::str::FromStr;

/// A network of proxies, or `unix:` for all that connect through a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedProxy {
    Network(Network),
    Unix,
}

impl TrustedProxy {
    /// Whether it is a network of all addresses.
    pub fn is_everyone(&self) -> bool {
        matches!(self, Self::Network(network) if network.prefix_len() == 0)
    }
}

impl FromStr for TrustedProxy {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if text == "unix:" { Ok(Self::Unix) } else { text.parse().map(Self::Network) }
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Unix => f.write_str("unix:"),
        }
    }
}

impl Written for TrustedProxy {
    const FORMAT: &'static str = "trusted-proxy";
    const STAND_IN: Option<&'static str> = Network::STAND_IN;
}

written!(TrustedProxy, "examples": ["10.0.0.0/8", "unix:"]);
