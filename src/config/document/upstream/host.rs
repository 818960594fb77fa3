//! The `Host` that targets receive.

use gatewright_sdk::written::shown;
use gatewright_sdk::{Code, Fault, Written, written};
use http::HeaderValue;
use http::uri::Authority;
use std::fmt;
use std::str::FromStr;

/// Which `Host` a target receives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HostPolicy {
    /// Host and port of the target.
    #[default]
    Target,
    /// What the client sent.
    Client,
    Value(HeaderValue),
}

impl FromStr for HostPolicy {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let is_host = |authority: &Authority| {
            let has_port = text.len() > authority.host().len();
            !authority.host().is_empty() && !text.contains(['@', '%']) && (!has_port || authority.port_u16().is_some())
        };
        let value = || text.parse::<Authority>().ok().filter(is_host).and_then(|_| HeaderValue::from_str(text).ok());
        let policy = match text {
            "target" => Some(Self::Target),
            "client" => Some(Self::Client),
            _ => value().map(Self::Value),
        };
        policy.ok_or_else(|| {
            Fault::new("", format!("`{}` is not a valid host", shown(text)))
                .code(Code::WRONG_FORM)
                .help("use `target`, `client` or a host such as `shop.internal`")
        })
    }
}

impl fmt::Display for HostPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target => f.write_str("target"),
            Self::Client => f.write_str("client"),
            Self::Value(host) => f.write_str(host.to_str().unwrap_or_default()),
        }
    }
}

impl Written for HostPolicy {
    const FORMAT: &'static str = "host-policy";
    const STAND_IN: Option<&'static str> = Some("target");
}

written!(HostPolicy, "examples": ["target", "client", "shop.internal"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_word_or_a_name_with_an_optional_port() {
        for good in ["target", "client", "shop.internal", "shop.internal:8080", "[::1]:80", "10.0.0.1"] {
            assert_eq!(good.parse::<HostPolicy>().unwrap().to_string(), good);
        }
        for bad in ["", "a b", "http://a", "a/b", "user@a", "a:", "a:99999", "a%2f", "é"] {
            assert!(bad.parse::<HostPolicy>().is_err(), "{bad}");
        }
    }
}
