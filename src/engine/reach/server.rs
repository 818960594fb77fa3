//! What identifies a server, however its URL is written.

use super::Target;
use crate::config::document::address::resolved;
use crate::config::document::server_url::ServerUrl;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

impl Target {
    /// The server of `url`. A relative path of a Unix socket is resolved against `folder`.
    pub fn server(url: &ServerUrl, folder: &Path) -> Self {
        let local = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let written = || ipv4(&url.name).map(IpAddr::V4);
        let host = match (&url.socket, url.ip.or_else(written).map(|address| address.to_canonical())) {
            (Some(socket), _) => format!("unix:{}", real(&folder.join(socket)).display()),
            // A connection to the unspecified address reaches this machine.
            (None, Some(address)) if local.contains(&address) || address.is_unspecified() => "localhost".to_owned(),
            (None, Some(address)) => address.to_string(),
            (None, None) => url.name.trim_end_matches('.').to_ascii_lowercase(),
        };
        Self::Server { host, port: url.port }
    }
}

/// The path without symbolic links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let in_folder = || Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(in_folder).unwrap_or_else(|| resolved(path))
}

/// The IPv4 address in the forms that the resolver of the system accepts too: `127.1`, `0x7f.0.0.1`, `2130706433`.
fn ipv4(name: &str) -> Option<Ipv4Addr> {
    if let Ok(url::Host::Ipv4(address)) = url::Host::parse(name) { Some(address) } else { None }
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

    #[test]
    fn a_socket_is_one_target_through_symbolic_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("run")).unwrap();
        std::os::unix::fs::symlink(at("run"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("run/app.sock"), at("app.sock")).unwrap();
        let target = |url: &str| Target::server(&url.parse().unwrap(), folder.path());
        assert_eq!(target("unix:link/app.sock"), target("unix:run/app.sock"));
        fs::write(at("run/app.sock"), "").unwrap();
        for name in ["link/app.sock", "app.sock", "run/../app.sock"] {
            assert_eq!(target(&format!("unix:{name}")), target("unix:run/app.sock"), "{name}");
        }
        assert_ne!(target("unix:link/other.sock"), target("unix:run/app.sock"));
    }
}
