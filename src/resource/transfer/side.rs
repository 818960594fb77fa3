//! One side of a copy: a connection to a database, with its dialect and its catalog.

use super::layout::{Layout, Sum, quoted};
use crate::config::document::store_url::{StoreKind, StoreUrl};
use crate::resource::contract::{Error, Found, Param, Sql};
use crate::resource::dialect::Dialect;
use crate::resource::migrate::session::{Catalog, Session, number, text};
use crate::resource::postgres::Postgres;
use crate::resource::postgres::schema::PostgresCatalog;
use crate::resource::sqlite::schema::SqliteCatalog;
use crate::resource::sqlite::session::FileSession;
use crate::resource::table::ColumnType;
use std::path::Path;
use tokio::runtime::Handle;

/// A foreign key to the ids of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub column: String,
    pub to: String,
    pub on_delete: String,
}

/// A connection.
pub struct Side {
    pub session: Box<dyn Session>,
    pub dialect: Dialect,
    pub catalog: &'static dyn Catalog,
    /// Which database it is: a path, or `HOST:PORT/DATABASE`.
    pub place: String,
}

impl Side {
    /// Opens a store to read from. Gateways may use it.
    pub fn reading(url: &StoreUrl, runtime: &Handle) -> Result<Self, String> {
        if let StoreKind::SqliteFile(path) = &url.store {
            FileSession::reading(path)?.is_store(path)?;
        }
        let mut side = Self::looking(url, runtime)?;
        if side.exists("_gw_schema")? {
            Ok(side)
        } else {
            Err(format!("{} is not a database of gatewright", side.place))
        }
    }

    /// Opens any database to read from.
    pub fn looking(url: &StoreUrl, runtime: &Handle) -> Result<Self, String> {
        match &url.store {
            StoreKind::SqliteFile(path) => Self::file(path, FileSession::reading(path)?),
            _ => Self::server(url, runtime),
        }
    }

    /// Opens a database to write to. A SQLite file is created if it does not exist, and no gateway may use it.
    pub fn writing(url: &StoreUrl, runtime: &Handle) -> Result<Self, String> {
        match &url.store {
            StoreKind::SqliteFile(path) => {
                let session = FileSession::writing(path).map_err(|error| words(&error))?;
                let mut side = Self::file(path, session)?;
                // Rows refer to rows that come later.
                side.run("PRAGMA foreign_keys = OFF")?;
                Ok(side)
            }
            _ => Self::server(url, runtime),
        }
    }

    fn file(path: &Path, session: FileSession) -> Result<Self, String> {
        let place = path.canonicalize().map_err(|error| format!("cannot open {}: {error}", path.display()))?;
        let (session, place) = (Box::new(session), place.display().to_string());
        Ok(Self { session, dialect: Dialect::Sqlite, catalog: &SqliteCatalog, place })
    }

    fn server(url: &StoreUrl, runtime: &Handle) -> Result<Self, String> {
        let Some(store) = Postgres::new(url) else {
            return Err("only SQLite files and PostgreSQL databases can be copied".to_owned());
        };
        let session = Box::new(store.session(runtime).map_err(|error| words(&error))?);
        let mut side = Self { session, dialect: Dialect::Postgres, catalog: &PostgresCatalog, place: store.place() };
        let schema = side.rows(&Sql::new("SELECT current_schema()::text", Vec::new()))?;
        let schema = schema.first().map(|row| text(row, 0)).filter(|name| name != "public");
        side.place.extend(schema.map(|name| format!(" (schema {name})")));
        Ok(side)
    }

    /// Runs a statement without values.
    pub fn run(&mut self, text: &str) -> Result<(), String> {
        self.session.execute(text, &[]).map(|_| ()).map_err(|error| self.failed(&error))
    }

    pub fn execute(&mut self, sql: &Sql) -> Result<u64, Error> {
        self.session.execute(&sql.text, &sql.parameters)
    }

    pub fn rows(&mut self, sql: &Sql) -> Result<Vec<Found>, String> {
        self.session.rows(&sql.text, &sql.parameters).map_err(|error| self.failed(&error))
    }

