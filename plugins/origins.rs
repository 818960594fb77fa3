//! Matches allowed origins: exact ones, every subdomain of a domain, every port of a host.

use gatewright_sdk::{Code, Fault};
use std::collections::HashSet;
use std::net::Ipv6Addr;

/// Origins as browsers write them: `scheme://host[:port]`, lower case, without the default port.
#[derive(Default)]
pub struct Origins {
    /// Whether `*` was given.
    pub any: bool,
    exact: HashSet<Box<[u8]>>,
    patterns: Vec<Pattern>,
}

/// An origin with a wildcard.
struct Pattern {
    /// With `://`.
    scheme: String,
    /// With a leading dot if it stands for every subdomain.
    host: String,
    port: Port,
}

#[derive(PartialEq)]
enum Port {
    /// The default port of the scheme.
    Own,
    One(u16),
    Any,
}

impl Origins {
    /// Parses the setting `key`, adding its faults to `faults`.
    pub fn compile(key: &str, settings: &[String], faults: &mut Vec<Fault>) -> Self {
        let mut origins = Self::default();
        for (index, text) in settings.iter().enumerate() {
            if text == "*" {
                origins.any = true;
            } else if let Err((message, help)) = origins.add(text) {
                let fault = Fault::new(format!("{key}[{index}]"), format!("`{text}`: {message}"));
                faults.push(fault.code(Code::INVALID_ORIGIN).help(help));
            }
        }
        origins
    }

    fn add(&mut self, text: &str) -> Result<(), (&'static str, &'static str)> {
        const FORM: &str = "write scheme://host or scheme://host:port, such as https://app.example.com";
        if text.eq_ignore_ascii_case("null") {
            return Err((
                "sandboxed frames and local files also have this origin",
                "use the actual origin of the page",
            ));
        }
        let lower = text.to_ascii_lowercase();
        let (scheme, authority) = lower.split_once("://").ok_or(("not a valid origin", FORM))?;
        let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_lowercase()) || !scheme.bytes().all(in_scheme) {
            return Err(("not a valid origin", FORM));
        }
        if authority.contains(['/', '?', '#', '@', '\\']) {
            return Err(("an origin consists of scheme, host and port only", FORM));
        }
        if !authority.is_ascii() {
            return Err(("browsers send host names in Punycode", "write the name in Punycode (`xn--…`)"));
        }
        let (host, port) = split_port(authority);
        let port = match port {
            None => Port::Own,
            Some("*") => Port::Any,
            Some(digits) => match digits.parse() {
                Ok(80) if scheme == "http" => Port::Own,
                Ok(443) if scheme == "https" => Port::Own,
                Ok(port) => Port::One(port),
                Err(_) => return Err(("not a valid port", "use a number up to 65535, or `*` for any port")),
            },
        };
        let host = if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = inner.parse().map_err(|_| ("not a valid IPv6 address", FORM))?;
            format!("[{address}]")
        } else {
            host.to_owned()
        };
        let domain = host.strip_prefix("*.");
        let name = domain.unwrap_or(&host);
        if !name.starts_with('[') && !is_host(name) {
            return Err(("not a valid host name", FORM));
        }
        if domain.is_some_and(|domain| !domain.contains('.')) {
            return Err((
                "the wildcard matches a whole top-level domain",
                "use a narrower wildcard, such as `*.example.com`",
            ));
        }
        if domain.is_some() || port == Port::Any {
            let host = domain.map_or_else(|| host.clone(), |domain| format!(".{domain}"));
            self.patterns.push(Pattern { scheme: format!("{scheme}://"), host, port });
        } else {
            let port = if let Port::One(port) = port { format!(":{port}") } else { String::new() };
            self.exact.insert(format!("{scheme}://{host}{port}").into_bytes().into());
        }
        Ok(())
    }

    /// Whether the value of an `Origin` header is allowed.
    pub fn contains(&self, origin: &[u8]) -> bool {
        if self.exact.contains(origin) {
            return true;
        }
        if self.patterns.is_empty() {
            return false;
        }
        std::str::from_utf8(origin).is_ok_and(|origin| self.patterns.iter().any(|pattern| pattern.fits(origin)))
    }
}

impl Pattern {
    fn fits(&self, origin: &str) -> bool {
        let Some(authority) = origin.strip_prefix(&*self.scheme) else { return false };
        let (host, port) = split_port(authority);
        let port_fits = match self.port {
            Port::Own => port.is_none(),
            Port::One(wanted) => port.is_some_and(|port| is_port(port) && port.parse() == Ok(wanted)),
            Port::Any => port.is_none_or(is_port),
        };
        let host_fits = match self.host.strip_prefix('.') {
            Some(_) => host.strip_suffix(&*self.host).is_some_and(is_host),
            None => host == self.host,
        };
        port_fits && host_fits
    }
}

/// `host` and the port after its last colon; the colons of an IPv6 address are inside brackets.
pub fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0')
}

/// Labels of lower-case letters, digits, `-` and `_`, separated by dots.
fn is_host(text: &str) -> bool {
    let in_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    text.len() <= 253 && text.split('.').all(|label| !label.is_empty() && label.bytes().all(in_label))
}
