//! Takes a table that gatewright did not create: what is different, and the steps that make it fit.
//!
//! Values are never changed: a column fits, or its type becomes one that includes it, or the table is not taken.

pub mod indexes;
mod references;
pub mod rows;

use std::collections::BTreeMap;

use self::rows::Rows;
use super::drift::OWN;
use super::key::Acting;
use super::reason::Reason;
use super::session::{Catalog, Counter, Dialect, Kind, Session, StrangeColumn, number};
use super::{Demands, Step, declared, duplicates, hidden, required};
use crate::resource::contract::{Duplicate, Error};
use crate::resource::table::{Column, ColumnType, Declared, Index, Table};

/// A table of someone else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strange {
    columns: Vec<StrangeColumn>,
    kind: Kind,
    key: Vec<String>,
    rows: u64,
    /// By name, and whether each is partial.
    indexes: BTreeMap<String, (Index, bool)>,
    /// The statements that made the unique indexes that are not wanted, by name.
    definitions: BTreeMap<String, String>,
    /// Unique constraints that are no indexes of their own.
    constraints: Vec<Vec<String>>,
    /// Foreign keys by which the database changes rows.
    pub(super) acting: Vec<Acting>,
    /// Columns that are to be references, and are foreign keys of the same kind already; whether they compare byte by byte.
    referring: Vec<(String, bool)>,
    /// Whether its ids are counted up, if that is wanted.
    counter: Counter,
    /// Columns that become required and have rows without a value.
    nulls: Vec<(String, Rows)>,
    /// Columns with values that their fields cannot have, why, and the rows.
    misfits: Vec<(String, String, Rows)>,
    /// Unique indexes that are wanted, and some of the duplicates against them.
    equal: Vec<(Index, Vec<Duplicate>)>,
}

/// Looks at a table that has no record.
pub fn look(session: &mut dyn Session, catalog: &dyn Catalog, wanted: &Table) -> Result<Strange, Error> {
    let table = &wanted.name;
    let kind = catalog.kind(session, table)?;
    if let Kind::Other(_) = kind {
        return Ok(Strange::other(kind));
    }
    let columns = catalog.strange(session, table)?;
    let has = |name: &str| columns.iter().any(|column| column.name == name);
    let rows = session.rows(&hidden::count_rows(table), &[])?.first().map_or(0, |row| number(row, 0));
    let (mut nulls, mut misfits) = (Vec::new(), Vec::new());
    let id = Column {
        name: "id".to_owned(),
        kind: wanted.id,
        default: None,
        required: true,
        form: None,
        references: None,
        declared: Declared::default(),
    };
    for column in std::iter::once(&id).chain(&wanted.columns).filter(|column| has(&column.name)) {
        let name = &column.name;
        let shown = if name == "id" { "*".to_owned() } else { format!("\"id\", \"{name}\"") };
        let shown = (table.as_str(), if has("id") { shown.as_str() } else { "*" });
        if column.required
            && let Some(rows) = Rows::of(session, shown, has("id"), &format!("\"{name}\" IS NULL"))?
        {
            nulls.push((name.clone(), rows));
        }
        let found = columns.iter().find(|found| found.name == *name).map_or("", |found| &found.kind);
        if !catalog.fits(column.kind, found) && !catalog.becomes(column.kind, found) {
            continue;
        }
        if name == "id"
            && wanted.id == ColumnType::Integer
            && let Some(rows) = Rows::of(session, shown, true, "\"id\" < 0")?
        {
            misfits.push((name.clone(), "are negative, and requests cannot name them".to_owned(), rows));
        }
        if let Some((those, why)) = catalog.misfit(table, column)
            && let Some(rows) = Rows::of(session, shown, has("id"), &those)?
        {
            misfits.push((name.clone(), why, rows));
        } else if matches!(column.kind, ColumnType::Text | ColumnType::Password | ColumnType::Json)
            && let Some(rows) = Rows::broken(session, table, name, has("id"))?
        {
            misfits.push((name.clone(), "are texts that are not UTF-8".to_owned(), rows));
        }
    }
    let referring = references::look(session, catalog, wanted, &mut misfits)?;
    let equal = duplicates::against(session, catalog, wanted, (has, rows))?;
    let counts = |id: &StrangeColumn| catalog.fits(wanted.id, &id.kind) || catalog.becomes(wanted.id, &id.kind);
    let counter = match columns.iter().find(|column| column.name == "id") {
        Some(id) if wanted.id_counts && counts(id) => catalog.counter(session, table)?,
        _ => Counter::Ready,
    };
    let indexes = catalog.indexes(session, table)?;
    let unwanted = indexes.iter().filter(|(_, (index, partial))| indexes::is_unwanted(wanted, index, *partial));
    let mut definitions = BTreeMap::new();
    for (name, _) in unwanted {
        definitions.insert(name.clone(), catalog.definition(session, name)?);
    }
    Ok(Strange {
        kind,
        acting: Vec::new(),
        referring,
        counter,
        key: catalog.primary_key(session, table)?,
        indexes,
        definitions,
        constraints: catalog.constraints(session, table)?,
        columns,
        rows,
        nulls,
        misfits,
        equal,
    })
}

