//! Addresses to listen on.

use gatewright_sdk::{Code, Fault, Written, written};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// Where a listener accepts connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// IP address and port; 0 takes a free one.
    Ip(SocketAddr),
    /// `unix:PATH`, a socket in the file system.
    Unix(PathBuf),
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

    /// The path of a socket in the file system.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Ip(_) => None,
            Self::Unix(path) => Some(path),
        }
    }

    /// The same address, with a relative path resolved against `folder`.
    #[must_use]
    pub fn below(&self, folder: &Path) -> Self {
        match self {
            Self::Ip(address) => Self::Ip(*address),
            Self::Unix(path) => Self::Unix(folder.join(path)),
        }
    }

    /// The same address, with the path of a socket resolved against `folder`, without `.` and `..`.
    #[must_use]
    pub fn resolved(&self, folder: &Path) -> Self {
        match self {
            Self::Ip(address) => Self::Ip(*address),
            Self::Unix(path) => Self::Unix(resolved(&folder.join(path))),
        }
    }

    /// Whether it is a wildcard that includes the other address.
    pub fn covers(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Ip(all), Self::Ip(one)) if all != one && overlap(*all, *one) && includes(*all, *one))
    }

    /// Whether only one of the two addresses can be bound. A wildcard address conflicts with every address on its port.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip(one), Self::Ip(other)) => overlap(*one, *other),
            (Self::Unix(one), Self::Unix(other)) => one == other,
            _ => false,
        }
    }
}

/// The maximum length of the path of a socket, in bytes: 107 (`sun_path`), without what is added to the name while a
/// listener is not ready.
pub const LONGEST_SOCKET: usize = 90;

/// An absolute path without `.` and `..`, by its text alone.
pub fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(resolved.pop()),
            other => resolved.push(other),
        }
    }
    resolved
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || includes(a, b) || includes(b, a))
}

/// Whether `all` is the wildcard of every address that `one` may be. `[::]` includes IPv4.
fn includes(all: SocketAddr, one: SocketAddr) -> bool {
    all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4())
}

impl FromStr for ListenAddress {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let fault = |message: &str, help: &str| Fault::new("", message).code(Code::INVALID_ADDRESS).help(help);
        let Some(path) = text.strip_prefix("unix:") else {
            return text.parse().map(|TcpAddress(address)| Self::Ip(address)).map_err(|fault: Fault| {
                let typed = text.starts_with('/') || text.starts_with("unix/") || text.ends_with(".sock");
                if typed {
                    fault.help(format!("write `unix:PATH` for a Unix socket, such as {EXAMPLE}"))
                } else {
                    fault
                }
            });
        };
        // As URLs write it: `unix:///run/gatewright.sock`.
        let path = path.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(path);
        match path {
            "" => Err(fault("`address` must have a path after `unix:`", &format!("write {EXAMPLE}"))),
            _ if path.starts_with('@') => {
                Err(fault("abstract Unix sockets are not supported", &format!("use a path, such as {EXAMPLE}")))
            }
            _ if path.ends_with('/') || path.contains('\0') => {
                Err(fault("`address` must have the path of a file after `unix:`", &format!("write {EXAMPLE}")))
            }
            path => Ok(Self::Unix(path.into())),
        }
    }
}

/// An example of a Unix socket.
const EXAMPLE: &str = "`unix:/run/gatewright.sock`";

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
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
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
        assert_eq!("unix:///run/gate.sock".parse::<ListenAddress>().unwrap().to_string(), "unix:/run/gate.sock");
        assert_eq!("localhost:3000".parse::<ListenAddress>().unwrap().to_string(), "127.0.0.1:3000");
        assert_eq!(":3000".parse::<ListenAddress>().unwrap().to_string(), "0.0.0.0:3000");
    }

    #[test]
    fn a_wildcard_covers_the_addresses_of_its_port() {
        let covers = |all: &str, one: &str| {
            let (all, one): (ListenAddress, ListenAddress) = (all.parse().unwrap(), one.parse().unwrap());
            assert!(!one.covers(&all));
            all.covers(&one)
        };
        assert!(
            covers("0.0.0.0:80", "127.0.0.1:80") && covers("[::]:80", "0.0.0.0:80") && covers("[::]:80", "[::1]:80")
        );
        assert!(!covers("0.0.0.0:80", "[::1]:80") && !covers("0.0.0.0:80", "127.0.0.1:81"));
        assert!(!covers("0.0.0.0:80", "0.0.0.0:80") && !covers("127.0.0.1:80", "127.0.0.2:80"));
    }

    #[test]
    fn a_socket_has_a_path() {
        for (text, help) in [
            ("unix:", "write `unix:/run/gatewright.sock`"),
            ("unix:@gate", "use a path, such as `unix:/run/gatewright.sock`"),
            ("unix:/run/", "write `unix:/run/gatewright.sock`"),
            ("/run/gate.sock", "write `unix:PATH` for a Unix socket, such as `unix:/run/gatewright.sock`"),
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap_err().help.as_deref(), Some(help), "{text}");
        }
        let relative: ListenAddress = "unix:run/gate.sock".parse().unwrap();
        assert_eq!(relative.below(Path::new("/srv")).to_string(), "unix:/srv/run/gate.sock");
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
