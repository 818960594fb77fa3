//! A connection to a database file for a command: outside the threads of a store.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection};

use super::connection::{Location, Open, Role};
use super::file::Hold;
use super::file_lock::{FileLock, Owner};
use super::partial;
use crate::resource::contract::{Error, Found, Param};
use crate::resource::migrate::session::Session;

/// An open database.
pub struct FileSession {
    connection: Connection,
    /// What keeps gateways out, if it is written to; after the connection, so that it ends later.
    _held: Option<(Option<Arc<FileLock>>, Hold)>,
}

impl FileSession {
    /// Opens a database for reading. Gateways may use it.
    pub fn reading(path: &Path) -> Result<Self, String> {
        if !path.is_file() {
            return Err(format!("there is no file {}", path.display()));
        }
        let connection = partial::open(path).map_err(|error| format!("cannot open {}: {error}", path.display()))?;
        Ok(Self { connection, _held: None })
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
        Ok(Self { connection: opened.connection, _held: Some((lock, hold)) })
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
