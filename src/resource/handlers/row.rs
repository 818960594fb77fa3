//! Rows that are copied from the store or built in memory.

use crate::resource::reply::version;
use crate::resource::sql::FIRST_FIELD;
use crate::resource::store::{Cell, Error, Param, Row, Rows};

/// A row built in memory, readable like one from a statement.
pub(super) struct Built<'a> {
    pub(super) version: i64,
    pub(super) id: &'a Param,
    pub(super) fields: &'a [Param],
}

impl Row for Built<'_> {
    fn cell(&self, column: usize) -> Cell<'_> {
        let value = match column {
            0 => return Cell::Integer(self.version),
            1 => Some(self.id),
            other => self.fields.get(other.saturating_sub(FIRST_FIELD)),
        };
        match value {
            None | Some(Param::Null) => Cell::Null,
            Some(Param::Integer(number)) => Cell::Integer(*number),
            Some(Param::Real(number)) => Cell::Real(*number),
            Some(Param::Text(text)) => Cell::Text(text),
        }
    }
}

/// Version and fields of the only row, if there is one.
pub(super) fn whole_row(rows: &mut dyn Rows, count: usize) -> Result<Option<(i64, Vec<Param>)>, Error> {
    let Some(row) = rows.next()? else { return Ok(None) };
    let fields = (0..count).map(|at| row.cell(at.saturating_add(FIRST_FIELD)).owned()).collect();
    Ok(Some((version(row), fields)))
}
