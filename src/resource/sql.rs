//! SQL text, built from names that were validated when the resource was compiled; values are always bound.

mod condition;
pub mod list;

use super::contract::discarded;
use super::dialect::Dialect;
use super::field::{Field, Reference};
use super::field_type::FieldType;
use super::predicate::{Column, Comparison, Predicate};
use super::store::{Param, Sql};
use super::table::{ColumnType, Table, id_column};
use crate::config::document::resource::{FilterOp, IdKind};
use std::fmt::Write;
use std::sync::Arc;

/// The position of the id in a row.
pub const ID: usize = 1;
/// The position of the first field in a row: `_version` and `id` come first.
pub const FIRST_FIELD: usize = 2;

/// The fixed pieces of a resource's statements.
#[derive(Clone)]
pub struct Texts {
    dialect: Dialect,
    /// Quoted names.
    table: String,
    columns: Vec<String>,
    /// The types of the columns.
    id_kind: ColumnType,
    kinds: Vec<ColumnType>,
    /// The columns in conditions and orders, and the id.
    compared: Vec<String>,
    compared_id: String,
    /// The id as a cell.
    id: String,
    /// The columns of a response; those that clients cannot see are NULL.
    shown: String,
    /// The same and, if the store tells it within a statement, the revision of the database: the last column.
    revised: String,
    /// The columns in orders where that is another text, by position. Those of decimals in SQLite are long, so they are made once.
    ordered: Vec<Option<String>>,
    /// The columns of a change: all but passwords.
    whole: String,
    /// One item by id, without a condition.
    pub read: Arc<str>,
    /// Inserts an item with its id, and one with an id that the store counts up.
    insert: String,
    insert_counted: String,
    /// The resources that fields refer to, by position of the field.
    through: Vec<Option<Box<Texts>>>,
    /// The unique indexes on fields.
    pub taken: Vec<Unique>,
}

/// Fields whose values no two items may have together.
#[derive(Clone)]
pub struct Unique {
    /// Their positions. The first one has the message.
    pub fields: Vec<usize>,
    /// Whether ASCII letters are equal in either case.
    pub fold: bool,
    /// A statement for the id of the row with these values.
    pub find: Arc<str>,
}

impl Unique {
    /// The values of a row; `None` if one is null: then they are those of no other row.
    pub fn values(&self, row: &[Param]) -> Option<Vec<Param>> {
        let value = |at: &usize| row.get(*at).filter(|value| **value != Param::Null).cloned();
        self.fields.iter().map(value).collect()
    }
}

/// An item that is refused by a statement for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    There,
    Absent,
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

impl Texts {
    pub fn new(dialect: Dialect, table: &Table, fields: &[Field]) -> Self {
        let columns: Vec<String> = fields.iter().map(|field| quoted(&field.name)).collect();
        let kinds: Vec<ColumnType> = fields.iter().map(|field| field.kind.column()).collect();
        let (name, id) = (quoted(&table.name), dialect.cell("\"id\"", table.id));
        let list = |there: &dyn Fn(&Field) -> bool| {
            let named = fields.iter().zip(columns.iter().zip(&kinds));
            named.fold(format!("\"_version\", {id}"), |list, (field, (column, kind))| {
                let cell = if there(field) { dialect.cell(column, *kind) } else { "NULL".to_owned() };
                list + ", " + &cell
            })
        };
        let shown = list(&|field| field.visible());
        let whole = list(&|field| !matches!(field.kind, FieldType::Password));
        let insert = |with_id: Option<ColumnType>| {
            let names = with_id.map(|_| "\"id\"").into_iter().chain(columns.iter().map(String::as_str));
            let kinds = std::iter::once(ColumnType::Integer).chain(with_id).chain(kinds.iter().copied());
            let values = kinds.enumerate().map(|(at, kind)| dialect.value(at.saturating_add(1), kind));
            let names = names.fold("\"_version\"".to_owned(), |list, name| list + ", " + name);
            let values = values.collect::<Vec<_>>().join(", ");
            format!("{} {name} ({names}) VALUES ({values}) RETURNING {id}", dialect.insert())
        };
        let compare = |(column, kind): (&String, &ColumnType)| dialect.compared(&name, column, *kind);
        let compared: Vec<String> = columns.iter().zip(&kinds).map(compare).collect();
        let mut texts = Self {
            dialect,
            ordered: compared.iter().zip(&kinds).map(|(name, kind)| dialect.ordered(name, *kind)).collect(),
            compared,
            compared_id: dialect.compared(&name, "\"id\"", table.id),
            id_kind: table.id,
            read: "".into(),
            insert: insert(Some(table.id)),
            insert_counted: insert(None),
            taken: Vec::new(),
            through: fields
                .iter()
                .map(|field| Some(Box::new(Self::of_reference(dialect, field.reference.as_ref()?))))
                .collect(),
            id,
            table: name,
            columns,
            kinds,
            revised: dialect.revision().into_iter().fold(shown.clone(), |list, revision| list + ", " + revision),
            shown,
            whole,
        };
        let by_id = texts.equals(Column::Id, false, 1);
        texts.read = format!("SELECT {} FROM {} WHERE {by_id}", texts.shown, texts.table).into();
        let taken = table.indexes.iter().filter(|index| index.unique).filter_map(|index| {
            let position = |name: &String| fields.iter().position(|field| field.name == *name);
            let positions: Vec<usize> = index.columns.iter().map(position).collect::<Option<_>>()?;
            let (text, fold) = (texts.id_by(&positions, index.ignore_case), index.ignore_case);
            Some(Unique { fields: positions, fold, find: text.into() })
        });
        texts.taken = taken.collect();
        texts
    }

