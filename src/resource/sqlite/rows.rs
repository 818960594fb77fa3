//! Statements on a connection: bound values in, borrowed rows out.

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};

use super::error::of_write;
use super::touched::Touched;
use crate::resource::contract::{Cell, Done, Error, ForeignKey, Found, Param, Row, Rows, Sql, Tree, written};

impl ToSql for Param {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn width(&self) -> usize {
        self.as_ref().column_count()
    }

    /// Tables are strict and hold no blobs; text that is not UTF-8 can only come from another program, and is null.
    fn cell(&self, column: usize) -> Cell<'_> {
        match self.get_ref(column) {
            Ok(ValueRef::Integer(value)) => Cell::Integer(value),
            Ok(ValueRef::Real(value)) => Cell::Real(value),
            Ok(ValueRef::Text(value)) => str::from_utf8(value).map_or(Cell::Null, Cell::Text),
            Ok(ValueRef::Null | ValueRef::Blob(_)) | Err(_) => Cell::Null,
        }
    }
}

/// Rows whose first one was already fetched, so that a lock is noticed before anything is read.
struct Stepped<'a> {
    rows: rusqlite::Rows<'a>,
    ahead: bool,
}

impl Rows for Stepped<'_> {
    fn next(&mut self) -> Result<Option<&dyn Row>, Error> {
        if self.ahead {
            self.ahead = false;
        } else {
            self.rows.advance()?;
        }
        Ok(self.rows.get().map(|row| row as &dyn Row))
    }
}

/// Runs a statement and passes its rows to `read`; rows that it does not fetch still take effect, as in `… RETURNING`.
pub fn query<T>(
    connection: &Connection,
    sql: &str,
    parameters: &[Param],
    read: impl FnOnce(&mut dyn Rows) -> Result<T, Error>,
) -> Result<T, Error> {
    show(&mut bound(connection, sql, parameters)?, read)
}

fn show<T>(
    statement: &mut CachedStatement<'_>,
    read: impl FnOnce(&mut dyn Rows) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut rows = statement.raw_query();
    rows.advance()?;
    read(&mut Stepped { rows, ahead: true })
}

fn bound<'c>(connection: &'c Connection, sql: &str, parameters: &[Param]) -> Result<CachedStatement<'c>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    for (index, parameter) in parameters.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, parameter)?;
    }
    Ok(statement)
}

/// Runs the statements of a write job. They are all in one transaction.
pub struct Writer<'a> {
    pub(super) connection: &'a Connection,
    pub(super) touched: &'a mut Touched,
}

impl Writer<'_> {
    /// The rows that a statement finds.
    pub fn all(&mut self, look: &Sql) -> Result<Vec<Found>, Error> {
        self.query(&look.text, &look.parameters, |rows| {
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(Found::of(row));
            }
            Ok(found)
        })
    }

    /// Runs one statement of a write.
    pub fn run(&mut self, statement: &Sql) -> Result<Done, Error> {
        let table = written(&statement.text).map(|(_, table)| table);
        let failed = |error| of_write(error, table);
        let mut bound = self.bound(&statement.text, &statement.parameters)?;
        let mut rows = bound.raw_query();
        let first = rows.next().map_err(failed)?.map_or(Param::Null, |row| (row as &dyn Row).cell(0).owned());
        drop(rows);
        drop(bound);
        Ok(Done { changed: self.connection.changes(), first })
    }

    /// Why a foreign key does not allow a delete of rows that refer to each other: others refer to them, or not all were deleted. The
    /// job fails in any case, so what this does is undone.
    pub fn why_referenced(&mut self, statement: &Sql, tree: &Tree) -> Result<Error, Error> {
        let rows = self.run(&tree.count)?.first;
        self.execute("PRAGMA defer_foreign_keys = ON", &[])?;
        let done = self.run(statement);
        self.execute("PRAGMA defer_foreign_keys = OFF", &[])?;
        let all = rows == Param::Integer(i64::try_from(done?.changed).unwrap_or(i64::MAX));
        Ok(if all { Error::Referenced(ForeignKey::default()) } else { Error::Internal(tree.reason.clone()) })
    }

    /// Runs a statement without rows; the number of rows it changed.
    pub fn execute(&mut self, sql: &str, parameters: &[Param]) -> Result<usize, Error> {
        Ok(self.bound(sql, parameters)?.raw_execute()?)
    }

    /// Runs a statement with rows, such as `… RETURNING` or a `SELECT` that sees what the job did so far.
    pub fn query<T>(
        &mut self,
        sql: &str,
        parameters: &[Param],
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error>,
    ) -> Result<T, Error> {
        show(&mut self.bound(sql, parameters)?, read)
    }

    fn bound(&mut self, sql: &str, parameters: &[Param]) -> Result<CachedStatement<'_>, Error> {
        let statement = bound(self.connection, sql, parameters)?;
        if !statement.readonly() {
            self.touched.note(sql);
        }
        Ok(statement)
    }
}
