//! Rejects clients by their address.

mod ranges;

use gatewright_sdk::{
    CheckContext, ClientAddress, ClientNetwork, Code, Compiled, Contract, Facts, Fault, Filter, Plugin, Problem,
    Request, Traits, Verdict,
};
use ranges::Ranges;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Rejects clients by their address with 403. The address is `client.ip`: behind a proxy, it is the client's only if the
/// listener's `trusted_proxies` contains the proxy.
///
/// An entry is an address (`127.0.0.1`), a network (`10.0.0.0/8`), or `unix:` for clients that connect through a Unix
/// socket and have no address. IPv4 and IPv6 are separate: `0.0.0.0/0` matches no IPv6 client. An IPv4 address that is
/// mapped to IPv6 (`::ffff:10.0.0.1`) is an IPv4 address. `deny` also rejects those that were translated to IPv6
/// (`64:ff9b::10.0.0.1`).
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub struct IpFilter {
    /// The clients that pass. All others are rejected. Without it, every client passes that `deny` does not contain.
    #[schemars(length(min = 1))]
    allow: Option<Vec<ClientNetwork>>,
    /// The clients that are rejected, even if `allow` contains them.
    #[schemars(length(min = 1))]
    deny: Option<Vec<ClientNetwork>>,
}

impl Plugin for IpFilter {
    const NAME: &'static str = "ip_filter";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let gate = Gate {
            allow: self.allow.as_deref().map(Clients::new),
            deny: Clients::new(self.deny.as_deref().unwrap_or_default()),
        };
        Compiled::filter(gate)
            .traits(Traits { restricts: true, contract: Contract::rejects(&[403]), ..Traits::default() })
            .faults(self.faults())
            .warnings(self.warnings())
    }
}

impl IpFilter {
    fn lists(&self) -> impl Iterator<Item = (&'static str, &[ClientNetwork])> {
        let lists = [("allow", &self.allow), ("deny", &self.deny)];
        lists.into_iter().filter_map(|(key, list)| Some((key, list.as_deref()?)))
    }

    fn faults(&self) -> Vec<Fault> {
        if self.allow.is_none() && self.deny.is_none() {
            let fault = Fault::new("", "no addresses to allow or deny").code(Code::NOTHING_TO_DO);
            return vec![fault.help("write `allow: [10.0.0.0/8]` or `deny: [203.0.113.7]`")];
        }
        let empty = self.lists().filter(|(_, list)| list.is_empty());
        let fault = |(key, _)| {
            let fault = Fault::new(key, format!("`{key}` must not be empty")).code(Code::WRONG_LENGTH);
            fault.help(format!("list at least one address, such as `{key}: [10.0.0.0/8]`, or remove `{key}`"))
        };
        empty.map(fault).collect()
    }

    fn warnings(&self) -> Vec<Fault> {
        let mut warnings = Vec::new();
        let mut warn = |path, message: String, help: String| {
            warnings.push(Fault::new(path, message).code(Code::IP_FILTER).help(help));
        };
        for (key, list) in self.lists() {
            for (index, entry) in list.iter().enumerate() {
                let (ClientNetwork::Network(written), Some(network)) = (entry, entry.network()) else { continue };
                if written.trunc() != **written {
                    let (network, ip) = (written.trunc(), written.addr());
                    let message = format!("`{entry}` is the whole network `{network}`");
                    warn(format!("{key}[{index}]"), message, format!("write `{network}`, or `{ip}` for one address"));
                }
                let same = |other: &ClientNetwork| {
                    other.network().is_some_and(|n| n.addr().is_ipv4() == network.addr().is_ipv4())
                };
                if network.prefix_len() == 0 && list.iter().all(same) {
                    let (other, all) = if network.addr().is_ipv4() { ("IPv6", "::/0") } else { ("IPv4", "0.0.0.0/0") };
                    let message = format!("`{entry}` matches no {other} client");
                    warn(format!("{key}[{index}]"), message, format!("add `{all}` for {other} clients"));
                }
            }
        }
        let deny = Clients::new(self.deny.as_deref().unwrap_or_default());
        for (index, entry) in self.allow.iter().flatten().enumerate() {
            if deny.covers(*entry) {
                let message = format!("`{entry}` has no effect: `deny` contains it");
                warn(format!("allow[{index}]"), message, "remove it, or narrow `deny`, which always wins".to_owned());
            }
        }
        warnings
    }
}

