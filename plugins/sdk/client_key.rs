//! The client of a request as limits count it: an IPv4 address, or an IPv6 network that one customer usually has.

use crate::ClientAddress;
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv6Addr};

/// A client. Those on a Unix socket are all one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientKey(u128);

impl ClientKey {
    #[must_use]
    pub fn of(address: ClientAddress) -> Self {
        // A provider gives each customer 64 bits of addresses, or more. IPv4 clients behind a translator share theirs with strangers.
        const NETWORK: u128 = !(u64::MAX as u128);
        Self(match address.to_canonical() {
            ClientAddress::Ip(IpAddr::V4(ip)) => ip.to_ipv6_mapped().to_bits(),
            ClientAddress::Ip(IpAddr::V6(ip)) if address.translated().is_some() => ip.to_bits(),
            ClientAddress::Ip(IpAddr::V6(ip)) => ip.to_bits() & NETWORK,
            ClientAddress::Unix => 0,
        })
    }
}

/// An address, or a network with its prefix.
impl Display for ClientKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ip = Ipv6Addr::from_bits(self.0);
        match ip.to_ipv4_mapped() {
            Some(ip) => ip.fmt(f),
            None if ClientAddress::Ip(ip.into()).translated().is_some() => ip.fmt(f),
            None => write!(f, "{ip}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_customer_are_one_client() {
        let of = |text: &str| ClientKey::of(text.parse().unwrap());
        assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_ne!(of("unix:"), of("127.0.0.1"));
        assert_ne!(of("64:ff9b::192.0.2.1"), of("64:ff9b::192.0.2.2"), "each IPv4 client behind a translator");
        assert_ne!(
            of("64:ff9b::192.0.2.1"),
            of("192.0.2.1"),
            "who uses such an address cannot use up what another has"
        );
        assert_eq!(of("64:ff9b:1::192.0.2.1"), of("64:ff9b:1::192.0.2.2"), "a network of its own");
    }

    #[test]
    fn clients_are_shown_as_they_are_counted() {
        let shown = |text: &str| ClientKey::of(text.parse().unwrap()).to_string();
        assert_eq!(shown("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(shown("2001:db8:0:1:2::3"), "2001:db8:0:1::/64");
        assert_eq!(shown("64:ff9b::192.0.2.1"), "64:ff9b::c000:201");
    }
}
