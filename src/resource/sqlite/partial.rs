//! A new database file next to the place where it belongs: filled, checked and synced before it gets its name.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::reading::{Reading, open};
use crate::resource::contract::Count;
use crate::resource::migrate::copied::is_newer;

/// What a database file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// The tables of resources, and their rows.
    pub tables: usize,
    pub rows: u64,
    pub bytes: u64,
}

impl std::fmt::Display for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = |found, noun| Count { found, complete: true }.of(noun);
        let tables = u64::try_from(self.tables).unwrap_or(u64::MAX);
        write!(f, "{} in {}, {}", count(self.rows, "row"), count(tables, "table"), count(self.bytes, "byte"))
    }
}

/// A file that is removed unless it gets its name. Until then its name is always the same, so that one that a killed process
/// left behind is replaced; a lock keeps two processes apart.
#[derive(Debug)]
pub struct Partial {
    place: PathBuf,
    path: PathBuf,
    file: File,
    placed: bool,
}

impl Partial {
    /// Begins a file for `place`. Only this user can read it.
    pub fn begin(place: &Path) -> Result<Self, String> {
        let name = place.file_name().ok_or_else(|| format!("{} is not a file name", place.display()))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".partial");
        let path = place.with_file_name(hidden);
        let new = || File::options().write(true).create_new(true).mode(0o600).open(&path);
        let made = new().or_else(|error| {
            let left = fs::symlink_metadata(&path).ok().filter(|_| error.kind() == ErrorKind::AlreadyExists);
            if left.is_some_and(|left| !left.is_file()) || !is_locked(&path) {
                fs::remove_file(&path)?;
                return new();
            }
            Err(io::Error::other("another process is writing it"))
        });
        let file = made.map_err(|error| cannot("create", &path, &error))?;
        file.try_lock().map_err(|error| cannot("lock", &path, &error.into()))?;
        Ok(Self { place: place.to_owned(), path, file, placed: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies a database into it as it is at one moment, while others use that database, and checks the copy.
    pub fn fill(&self, from: &Path) -> Result<Contents, String> {
        let failed = |error: &rusqlite::Error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => format!("{} is not a SQLite database", from.display()),
            _ => format!("cannot copy {}: {error}", from.display()),
        };
        let source = open(from).map_err(|error| failed(&error))?;
        is_store(&source, from)?;
        let to = self.path.to_str().ok_or_else(|| format!("{} is not valid UTF-8", self.path.display()))?;
        source.execute("VACUUM INTO ?1", [to]).map_err(|error| failed(&error))?;
        drop(source);
        contents(&self.path).map_err(|why| format!("the copy of {} cannot be used: {why}", from.display()))
    }

    /// Gives it the owner, the group and the mode of another file.
    pub fn owned_as(&self, model: &fs::Metadata) -> Result<(), String> {
        let own = self.file.metadata().map_err(|error| cannot("read", &self.path, &error))?;
        if (own.uid(), own.gid()) != (model.uid(), model.gid()) {
            chown(&self.path, Some(model.uid()), Some(model.gid()))
                .map_err(|error| cannot("change the owner of", &self.path, &error))?;
        }
        let mode = Permissions::from_mode(model.mode() & 0o7777);
        fs::set_permissions(&self.path, mode).map_err(|error| cannot("change the mode of", &self.path, &error))
    }

    /// Gives it its name, in one step: a crash leaves the former file, if any, or this one. Without `replace`, there must be
    /// no former file.
    pub fn put(mut self, replace: bool) -> Result<(), String> {
        if !is_same(&self.file, &self.path) {
            return Err(format!("another process has replaced {}", self.path.display()));
        }
        // SQLite has written it through descriptors of its own; the data is that of the file.
        self.file.sync_all().map_err(|error| cannot("write", &self.path, &error))?;
        let failed = |error: &io::Error| cannot("create", &self.place, error);
        if replace {
            fs::rename(&self.path, &self.place).map_err(|error| failed(&error))?;
            self.placed = true;
        } else {
            match fs::hard_link(&self.path, &self.place) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(exists(&self.place)),
                // A file system without hard links.
                Err(_) if !self.place.exists() => {
                    fs::rename(&self.path, &self.place).map_err(|error| failed(&error))?;
                    self.placed = true;
                }
                Err(error) => return Err(failed(&error)),
            }
        }
        sync_folder(&self.place)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.placed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether another process works on a file.
fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn is_same(file: &File, path: &Path) -> bool {
    let inode = |found: fs::Metadata| (found.dev(), found.ino());
    file.metadata().map(inode).ok() == fs::symlink_metadata(path).map(inode).ok()
}

/// Whether it is a database of ours that this version can read.
pub fn is_store(connection: &Connection, path: &Path) -> Result<(), String> {
    let ours = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_gw_schema'";
    let tables = connection.query_row(ours, [], |row| row.get::<_, i64>(0));
    if tables.map_err(|error| error.to_string())? == 0 {
        return Err(format!(
            "{} is a SQLite database, but not one of gatewright\n  help: `gatewright resource --from sqlite://{} --table \
             NAME` writes a resource for one of its tables",
            path.display(),
            path.display()
        ));
    }
    for (table, model, version) in records(connection).map_err(|error| error.to_string())? {
        if is_newer(&model) {
            return Err(format!(
                "the table `{table}` in {} was created by gatewright {version}, and this version cannot read it\n  help: use \
                 that version or a later one",
                path.display()
            ));
        }
    }
    Ok(())
}

/// The name, the model and the version of gatewright of each table that is recorded.
fn records(connection: &Connection) -> rusqlite::Result<Vec<(String, String, String)>> {
    let mut statement = connection.prepare("SELECT resource, model_json, gateway_version FROM _gw_schema")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Checks every page and index of a database.
pub fn check(path: &Path) -> Result<Reading, String> {
    let connection = open(path).map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => "it is not a SQLite database".to_owned(),
        _ => error.to_string(),
    })?;
    let mut statement = connection.prepare("PRAGMA integrity_check(3)").map_err(|error| error.to_string())?;
    let found = statement.query_map([], |row| row.get::<_, String>(0)).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| error.to_string())?;
    if found != ["ok"] {
        let found = found.iter().flat_map(|text| text.lines()).map(|line| format!("\n  - {line}"));
        return Err(format!("it is damaged:{}", found.collect::<String>()));
    }
    drop(statement);
    Ok(connection)
}

