//! Networks in a configuration.

use crate::written::shown;
use crate::{Code, Fault, Written, written};
use ipnet::IpNet;
use std::net::IpAddr;
use std::str::FromStr;

/// An IP address with its prefix length: `10.0.0.0/8`, `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl FromStr for Network {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if let Ok(network) = text.parse() {
            return Ok(Self(network));
        }
        let not_one = |why: &str, help: String| {
            Fault::new("", format!("`{}` {why}", shown(text))).code(Code::INVALID_NETWORK).help(help)
        };
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(not_one(
                "is not a valid network",
                "write an address and a prefix length: `10.0.0.0/8`, `fd00::/8`".to_owned(),
            ));
        };
        let (kind, most) = if address.is_ipv4() { ("IPv4", 32) } else { ("IPv6", 128) };
        Err(match length {
            None => {
                not_one("is an address, not a network", format!("write `{address}/{most}` to match only this address"))
            }
            Some(_) => not_one(
                &format!("is not a valid network: an {kind} address has {most} bits"),
                format!("write a prefix length from 0 to {most} after the `/`"),
            ),
        })
    }
}

impl Written for Network {
    const FORMAT: &'static str = "network";
    const STAND_IN: Option<&'static str> = Some("127.0.0.1/32");
}

written!(Network as IpNet);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_addresses_with_a_length() {
        for good in ["10.0.0.0/8", "10.1.2.3/8", "fd00::/8", "0.0.0.0/0", "::1/128"] {
            assert_eq!(good.parse::<Network>().unwrap().to_string(), good);
        }
        for (bad, message, help) in [
            (
                "10.0.0.0/33",
                "`10.0.0.0/33` is not a valid network: an IPv4 address has 32 bits",
                "write a prefix length from",
            ),
            (
                "fd00::/129",
                "`fd00::/129` is not a valid network: an IPv6 address has 128 bits",
                "write a prefix length from",
            ),
            (
                "10.0.0.0/",
                "`10.0.0.0/` is not a valid network: an IPv4 address has 32 bits",
                "write a prefix length from",
            ),
            ("10.0.0.1", "`10.0.0.1` is an address, not a network", "write `10.0.0.1/32` to match only this address"),
            ("::1", "`::1` is an address, not a network", "write `::1/128` to match only this address"),
            (
                "10.0.0/8",
                "`10.0.0/8` is not a valid network",
                "write an address and a prefix length: `10.0.0.0/8`, `fd00::/8`",
            ),
            ("proxy", "`proxy` is not a valid network", "write an address and a prefix length"),
            ("", "`` is not a valid network", "write an address and a prefix length"),
        ] {
            let fault = bad.parse::<Network>().unwrap_err();
            assert_eq!(fault.message, message);
            assert!(fault.help.unwrap().starts_with(help), "{bad}");
        }
    }
}
