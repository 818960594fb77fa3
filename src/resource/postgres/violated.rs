//! Which foreign key a write does not satisfy, and whose it is.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::resource::contract::{ForeignKey, Param, Side, Verb};

/// A foreign key that was not satisfied, as the server names it.
#[derive(Debug)]
pub struct Violated {
    schema: String,
    table: String,
    name: String,
    /// It names the columns of one side: `Key (town)=(Rome) is not present in table "towns".`, in the language of the server.
    detail: String,
    /// What the statement does that has failed, if it was one, and not the commit.
    pub written: Option<(Verb, String)>,
}

/// The names of a table and of those that it is a partition or a child of, the nearest first.
macro_rules! up {
    ($oid:literal) => {
        concat!(
            "(WITH RECURSIVE up (top, steps) AS (SELECT ",
            $oid,
            ", 0 UNION ALL SELECT i.inhparent, steps + 1 FROM up JOIN pg_inherits i ON i.inhrelid = top) \
            SELECT string_agg(r.relname::text, chr(31) ORDER BY steps) FROM up JOIN pg_class r ON r.oid = top)"
        )
    };
}

/// Finds the columns of a foreign key and those of its other table, and the names of both tables.
pub const KEY: &str = concat!(
    "SELECT a.attname::text, b.attname::text, ",
    up!("f.conrelid"),
    ", ",
    up!("f.confrelid"),
    " FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
    CROSS JOIN unnest(f.conkey, f.confkey) WITH ORDINALITY AS k (own, other, at) \
    JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.own \
    JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.other \
    WHERE f.contype = 'f' AND n.nspname = $1::text AND c.relname = $2::text AND f.conname = $3::text ORDER BY k.at"
);

impl Violated {
    pub fn of(error: &tokio_postgres::Error) -> Option<Self> {
        let error = error.as_db_error()?;
        if *error.code() != SqlState::FOREIGN_KEY_VIOLATION && *error.code() != SqlState::RESTRICT_VIOLATION {
            return None;
        }
        Some(Self {
            schema: error.schema()?.to_owned(),
            table: error.table()?.to_owned(),
            name: error.constraint()?.to_owned(),
            detail: error.detail().unwrap_or_default().to_owned(),
            written: None,
        })
    }

    /// The parameters of [`KEY`].
    pub fn name(&self) -> [Param; 3] {
        [&self.schema, &self.table, &self.name].map(|name| Param::Text(name.clone()))
    }

    /// Adds to `key` what the catalog says.
    pub fn explain(&self, rows: &[Row], key: &mut ForeignKey) {
        let column = |at: usize| rows.iter().filter_map(|row| row.try_get(at).ok()).collect::<Vec<String>>();
        let table = |at: usize| self.written_name(&column(at).into_iter().next().unwrap_or_default());
        key.columns = column(0);
        key.table = Some(table(2)).filter(|table| !table.is_empty()).unwrap_or_else(|| self.table.clone());
        key.parent = table(3).into();
        key.side = self.side((&key.table, &key.parent), &key.columns, &column(1));
    }

    /// Of a table and those that it is a part of: the one that was written, or the whole.
    fn written_name(&self, names: &str) -> String {
        let written = self.written.as_ref().map(|(_, written)| written.as_str());
        let names: Vec<_> = names.split('\u{1f}').collect();
        let own = names.iter().find(|name| Some(**name) == written).or(names.last());
        own.copied().unwrap_or_default().to_owned()
    }

    /// The part of the row that was written, in a key of a table to its parent.
    fn side(&self, (table, parent): (&str, &str), columns: &[String], to: &[String]) -> Side {
        let Some((verb, written)) = &self.written else { return Side::Unknown };
        let names = |columns: &[String]| self.detail.contains(&format!("({})=(", columns.join(", ")));
        // Whether something refers to what does not exist, and not the other way round.
        let refers = match (names(columns), names(to)) {
            (true, true) => *verb != Verb::Delete,
            (refers, _) => refers,
        };
        match (verb, table == written, parent == written) {
            (Verb::Insert, true, _) => Side::Refers,
            (Verb::Update, true, _) if refers => Side::Refers,
            (Verb::Update, true, false) => Side::Refers,
            (Verb::Update | Verb::Delete, _, true) => Side::Referred,
            // The database deletes or changes rows of other tables with it, and others refer to these.
            (Verb::Update | Verb::Delete, false, false) if !refers => Side::Referred,
            _ => Side::Neither,
        }
    }
}