    /// The texts for a resource that is referred to, for conditions alone.
    fn of_reference(dialect: Dialect, to: &Reference) -> Self {
        let (columns, indexes) = (Vec::new(), Vec::new());
        let table = Table {
            name: to.table.clone(),
            id: id_column(to.id),
            id_counts: to.id == IdKind::Integer,
            columns,
            indexes,
        };
        Self::new(dialect, &table, &to.fields)
    }

    /// The texts for the resource that the field at `position` refers to.
    fn through(&self, position: usize) -> Option<&Self> {
        self.through.get(position)?.as_deref()
    }

    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether a column equals the parameter with this number.
    fn equals(&self, column: Column, fold: bool, number: usize) -> String {
        let (name, value) = (self.name(column), self.dialect.value(number, self.kind(column)));
        match (fold, self.dialect) {
            (false, _) => format!("{name} = {value}"),
            (true, Dialect::Sqlite) => format!("{} = {value}", self.dialect.folded(name)),
            (true, Dialect::Postgres) => format!("{} = {}", self.dialect.folded(name), self.dialect.folded(&value)),
        }
    }

    /// Some columns of the item with a value in `by`: version and id come first. The value is bound later. There are two items if
    /// older ones with equal values were kept when a unique rule came back: nothing tells which of them is meant.
    pub fn columns_by(&self, columns: &[Column], by: Column, fold: bool) -> String {
        let cells = columns.iter().map(|column| match column {
            Column::Id => self.id.clone(),
            Column::Field(at) => {
                self.dialect.cell(self.columns.get(*at).map_or("NULL", String::as_str), self.kind(*column))
            }
            Column::Of(..) => "NULL".to_owned(),
        });
        let cells = cells.fold(format!("\"_version\", {}", self.id), |list, cell| list + ", " + &cell);
        format!("SELECT {cells} FROM {} WHERE {} LIMIT 2", self.table, self.equals(by, fold, 1))
    }

    /// Version and id of an item with values in these fields. They are bound later.
    fn id_by(&self, positions: &[usize], fold: bool) -> String {
        let equal = (1..).zip(positions).map(|(number, at)| self.equals(Column::Field(*at), fold, number));
        let equal = equal.collect::<Vec<_>>().join(" AND ");
        format!("SELECT \"_version\", {} FROM {} WHERE {equal} LIMIT 1", self.id, self.table)
    }

    /// One item as a response shows it, under a condition.
    pub fn read_where(&self, id: Param, condition: &Predicate) -> Sql {
        self.item(&self.shown, id, Some(condition))
    }

    /// One item with everything that a change needs.
    pub fn read_whole(&self, id: Param, condition: Option<&Predicate>) -> Sql {
        self.item(&self.whole, id, condition)
    }