impl Strange {
    /// The columns that no field has.
    pub(super) fn others(&self, wanted: &Table) -> impl Iterator<Item = &str> {
        let known = |name: &str| OWN.contains(&name) || wanted.columns.iter().any(|column| column.name == name);
        self.columns.iter().map(|column| column.name.as_str()).filter(move |name| !known(name))
    }

    /// What is no table.
    fn other(kind: Kind) -> Self {
        let (columns, key, constraints) = (Vec::new(), Vec::new(), Vec::new());
        let (acting, referring) = (Vec::new(), Vec::new());
        let (indexes, definitions) = (BTreeMap::new(), BTreeMap::new());
        let (counter, nulls, misfits, equal) = (Counter::Ready, Vec::new(), Vec::new(), Vec::new());
        let rows = 0;
        Self {
            columns,
            kind,
            key,
            rows,
            indexes,
            definitions,
            constraints,
            acting,
            referring,
            counter,
            nulls,
            misfits,
            equal,
        }
    }
}

/// A table that is being taken.
struct Adoption<'a> {
    wanted: &'a Table,
    strange: &'a Strange,
    dialect: &'a dyn Dialect,
    refuse: &'a mut dyn FnMut(Reason),
    steps: Vec<Step>,
}

/// The steps that take a table, or every reason against it.
pub(super) fn plan(
    wanted: &Table,
    strange: &Strange,
    dialect: &dyn Dialect,
    refuse: &mut dyn FnMut(Reason),
) -> Vec<Step> {
    let mut adoption = Adoption { wanted, strange, dialect, refuse, steps: Vec::new() };
    if let Kind::Other(what) = strange.kind {
        adoption.not(None, format!("it is {what}"), "a resource needs a table: serve the one that has the rows");
        return Vec::new();
    }
    adoption.key();
    let columns = adoption.columns();
    adoption.others();
    adoption.indexes();
    let id_counts = wanted.id_counts;
    let shape = Table { name: wanted.name.clone(), id: wanted.id, id_counts, columns, indexes: wanted.indexes.clone() };
    let others = strange.others(wanted).map(str::to_owned).collect();
    let required = required(wanted);
    let demands =
        Demands { declared: declared(wanted), pinned: required.clone(), required, others, ..Demands::default() };
    adoption.steps.push(Step::Record(shape, demands));
    adoption.steps
}

