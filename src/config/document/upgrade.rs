//! Protocols in a configuration that a connection may switch to.

use gatewright_sdk::written::shown;
use gatewright_sdk::{Code, Fault, Written, written};
use http::HeaderName;
use std::fmt;
use std::str::FromStr;

/// A protocol that a connection may switch to: `websocket`. Lowercase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeProtocol(Box<str>);

impl UpgradeProtocol {
    /// Whether it is the protocol of `offer`, with any version (RFC 9110 section 7.8).
    pub fn is(&self, offer: &[u8]) -> bool {
        let name = offer.split(|byte| *byte == b'/').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(self.0.as_bytes())
    }
}

impl FromStr for UpgradeProtocol {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let invalid = |message: String, help: &str| Err(Fault::new("", message).code(Code::WRONG_FORM).help(help));
        let lower = text.to_ascii_lowercase();
        if ["h2c", "h2", "http", "tls"].contains(&&*lower) {
            return invalid(format!("connections are never upgraded to `{}`", shown(text)), "remove it");
        }
        // Both are tokens.
        if HeaderName::from_bytes(lower.as_bytes()).is_err() {
            let help = "write the name of a protocol without its version, such as `websocket`";
            return invalid(format!("`{}` is not a valid protocol", shown(text)), help);
        }
        Ok(Self(lower.into()))
    }
}

impl fmt::Display for UpgradeProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Written for UpgradeProtocol {
    const FORMAT: &'static str = "upgrade-protocol";
    const STAND_IN: Option<&'static str> = Some("websocket");
}

written!(UpgradeProtocol, "examples": ["websocket"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_a_name_other_than_those_of_http() {
        let websocket: UpgradeProtocol = "WebSocket".parse().unwrap();
        assert!(websocket.is(b"websocket") && websocket.is(b"WEBSOCKET/13") && !websocket.is(b"websocket2"));
        for bad in ["", "a b", "foo/2", "a,b", "h2c", "TLS", "http"] {
            assert!(bad.parse::<UpgradeProtocol>().is_err(), "{bad}");
        }
    }
}
