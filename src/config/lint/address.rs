//! Checks listening addresses: that they do not conflict, and who can reach them.

use super::Lint;
use crate::config::document::address::{LONGEST_SOCKET, ListenAddress};
use crate::config::document::socket_mode::SocketMode;
use gatewright_sdk::Code;
use std::path::Path;

impl Lint<'_> {
    /// Checks that the operating system accepts the path of a Unix socket.
    pub(super) fn socket_path(&mut self, at: &str, socket: Option<&Path>, longest: usize, code: Code) {
        let length = |socket: &Path| self.sources.absolute_folder().join(socket).as_os_str().len();
        let Some(length) = socket.map(length).filter(|length| *length > longest) else { return };
        let message = format!("the absolute path of the socket has {length} bytes; the maximum is {longest}");
        self.error(code, at, message, "use a shorter path, such as `unix:/run/gatewright.sock`");
    }

    pub(super) fn addresses(&mut self) {
        let document = self.document;
        let listeners = document
            .listeners
            .iter()
            .map(|(name, listener)| (format!("listeners.{name}.address"), listener.address.clone()));
        let redirects = document.listeners.iter().filter_map(|(name, listener)| {
            let from = listener.tls.as_ref()?.redirect_from?.0;
            Some((format!("listeners.{name}.tls.redirect_from"), ListenAddress::Ip(from)))
        });
        let admin = document.admin.iter().map(|admin| ("admin.address".to_owned(), admin.address.clone()));
        let mut taken: Vec<(ListenAddress, String)> = Vec::new();
        for (path, address) in listeners.chain(redirects).chain(admin) {
            self.socket_path(&path, address.path(), LONGEST_SOCKET, Code::INVALID_ADDRESS);
            let address = address.resolved(self.sources.absolute_folder());
            if let Some((_, first)) = taken.iter().find(|(known, _)| known.overlaps(&address)) {
                let other = match first.split('.').nth(1) {
                    Some(name) if first.starts_with("listeners") => format!("listener `{name}`"),
                    _ => "the admin API".to_owned(),
                };
                let message = format!("address already used by {other}");
                let help = if address.path().is_some() { "use a different path" } else { "use a different port" };
                self.conflict(Code::DUPLICATE_ADDRESS, (&path, first), message, help);
            }
            taken.push((address, path));
        }
        if let Some((admin, path)) = taken.iter().find(|(_, path)| path == "admin.address")
            && admin.ip().is_some_and(|admin| !admin.ip().is_loopback())
            && document.admin.as_ref().is_some_and(|admin| admin.tls.is_none() && !admin.plain_http)
        {
            let (message, path) = ("the admin API is reachable from other machines over plain HTTP", path.clone());
            let help =
                "bind it to `127.0.0.1`, or add `tls`; if only operators reach its network, write `plain_http: true`";
            self.warning(Code::ADMIN_EXPOSED, &path, message, help);
        }
        let mode = |address: &ListenAddress, mode: Option<SocketMode>| address.path().is_none() && mode.is_some();
        let listeners = document.listeners.iter().filter(|(_, listener)| mode(&listener.address, listener.socket_mode));
        let modes = listeners.map(|(name, _)| format!("listeners.{name}.socket_mode"));
        let admin = document.admin.iter().filter(|admin| mode(&admin.address, admin.socket_mode));
        for path in modes.chain(admin.map(|_| "admin.socket_mode".to_owned())) {
            let help = "remove it, or write `address: unix:/run/gatewright.sock`";
            self.error(Code::SOCKET_MODE, &path, "`socket_mode` requires the `address` of a Unix socket", help);
        }
        for (name, listener) in document.listeners.iter() {
            for (index, network) in listener.trusted_proxies.iter().enumerate().filter(|(_, proxy)| proxy.is_everyone())
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
