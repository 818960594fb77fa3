//! A connection to a database file for a command: outside the threads of a store.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, ErrorCode};

use super::connection::{Location, Open, Role};
use super::file::Hold;
use super::file_lock::{FileLock, Owner};
use super::reading::Reading;
use super::{partial, reading};
use crate::resource::contract::{Error, Found, Param};
use crate::resource::migrate::session::Session;

/// An open database.
pub struct FileSession {
    connection: Connected,
    /// What keeps gateways out, if it is written to; after the connection, so that it ends later.
    _held: Option<(Option<Arc<FileLock>>, Hold)>,
}

enum Connected {
    Reading(Reading),
    Writing(Connection),
}

impl Deref for Connected {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match self {
            Self::Reading(connection) => connection,
            Self::Writing(connection) => connection,
        }
    }
}

/// Why a file cannot be read, and what to do.
fn unreadable(path: &Path, error: &rusqlite::Error) -> String {
    let shown = path.display();
    if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
        return format!("{shown} is not a SQLite database");
    }
    if reading::is_denied(error) && File::open(path).is_ok() {
        return match reading::has_log(path) {
            true => format!(
                "cannot read {shown}: a part of the database is in the file next to it that ends in `-wal`, which only a user \
                 who may write there can read\n  help: run the command as the user of the gateway, or stop the gateway: then \
                 everything is in {shown}"
            ),
            false => format!(
                "cannot read {shown}: a gateway or another program uses it, and only a user who may write to the folder can \
                 read it meanwhile\n  help: run the command as the user of the gateway, or stop the gateway first"
            ),
        };
    }
    format!("cannot open {shown}: {error}")
}

impl FileSession {
    /// Opens a database for reading. Gateways may use it.
    pub fn reading(path: &Path) -> Result<Self, String> {
        if !path.is_file() {
            return Err(format!("there is no file {}", path.display()));
        }
        let connection = reading::open(path).map_err(|error| unreadable(path, &error))?;
        Ok(Self { connection: Connected::Reading(connection), _held: None })
    }

    /// Whether it is a database of ours that this version can read.
    pub fn is_store(&self, path: &Path) -> Result<(), String> {
        partial::is_store(&self.connection, path)
    }

    /// Opens a database for writing, and creates it if it does not exist. No gateway may use it.
    pub fn writing(path: &Path) -> Result<Self, Error> {
        let mut hold = Hold::new(Arc::<Owner>::default());
        let lock = hold.lock(path, true)?;
        let opened = Open::new(&Location::File(path.to_owned()), Role::Write, true, 0, &Arc::<AtomicBool>::default())?;
        Ok(Self { connection: Connected::Writing(opened.connection), _held: Some((lock, hold)) })
    }

    fn bind<'c>(connection: &'c Connection, sql: &str, parameters: &[Param]) -> Result<CachedStatement<'c>, Error> {
        let mut statement = connection.prepare_cached(sql)?;
        for (index, parameter) in parameters.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, parameter)?;
        }
        Ok(statement)
    }
}

impl Session for FileSession {
    fn execute(&mut self, sql: &str, parameters: &[Param]) -> Result<u64, Error> {
        let mut statement = Self::bind(&self.connection, sql, parameters)?;
        // Some, such as `PRAGMA`, have rows.
        if statement.column_count() > 0 {
            let mut rows = statement.raw_query();
            while rows.next()?.is_some() {}
            return Ok(0);
        }
        Ok(statement.raw_execute().map(|changed| u64::try_from(changed).unwrap_or(0))?)
    }

    /// Nothing is left out: a value that the gateway could not show is an error.
    fn rows(&mut self, sql: &str, parameters: &[Param]) -> Result<Vec<Found>, Error> {
        let mut statement = Self::bind(&self.connection, sql, parameters)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let cells = names.iter().enumerate().map(|(column, name)| {
                Ok(match row.get_ref(column)? {
                    ValueRef::Null => Param::Null,
                    ValueRef::Integer(number) => Param::Integer(number),
                    ValueRef::Real(number) => Param::Real(number),
                    ValueRef::Text(bytes) => match str::from_utf8(bytes) {
                        Ok(text) => Param::Text(text.to_owned()),
                        Err(_) => return Err(Error::Internal(format!("a text in the column {name} is not UTF-8"))),
                    },
                    ValueRef::Blob(_) => {
                        return Err(Error::Internal(format!("a value in the column {name} is a blob")));
                    }
                })
            });
            found.push(Found(cells.collect::<Result<_, Error>>()?));
        }
        Ok(found)
    }
}
