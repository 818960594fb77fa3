//! This process's claim on the database file: the lock that keeps others out, and whether it is still the same file.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::file_lock::{FileLock, Owner, in_use, real};
use crate::resource::contract::Error;

/// Device, inode and, because inodes are reused, the time of creation.
type Identity = (u64, u64, Option<SystemTime>);

/// This process's claim on the file.
#[derive(Debug)]
pub struct Hold {
    owner: Arc<Owner>,
    /// The lock on the name, for as long as there is no file to lock.
    name_lock: Option<File>,
    lock: Option<Arc<FileLock>>,
    /// The file that was opened last. It is remembered after it disappears, to recognise it when it returns.
    file: Option<Identity>,
    /// The file that the path named at the last check.
    seen: Option<Identity>,
    /// The write-ahead log of the file that was opened, and the index of that.
    beside: [Option<Identity>; 2],
}

impl Hold {
    pub fn new(owner: Arc<Owner>) -> Self {
        Self { owner, name_lock: None, lock: None, file: None, seen: None, beside: [None; 2] }
    }

    /// Keeps others out; with `create`, creates the folder and the file. Call it before every opening. The lock belongs to
    /// the connection that is opened next; there is none if there is no file.
    pub fn lock(&mut self, path: &Path, create: bool) -> Result<Option<Arc<FileLock>>, Error> {
        if let (Some(_), Some(lock)) = (&self.name_lock, &self.lock)
            && lock.is_on(path)
        {
            return Ok(Some(Arc::clone(lock)));
        }
        let mut lock = FileLock::on(path, &self.owner)?;
        if self.name_lock.is_none() {
            self.name_lock = Some(lock_name(path, create)?);
        }
        let now = identity(path);
        if self.file.is_some() && self.file != now && (create || now.is_some()) {
            self.remove_remains(path);
        }
        if create && lock.is_none() {
            // It contains password hashes, so only this user may read it, and SQLite gives the files next to it the same mode. If
            // it cannot be created, opening it reports the reason.
            let _ = File::options().write(true).create(true).truncate(false).mode(0o600).open(path);
            lock = FileLock::on(path, &self.owner)?;
        }
        self.lock.clone_from(&lock);
        Ok(lock)
    }

    /// Whether the path names the file that was opened last, and others are kept out.
    pub fn holds(&self, path: &Path) -> bool {
        let locked = self.name_lock.is_some() && self.lock.as_ref().is_some_and(|lock| lock.is_on(path));
        locked && self.file.is_some() && self.file == identity(path)
    }

    /// Whether a file was opened, which may be gone by now.
    pub const fn had_a_file(&self) -> bool {
        self.file.is_some()
    }

    /// Checks whether [`Hold::lock`] would succeed, without creating anything. A file that was never opened belongs to this
    /// store from now on; otherwise the lock lasts as long as the returned value.
    pub fn check(&mut self, path: &Path) -> Result<Option<Arc<FileLock>>, Error> {
        let lock = FileLock::on(path, &self.owner)?;
        if self.name_lock.is_none() && with_ending(&real(path), ".lock").exists() {
            let name_lock = lock_name(path, false)?;
            self.name_lock = Some(name_lock).filter(|_| self.file.is_none());
        }
        if self.file.is_none() {
            self.lock.clone_from(&lock);
        }
        Ok(lock)
    }

    /// Releases the file to others.
    pub fn release(&mut self) {
        (self.name_lock, self.lock) = (None, None);
    }

    /// Remembers the files that a connection was just opened on. By now the path may name another file than [`Hold::lost`] saw; then
    /// the next call of that notices.
    pub fn opened(&mut self, path: &Path) {
        self.seen = self.seen.or_else(|| identity(path));
        self.file = self.seen;
        self.beside = beside(path).map(|path| identity(&path));
    }

    /// Whether the path names another file, or none, since the last check. Then the lock next to it is void too.
    pub fn lost(&mut self, path: &Path) -> bool {
        let now = identity(path);
        let lost = self.file.is_some() && now != self.seen;
        self.seen = now;
        if lost {
            self.name_lock = None;
        }
        lost
    }

    /// SQLite would replay the log of the former file into the current one.
    fn remove_remains(&self, path: &Path) {
        for (path, known) in beside(path).into_iter().zip(&self.beside) {
            if known.is_some() && *known == identity(&path) {
                tracing::warn!(path = %path.display(), "removed leftover files of another database");
                // If it cannot be removed, opening the database reports it.
                let _ = fs::remove_file(&path);
            }
        }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.created().ok()))
}

fn beside(path: &Path) -> [PathBuf; 2] {
    let path = real(path);
    ["-wal", "-shm"].map(|ending| with_ending(&path, ending))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn unavailable(what: &str, path: &Path, why: &io::Error) -> Error {
    Error::Unavailable(format!("cannot {what} {}: {why}", path.display()))
}

fn lock_name(path: &Path, create: bool) -> Result<File, Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let (true, Some(folder)) = (create, folder) {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| unavailable("create the directory", folder, &error))?;
    }
    let name = with_ending(&real(path), ".lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&name)
        .map_err(|error| unavailable("open", &name, &error))?;
    try_lock(&file, path, &name)?;
    Ok(file)
}

fn try_lock(file: &File, path: &Path, name: &Path) -> Result<(), Error> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(in_use(path)),
        Err(TryLockError::Error(error)) => Err(unavailable("lock", name, &error)),
    }
}
