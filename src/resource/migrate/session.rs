//! What migrations need of a store: a connection in a transaction, and its dialect.

use std::collections::BTreeMap;

use super::Retype;
use super::families::Families;
use super::key::{Actions, Key};
use crate::resource::contract::{Cell, Error, Found, Param, Row};
use crate::resource::table::{Column, ColumnType, Index, Table};

/// A connection in a transaction.
pub trait Session {
    /// Runs a statement; returns how many rows it changed.
    fn execute(&mut self, sql: &str, parameters: &[Param]) -> Result<u64, Error>;

    /// The rows that a statement finds.
    fn rows(&mut self, sql: &str, parameters: &[Param]) -> Result<Vec<Found>, Error>;

    /// Of the rows that a statement finds, those whose second column is not UTF-8: how many there are, and the first `most`
    /// of them with their first column. Only SQLite stores such texts.
    fn broken_texts(&mut self, sql: &str, most: usize) -> Result<(u64, Vec<Found>), Error> {
        let _ = (sql, most);
        Ok((0, Vec::new()))
    }
}

/// What has the name of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Table,
    /// A table of PostgreSQL whose rows are in other tables, by some of their values.
    Partitioned,
    /// A view, an index, a sequence, …: what it is.
    Other(&'static str),
}

/// What counts the ids of a table of another program up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Counter {
    #[default]
    Ready,
    /// A sequence whose type ends before that of the ids: its name, and the statement that changes it.
    Narrow { name: String, sql: String },
    /// Nothing does, or it would return ids that rows have: why, and what helps.
    Unfit { why: String, help: String },
}

/// A column of a table of someone else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrangeColumn {
    pub name: String,
    /// Its type in the catalog.
    pub kind: String,
    pub not_null: bool,
    /// The expression for rows that are written without it.
    pub default: Option<String>,
    /// The database computes it, so that nothing else can be written into it.
    pub generated: bool,
}

/// The statements that differ between stores. All names were validated: small letters, digits and `_`.
pub trait Dialect {
    /// Creates the tables that do not belong to a resource, unless they exist.
    fn own_tables(&self) -> &[&str];
    fn create_table(&self, table: &Table) -> Result<String, Error>;
    /// The definition of a column in a statement.
    fn define(&self, column: &Column) -> Result<String, Error>;
    /// A constant default in a statement.
    fn literal(&self, kind: ColumnType, text: &str) -> String {
        let _ = kind;
        text.to_owned()
    }
    /// The name of a type in the catalog.
    fn type_name(&self, kind: ColumnType) -> &'static str;
    fn create_index(&self, table: &str, index: &Index) -> String;
    /// The statement that creates an index while others write, if there is one. It cannot be part of a transaction.
    fn create_index_live(&self, table: &str, index: &Index) -> Option<String> {
        let _ = (table, index);
        None
    }
    /// Makes a column refer to the ids of a table, if its definition does not do that.
    fn refer(&self, table: &str, column: &str, to: &str) -> Option<String> {
        let _ = (table, column, to);
        None
    }
    /// Whether names that differ only in case are the same.
    fn folds_names(&self) -> bool {
        false
    }
    /// Whether the keys of an index are limited in length.
    fn limits_keys(&self) -> bool {
        false
    }

    /// Finds duplicate rows: what follows the columns of a `SELECT`.
    fn equal(&self, table: &str, index: &Index) -> String;
    /// A version for a row, as [`version::fresh`](crate::resource::version::fresh).
    fn fresh_version(&self) -> &'static str;

    fn rename_column(&self, table: &str, from: &str, to: &str) -> String {
        format!("ALTER TABLE \"{table}\" RENAME COLUMN \"{from}\" TO \"{to}\"")
    }

    /// Gives the rows that have no value one.
    fn fill(&self, table: &str, column: &Column) -> String {
        let value = match column.kind {
            ColumnType::Integer | ColumnType::Boolean | ColumnType::Number => "VALUE",
            _ => "'VALUE'",
        };
        self.set(table, &column.name, value, "IS NULL")
    }

