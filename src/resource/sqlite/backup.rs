//! Backups of a database file, and back: `gatewright db backup` and `gatewright db restore`.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use super::file::Hold;
use super::file_lock::{FileLock, Owner, in_use, real};
use super::partial::{Contents, Partial, beside, cannot, check, create_folder, exists, folder, sync_folder};
use super::plan;
use super::schema::SqliteCatalog;
use super::session::FileSession;
use crate::resource::contract::RefusedTable;
use crate::resource::migrate::{By, copied};
use crate::resource::moment::Moment;
use crate::resource::table::Table;

/// What SQLite puts next to a database while it is open.
const BESIDE: [&str; 2] = ["-wal", "-shm"];
/// How every SQLite database begins.
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Copies the database as it is at one moment; gateways may use it meanwhile. The copy is complete and checked before it
/// gets its name.
///
/// # Errors
/// Why there is no backup, for the operator.
pub fn backup(from: &Path, to: &Path, replace: bool) -> Result<Contents, String> {
    is_there(from)?;
    let (from, to) = (real(from), real(to));
    if to.is_dir() {
        return Err(format!("{} is a directory\n  help: name a file in it", to.display()));
    }
    let own = BESIDE.iter().chain(&[".lock", ""]).any(|ending| beside(&from, ending) == to) || same(&from, &to);
    if own {
        return Err(format!("{} belongs to the database itself\n  help: choose another name", to.display()));
    }
    if to.exists() {
        if !replace {
            return Err(exists(&to));
        }
        is_replaceable(&to)?;
        let free = FileLock::on(&to, &Arc::<Owner>::default());
        free.map_err(|_| format!("{} is the database of a running gateway", to.display()))?;
    }
    if let Some(log) = BESIDE.iter().map(|ending| beside(&to, ending)).find(|path| path.exists()) {
        let (to, log) = (to.display(), log.display());
        return Err(format!("{log} exists: another program has {to} open\n  help: close it, or choose another name"));
    }
    if !folder(&to).is_dir() {
        return Err(format!("the directory {} does not exist", folder(&to).display()));
    }
    let partial = Partial::begin(&to)?;
    let contents = partial.fill(&from)?;
    is_whole(partial.path(), &from)?;
    partial.put(replace)?;
    Ok(contents)
}

/// Copies the database to `backups/<time>.db` next to it, before something in it is dropped. Returns where the copy is.
///
/// # Errors
/// Why there is no copy, for the operator.
pub fn before_a_loss(path: &Path) -> Result<PathBuf, String> {
    let time: String = Moment::now().datetime().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let copy = folder(&real(path)).join("backups").join(format!("{time}.db"));
    create_folder(&copy)?;
    backup(path, &copy, false)?;
    Ok(copy)
}

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    pub contents: Contents,
    /// Where the replaced database is now.
    pub kept: Option<PathBuf>,
}

/// Replaces a database by a backup, if the backup can be used for `tables`. No gateway may use the database. The backup
/// itself is not changed.
///
/// # Errors
/// Why nothing was restored, for the operator.
pub fn restore(from: &Path, to: &Path, tables: &[Table]) -> Result<Restored, String> {
    is_there(from)?;
    let (from, to) = (real(from), real(to));
    if same(&from, &to) {
        return Err(format!("{} is the database itself, not a backup of it", from.display()));
    }
    let new_folder = !folder(&to).exists();
    create_folder(&to)?;
    let lock = beside(&to, ".lock");
    let new_lock = !lock.exists();
    let mut hold = Hold::new(Arc::<Owner>::default());
    let locked = hold.lock(&to, false).map_err(|error| {
        if error == in_use(&to) {
            format!(
                "{} is used by a running gateway, and nothing was changed\n  help: stop the gateway, run this again, and \
                 start it",
                to.display()
            )
        } else {
            error.to_string()
        }
    })?;
    check(&from).map_err(|why| format!("{} cannot be restored: {why}", from.display()))?;
    let partial = Partial::begin(&to)?;
    let contents = partial.fill(&from)?;
    is_whole(partial.path(), &from)?;
    match plan::look(partial.path(), tables, &By::default()) {
        Ok(Ok(_)) => {}
        Ok(Err(refused)) => return Err(unfit(&from, &refused)),
        Err(error) => return Err(error.to_string()),
    }
    let former = fs::metadata(&to).ok();
    // Root restores for the user who owns the database, or its folder.
    let owner = former.clone().or_else(|| fs::metadata(folder(&to)).ok().filter(|_| !new_folder));
    let kept = former.as_ref().map(|_| keep(&to)).transpose()?;
    if let Some(former) = &former {
        partial.owned_as(former)?;
    }
    partial.put(true)?;
    if let (None, Some(owner)) = (&former, &owner) {
        let _ = chown(&to, Some(owner.uid()), Some(owner.gid()));
    }
    if let (true, Some(owner)) = (new_lock, &owner) {
        let _ = chown(&lock, Some(owner.uid()), Some(owner.gid()));
    }
    drop(locked);
    hold.release();
    Ok(Restored { contents, kept })
}

