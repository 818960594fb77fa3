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

/// Finds the columns of a foreign key, its other table, and the columns there.
pub const KEY: &str = "SELECT a.attname::text, p.relname::text, b.attname::text \
    FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid \
    JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class p ON p.oid = f.confrelid \
    CROSS JOIN unnest(f.conkey, f.confkey) WITH ORDINALITY AS k (own, other, at) \
    JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.own \
    JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.other \
    WHERE f.contype = 'f' AND n.nspname = $1::text AND c.relname = $2::text AND f.conname = $3::text ORDER BY k.at";

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
        key.columns = column(0);
        key.parent = column(1).into_iter().next().unwrap_or_default().into();
        key.side = self.side(&key.parent, &key.columns, &column(2));
    }

    /// The part of the row that was written.
    fn side(&self, parent: &str, columns: &[String], to: &[String]) -> Side {
        let Some((verb, written)) = &self.written else { return Side::Unknown };
        let names = |columns: &[String]| self.detail.contains(&format!("({})=(", columns.join(", ")));
        // Whether something refers to what does not exist, and not the other way round.
        let refers = match (names(columns), names(to)) {
            (true, true) => *verb != Verb::Delete,
            (refers, _) => refers,
        };
        match (verb, self.table == *written, parent == written) {
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