    /// Finds duplicate rows: one of the spellings of each value, as text, and how many rows have it.
    fn find_equal(&self, table: &str, index: &Index) -> String {
        self.select_equal(table, index, "count(*)")
    }

    /// The same for people: the ids of the rows instead of how many there are.
    fn show_equal(&self, table: &str, index: &Index) -> String {
        self.select_equal(table, index, &format!("{} AS ids", self.joined_ids())) + ";"
    }

    /// The ids of a group of rows, in one text.
    fn joined_ids(&self) -> &'static str {
        "string_agg(\"id\"::text, ', ')"
    }

    /// One of the spellings of each value that several rows have, and what else to select about the rows.
    fn select_equal(&self, table: &str, index: &Index, more: &str) -> String {
        let shown = |column: &String| match index.ignore_case {
            true => format!("min(\"{column}\")"),
            false => format!("CAST(\"{column}\" AS text)"),
        };
        let columns = index.columns.iter().map(shown).collect::<Vec<_>>().join(", ");
        format!("SELECT {columns}, {more} {} ORDER BY count(*) DESC", self.equal(table, index))
    }

    /// The statement that gives a column its recorded type again.
    fn restore_type(&self, table: &str, column: &str, kind: ColumnType) -> Option<String> {
        let _ = (table, column, kind);
        None
    }

    /// The statement that makes `id` the primary key again.
    fn restore_key(&self, table: &str) -> Option<String> {
        let _ = table;
        None
    }

    /// What gives a table of another program the primary key `id`. `key` is the one that it has, and `has_id` whether it has a
    /// column `id` that is not the key.
    fn give_key(&self, table: &str, key: &[String], has_id: bool) -> String;

    /// Whether a type of the catalog is the one of a kind of column.
    fn fits(&self, kind: ColumnType, found: &str) -> bool {
        found == self.type_name(kind)
    }

    /// Whether a type of the catalog can become the one of a kind of column without a loss, see [`Dialect::convert`].
    fn becomes(&self, kind: ColumnType, found: &str) -> bool {
        let _ = (kind, found);
        false
    }

    /// The statement that gives a column of another program our type.
    fn convert(&self, table: &str, column: &StrangeColumn, kind: ColumnType) -> String {
        let (name, kind) = (&column.name, self.type_name(kind));
        format!("ALTER TABLE \"{table}\" ALTER COLUMN \"{name}\" TYPE {kind}")
    }

    /// The condition on values of other programs that a field cannot have, and why.
    fn misfit(&self, table: &str, column: &Column) -> Option<(String, String)> {
        let _ = (table, column);
        None
    }

    /// What is wrong with a type that gives each value other digits after the point than a decimal field has, and what helps. `None` if
    /// it is another type, or values can have those digits.
    fn other_digits(&self, table: &str, column: &Column, found: &str) -> Option<(String, String)> {
        let _ = (table, column, found);
        None
    }

    /// The statements that add `_version` to a table of another program.
    fn add_version(&self, table: &str) -> Vec<String> {
        let version = self.fresh_version();
        vec![format!("ALTER TABLE \"{table}\" ADD COLUMN \"_version\" bigint NOT NULL DEFAULT {version}")]
    }

    /// The statements that give an index of another program our name.
    fn take_index(&self, table: &str, name: &str, index: &Index) -> Vec<String> {
        vec![format!("DROP INDEX \"{name}\""), self.create_index(table, index)]
    }

    /// Whether a column that gets another type becomes the last one of its table.
    fn moves_retyped(&self) -> bool {
        false
    }

    /// Sets the values of a column that are `IS NULL` or `IS NOT NULL`. It also gives the rows new versions, and so new entity
    /// tags.
    fn set(&self, table: &str, column: &str, value: &str, those: &str) -> String {
        let version = self.fresh_version();
        format!("UPDATE \"{table}\" SET \"{column}\" = {value}, \"_version\" = {version} WHERE \"{column}\" {those};")
    }
}

