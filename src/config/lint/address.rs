//! Checks listening addresses: that they do not conflict, and who can reach them.

use super::Lint;
use gatewright_sdk::Code;
use std::net::SocketAddr;

impl Lint<'_> {
    pub(super) fn addresses(&mut self) {
        let document = self.document;
        let listeners = document
            .listeners
            .iter()
            .filter_map(|(name, listener)| Some((format!("listeners.{name}.address"), listener.address.ip()?)));
        let redirects = document.listeners.iter().filter_map(|(name, listener)| {
            Some((format!("listeners.{name}.tls.redirect_from"), listener.tls.as_ref()?.redirect_from?.0))
        });
        let admin = document.admin.iter().map(|admin| ("admin.address".to_owned(), admin.address.0));
        let mut taken: Vec<(SocketAddr, String)> = Vec::new();
        for (path, address) in listeners.chain(redirects).chain(admin) {
            if let Some((_, first)) = taken.iter().find(|(known, _)| overlap(*known, address)) {
                let other = match first.split('.').nth(1) {
                    Some(name) if first.starts_with("listeners") => format!("listener `{name}`"),
                    _ => "the admin API".to_owned(),
                };
                let message = format!("address already used by {other}");
                let help = "use a different port";
                self.conflict(Code::DUPLICATE_ADDRESS, (&path, first), message, help);
            }
            taken.push((address, path));
        }
        if let Some((admin, path)) = taken.iter().find(|(_, path)| path == "admin.address")
            && !admin.ip().is_loopback()
            && document.admin.as_ref().is_some_and(|admin| admin.tls.is_none())
        {
            let (message, path) = ("the admin API is reachable from other machines over plain HTTP", path.clone());
            let help = "bind it to `127.0.0.1`, or restrict access to its network";
            self.warning(Code::ADMIN_EXPOSED, &path, message, help);
        }
        for (name, listener) in document.listeners.iter() {
            for (index, network) in
                listener.trusted_proxies.iter().enumerate().filter(|(_, network)| network.prefix_len() == 0)
            {
                let path = format!("listeners.{name}.trusted_proxies[{index}]");
                self.warning(
                    Code::TRUSTS_EVERYONE,
                    &path,
                    format!("{network} trusts `X-Forwarded-For` from every client"),
                    "list only the networks of your own proxies",
                );
            }
        }
    }
}

/// Whether the second of the two could not be bound. A wildcard address conflicts with every address on its port.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let all = |address: SocketAddr, other: SocketAddr| {
        address.ip().is_unspecified() && (address.is_ipv6() || other.is_ipv4())
    };
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || all(a, b) || all(b, a))
}
