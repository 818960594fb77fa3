//! The address of a running gateway: from an argument (`HOST:PORT`, a URL or `unix:PATH`) or of a listener.

use crate::config::document::address::ListenAddress;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a running gateway.
#[derive(Clone, Debug)]
pub struct Address {
    pub url: Uri,
    /// The Unix socket to connect to. The URL then names `localhost`.
    pub socket: Option<PathBuf>,
}

impl Address {
    /// The address by which a listener is reached from this machine.
    pub fn of(scheme: &str, address: &ListenAddress) -> Self {
        let (host, socket) = match address {
            ListenAddress::Ip(address) => (reachable(*address).to_string(), None),
            ListenAddress::Unix(path) => ("localhost".to_owned(), Some(path.clone())),
        };
        // An address is always valid in a URL.
        Self { url: format!("{scheme}://{host}/").parse().unwrap_or_default(), socket }
    }

    /// Whether it has a path other than `/`.
    pub fn has_path(&self) -> bool {
        self.url.path_and_query().is_some_and(|path| path.as_str() != "/")
    }

    /// The port, or that of the scheme.
    pub fn port(&self) -> u16 {
        self.url.port_u16().unwrap_or(if self.url.scheme_str() == Some("https") { 443 } else { 80 })
    }

    /// The same Unix socket, over https. The argument that names it has no scheme.
    #[must_use]
    pub fn over_tls(&self) -> Self {
        let mut parts = self.url.clone().into_parts();
        if self.socket.is_some() {
            parts.scheme = Some(Scheme::HTTPS);
        }
        Self { url: Uri::from_parts(parts).unwrap_or_else(|_| self.url.clone()), socket: self.socket.clone() }
    }

    /// The same address with another path.
    ///
    /// # Errors
    /// The path is not valid.
    pub fn at_path(&self, path: &str) -> anyhow::Result<Self> {
        let mut parts = self.url.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(path)?);
        Ok(Self { url: Uri::from_parts(parts)?, socket: self.socket.clone() })
    }

    /// Without scheme and path: `127.0.0.1:9901`, or `unix:PATH`.
    pub fn place(&self) -> String {
        match &self.socket {
            None => self.url.authority().map_or("", Authority::as_str).to_owned(),
            Some(socket) => format!("unix:{}", socket.display()),
        }
    }

    /// Without the path: `http://127.0.0.1:3000`, or `unix:PATH`.
    pub fn base(&self) -> String {
        match &self.socket {
            None => self.url.to_string().trim_end_matches('/').to_owned(),
            Some(_) => self.place(),
        }
    }

    /// What distinguishes it from the other addresses of this machine, as part of a file name.
    pub fn id(&self) -> String {
        let Some(socket) = &self.socket else { return self.port().to_string() };
        // However its path is written.
        let socket = socket.canonicalize().or_else(|_| std::path::absolute(socket)).unwrap_or_else(|_| socket.clone());
        let hash = Sha256::digest(socket.as_os_str().as_encoded_bytes());
        hash.iter().take(6).fold("unix-".to_owned(), |mut id, byte| {
            // Writing to a String cannot fail.
            let _ = write!(id, "{byte:02x}");
            id
        })
    }
}

impl fmt::Display for Address {
    /// As [`FromStr`] of an argument reads it; the scheme of a Unix socket is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            None => self.url.fmt(f),
            Some(_) if !self.has_path() => f.write_str(&self.place()),
            Some(_) => write!(f, "{}:{}", self.place(), self.url.path_and_query().map_or("/", PathAndQuery::as_str)),
        }
    }
}

/// An argument with an address. Empty text counts as no address, because variables are often set to an empty string.
#[derive(Clone, Debug)]
pub struct AddressArgument(Option<Address>);

impl AddressArgument {
    /// The address. Its path is `/` if the argument has none.
    pub const fn address(&self) -> Option<&Address> {
        self.0.as_ref()
    }
}