/// Gives the database a second name, so that there is always a file under the first one. What is in its log goes into the
/// file before; a database that is damaged keeps its log next to it.
fn keep(path: &Path) -> Result<PathBuf, String> {
    fold_log(path);
    let digits: String = Moment::now().datetime().chars().filter(char::is_ascii_digit).take(14).collect();
    let names = (0..100).map(|number| match number {
        0 => beside(path, &format!(".replaced-{digits}")),
        more => beside(path, &format!(".replaced-{digits}-{more}")),
    });
    let kept = names.into_iter().find(|name| !name.exists());
    let kept = kept.ok_or_else(|| format!("no name is free to keep {}", path.display()))?;
    if fs::hard_link(path, &kept).is_err() {
        fs::copy(path, &kept).map_err(|error| cannot("copy", path, &error))?;
        let synced = fs::File::open(&kept).and_then(|file| file.sync_all());
        synced.map_err(|error| cannot("write", &kept, &error))?;
    }
    sync_folder(path)?;
    // SQLite would replay the log of the former file into the new one.
    for ending in BESIDE {
        let log = beside(path, ending);
        if log.exists() {
            fs::rename(&log, beside(&kept, ending)).map_err(|error| cannot("rename", &log, &error))?;
        }
    }
    sync_folder(path)?;
    Ok(kept)
}

/// Moves what is in the log of a database into its file, and removes the log. Fails silently if the database is damaged.
fn fold_log(path: &Path) {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if let Ok(connection) = Connection::open_with_flags(path, flags) {
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

fn is_there(from: &Path) -> Result<(), String> {
    match fs::metadata(from) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(format!("{} is not a file", from.display())),
        Err(error) => Err(cannot("open", from, &error)),
    }
}

/// Only a database is replaced by a backup, or an empty file: a mistyped name costs nothing else.
fn is_replaceable(to: &Path) -> Result<(), String> {
    let cannot_open = |error| cannot("open", to, &error);
    if !fs::metadata(to).map_err(cannot_open)?.is_file() {
        return Err(format!(
            "{} is not a regular file, and is not replaced\n  help: choose another name",
            to.display()
        ));
    }
    let mut start = Vec::new();
    let file = fs::File::open(to).map_err(cannot_open)?;
    file.take(HEADER.len() as u64).read_to_end(&mut start).map_err(|error| cannot("read", to, &error))?;
    if start.is_empty() || start == HEADER {
        return Ok(());
    }
    Err(format!("{} is not a SQLite database, and is not replaced\n  help: choose another name", to.display()))
}

/// A copy that has not finished lacks rows, and must not pass for the data. `path` has what is in the database `name`.
fn is_whole(path: &Path, name: &Path) -> Result<(), String> {
    let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", name.display());
    let mut session = FileSession::reading(path)?;
    match copied::unfinished(&mut session, &SqliteCatalog).map_err(|error| failed(&error))? {
        Some(half) => Err(failed(&format!("{}\n  help: {}", half.message, half.help))),
        None => Ok(()),
    }
}

fn same(one: &Path, other: &Path) -> bool {
    let inode = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    inode(one).is_some() && inode(one) == inode(other)
}

/// The configuration does not fit the backup.
fn unfit(from: &Path, refused: &[RefusedTable]) -> String {
    let each = refused.iter().map(|table| format!("\n  - {}", table.message));
    format!(
        "the configuration cannot serve what is in {}, and nothing was changed:{}\n  help: use the configuration of the time \
         of the backup, or change the configuration as a reload would demand",
        from.display(),
        each.collect::<String>()
    )
}