impl<'a> Adoption<'a> {
    fn found(&self, name: &str) -> Option<&'a StrangeColumn> {
        self.strange.columns.iter().find(|column| column.name == name)
    }

    /// The column that a new one cannot be added beside.
    fn same_name(&self, name: &str) -> Option<&'a str> {
        let mut names = self.strange.columns.iter().map(|column| column.name.as_str());
        names.find(|other| self.dialect.folds_names() && other.eq_ignore_ascii_case(name))
    }

    fn not(&mut self, column: Option<&str>, why: String, help: impl Into<String>) {
        let field =
            |name: &str| name.split('.').next().is_some_and(|name| self.wanted.columns.iter().any(|c| c.name == name));
        let column = column.filter(|name| field(name));
        let message = format!("table `{}` cannot be adopted: {why}", self.wanted.name);
        (self.refuse)(Reason::new(column, message, help));
    }

    fn adopt(&mut self, column: Option<&str>, (before, after, object): (&str, &str, String), sql: Vec<String>) {
        let (table, column) = (self.wanted.name.clone(), column.map(str::to_owned));
        let (before, after) = (format!("{before} {object}"), format!("{after} {object}"));
        self.steps.push(Step::Adopt { table, column, before, after, sql });
    }

    fn key(&mut self) {
        let (table, wanted) = (self.wanted.name.clone(), self.wanted);
        let words = ("adopt table", "adopted table");
        self.adopt(None, (words.0, words.1, table.clone()), Vec::new());
        if self.strange.key != ["id"] {
            let help = match self.strange.kind {
                Kind::Partitioned => {
                    "PostgreSQL wants the columns of the partitions in each primary key: use a table that is not partitioned, \
                     or is partitioned by `id` alone"
                        .to_owned()
                }
                _ => self.dialect.give_key(&table, &self.strange.key, self.found("id").is_some()),
            };
            let why = match self.strange.key.as_slice() {
                [] => "it has no primary key".to_owned(),
                [only] => format!("its primary key is `{only}`, not `id`"),
                several => format!("its primary key is `{}` together, not `id`", several.join("`, `")),
            };
            return self.not(None, why, help);
        }
        if let Some(id) = self.found("id") {
            if id.generated {
                self.computed(id);
            } else if self.dialect.becomes(wanted.id, &id.kind) {
                self.convert(id, wanted.id);
                self.counter();
            } else if !self.dialect.fits(wanted.id, &id.kind) {
                let why = format!("its `id` is {}, and {} is wanted", id.kind, self.dialect.type_name(wanted.id));
                self.not(None, why, "write the `type` of `id` that the table has");
            } else {
                self.counter();
            }
        }
        if let Some((_, rows)) = self.strange.nulls.iter().find(|(column, _)| column == "id") {
            let (why, help) =
                (format!("some rows have no `id`: {rows}"), format!("give them one; to see them: {}", rows.find));
            self.not(None, why, help);
        }
        self.misfit("id");
        match self.found("_version") {
            None => {
                let sql = self.dialect.add_version(&table);
                self.adopt(None, ("add column", "added column", format!("{table}._version")), sql);
            }
            Some(version) if !self.dialect.fits(ColumnType::Integer, &version.kind) => {
                let why = format!("its column `_version` is {}", version.kind);
                self.not(None, why, "gatewright needs this name for an integer of its own: rename that column");
            }
            Some(_) => {}
        }
    }

    /// Each write of it would fail.
    fn computed(&mut self, column: &StrangeColumn) {
        let StrangeColumn { name, .. } = column;
        let why = format!("the database computes its column `{name}`, so that nothing can be written into it");
        let help = match name.as_str() {
            "id" => "a resource writes the ids: use a table whose `id` is not computed".to_owned(),
            _ => format!("leave the field `{name}` out, or make it a plain column that a trigger fills"),
        };
        self.not(Some(name), why, help);
    }

    /// Without a counter, each create would fail.
    fn counter(&mut self) {
        match &self.strange.counter {
            Counter::Ready => {}
            Counter::Narrow { name, sql } => {
                let object = format!("{name} to bigint, which counts the ids of {}", self.wanted.name);
                let words = ("change the type of the sequence", "changed the type of the sequence", object);
                self.adopt(None, words, vec![sql.clone()]);
            }
            Counter::Unfit { why, help } => self.not(None, why.clone(), help.clone()),
        }
    }

    fn convert(&mut self, found: &StrangeColumn, kind: ColumnType) {
        let (table, name) = (self.wanted.name.clone(), &found.name);
        let object = format!("{table}.{name} from {} to {}", found.kind, self.dialect.type_name(kind));
        let sql = vec![self.dialect.convert(&table, found, kind)];
        self.adopt(Some(name), ("change the type of", "changed the type of", object), sql);
    }

    fn misfit(&mut self, name: &str) {
        let strange = self.strange;
        if let Some((_, why, rows)) = strange.misfits.iter().find(|(column, ..)| column == name) {
            let (wanted, column) = (self.wanted, self.wanted.columns.iter().find(|column| column.name == name));
            if let Some((column, found)) = column.zip(self.found(name))
                && let Some((why, help)) = self.dialect.other_digits(&wanted.name, column, &found.kind)
            {
                return self.not(Some(name), why, help);
            }
            let or = if name == "id" { "" } else { ", or leave the field out" };
            let help = format!("change those values first{or}; to see them: {}", rows.find);
            self.not(Some(name), format!("some values of `{name}` {why} ({rows})"), help);
        }
    }

    /// The columns of fields, as they will be recorded: in the order of the database.
    fn columns(&mut self) -> Vec<Column> {
        let (wanted, strange, table) = (self.wanted, self.strange, self.wanted.name.clone());
        let plain = |column: &Column| Column { declared: Declared::default(), ..column.clone() };
        let (mut there, mut added) = (Vec::new(), Vec::new());
        for found in &strange.columns {
            let Some(column) = wanted.columns.iter().find(|column| column.name == found.name) else { continue };
            let name = &column.name;
            // Rows that are written without it may have a default of the database, which is not known here.
            there.push(Column { default: None, ..plain(column) });
            if found.generated {
                self.computed(found);
                continue;
            }
            if self.dialect.becomes(column.kind, &found.kind) {
                self.convert(found, column.kind);
            } else if !self.dialect.fits(column.kind, &found.kind) {
                let why =
                    format!("`{name}` is {}, and its field needs {}", found.kind, self.dialect.type_name(column.kind));
                self.not(Some(name), why, "write a `type` that fits, or leave the field out");
            }
            self.misfit(name);
            if let Some((_, rows)) = strange.nulls.iter().find(|(column, _)| column == name) {
                let why = format!("`{name}` is required, but some rows have no value ({rows})");
                let help = format!(
                    "write `nullable: true` at `{name}`, or give those rows a value; to see them: {}",
                    rows.find
                );
                self.not(Some(name), why, help);
            }
            if found.not_null {
                let sql = format!("ALTER TABLE \"{table}\" ALTER COLUMN \"{name}\" DROP NOT NULL");
                let object = format!("{table}.{name}, which the gateway checks");
                self.adopt(Some(name), ("drop NOT NULL of", "dropped NOT NULL of", object), vec![sql]);
            }
        }
        let is_new = |column: &&Column| !strange.columns.iter().any(|found| found.name == column.name);
        for column in wanted.columns.iter().filter(is_new) {
            let name = &column.name;
            if let Some(former) = column.declared.renamed_from.as_deref()
                && let Some(old) = self.found(former)
            {
                let why = format!("it has a column `{former}`, which is to become `{name}`");
                let sql = self.dialect.rename_column(&table, &old.name, name);
                let help = format!(
                    "adopt it with the field `{former}` first; or run this on the database, then reload: {sql};"
                );
                self.not(Some(&format!("{name}.renamed_from")), why, help);
            } else if let Some(other) = self.same_name(name) {
                let why = format!(
                    "its column `{other}` and the field `{name}` have the same name for SQLite, which ignores case"
                );
                let rename = self.dialect.rename_column(&table, other, name);
                self.not(
                    Some(name),
                    why,
                    format!("to serve that column, run this on the database: {rename}; or use another name"),
                );
            } else if column.required && column.default.is_none() && strange.rows > 0 {
                let why = format!("it has rows, and no column for the required field `{name}`");
                self.not(Some(name), why, format!("add a constant `default` or `nullable: true` to `{name}`"));
            }
            added.push(plain(column));
            self.steps.push(Step::AddColumn { table: table.clone(), column: plain(column) });
        }
        there.into_iter().chain(added).collect()
    }

    /// Columns that no field has must get their values from the database.
    fn others(&mut self) {
        let known = |name: &str| OWN.contains(&name) || self.wanted.columns.iter().any(|column| column.name == name);
        let others = self.strange.columns.iter().filter(|column| !known(&column.name));
        let needed: Vec<_> =
            others.filter(|column| column.not_null && column.default.is_none() && !column.generated).collect();
        for StrangeColumn { name, .. } in needed {
            let why = format!("its column `{name}` needs a value, and no field has it");
            self.not(None, why, format!("declare a field `{name}`, or give the column a default"));
        }
    }
}