    /// The item with a value in the field at `position`, with everything that is not a password. The value is bound later. There may be two.
    pub fn read_by(&self, position: usize) -> String {
        let found = self.equals(Column::Field(position), false, 1);
        format!("SELECT {} FROM {} WHERE {found} LIMIT 2", self.whole, self.table)
    }

    /// An item that others refer to, with everything that is not a password. It stays as it is until the transaction ends.
    pub fn referred(&self, id: Param, condition: Option<&Predicate>) -> Sql {
        let mut sql = self.item(&self.whole, id, condition);
        sql.text.push_str(self.dialect.shared());
        sql
    }

    /// The same for what a field of an item refers to now: `own` is the resource of that item.
    pub fn referred_by(&self, own: &Self, position: usize, id: Param, condition: Option<&Predicate>) -> Sql {
        let column = own.columns.get(position).map_or("NULL", String::as_str);
        let text = format!(
            "SELECT {} FROM {} WHERE \"id\" = (SELECT {column} FROM {} WHERE ",
            self.whole, self.table, own.table
        );
        let mut sql = Sql::new(text, []);
        own.is_id(&mut sql, id);
        sql.text.push(')');
        if let Some(condition) = condition {
            sql.text.push_str(" AND ");
            self.predicate(&mut sql, condition);
        }
        sql.text.push_str(self.dialect.shared());
        sql
    }

    /// Items that others refer to, as [`Texts::referred`] finds one.
    pub fn referred_several(&self, ids: Vec<Param>, condition: Option<&Predicate>) -> Sql {
        let mut sql = self.several(&self.whole, ids, condition);
        self.share(&mut sql);
        sql
    }

    /// The same for what a field of the items with these values refers to now, as [`Texts::referred_by`].
    pub fn referred_by_several(
        &self,
        own: &Self,
        position: usize,
        (column, fold): (Column, bool),
        values: Vec<Param>,
    ) -> Sql {
        let field = own.columns.get(position).map_or("NULL", String::as_str);
        let text = format!(
            "SELECT {} FROM {} WHERE \"id\" IN (SELECT {field} FROM {} WHERE ",
            self.whole, self.table, own.table
        );
        let mut sql = Sql::new(text, []);
        own.comparison(&mut sql, &Comparison { column, operator: FilterOp::In, values, fold });
        sql.text.push(')');
        self.share(&mut sql);
        sql
    }

    /// The rows stay as they are. Two transactions lock them in the same order.
    fn share(&self, sql: &mut Sql) {
        let _ = write!(sql.text, " ORDER BY {}{}", self.compared_id, self.dialect.shared());
    }

    /// The items with these ids that fulfil a condition, as responses show them.
    pub fn read_several(&self, ids: Vec<Param>, condition: Option<&Predicate>) -> Sql {
        self.several(&self.shown, ids, condition)
    }

    fn several(&self, columns: &str, ids: Vec<Param>, condition: Option<&Predicate>) -> Sql {
        let mut sql = Sql::new(format!("SELECT {columns} FROM {} WHERE ", self.table), []);
        let wanted = Comparison { column: Column::Id, operator: FilterOp::In, values: ids, fold: false };
        self.comparison(&mut sql, &wanted);
        if let Some(condition) = condition {
            sql.text.push_str(" AND ");
            self.predicate(&mut sql, condition);
        }
        sql
    }

    /// A condition alone, to tell it from others.
    pub fn condition(&self, condition: &Predicate) -> Sql {
        let mut sql = Sql::default();
        self.predicate(&mut sql, condition);
        sql
    }

    /// Sets the version and the field at `set` of the item with a value in the field at `position`. Binds them in this order.
    pub fn set_by(&self, position: usize, set: usize) -> String {
        let (column, kind) = (self.columns.get(set).map_or("NULL", String::as_str), self.kind(Column::Field(set)));
        let (version, value) = (self.dialect.value(1, ColumnType::Integer), self.dialect.value(2, kind));
        let found = self.equals(Column::Field(position), false, 3);
        format!("UPDATE {} SET \"_version\" = {version}, {column} = {value} WHERE {found}", self.table)
    }

