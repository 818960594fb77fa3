//! The runtime file, to which `gatewright run` writes its health addresses for `gatewright healthcheck`.

use crate::cli::address::Address;
use crate::config::document::listener::{ClientAuthMode, Protocol};
use crate::engine::snapshot::{Listener, Snapshot};
use crate::path::OwnPath;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The content of the file, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Runtime {
    /// The process that wrote it.
    pub pid: u32,
    /// Its health addresses; `None` if it has no listener.
    pub health: Option<Health>,
}

/// The health addresses of a gateway.
#[derive(Debug, Serialize, Deserialize)]
pub struct Health {
    /// The URL that responds 200 while the process runs.
    pub live: String,
    /// The URL that responds 200 while requests can be served.
    pub ready: String,
    /// Whether only HTTP/2 is supported there.
    pub http2: bool,
    /// The SHA-256 of its certificate, in hex, if it serves https.
    #[serde(default)]
    pub certificate: Option<String>,
    /// The Unix socket to connect to, if the listener is one.
    #[serde(default)]
    pub socket: Option<PathBuf>,
}

/// The runtime file of this process. It is removed when this value is dropped.
pub struct RuntimeFile(PathBuf);

impl RuntimeFile {
    /// The file at `path`, which is not touched yet.
    ///
    /// # Errors
    /// Why it could not be written.
    pub fn new(path: PathBuf) -> io::Result<Self> {
        let file = Self(path);
        // It is replaced, and removed on exit: that must not happen to another file with this name.
        match fs::symlink_metadata(&file.0) {
            Ok(found) if !found.is_file() => return Err(io::Error::other("it is not a regular file")),
            Ok(found) if found.len() > 0 && read(&file.0).is_err() => {
                return Err(io::Error::other("it exists and is not a runtime file"));
            }
            _ => {}
        }
        fs::remove_file(file.write_beside("")?)?;
        Ok(file)
    }

    /// Writes the health addresses of `snapshot`, whose sockets listen. A reader finds either the old or the new content.
    pub fn write(&self, snapshot: &Snapshot) -> io::Result<()> {
        let text = serde_json::to_string_pretty(&Runtime { pid: std::process::id(), health: health(snapshot) })?;
        let beside = self.write_beside(&(text + "\n"))?;
        fs::rename(&beside, &self.0).inspect_err(|_| drop(fs::remove_file(&beside)))
    }

    /// Writes a file in the folder, which is created if needed, and returns its path.
    fn write_beside(&self, text: &str) -> io::Result<PathBuf> {
        if let Some(folder) = self.0.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut beside = self.0.clone().into_os_string();
        beside.push(format!(".{}", std::process::id()));
        fs::write(&beside, text)?;
        Ok(beside.into())
    }
}

impl Drop for RuntimeFile {
    fn drop(&mut self) {
        // Another process may have been given the same file.
        if read(&self.0).is_ok_and(|runtime| runtime.pid == std::process::id()) {
            let _ = fs::remove_file(&self.0);
        }
    }
}

/// Reads the runtime file of another process.
pub fn read(path: &Path) -> io::Result<Runtime> {
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

/// The first listener that speaks HTTP/1.1 and requires no certificate of the client, or else the first.
fn health(snapshot: &Snapshot) -> Option<Health> {
    let http1 = |listener: &&Listener| listener.settings.protocols.contains(&Protocol::Http1);
    let open = |listener: &&Listener| http1(listener) && !requires_certificate(listener);
    let listener = snapshot.listeners.iter().find(open).or(snapshot.listeners.first())?;
    let (address, paths) = (address_of(listener), &snapshot.plan.document.health);
    let url = |path: &OwnPath| address.at_path(path).map(|address| address.url.to_string()).unwrap_or_default();
    Some(Health {
        live: url(&paths.live),
        ready: url(&paths.ready),
        http2: !http1(&listener),
        certificate: listener.tls.as_ref().map(|tls| tls.fingerprint().to_owned()),
        socket: address.socket,
    })
}

fn requires_certificate(listener: &Listener) -> bool {
    let client_auth = listener.settings.tls.as_ref().and_then(|tls| tls.client_auth.as_ref());
    client_auth.is_some_and(|auth| auth.mode == ClientAuthMode::Required)
}

/// The address by which a listener is reached from this machine.
pub fn address_of(listener: &Listener) -> Address {
    Address::of(listener.scheme(), &listener.socket.address())
}
