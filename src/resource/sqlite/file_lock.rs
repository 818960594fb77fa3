//! The lock on a database file by its identity, not its name: one store of one gatewright at a time.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::resource::contract::Error;

/// How long to wait for a store that is being closed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Device and inode.
type Inode = (u64, u64);

/// The locked files of this process. They are the process's because SQLite's locks are (POSIX): closing any descriptor of a
/// file drops them all, so a file that is locked here is not opened a second time to find that out.
static LOCKED: LazyLock<Mutex<HashMap<Inode, Locked>>> = LazyLock::new(Mutex::default);
static RELEASED: Condvar = Condvar::new();

struct Locked {
    owner: Arc<Owner>,
    lock: Weak<FileLock>,
}

/// The store that owns locks, for all of its connections.
#[derive(Debug, Default)]
pub struct Owner {
    leaving: AtomicBool,
}

impl Owner {
    /// Makes others wait for its locks to end.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }
}

/// A file that belongs to this store alone. Each connection holds its lock, so that the descriptor is closed after the last
/// of them. The lock is on the open file (`flock`): it ends with the process, and does not interfere with SQLite's locks.
#[derive(Debug)]
pub struct FileLock {
    inode: Inode,
    file: Option<File>,
}

impl FileLock {
    /// Locks the file at `path`; `None` if there is none.
    pub fn on(path: &Path, owner: &Arc<Owner>) -> Result<Option<Arc<Self>>, Error> {
        let until = Instant::now() + PATIENCE;
        let mut locked = LOCKED.lock();
        let inode = loop {
            let Some(inode) = inode(path) else { return Ok(None) };
            let Some(entry) = locked.get(&inode) else { break inode };
            let own = Arc::ptr_eq(&entry.owner, owner);
            if let Some(lock) = own.then(|| entry.lock.upgrade()).flatten() {
                return Ok(Some(lock));
            }
            let ends = own || entry.owner.leaving.load(Ordering::Acquire);
            if !ends || RELEASED.wait_until(&mut locked, until).timed_out() {
                return Err(Error::Unavailable(format!(
                    "another store already uses the same file, {}: use one store for both, or give each its own file",
                    path.display()
                )));
            }
        };
        let unavailable =
            |what: &str, why: std::io::Error| Error::Unavailable(format!("cannot {what} {}: {why}", path.display()));
        let file = File::options().read(true).write(true).open(path).or_else(|error| match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::IsADirectory => File::open(path),
            _ => Err(error),
        });
        let file = file.map_err(|error| unavailable("open", error))?;
        let opened = file.metadata().map_err(|error| unavailable("open", error))?;
        if (opened.dev(), opened.ino()) != inode {
            // Closing it would drop the locks of a store that may have it open.
            std::mem::forget(file);
            return Err(replaced(path));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(path)),
            Err(TryLockError::Error(error)) => return Err(unavailable("lock", error)),
        }
        let lock = Arc::new(Self { inode, file: Some(file) });
        locked.insert(inode, Locked { owner: Arc::clone(owner), lock: Arc::downgrade(&lock) });
        Ok(Some(lock))
    }

    /// Whether `path` names the locked file.
    pub fn is_on(&self, path: &Path) -> bool {
        inode(path) == Some(self.inode)
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let mut locked = LOCKED.lock();
        locked.remove(&self.inode);
        drop(self.file.take());
        RELEASED.notify_all();
    }
}

fn inode(path: &Path) -> Option<Inode> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// The error if another process has the file.
pub fn in_use(path: &Path) -> Error {
    Error::Unavailable(format!(
        "{} is in use by another gatewright process: stop it, or give each its own file",
        path.display()
    ))
}

/// The error if the path named another file by the time it was opened.
pub fn replaced(path: &Path) -> Error {
    Error::Unavailable(format!("{} was replaced while it was being opened", path.display()))
}

/// The path without symbolic links, where SQLite puts the files next to the database.
pub fn real(path: &Path) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    // It does not exist yet: the name that it would have.
    let folder = |path: &Path| path.parent().map(Path::to_owned).unwrap_or_default();
    let path = fs::read_link(path).map_or_else(|_| path.to_owned(), |target| folder(path).join(target));
    let parent = Some(folder(&path)).filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| ".".into());
    match (fs::canonicalize(parent), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path,
    }
}