/// Checks a database, and counts what is in it.
fn contents(path: &Path) -> Result<Contents, String> {
    let connection = check(path)?;
    let (mut tables, mut rows) = (0, 0);
    for (table, ..) in records(&connection).map_err(|error| error.to_string())? {
        let count = format!("SELECT count(*) FROM \"{table}\"");
        let count: Result<i64, _> = connection.query_row(&count, [], |row| row.get(0));
        let count = count.map_err(|error| format!("the table `{table}` cannot be read: {error}"))?;
        rows += u64::try_from(count).unwrap_or(0);
        tables += 1;
    }
    let bytes = fs::metadata(path).map_err(|error| error.to_string())?.len();
    Ok(Contents { tables, rows, bytes })
}

/// Makes the names in the folder of a file permanent.
pub fn sync_folder(path: &Path) -> Result<(), String> {
    let folder = folder(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| cannot("write", folder, &error))
}

/// Creates the folder of a file, as the gateway does.
pub fn create_folder(path: &Path) -> Result<(), String> {
    let folder = folder(path);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| cannot("create", folder, &error))
}

pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The name of a file with something behind it.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

pub fn cannot(what: &str, path: &Path, why: &io::Error) -> String {
    format!("cannot {what} {}: {why}", path.display())
}

pub fn exists(path: &Path) -> String {
    format!("{} exists already\n  help: choose another name, or add `--force` to replace it", path.display())
}