impl FromStr for AddressArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(Self(None)) } else { address(text).map(|address| Self(Some(address))) }
    }
}

/// Parses an address without a path.
///
/// # Errors
/// A message for the user.
pub fn without_path(text: &str) -> Result<AddressArgument, String> {
    let argument: AddressArgument = text.parse()?;
    match argument.address() {
        Some(address) if address.has_path() => Err("leave the path out; write HOST:PORT or unix:PATH".to_owned()),
        _ => Ok(argument),
    }
}

fn address(text: &str) -> Result<Address, String> {
    match text.strip_prefix("unix:") {
        Some(socket) => on_socket(socket),
        None => Ok(Address { url: url(text)?, socket: None }),
    }
}

/// `PATH`, or `PATH:/PATH-OF-THE-URL`.
fn on_socket(text: &str) -> Result<Address, String> {
    let (socket, path) = match text.rsplit_once(":/") {
        Some((socket, path)) => (socket, format!("/{path}")),
        None => (text, "/".to_owned()),
    };
    if socket.is_empty() {
        return Err("write unix:PATH, such as unix:/run/gatewright.sock".to_owned());
    }
    let url = format!("http://localhost{path}").parse().map_err(|_| format!("`{path}` is not a valid path"))?;
    Ok(Address { url, socket: Some(socket.into()) })
}

fn url(text: &str) -> Result<Uri, String> {
    const SHAPE: &str = "write HOST:PORT, such as 127.0.0.1:3000, or unix:PATH";
    let is_url = text.contains("://");
    let whole = if is_url { text.to_owned() } else { format!("http://{text}") };
    let url: Uri = whole.parse().map_err(|_| SHAPE.to_owned())?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err("write http://HOST:PORT or https://HOST:PORT".to_owned());
    }
    let authority =
        url.authority().filter(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    // A URL has a default port.
    authority.filter(|authority| is_url || authority.port_u16().is_some()).ok_or_else(|| SHAPE.to_owned())?;
    Ok(url)
}

/// An address by which a listener on all interfaces can be reached.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::{AddressArgument, without_path};

    #[test]
    fn an_address_is_a_host_with_a_port_a_url_or_a_socket() {
        let read = |text: &str| text.parse::<AddressArgument>().map(|it| it.address().map(ToString::to_string));
        for (text, parsed) in [
            ("127.0.0.1:9901", "http://127.0.0.1:9901/"),
            ("[::1]:80", "http://[::1]:80/"),
            ("localhost:1/ok", "http://localhost:1/ok"),
            ("http://a.example", "http://a.example/"),
            ("https://a:1", "https://a:1/"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("unix:a.sock:/health/live", "unix:a.sock:/health/live"),
        ] {
            assert_eq!(read(text), Ok(Some(parsed.to_owned())), "{text}");
        }
        assert_eq!(read(""), Ok(None));
        for text in ["nonsense", "127.0.0.1", ":3000", "a b:1", "user@a:1", "ftp://a:1", "a:99999", "unix:", "unix::/x"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(without_path("a:1/").is_ok() && without_path("http://a:1/status").is_err());
        assert!(without_path("unix:/a").is_ok() && without_path("unix:/a:/status").is_err());
    }

    #[test]
    fn a_socket_has_one_id_however_its_path_is_written() {
        let id = |text: &str| text.parse::<AddressArgument>().unwrap().address().unwrap().id();
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("a.sock");
        std::fs::write(&socket, "").unwrap();
        let (one, other) = (socket.display(), folder.path().join("./a.sock"));
        assert_eq!(id(&format!("unix:{one}")), id(&format!("unix:{}", other.display())));
        assert_ne!(id(&format!("unix:{one}")), id("unix:/other.sock"));
        assert_eq!((id("127.0.0.1:9901"), id("https://a.example")), ("9901".into(), "443".into()));
    }
}
