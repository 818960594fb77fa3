//! Rows of a table of another program that stand in the way: how many, which ones, and how to see them.

use crate::resource::contract::{Cell, Count, Error, Found, Row};
use crate::resource::migrate::session::{Session, number};

/// How many ids are listed.
const LISTED: usize = 5;

/// Some rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    count: u64,
    /// The ids of the first ones.
    ids: Vec<String>,
    /// The statement that shows them.
    pub find: String,
}

impl Rows {
    /// The rows that meet a condition, if there are any.
    pub fn of(
        session: &mut dyn Session,
        (table, shown): (&str, &str),
        has_id: bool,
        those: &str,
    ) -> Result<Option<Self>, Error> {
        let counted = session.rows(&format!("SELECT count(*) FROM \"{table}\" WHERE {those}"), &[])?;
        let count = counted.first().map_or(0, |row| number(row, 0));
        if count == 0 {
            return Ok(None);
        }
        let ids = match has_id {
            true => {
                let those = format!("FROM \"{table}\" WHERE {those} ORDER BY \"{table}\".\"id\" LIMIT {LISTED}");
                session.rows(&format!("SELECT CAST(\"id\" AS text) {those}"), &[])?
            }
            false => Vec::new(),
        };
        let find = format!("SELECT {shown} FROM \"{table}\" WHERE {those};");
        Ok(Some(Self { count, ids: ids.iter().filter_map(shown_id).collect(), find }))
    }

    /// Rows whose texts in a column are not UTF-8, if there are any.
    pub fn broken(session: &mut dyn Session, table: &str, column: &str, has_id: bool) -> Result<Option<Self>, Error> {
        let id = if has_id { "\"id\"" } else { "NULL" };
        let sql = format!("SELECT {id}, \"{column}\" FROM \"{table}\" WHERE typeof(\"{column}\") = 'text'");
        let (count, ids) = session.broken_texts(&sql, LISTED)?;
        if count == 0 {
            return Ok(None);
        }
        let ids: Vec<_> = ids.iter().filter_map(shown_id).collect();
        let literal = |id: &String| format!("'{}'", id.replace('\'', "''"));
        let those = match ids.iter().map(literal).collect::<Vec<_>>().join(", ") {
            list if list.is_empty() => String::new(),
            list => format!(" WHERE \"id\" IN ({list})"),
        };
        Ok(Some(Self { count, ids, find: format!("SELECT {id}, hex(\"{column}\") FROM \"{table}\"{those};") }))
    }
}

fn shown_id(row: &Found) -> Option<String> {
    match row.cell(0) {
        Cell::Null => None,
        Cell::Integer(number) => Some(number.to_string()),
        Cell::Real(number) => Some(number.to_string()),
        Cell::Text(text) => Some(text.escape_debug().to_string()),
    }
}

impl std::fmt::Display for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&Count { found: self.count, complete: true }.of("row"))?;
        let listed = self.ids.join(", ");
        let more = if usize::try_from(self.count).is_ok_and(|count| count > self.ids.len()) { ", …" } else { "" };
        match self.ids.as_slice() {
            [] => Ok(()),
            [_] if more.is_empty() => write!(f, ", with the id {listed}"),
            _ => write!(f, ", with the ids {listed}{more}"),
        }
    }
}