    /// Does `work` in a transaction.
    pub fn transaction<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.run(if self.dialect == Dialect::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" })?;
        let done = work(self);
        if done.is_ok() {
            self.run("COMMIT")?;
        } else {
            let _ = self.run("ROLLBACK");
        }
        done
    }

    /// From now on it sees the database as it is now.
    pub fn freeze(&mut self) -> Result<(), String> {
        match self.dialect {
            // The first read begins the transaction.
            Dialect::Sqlite => self.run("BEGIN").and_then(|()| self.count("_gw_schema").map(|_| ())),
            Dialect::Postgres => self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        }
    }

    pub fn exists(&mut self, table: &str) -> Result<bool, String> {
        self.catalog.exists(self.session.as_mut(), table).map_err(|error| self.failed(&error))
    }

    pub fn count(&mut self, table: &str) -> Result<u64, String> {
        let sql = Sql::new(format!("SELECT count(*) FROM {}", quoted(table)), Vec::new());
        Ok(self.rows(&sql)?.first().map_or(0, |row| number(row, 0)))
    }

    pub fn columns(&mut self, table: &str) -> Result<Vec<(String, String)>, String> {
        self.catalog.columns(self.session.as_mut(), table).map_err(|error| self.failed(&error))
    }

    /// The primary key.
    pub fn key(&mut self, table: &str) -> Result<Vec<String>, String> {
        let sql = match self.dialect {
            Dialect::Sqlite => "SELECT name FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk",
            Dialect::Postgres => {
                "SELECT a.attname::text FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(at, number) \
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.at \
                 WHERE i.indisprimary AND i.indrelid = to_regclass(format('%I.%I', current_schema(), $1::text)) \
                 ORDER BY k.number"
            }
        };
        let rows = self.rows(&Sql::new(sql, [Param::Text(table.to_owned())]))?;
        Ok(rows.iter().map(|row| text(row, 0)).collect())
    }

    /// The columns of a table whose values are ids of other tables.
    pub fn references(&mut self, table: &str) -> Result<Vec<Reference>, String> {
        let sql = match self.dialect {
            Dialect::Sqlite => {
                "SELECT \"from\", \"table\", on_delete FROM pragma_foreign_key_list($1) \
                 WHERE coalesce(\"to\", 'id') = 'id' ORDER BY id"
            }
            Dialect::Postgres => {
                "SELECT a.attname::text, r.relname::text, CASE c.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' \
                 WHEN 'd' THEN 'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END \
                 FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid \
                 JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] \
                 JOIN pg_attribute i ON i.attrelid = c.confrelid AND i.attnum = c.confkey[1] AND i.attname = 'id' \
                 WHERE c.contype = 'f' AND cardinality(c.conkey) = 1 \
                 AND c.conrelid = to_regclass(format('%I.%I', current_schema(), $1::text)) ORDER BY c.conname"
            }
        };
        let rows = self.rows(&Sql::new(sql, [Param::Text(table.to_owned())]))?;
        let read = |row: &Found| Reference { column: text(row, 0), to: text(row, 1), on_delete: text(row, 2) };
        Ok(rows.iter().map(read).collect())
    }

