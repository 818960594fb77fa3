//! URLs of servers.

use super::address::{ListenAddress, large_port};
use gatewright_sdk::{Code, Fault, Written, written};
use http::uri::Authority;
use http::{HeaderValue, Uri};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Scheme, host and port of a server, `http://10.0.1.11:8081`, or its Unix socket, `unix:/run/app.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    written: Box<str>,
    /// Whether it uses TLS.
    pub tls: bool,
    /// The value of `Host`: host and port as written, or `localhost` for a Unix socket.
    pub authority: HeaderValue,
    /// The name or address, without brackets and port, or the path of the Unix socket.
    pub name: Box<str>,
    /// The address, if no name has to be resolved.
    pub ip: Option<IpAddr>,
    /// 0 for a Unix socket.
    pub port: u16,
    /// The path of the Unix socket.
    pub socket: Option<PathBuf>,
}

impl ServerUrl {
    /// Whether both are written the same, apart from case and a trailing slash.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.socket, &other.socket) {
            (None, None) => {
                self.written.trim_end_matches('/').eq_ignore_ascii_case(other.written.trim_end_matches('/'))
            }
            (one, other) => one == other,
        }
    }

    /// The same server, with a relative path of a Unix socket resolved against `folder`.
    #[must_use]
    pub fn below(&self, folder: &Path) -> Self {
        let Some(socket) = self.socket.as_ref().map(|socket| folder.join(socket)) else { return self.clone() };
        Self { name: socket.display().to_string().into(), socket: Some(socket), ..self.clone() }
    }

    /// `HOST:PORT`, or `unix:PATH`.
    pub fn address(&self) -> String {
        match self.socket {
            None => format!("{}:{}", self.name, self.port),
            Some(_) => format!("unix:{}", self.name),
        }
    }
}

impl FromStr for ServerUrl {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        // It may contain a password in any form, so nothing of it is shown.
        let not_one = || {
            Fault::new("", "`url` must be the base URL of a server, without a path")
                .code(Code::INVALID_URL)
                .help("write scheme, host and port, such as `http://10.0.1.11:8081`, or `unix:/run/app.sock`")
        };
        if text.starts_with("unix:") {
            return on_socket(text);
        }
        let tls = text.starts_with("https://");
        if !tls && !text.starts_with("http://") {
            let schemeless = !text.contains("://") && format!("http://{text}").parse::<Self>().is_ok();
            let missing = || not_one().help("add the scheme, as in `http://10.0.1.11:8081`");
            return Err(other_scheme(text).unwrap_or_else(|| if schemeless { missing() } else { not_one() }));
        }
        if let Some(message) = large_port(text) {
            return Err(Fault { message, ..not_one() });
        }
        let uri: Uri = text.parse().map_err(|_| not_one())?;
        let authority = uri.authority().ok_or_else(not_one)?;
        if authority.as_str().contains('@') {
            return Err(Fault::new("", "`url` must not contain a username or password")
                .code(Code::INVALID_URL)
                .help("remove everything before the `@`"));
        }
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        if name.is_empty() || !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains('#') {
            return Err(not_one());
        }
        Ok(Self {
            written: text.into(),
            tls,
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| not_one())?,
            port: port(authority, if tls { 443 } else { 80 }).ok_or_else(not_one)?,
            ip: name.trim_end_matches('.').parse().ok(),
            name: name.into(),
            socket: None,
        })
    }
}

/// A server behind a Unix socket, without TLS.
fn on_socket(text: &str) -> Result<ServerUrl, Fault> {
    let Ok(ListenAddress::Unix(path)) = text.parse() else {
        let fault = Fault::new("", "`url` must have the path of a Unix socket after `unix:`").code(Code::INVALID_URL);
        return Err(fault.help("write a path, such as `unix:/run/app.sock`"));
    };
    Ok(ServerUrl {
        written: text.into(),
        tls: false,
        authority: HeaderValue::from_static("localhost"),
        name: path.display().to_string().into(),
        ip: None,
        port: 0,
        socket: Some(path),
    })
}