/// What the catalog of a store says.
pub trait Catalog: Dialect {
    /// Whether there is a table, or something else with the name.
    fn exists(&self, session: &mut dyn Session, name: &str) -> Result<bool, Error>;
    /// The names and types of the columns of a table, in order.
    fn columns(&self, session: &mut dyn Session, table: &str) -> Result<Vec<(String, String)>, Error>;
    /// The columns of a table of another program, in order.
    fn strange(&self, session: &mut dyn Session, table: &str) -> Result<Vec<StrangeColumn>, Error>;
    /// The statement that made an index, for people.
    fn definition(&self, session: &mut dyn Session, index: &str) -> Result<String, Error>;
    /// Unique constraints of a table that [`Catalog::indexes`] does not list.
    fn constraints(&self, session: &mut dyn Session, table: &str) -> Result<Vec<Vec<String>>, Error>;
    /// The columns of the primary key of a table.
    fn primary_key(&self, session: &mut dyn Session, table: &str) -> Result<Vec<String>, Error>;
    /// What has the name of a table, in words.
    fn kind(&self, session: &mut dyn Session, table: &str) -> Result<Kind, Error>;
    /// What counts the ids of a table up.
    fn counter(&self, session: &mut dyn Session, table: &str) -> Result<Counter, Error>;
    /// Gives a column another type. The rows get new versions, and so new entity tags.
    fn retype(&self, session: &mut dyn Session, retype: &Retype) -> Result<(), Error>;
    /// The indexes of a table by name, and whether each is partial. Those of primary keys do not count.
    fn indexes(&self, session: &mut dyn Session, table: &str) -> Result<BTreeMap<String, (Index, bool)>, Error>;
    /// The tables and columns whose foreign keys refer to a table.
    fn referring(&self, session: &mut dyn Session, table: &str) -> Result<Vec<(String, String)>, Error>;
    /// All foreign keys of the database, those of a table in the order in which they were declared.
    fn keys(&self, session: &mut dyn Session) -> Result<Vec<Key>, Error>;
    /// Which tables have rows of others.
    fn families(&self, session: &mut dyn Session) -> Result<Families, Error> {
        let _ = session;
        Ok(Families::default())
    }
    /// For each of the keys of one resource's table that has actions to change, the statements that make it check instead. They are run in
    /// this order, before other changes of the table.
    fn without_actions(&self, session: &mut dyn Session, keys: &[(&Key, Actions)]) -> Result<Vec<Vec<String>>, Error>;
    /// The statements after which no value of a column refers to another table.
    fn let_go(&self, session: &mut dyn Session, table: &str, column: &str) -> Result<Vec<String>, Error>;
    /// The statement that drops an index with this name that is not in force, if there is one.
    fn leftover(&self, session: &mut dyn Session, table: &str, index: &Index) -> Result<Option<String>, Error> {
        let _ = (session, table, index);
        Ok(None)
    }
    fn drop_index(&self, session: &mut dyn Session, table: &str, index: &Index) -> Result<(), Error>;
    /// Enforces a unique index for new writes; existing duplicates stay.
    fn guard(&self, session: &mut dyn Session, table: &str, index: &Index) -> Result<(), Error>;
    /// Whether what [`Catalog::guard`] made is complete.
    fn is_guarded(&self, session: &mut dyn Session, table: &str, index: &Index) -> Result<bool, Error>;
}

/// Whether a default may be part of a statement: `'…'` with quotes doubled, or a number.
pub fn is_literal(text: &str) -> bool {
    match text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(inner) => !inner.contains('\0') && !inner.replace("''", "").contains('\''),
        None => {
            text.parse::<f64>().is_ok_and(f64::is_finite) && text.bytes().all(|byte| b"+-.eE0123456789".contains(&byte))
        }
    }
}

pub fn text(row: &Found, column: usize) -> String {
    match row.cell(column) {
        Cell::Text(text) => text.to_owned(),
        _ => String::new(),
    }
}

pub fn number(row: &Found, column: usize) -> u64 {
    match row.cell(column) {
        Cell::Integer(number) => u64::try_from(number).unwrap_or(0),
        _ => 0,
    }
}
