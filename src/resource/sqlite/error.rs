//! Converts errors of SQLite to errors of a store.

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::resource::contract::{Error, ForeignKey};

/// Whether another process holds the requested lock.
pub fn locked(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let (failure, message) = match error {
            rusqlite::Error::SqliteFailure(failure, message) => (failure, message.unwrap_or_default()),
            other => return Self::Internal(other.to_string()),
        };
        let unavailable = |what: &str| Self::Unavailable(what.to_owned());
        match failure.code {
            ErrorCode::ConstraintViolation => match failure.extended_code {
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
                    Self::Unique(columns(&message))
                }
                // A unique rule enforced by triggers has the same message.
                ffi::SQLITE_CONSTRAINT_TRIGGER if message.starts_with("UNIQUE constraint failed: ") => {
                    Self::Unique(columns(&message))
                }
                ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Self::Referenced(ForeignKey::default()),
                // So does a foreign key with `RESTRICT`.
                ffi::SQLITE_CONSTRAINT_TRIGGER if message == "FOREIGN KEY constraint failed" => {
                    Self::Referenced(ForeignKey::default())
                }
                _ => Self::Internal(message),
            },
            ErrorCode::OperationInterrupted => Self::Deadline,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
                unavailable("the database is locked by another process")
            }
            ErrorCode::DiskFull => unavailable("the disk is full"),
            ErrorCode::ReadOnly => unavailable("the database cannot be written: it is read-only"),
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => unavailable("the database file cannot be opened"),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                unavailable("the database file is damaged or is not a database: restore it from a backup")
            }
            ErrorCode::SystemIoFailure => unavailable("the disk failed to read or write"),
            ErrorCode::OutOfMemory => unavailable("out of memory"),
            _ => Self::Internal(message),
        }
    }
}

/// The error of a statement that writes to `table`. A trigger may hit a unique rule of another one, which is no fault of the row.
pub fn of_write(error: rusqlite::Error, table: Option<&str>) -> Error {
    let message = match &error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        _ => String::new(),
    };
    let list = message.strip_prefix("UNIQUE constraint failed: ").unwrap_or_default();
    // An index on an expression is named, and its table is not: it is none of ours.
    let of = if list.starts_with("index '") { Some("") } else { list.split_once('.').map(|(of, _)| of) };
    match (Error::from(error), of, table) {
        (Error::Unique(_), Some(of), Some(table)) if of != table => Error::Internal(message),
        (error, ..) => error,
    }
}

/// The columns in `UNIQUE constraint failed: users.email, users.tenant`. Names hold neither dot nor comma.
fn columns(message: &str) -> Vec<String> {
    let list = message.rsplit_once(": ").map_or("", |(_, list)| list);
    let column = |name: &str| name.rsplit_once('.').map(|(_, column)| column.to_owned());
    list.split(", ").filter_map(column).collect()
}
