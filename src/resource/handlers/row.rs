//! Rows that are copied from the store or built in memory.

use crate::resource::reply::version;
use crate::resource::sql::FIRST_FIELD;
use crate::resource::store::{Cell, Found, Param, Row};

/// A row built in memory, readable like one from a statement.
pub(super) struct Built<'a> {
    pub(super) version: i64,
    pub(super) id: &'a Param,
    pub(super) fields: &'a [Param],
}

impl Row for Built<'_> {
    fn width(&self) -> usize {
        self.fields.len().saturating_add(FIRST_FIELD)
    }

    fn cell(&self, column: usize) -> Cell<'_> {
        match column {
            0 => Cell::Integer(self.version),
            1 => Cell::of(self.id),
            other => self.fields.get(other.saturating_sub(FIRST_FIELD)).map_or(Cell::Null, Cell::of),
        }
    }
}

/// Version and fields of a row that was found.
pub(super) fn parts(mut row: Found) -> (i64, Vec<Param>) {
    let version = version(&row);
    let first = FIRST_FIELD.min(row.0.len());
    (version, row.0.split_off(first))
}
