//! Hosts in a configuration.

use gatewright_sdk::written::shown;
use gatewright_sdk::{Code, Fault, Written, written};
use std::fmt;
use std::net::Ipv6Addr;
use std::ops::Deref;
use std::str::FromStr;

/// A host, or all hosts below a domain: `api.example.com`, `*.example.com`, `[::1]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern(String);

/// A host: `api.example.com`, `[::1]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl FromStr for HostPattern {
    type Err = Fault;

    fn from_str(host: &str) -> Result<Self, Fault> {
        let fault = |message: &str, help: &str| {
            Err(Fault::new("", format!("`{}` {message}", shown(host))).code(Code::INVALID_HOST).help(help))
        };
        if let Some(inner) = host.strip_prefix('[') {
            let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
            return match address {
                Some(_) => Ok(Self(host.to_owned())),
                None => fault("is not a valid IPv6 address", "write `[::1]`, without a port"),
            };
        }
        if host.contains(':') {
            return fault("contains a scheme or port", "write only the host name, such as `api.example.com`");
        }
        let name = host.strip_prefix("*.").unwrap_or(host);
        if name.contains('*') {
            return fault("has `*` in the wrong place", "`*` is allowed only at the start, as in `*.example.com`");
        }
        if !name.is_ascii() {
            return fault("is not ASCII", "write it in Punycode (`xn--…`)");
        }
        let label = |label: &str| {
            let in_names = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| in_names(b) || b == b'-')
                && label.bytes().any(in_names)
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return fault("is not a valid host", "write a name such as `api.example.com` or `*.example.com`");
        }
        Ok(Self(host.to_owned()))
    }
}

impl FromStr for HostName {
    type Err = Fault;

    fn from_str(host: &str) -> Result<Self, Fault> {
        let HostPattern(host) = host.parse()?;
        if host.contains('*') {
            // The owner of any name below it could direct a browser here.
            return Err(Fault::new("", "wildcards are not allowed in `hosts` of the admin address")
                .code(Code::INVALID_HOST)
                .help("list each host name explicitly"));
        }
        Ok(Self(host))
    }
}

macro_rules! host {
    ($kind:ty, $format:literal) => {
        impl Deref for $kind {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $kind {
            fn as_ref(&self) -> &str {
                self
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self)
            }
        }

        impl Written for $kind {
            const FORMAT: &'static str = $format;
            const STAND_IN: Option<&'static str> = Some("stand-in.invalid");
        }

        written!($kind);
    };
}

host!(HostPattern, "host-pattern");
host!(HostName, "own-host");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names() {
        for good in ["example", "api.example.com", "*.example.com", "127.0.0.1", "[::1]", "xn--bcher-kva.example"] {
            assert_eq!(good.parse::<HostPattern>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "a b",
            "a.*.example",
            "*",
            "*example",
            "a.example:80",
            "http://a",
            "a..b",
            "[::1",
            "bücher.example",
            ".a",
        ] {
            assert!(bad.parse::<HostPattern>().is_err() && bad.parse::<HostName>().is_err(), "{bad}");
        }
        assert!("*.example.com".parse::<HostName>().is_err());
    }

    #[test]
    fn each_slip_has_a_way_out() {
        for (host, message, help) in [
            ("a.example:80", "`a.example:80` contains a scheme or port", "write only the host name"),
            ("[::1]:80", "`[::1]:80` is not a valid IPv6 address", "write `[::1]`, without a port"),
            ("bücher.example", "`bücher.example` is not ASCII", "write it in Punycode (`xn--…`)"),
        ] {
            let fault = host.parse::<HostPattern>().unwrap_err();
            assert_eq!(fault.message, message);
            assert!(fault.help.unwrap().starts_with(help), "{host}");
        }
    }
}