struct Gate {
    allow: Option<Clients>,
    deny: Clients,
}

impl Filter for Gate {
    type Ticket = ();
    const RESPONDS: bool = false;

    fn decide(&self, request: &Request) -> Verdict<()> {
        let client = Facts::of(request).client.ip.to_canonical();
        let translated = client.translated().map(|ip| ClientAddress::Ip(ip.into()));
        let reason = if self.deny.contains(client) || translated.is_some_and(|client| self.deny.contains(client)) {
            "address_denied"
        } else if self.allow.as_ref().is_some_and(|allow| !allow.contains(client)) {
            "address_not_allowed"
        } else {
            return Verdict::Continue(());
        };
        Verdict::refuse(Problem::forbidden().log_reason(reason))
    }
}

/// A list, prepared for lookup.
struct Clients {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    unix: bool,
}

impl Clients {
    fn new(list: &[ClientNetwork]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in list.iter().filter_map(|entry| entry.network()) {
            match (network.network(), network.broadcast()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.into(), last.into())),
                (IpAddr::V6(first), IpAddr::V6(last)) => v6.push((first.into(), last.into())),
                _ => {}
            }
        }
        Self { v4: Ranges::new(v4), v6: Ranges::new(v6), unix: list.contains(&ClientNetwork::Unix) }
    }

    fn contains(&self, client: ClientAddress) -> bool {
        match client {
            ClientAddress::Ip(IpAddr::V4(ip)) => self.v4.contains(ip.into(), ip.into()),
            ClientAddress::Ip(IpAddr::V6(ip)) => self.v6.contains(ip.into(), ip.into()),
            ClientAddress::Unix => self.unix,
        }
    }

    /// Whether it contains every client of `entry`.
    fn covers(&self, entry: ClientNetwork) -> bool {
        match entry.network().map(|network| (network.network(), network.broadcast())) {
            Some((IpAddr::V4(first), IpAddr::V4(last))) => self.v4.contains(first.into(), last.into()),
            Some((IpAddr::V6(first), IpAddr::V6(last))) => self.v6.contains(first.into(), last.into()),
            _ => self.unix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewright_sdk::testing::{answers, compile, faults, install, request};
    use gatewright_sdk::{Peer, Refusal};
    use serde_json::{Value, json};

    /// What happens to a client with this address.
    async fn verdict(settings: &Value, client: &str) -> String {
        let service = install::<IpFilter>(settings.clone(), answers(|_| "in"));
        let mut request = request("GET", &[]);
        let facts = Facts::of_mut(&mut request);
        facts.client.ip = client.parse().unwrap();
        // The peer does not matter.
        facts.client.peer = Peer::Unix;
        let response = service.call(request).await;
        let reason = response.extensions().get::<Refusal>().map_or("", |refusal| &refusal.reason).to_owned();
        assert_eq!(response.status(), if reason.is_empty() { 200 } else { 403 });
        reason
    }

    #[tokio::test]
    async fn only_allowed_clients_pass_and_deny_wins() {
        let inside = json!({ "allow": ["10.0.0.0/8", "fd00::/8", "192.0.2.7"], "deny": ["10.9.0.0/16"] });
        let blocked = json!({ "deny": ["203.0.113.0/24", "2001:db8::1", "::ffff:198.51.100.0/120"] });
        let mapped = json!({ "allow": ["::ffff:10.0.0.1"] });
        let all = json!({ "allow": ["0.0.0.0/0"] });
        for (settings, client, reason) in [
            (&inside, "10.0.0.0", ""),
            (&inside, "10.8.255.255", ""),
            (&inside, "10.9.0.0", "address_denied"),
            (&inside, "10.9.255.255", "address_denied"),
            (&inside, "10.255.255.255", ""),
            (&inside, "11.0.0.0", "address_not_allowed"),
            (&inside, "9.255.255.255", "address_not_allowed"),
            (&inside, "::ffff:10.1.2.3", ""),
            (&inside, "::ffff:10.9.2.3", "address_denied"),
            (&inside, "::10.1.2.3", "address_not_allowed"),
            (&inside, "fd12::1", ""),
            (&inside, "fe80::1", "address_not_allowed"),
            (&inside, "192.0.2.7", ""),
            (&inside, "192.0.2.8", "address_not_allowed"),
            (&inside, "unix:", "address_not_allowed"),
            (&blocked, "203.0.113.255", "address_denied"),
            (&blocked, "::ffff:203.0.113.1", "address_denied"),
            (&blocked, "198.51.100.9", "address_denied"),
            (&blocked, "2001:db8::1", "address_denied"),
            (&blocked, "2001:db8::2", ""),
            (&blocked, "64:ff9b::203.0.113.1", "address_denied"),
            (&blocked, "64:ff9b::203.0.114.1", ""),
            (&blocked, "64:ff9b:1::203.0.113.1", ""),
            (&inside, "64:ff9b::10.9.2.3", "address_denied"),
            (&inside, "64:ff9b::10.1.2.3", "address_not_allowed"),
            (&blocked, "unix:", ""),
            (&mapped, "10.0.0.1", ""),
            (&mapped, "10.0.0.2", "address_not_allowed"),
            (&all, "255.255.255.255", ""),
            (&all, "::1", "address_not_allowed"),
            (&json!({ "allow": ["::/0"] }), "1.2.3.4", "address_not_allowed"),
            (&json!({ "allow": ["unix:"] }), "unix:", ""),
            (&json!({ "deny": ["unix:"] }), "unix:", "address_denied"),
        ] {
            assert_eq!(verdict(settings, client).await, reason, "{settings} {client}");
        }
    }

    #[test]
    fn a_list_that_is_missing_or_empty_is_a_fault() {
        for (settings, expected) in [
            (json!({}), &["no addresses to allow or deny"][..]),
            (json!({ "allow": [] }), &["allow: `allow` must not be empty"]),
            (json!({ "allow": ["::1"], "deny": [] }), &["deny: `deny` must not be empty"]),
        ] {
            assert_eq!(faults::<IpFilter>(settings, false), expected);
        }
    }

    #[test]
    fn entries_that_do_not_mean_what_they_seem_to_are_warnings() {
        for (settings, expected) in [
            (json!({ "allow": ["10.1.2.3/8"] }), &["allow[0]: `10.1.2.3/8` is the whole network `10.0.0.0/8`"][..]),
            (json!({ "deny": ["0.0.0.0/0"] }), &["deny[0]: `0.0.0.0/0` matches no IPv6 client"]),
            (json!({ "allow": ["::1", "::/0"] }), &["allow[1]: `::/0` matches no IPv4 client"]),
            (json!({ "allow": ["0.0.0.0/0", "::/0"] }), &[]),
            (json!({ "allow": ["0.0.0.0/0", "::1"] }), &[]),
            (
                json!({ "allow": ["10.1.0.0/16", "10.0.0.0/8"], "deny": ["10.1.0.0/17", "10.1.128.0/17"] }),
                &["allow[0]: `10.1.0.0/16` has no effect: `deny` contains it"],
            ),
            (
                json!({ "allow": ["unix:"], "deny": ["unix:"] }),
                &["allow[0]: `unix:` has no effect: `deny` contains it"],
            ),
        ] {
            let found = compile::<IpFilter>(settings.clone(), false).warnings;
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{settings}");
            assert!(found.iter().all(|warning| warning.help.is_some()));
        }
    }
}