/// The fault of a URL with another scheme.
pub fn other_scheme(text: &str) -> Option<Fault> {
    let (scheme, _) = text.split_once("://")?;
    let is_scheme = (1..=20).contains(&scheme.len()) && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_scheme.then(|| {
        Fault::new("", format!("scheme `{scheme}` is not supported"))
            .code(Code::INVALID_URL)
            .help("write `http://` or `https://`")
    })
}

/// `usual` if there is none; `None` if it is not a valid port.
fn port(authority: &Authority, usual: u16) -> Option<u16> {
    let after_host = authority.as_str().strip_prefix(authority.host())?;
    match after_host.strip_prefix(':') {
        None => Some(usual),
        Some(digits) => digits.parse().ok().filter(|port| *port != 0),
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Written for ServerUrl {
    const FORMAT: &'static str = "server-url";
    const STAND_IN: Option<&'static str> = Some("http://stand-in.invalid");
}

written!(ServerUrl, "pattern": "^(https?://[^/?#\\s]+/?|unix:.*[^/])$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_server_and_nothing_else() {
        for (good, name, port, tls) in [
            ("http://10.0.1.11:8081", "10.0.1.11", 8081, false),
            ("http://orders.internal/", "orders.internal", 80, false),
            ("http://[::1]:1", "::1", 1, false),
            ("https://orders", "orders", 443, true),
        ] {
            let url: ServerUrl = good.parse().unwrap();
            assert_eq!(url.ip, name.parse().ok());
            assert_eq!((&*url.name, url.port, url.tls, &*url.to_string()), (name, port, tls, good));
        }
        for bad in [
            "",
            "orders",
            "127.0.0.1:80",
            "h:80",
            "http://",
            "http:///x",
            "http://a/x",
            "http://a?x",
            "http://a#x",
            "http://a/#f",
            "http://a:0",
            "http://a:b",
            "http://a:",
            "http://a b",
            "http://:80",
            "http://[::1",
        ] {
            let fault = bad.parse::<ServerUrl>().unwrap_err();
            assert_eq!(fault.message, "`url` must be the base URL of a server, without a path", "{bad}");
            let help = fault.help.unwrap();
            assert!(
                help.starts_with("write scheme, host and port") || help.starts_with("add the scheme"),
                "{bad}: {help}"
            );
        }
    }

    #[test]
    fn a_unix_socket_is_a_server_too() {
        let url: ServerUrl = "unix:run/app.sock".parse().unwrap();
        assert_eq!(
            (&*url.name, url.port, url.tls, url.authority.to_str().unwrap()),
            ("run/app.sock", 0, false, "localhost")
        );
        assert_eq!(url.below(Path::new("/srv")).address(), "unix:/srv/run/app.sock");
        assert!(!url.is_same(&"unix:RUN/app.sock".parse().unwrap()) && !url.is_same(&"http://run".parse().unwrap()));
        for bad in ["unix:", "unix:/run/", "unix:@app"] {
            let fault = bad.parse::<ServerUrl>().unwrap_err();
            assert_eq!(fault.message, "`url` must have the path of a Unix socket after `unix:`", "{bad}");
        }
    }

    #[test]
    fn a_wrong_scheme_and_a_wrong_port_are_named() {
        for (bad, message) in [
            ("ftp://a", "scheme `ftp` is not supported"),
            ("HTTP://a", "scheme `HTTP` is not supported"),
            ("http://a:99999", "port 99999 is above 65535"),
            ("http://a:80810/", "port 80810 is above 65535"),
        ] {
            assert_eq!(bad.parse::<ServerUrl>().unwrap_err().message, message, "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for bad in ["http://user:hunter2@h:80", "user:hunter2@h:80", "http://user:hunter2 @h", "http://hunter2@"] {
            assert!(!format!("{:?}", bad.parse::<ServerUrl>().unwrap_err()).contains("hunter2"), "{bad}");
        }
    }
}
