//! Determines the client behind proxies: only proxies that the operator trusts are believed.

use crate::terms::TrustedProxies;
use gatewright_sdk::{Client, ClientAddress, Peer, Scheme};
use http::HeaderMap;
use http::header::HeaderName;
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The client of a request from `peer`. If that is a trusted proxy, `X-Forwarded-For` is walked from the right, across
/// all its lines, to the first hop that is not trusted; a malformed entry ends the walk at the hop that wrote it.
pub(super) fn decide(peer: Peer, headers: &HeaderMap, trusted: &TrustedProxies, tls: bool) -> Client {
    let own = peer.address().to_canonical();
    let scheme = if tls { Scheme::Https } else { Scheme::Http };
    if !trusted.contains(own) {
        return Client { ip: own, peer, scheme, trusted: false };
    }
    let mut ip = own;
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    for entry in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
        let Some(hop) = parse_hop(entry) else { break };
        ip = ClientAddress::Ip(hop);
        if !trusted.contains(ip) {
            break;
        }
    }
    let proto = headers.get_all(FORWARDED_PROTO).iter().next_back();
    let proto = proto.and_then(|line| line.as_bytes().rsplit(|byte| *byte == b',').next()).map(<[u8]>::trim_ascii);
    let scheme = match proto {
        Some(proto) if proto.eq_ignore_ascii_case(b"https") => Scheme::Https,
        Some(proto) if proto.eq_ignore_ascii_case(b"http") => Scheme::Http,
        _ => scheme,
    };
    Client { ip, peer, scheme, trusted: true }
}

/// An entry of `X-Forwarded-For`: an address with or without a port, an IPv6 address with or without brackets.
fn parse_hop(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_ascii();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let ip = match bare {
        Some(inside) => IpAddr::V6(inside.parse().ok()?),
        None => text.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()?,
    };
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&str, &str)]) -> (String, Scheme, bool) {
        client_of(peer, headers, &TrustedProxies { unix: false, networks: networks() })
    }

    fn networks() -> Vec<ipnet::IpNet> {
        ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into()
    }

    fn client_of(peer: &str, headers: &[(&str, &str)], trusted: &TrustedProxies) -> (String, Scheme, bool) {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            });
        let peer = match peer {
            "unix:" => Peer::Unix,
            peer => Peer::Tcp(SocketAddr::new(peer.parse().unwrap(), 1)),
        };
        let client = decide(peer, &map, trusted, false);
        assert_eq!(client.peer, peer);
        (client.ip.to_string(), client.scheme, client.trusted)
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let spoof = [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https"), ("x-real-ip", "1.2.3.4")];
        assert_eq!(client("203.0.113.9", &spoof), ("203.0.113.9".into(), Scheme::Http, false));
        assert_eq!(client("10.0.0.1", &spoof), ("1.2.3.4".into(), Scheme::Https, true));
    }

    #[test]
    fn a_peer_on_a_unix_socket_is_believed_only_if_unix_sockets_are_trusted() {
        let behind = [("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.1.1.1"), ("x-forwarded-proto", "https")];
        assert_eq!(client("unix:", &behind), ("unix:".into(), Scheme::Http, false));
        let trusted = TrustedProxies { unix: true, networks: networks() };
        assert_eq!(client_of("unix:", &behind, &trusted), ("1.2.3.4".into(), Scheme::Https, true));
        assert_eq!(client_of("unix:", &[], &trusted), ("unix:".into(), Scheme::Http, true));
    }

    #[test]
    fn the_right_most_hop_that_is_not_trusted_is_the_client() {
        let table: &[(&[&str], &str)] = &[
            (&[], "10.0.0.1"),
            (&["6.6.6.6, 1.2.3.4, 10.1.1.1"], "1.2.3.4"),
            (&["6.6.6.6", "1.2.3.4, 10.1.1.1", "10.2.2.2"], "1.2.3.4"),
            (&["10.3.3.3,10.4.4.4"], "10.3.3.3"),
            (&["1.2.3.4:5678"], "1.2.3.4"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["[2001:db8::1]:443, fd00::5"], "2001:db8::1"),
            (&["::ffff:1.2.3.4"], "1.2.3.4"),
            (&["1.2.3.4, ::ffff:10.9.9.9"], "1.2.3.4"),
        ];
        for (lines, expected) in table {
            let headers: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            assert_eq!(client("10.0.0.1", &headers).0, *expected, "{lines:?}");
        }
        assert_eq!(client("::ffff:10.0.0.1", &[("x-forwarded-for", "1.2.3.4")]).0, "1.2.3.4");
    }

    #[test]
    fn a_malformed_entry_ends_the_walk_at_the_hop_that_wrote_it() {
        for junk in ["1.2.3.4, '; DROP TABLE", "1.2.3.4, unknown", "1.2.3.4, ", "1.2.3.4, 999.1.1.1", "1.2.3.4,[::1"] {
            assert_eq!(client("10.0.0.1", &[("x-forwarded-for", junk)]).0, "10.0.0.1", "{junk}");
            let behind = format!("{junk}, 10.7.7.7");
            assert_eq!(client("10.0.0.1", &[("x-forwarded-for", &behind)]).0, "10.7.7.7", "{junk}");
        }
    }

    #[test]
    fn an_unknown_scheme_changes_nothing() {
        assert_eq!(client("10.0.0.1", &[("x-forwarded-proto", "gopher")]).1, Scheme::Http);
        assert_eq!(client("10.0.0.1", &[("x-forwarded-proto", "http, HTTPS")]).1, Scheme::Https);
    }
}