    /// The item with a value in a unique column, with everything that a change needs.
    pub fn read_whole_by(&self, column: Column, fold: bool, value: Param, condition: Option<&Predicate>) -> Sql {
        let text = format!("SELECT {} FROM {} WHERE {}", self.whole, self.table, self.equals(column, fold, 1));
        let mut sql = Sql::new(text, [value]);
        if let Some(condition) = condition {
            sql.text.push_str(" AND ");
            self.predicate(&mut sql, condition);
        }
        sql
    }

    fn item(&self, columns: &str, id: Param, condition: Option<&Predicate>) -> Sql {
        let mut sql = Sql::new(format!("SELECT {columns} FROM {} WHERE ", self.table), []);
        self.is_id(&mut sql, id);
        if let Some(condition) = condition {
            sql.text.push_str(" AND ");
            self.predicate(&mut sql, condition);
        }
        sql
    }

    fn is_id(&self, sql: &mut Sql, id: Param) {
        let _ = write!(sql.text, "{} = ", self.compared_id);
        self.bind(sql, id, Column::Id);
    }

    /// Appends a value for a column.
    fn bind(&self, sql: &mut Sql, value: Param, column: Column) {
        sql.parameters.push(value);
        sql.text.push_str(&self.dialect.value(sql.parameters.len(), self.kind(column)));
    }

    /// Appends a number.
    fn bind_number(&self, sql: &mut Sql, number: u64) {
        sql.parameters.push(Param::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
        sql.text.push_str(&self.dialect.value(sql.parameters.len(), ColumnType::Integer));
    }

    /// Inserts an item; without an `id`, the store counts one up. Returns the id.
    pub fn insert(&self, version: i64, id: Option<Param>, fields: &[Param]) -> Sql {
        let text = if id.is_some() { &self.insert } else { &self.insert_counted };
        let parameters = std::iter::once(Param::Integer(version)).chain(id).chain(fields.iter().cloned());
        Sql::of_row(text.clone(), parameters.collect::<Vec<_>>())
    }

    /// Changes some columns and the version of the row.
    pub fn update(&self, version: i64, id: Param, changes: &[(usize, Param)]) -> Sql {
        let value = self.dialect.value(1, ColumnType::Integer);
        let text = format!("UPDATE {} SET \"_version\" = {value}", self.table);
        let mut sql = Sql::of_row(text, [Param::Integer(version)]);
        for (position, value) in changes {
            let _ = write!(sql.text, ", {} = ", self.columns.get(*position).map_or("NULL", String::as_str));
            self.bind(&mut sql, value.clone(), Column::Field(*position));
        }
        sql.text.push_str(" WHERE ");
        self.is_id(&mut sql, id);
        sql
    }

    pub fn delete(&self, id: Param) -> Sql {
        let mut sql = Sql::of_row(format!("DELETE FROM {} WHERE ", self.table), []);
        self.is_id(&mut sql, id);
        sql
    }

    /// A statement that fails if the item was not deleted, or not inserted: PostgreSQL commits without waiting for the number of rows. In
    /// SQLite, it returns how many there are.
    pub fn refuse(&self, id: Param, refused: Refused) -> Sql {
        let (rows, written) = match refused {
            Refused::There => (0, "deleted"),
            Refused::Absent => (1, "inserted"),
        };
        let count = self.dialect.must_count(rows, &discarded(written));
        let text = format!("SELECT {count} FROM {} WHERE ", self.table);
        let mut sql = Sql::new(text, []);
        self.is_id(&mut sql, id);
        sql
    }

    /// A column in conditions and orders.
    fn name(&self, column: Column) -> &str {
        match column {
            Column::Id => &self.compared_id,
            Column::Field(position) => self.compared.get(position).map_or("NULL", String::as_str),
            // Such a column is compared by the texts of its own table.
            Column::Of(..) => "NULL",
        }
    }

    fn kind(&self, column: Column) -> ColumnType {
        match column {
            Column::Id => self.id_kind,
            Column::Field(position) => self.kinds.get(position).copied().unwrap_or(ColumnType::Text),
            Column::Of(through, position) => {
                self.through(through).map_or(ColumnType::Text, |texts| texts.kind(Column::Field(position)))
            }
        }
    }
}
