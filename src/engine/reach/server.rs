//! What identifies a server, however its URL is written.

use super::Target;
use crate::config::document::address::resolved;
use crate::config::document::server_url::ServerUrl;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

impl Target {
    /// The server of `url`. A relative path of a Unix socket is resolved against `folder`.
    pub fn server(url: &ServerUrl, folder: &Path) -> Self {
        let local = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let written = || ipv4(&url.name).map(IpAddr::V4);
        let host = match (&url.socket, url.ip.or_else(written).map(|address| address.to_canonical())) {
            (Some(socket), _) => format!("unix:{}", resolved(&folder.join(socket)).display()),
            // A connection to the unspecified address reaches this machine.
            (None, Some(address)) if local.contains(&address) || address.is_unspecified() => "localhost".to_owned(),
            (None, Some(address)) => address.to_string(),
            (None, None) => url.name.trim_end_matches('.').to_ascii_lowercase(),
        };
        Self::Server { host, port: url.port }
    }
}

/// The IPv4 address in the forms that the resolver of the system accepts: `127.1`, `0x7f.0.0.1`, `2130706433`.
fn ipv4(name: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if part.len() > 1 && part.starts_with('0') => u32::from_str_radix(part, 8).ok(),
        None => part.parse().ok(),
    };
    let parts: Option<Vec<u32>> = name.split('.').map(number).collect();
    let parts = parts.filter(|parts| parts.len() <= 4)?;
    let (last, first) = parts.split_last()?;
    // The last number fills the bytes that the others leave.
    let mut left = 32;
    let mut address = 0_u32;
    for part in first {
        left -= 8;
        address |= u32::from(u8::try_from(*part).ok()?) << left;
    }
    let fits = left == 32 || last >> left == 0;
    fits.then(|| Ipv4Addr::from(address | last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_is_one_target_however_it_is_written() {
        let target = |url: &str| Target::server(&url.parse().unwrap(), Path::new("/srv"));
        for (one, other) in [
            ("http://127.1:81", "http://127.0.0.1:81"),
            ("http://2130706433:81", "http://localhost:81"),
            ("http://0x7f.0.0.01:81", "http://[::1]:81"),
            ("http://0.0.0.0:81", "http://127.0.0.1:81"),
            ("http://10.1.2:80", "http://10.1.0.2"),
            ("unix:app.sock", "unix:/srv/app.sock"),
            ("unix:./run/../app.sock", "unix:///srv//app.sock"),
        ] {
            assert_eq!(target(one), target(other), "{one}");
        }
        for other in ["http://127.256:81", "http://1.2.3.4.5:81", "http://4294967296:81", "http://127.2:81"] {
            assert_ne!(target(other), target("http://127.0.0.1:81"), "{other}");
        }
        assert_ne!(target("unix:app.sock"), target("unix:/app.sock"));
    }
}
