//! A database file that is opened for reading, also by a user who may not write to it.

use std::fs::{self, File};
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// How long to wait for a lock of another program.
const PATIENCE: Duration = Duration::from_secs(10);
/// What means something in a URI of SQLite.
const SPECIAL: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

/// An open database. Nothing about it is changed.
#[derive(Debug)]
pub struct Reading {
    connection: Connection,
    /// What keeps gateways from changing a file that is read without the locks of SQLite; after the connection, so that it ends
    /// later.
    _kept: Option<File>,
}

impl Deref for Reading {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

/// Opens a database for reading.
pub fn open(path: &Path) -> rusqlite::Result<Reading> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(ready);
    match opened {
        Ok(connection) => Ok(Reading { connection, _kept: None }),
        Err(error) if is_denied(&error) => settled(path).unwrap_or(Err(error)),
        Err(error) => Err(error),
    }
}

fn ready(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0")?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// A reader of a database with a log writes to the file that ends in `-shm`, and creates it.
pub fn is_denied(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
}

/// Opens a file that has everything in it and that no gateway uses. It stays so: a gateway that starts finds it locked.
fn settled(path: &Path) -> Option<rusqlite::Result<Reading>> {
    let file = File::open(path).ok()?;
    file.try_lock_shared().ok()?;
    if has_log(path) {
        return None;
    }
    let uri = format!("file:{}?mode=ro&immutable=1", utf8_percent_encode(path.to_str()?, SPECIAL));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let opened = Connection::open_with_flags(uri, flags).and_then(ready);
    Some(opened.map(|connection| Reading { connection, _kept: Some(file) }))
}

/// Whether something is not in the file itself yet.
pub fn has_log(path: &Path) -> bool {
    ["-wal", "-journal"].iter().any(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        fs::metadata(name).is_ok_and(|found| found.len() > 0)
    })
}
