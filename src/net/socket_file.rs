//! The file of a Unix socket.

use crate::config::document::socket_mode::SocketMode;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Sockets that this process has bound.
static BOUND: AtomicU32 = AtomicU32::new(0);

/// A name beside `path` that no other socket has: `PATH.PID.NUMBER.tmp`.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{}.{}.tmp", std::process::id(), BOUND.fetch_add(1, Relaxed)));
    name.into()
}

/// The file of a Unix socket, which must outlive it: its number is not given to another file while the socket is open.
/// Removed when this value is dropped, unless another socket has replaced it.
pub struct SocketFile {
    path: PathBuf,
    /// The device, and the number of the file there.
    identity: (u64, u64),
}

impl SocketFile {
    /// The file of a socket that was just bound to `path`.
    pub(super) fn bound(path: PathBuf) -> io::Result<Self> {
        let identity = identity(&path).inspect_err(|_| drop(fs::remove_file(&path)))?;
        Ok(Self { path, identity })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it another name, and replaces the file that had it.
    pub(super) fn rename(&mut self, to: PathBuf) -> io::Result<()> {
        fs::rename(&self.path, &to)?;
        self.path = to;
        Ok(())
    }

    /// Sets its permissions, whatever the umask.
    pub(super) fn set_mode(&self, mode: SocketMode) -> io::Result<()> {
        if !self.is_ours() || fs::metadata(&self.path)?.permissions().mode() & 0o777 == mode.get() {
            return Ok(());
        }
        fs::set_permissions(&self.path, fs::Permissions::from_mode(mode.get()))
    }

    /// Removes the file, unless another socket has replaced it.
    pub(super) fn remove(&self) {
        if self.is_ours() {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Whether someone has deleted it, so that no client finds the socket.
    pub(super) fn is_deleted(&self) -> bool {
        identity(&self.path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    fn is_ours(&self) -> bool {
        identity(&self.path).is_ok_and(|found| found == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}
