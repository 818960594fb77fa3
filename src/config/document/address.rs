//! Addresses to listen on.

use gatewright_sdk::{Code, Fault, Written, written};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Where a listener accepts connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// IP address and port; 0 takes a free one.
    Ip(SocketAddr),
    /// `unix:PATH`, a socket in the file system.
    Unix(String),
}

/// IP address and port: `127.0.0.1:9901`. `localhost:9901` is the same, and `:9901` is `0.0.0.0:9901`, all IPv4 interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpAddress(pub SocketAddr);

impl ListenAddress {
    /// IP address and port, if it has any.
    pub const fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text.strip_prefix("unix:") {
            Some(path) => Ok(Self::Unix(path.to_owned())),
            None => text.parse().map(|TcpAddress(address)| Self::Ip(address)),
        }
    }
}

impl FromStr for TcpAddress {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let port = |host: &str| text.strip_prefix(host)?.parse::<u16>().ok();
        let short = [("localhost:", Ipv4Addr::LOCALHOST), (":", Ipv4Addr::UNSPECIFIED)];
        if let Some(address) = short.iter().find_map(|(host, ip)| Some(SocketAddr::from((*ip, port(host)?)))) {
            return Ok(Self(address));
        }
        text.parse().map(Self).map_err(|_| {
            let message = large_port(text).unwrap_or_else(|| "`address` must be an IP address and port".to_owned());
            Fault::new("", message).code(Code::INVALID_ADDRESS).help(way_out(text))
        })
    }
}

/// The message about a port that is a number and too large.
pub fn large_port(written: &str) -> Option<String> {
    let (_, port) = written.trim_end_matches('/').rsplit_once(':')?;
    let digits = (5..=6).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    // Otherwise, it may be part of something else.
    (digits && !written.contains(['@', '?', '#']) && port.parse::<u16>().is_err())
        .then(|| format!("port {port} is above 65535"))
}

fn way_out(written: &str) -> String {
    let port = written.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok()).unwrap_or("3000");
    match written {
        _ if written.contains("://") => format!("remove the scheme: `127.0.0.1:{port}`"),
        "localhost" => "add the port: `localhost:3000`".to_owned(),
        _ if written.matches(':').count() > 1 && !written.starts_with('[') => {
            format!("put the IPv6 address in brackets: `[::1]:{port}`")
        }
        _ => format!("write `127.0.0.1:{port}`, or `:{port}` for all interfaces"),
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl Written for ListenAddress {
    const FORMAT: &'static str = "listen-address";
    const STAND_IN: Option<&'static str> = TcpAddress::STAND_IN;
}

impl Written for TcpAddress {
    const FORMAT: &'static str = "tcp-address";
    /// Any number of listeners can use this address.
    const STAND_IN: Option<&'static str> = Some("127.0.0.1:0");
}

written!(ListenAddress);
written!(TcpAddress as SocketAddr);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_printed() {
        for good in ["127.0.0.1:3000", "[::]:80", "0.0.0.0:0", "unix:/run/gate.sock"] {
            assert_eq!(good.parse::<ListenAddress>().unwrap().to_string(), good);
        }
        assert!("unix:/run/gate.sock".parse::<TcpAddress>().is_err());
        assert_eq!("localhost:3000".parse::<ListenAddress>().unwrap().to_string(), "127.0.0.1:3000");
        assert_eq!(":3000".parse::<ListenAddress>().unwrap().to_string(), "0.0.0.0:3000");
    }

    #[test]
    fn each_slip_has_a_way_out() {
        for (text, help) in [
            ("localhost", "add the port: `localhost:3000`"),
            ("localhost:99999", "write `127.0.0.1:3000`, or `:3000` for all interfaces"),
            ("http://127.0.0.1:8080", "remove the scheme: `127.0.0.1:8080`"),
            (":", "write `127.0.0.1:3000`, or `:3000` for all interfaces"),
            ("::1:3000", "put the IPv6 address in brackets: `[::1]:3000`"),
            ("127.0.0.1", "write `127.0.0.1:3000`, or `:3000` for all interfaces"),
            ("127.0.0.1:http", "write `127.0.0.1:3000`, or `:3000` for all interfaces"),
            ("", "write `127.0.0.1:3000`, or `:3000` for all interfaces"),
        ] {
            let fault = text.parse::<ListenAddress>().unwrap_err();
            let message = match text {
                "localhost:99999" => "port 99999 is above 65535",
                _ => "`address` must be an IP address and port",
            };
            assert_eq!(fault.message, message);
            assert_eq!(fault.help.as_deref(), Some(help), "{text}");
        }
    }
}