    /// The tables of gatewright itself.
    pub fn own_tables(&mut self) -> Result<Vec<String>, String> {
        let sql = match self.dialect {
            Dialect::Sqlite => {
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '_gw_*' ORDER BY name"
            }
            Dialect::Postgres => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE '\\_gw\\_%' \
                 ORDER BY tablename"
            }
        };
        let rows = self.rows(&Sql::new(sql, Vec::new()))?;
        Ok(rows.iter().map(|row| text(row, 0)).collect())
    }

    /// A table or view of the database, or of the schema. Those of extensions are no one's data.
    pub fn any_table(&mut self) -> Result<Option<String>, String> {
        let sql = match self.dialect {
            Dialect::Sqlite => {
                "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                 ORDER BY name GLOB '_gw_*', name LIMIT 1"
            }
            Dialect::Postgres => {
                "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS ( \
                 SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
                 ORDER BY starts_with(c.relname, '_gw_'), c.relname LIMIT 1"
            }
        };
        let rows = self.rows(&Sql::new(sql, Vec::new()))?;
        Ok(rows.first().map(|row| text(row, 0)))
    }

    /// The last number that the store has counted up for an id.
    pub fn counter(&mut self, table: &str) -> Result<i64, String> {
        let sql = match self.dialect {
            // A table of another program may count without `AUTOINCREMENT`: on from the highest id that there is.
            Dialect::Sqlite => {
                let highest = format!("SELECT max(\"id\") FROM {} WHERE $1 <> ''", quoted(table));
                if self.exists("sqlite_sequence")? {
                    format!(
                        "SELECT max(coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = $1), 0), coalesce(({highest}), 0))"
                    )
                } else {
                    highest
                }
            }
            Dialect::Postgres => format!(
                "SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM {} WHERE $1::text <> ''",
                self.sequence(table)?
            ),
        };
        let rows = self.rows(&Sql::new(sql, [Param::Text(table.to_owned())]))?;
        Ok(rows.first().map_or(0, |row| i64::try_from(number(row, 0)).unwrap_or(i64::MAX)))
    }

    /// Makes the store count on from here.
    pub fn set_counter(&mut self, table: &str, last: i64) -> Result<(), String> {
        let name = Param::Text(table.to_owned());
        let sql = match self.dialect {
            Dialect::Sqlite => {
                let clear = Sql::new("DELETE FROM sqlite_sequence WHERE name = $1", [name.clone()]);
                self.execute(&clear).map_err(|error| self.failed(&error))?;
                Sql::new("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)", [name, Param::Integer(last)])
            }
            Dialect::Postgres => {
                let sequence = self.sequence(table)?.replace('\'', "''");
                let text = format!("SELECT setval('{sequence}'::regclass, $1::int8, $2::int8 > 0)");
                Sql::new(text, [Param::Integer(last.max(1)), Param::Integer(last)])
            }
        };
        self.execute(&sql).map(|_| ()).map_err(|error| self.failed(&error))
    }

    fn sequence(&mut self, table: &str) -> Result<String, String> {
        let sql = "SELECT pg_get_serial_sequence($1::text, 'id')::text";
        let rows = self.rows(&Sql::new(sql, [Param::Text(quoted(table))]))?;
        let found = rows.first().map(|row| text(row, 0)).filter(|name| !name.is_empty());
        found.ok_or_else(|| format!("the ids of the table `{table}` in {} are not counted up", self.place))
    }

    /// The rows of a table and their checksum.
    pub fn sum(&mut self, layout: &Layout, mut each: impl FnMut(u64)) -> Result<Sum, String> {
        let (mut sum, mut last) = (Sum::default(), None);
        loop {
            let page = self.rows(&layout.page(self.dialect, last.as_ref()))?;
            page.iter().for_each(|row| sum.add(row));
            each(u64::try_from(page.len()).unwrap_or(0));
            match page.into_iter().next_back() {
                Some(row) => last = Some(row),
                None => return Ok(sum),
            }
        }
    }

    pub fn failed(&self, error: &Error) -> String {
        format!("{}: {}", self.place, words(error))
    }
}

/// An error of a database, for the operator.
pub fn words(error: &Error) -> String {
    match error {
        Error::Unavailable(reason) | Error::Internal(reason) => reason.clone(),
        Error::Unique(columns) => format!("another row has the same {}", columns.join(", ")),
        error => error.to_string(),
    }
}

/// The type of a column that no record describes, from its name in a catalog.
pub fn kind_of(name: &str) -> ColumnType {
    match name.to_ascii_lowercase().as_str() {
        "integer" | "bigint" | "smallint" => ColumnType::Integer,
        "real" | "double precision" => ColumnType::Number,
        "boolean" => ColumnType::Boolean,
        "uuid" => ColumnType::Uuid,
        "numeric" => ColumnType::Decimal,
        "timestamp with time zone" => ColumnType::Datetime,
        "date" => ColumnType::Date,
        "json" => ColumnType::Json,
        _ => ColumnType::Text,
    }
}
