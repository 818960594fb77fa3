//! The tables of a copy: which there are, what the target must not have, and what is made before the rows and after them.

use super::Dialect;
use super::decimals;
use super::layout::{Layout, quoted};
use super::side::{Reference, Side, kind_of, words};
use crate::resource::contract::{Error, Found, Param, Sql};
use crate::resource::migrate::copied::{self, Record, STATE, is_newer};
use crate::resource::migrate::long;
use crate::resource::migrate::session::text;
use crate::resource::table::{ColumnType, Index, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The records of tables.
const RECORDS: &str = "_gw_schema";
/// One copy into a schema at a time. It waits for a short time: the server may not have noticed that a copy was killed.
const LOCK: &str = "SELECT pg_advisory_lock(hashtextextended('gatewright copy ' || current_schema(), 0))";
const MIGRATIONS: &str = "SELECT pg_advisory_xact_lock(7453910388461935)";

/// How long an index waits for transactions that see rows as they were before this copy replaced them, and between two attempts.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

/// The tables to copy.
pub struct Tables {
    pub layouts: Vec<Layout>,
    /// Those of resources, as they are recorded.
    records: Vec<Record>,
    /// Those that had rows in the target.
    filled: BTreeSet<String>,
}

/// Keeps other copies out of the target. A SQLite file is locked by being open.
pub fn lock(target: &mut Side) -> Result<(), String> {
    if target.dialect == Dialect::Sqlite {
        return Ok(());
    }
    match target.session.execute(LOCK, &[]) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("another copy to {} seems to be running: {}", target.place, words(&error))),
    }
}

impl Tables {
    /// Checks the target, and creates the tables that it does not have.
    pub fn prepare(source: &mut Side, target: &mut Side, recorded: Vec<Recorded>) -> Result<Self, String> {
        let own = source.own_tables()?.into_iter().filter(|name| ![RECORDS, STATE].contains(&&**name));
        // Tables of deleted items are recorded, as those of resources are.
        let own: Vec<String> = own.filter(|name| !recorded.iter().any(|(known, ..)| known == name)).collect();
        let names: Vec<String> = recorded.iter().map(|(name, ..)| name.clone()).collect();
        target.transaction(|target| {
            if target.dialect == Dialect::Postgres {
                target.run(MIGRATIONS)?;
            }
            // No gateway can come in between.
            accept(source, target)?;
            begin(source, target, &recorded)
        })?;
        let records: Vec<Record> = recorded.into_iter().map(|(_, record, _)| record).collect();
        let mut tables = Self { layouts: Vec::new(), filled: BTreeSet::new(), records };
        for name in names.into_iter().chain(own) {
            let record = tables.records.iter().find(|record| record.table.name == name).map(|record| &record.table);
            let layout = layout(source, target, &name, record)?;
            if target.count(&name)? > 0 {
                tables.filled.insert(name);
            }
            tables.layouts.push(layout);
        }
        Ok(tables)
    }

    pub fn has_rows(&self, table: &str) -> bool {
        self.filled.contains(table)
    }

    /// What comes after the rows: indexes and unique rules, counters, and statistics.
    pub fn finish(&self, source: &mut Side, target: &mut Side) -> Result<(), String> {
        for record in &self.records {
            let table = &record.table;
            target.transaction(|target| {
                let found = target.catalog.indexes(target.session.as_mut(), &table.name);
                let found = found.map_err(|error| target.failed(&error))?;
                let needed = |index: &&Index| target.dialect == Dialect::Sqlite || !index.ordered;
                let absent = |index: &&Index| !found.contains_key(&index.name(&table.name));
                let absent: Vec<_> = table.indexes.iter().filter(needed).filter(absent).collect();
                for index in absent {
                    make(target, &table.name, index, guarded(record).contains(index))?;
                }
                if table.id_counts {
                    let last = source.counter(&table.name)?;
                    target.set_counter(&table.name, last)?;
                }
                Ok(())
            })?;
        }
        if target.dialect == Dialect::Postgres {
            target.transaction(|target| self.refer(source, target))?;
        }
        self.layouts.iter().try_for_each(|layout| target.run(&format!("ANALYZE {}", quoted(&layout.name))))
    }
}

impl Tables {
    /// Makes the foreign keys of the source. In SQLite they are part of the tables.
    fn refer(&self, source: &mut Side, target: &mut Side) -> Result<(), String> {
        let names: BTreeSet<&str> = self.records.iter().map(|record| record.table.name.as_str()).collect();
        for name in &names {
            for Reference { column, to, on_delete } in source.references(name)? {
                if names.contains(to.as_str()) {
                    let (table, column, to) = (quoted(name), quoted(&column), quoted(&to));
                    target.run(&format!(
                        "ALTER TABLE {table} ADD FOREIGN KEY ({column}) REFERENCES {to} (\"id\") ON DELETE {on_delete}"
                    ))?;
                }
            }
        }
        Ok(())
    }
}

/// A table that is recorded: its name, its record, and the row of the record as it is stored.
pub type Recorded = (String, Record, Found);

/// The records of all tables.
pub fn records(side: &mut Side) -> Result<Vec<Recorded>, String> {
    let sql = "SELECT resource, model_json, fingerprint, applied_at, gateway_version FROM _gw_schema ORDER BY resource";
    let rows = side.rows(&Sql::new(sql, Vec::new()))?;
    let read = rows.into_iter().map(|row| {
        let (name, model, version) = (text(&row, 0), text(&row, 1), text(&row, 4));
        match serde_json::from_str::<Record>(&model) {
            Ok(record) if !is_newer(&model) => Ok((name, record, row)),
            _ => {
                Err(format!("the table `{name}` was created by gatewright {version}, and this version cannot read it"))
            }
        }
    });
    read.collect()
}

/// Whether the target can be written to: it holds an earlier copy of the same source, or nothing at all. Tables without rows
/// count too: they may be those of a gateway that is about to write to them.
pub fn accept(source: &Side, target: &mut Side) -> Result<(), String> {
    let former = copied::source(target.session.as_mut(), target.catalog).map_err(|error| target.failed(&error))?;
    let place = &target.place;
    match former {
        Some(former) if former == source.place => return Ok(()),
        Some(former) => {
            return Err(format!(
                "{place} holds a copy of {former}, not of {}\n  help: copy to an empty database",
                source.place
            ));
        }
        None => {}
    }
    let Some(table) = target.any_table()? else { return Ok(()) };
    let or =
        if target.dialect == Dialect::Postgres { ", or to an empty schema with the option `search_path`" } else { "" };
    Err(format!(
        "{} is not empty: it has `{table}`, which no copy from {} has made, and nothing was changed\n  help: copy to an empty \
         database{or}. Once a gateway has used a database, no copy replaces what it has written",
        target.place, source.place
    ))
}

/// Creates and records the tables, within a transaction. Tables whose record has changed since an earlier run are made anew.
fn begin(source: &Side, target: &mut Side, recorded: &[Recorded]) -> Result<(), String> {
    let failed = |target: &Side, error| target.failed(&error);
    let known = if target.exists(RECORDS)? { records(target)? } else { Vec::new() };
    drop_references(target)?;
    let wanted: BTreeMap<&str, &Recorded> = recorded.iter().map(|recorded| (recorded.0.as_str(), recorded)).collect();
    for (name, record, row) in &known {
        if wanted.get(name.as_str()).is_some_and(|(_, _, wanted)| wanted == row) {
            // Rows that break a unique rule, and are kept, come before the rule.
            let found = target.catalog.indexes(target.session.as_mut(), name).map_err(|error| failed(target, error))?;
            for index in guarded(record).iter().filter(|index| found.contains_key(&index.name(name))) {
                let dropped = target.catalog.drop_index(target.session.as_mut(), name, index);
                dropped.map_err(|error| failed(target, error))?;
            }
            continue;
        }
        if target.exists(name)? {
            target.run(&format!("DROP TABLE {}", quoted(name)))?;
        }
        let forget = Sql::new("DELETE FROM _gw_schema WHERE resource = $1", [Param::Text(name.clone())]);
        target.execute(&forget).map_err(|error| failed(target, error))?;
    }
    for statement in target.catalog.own_tables() {
        target.run(statement)?;
    }
    copied::begin(target.session.as_mut(), &source.place).map_err(|error| failed(target, error))?;
    for (name, record, row) in recorded {
        if target.exists(name)? {
            continue;
        }
        let create = target.catalog.create_table(&record.table).map_err(|error| failed(target, error))?;
        target.run(&create)?;
        let sql = "INSERT INTO _gw_schema (resource, model_json, fingerprint, applied_at, gateway_version) \
                   VALUES ($1, $2, $3, $4, $5)";
        target.execute(&Sql::new(sql, row.0.clone())).map_err(|error| failed(target, error))?;
    }
    Ok(())
}

/// Rows refer to rows that come later, so foreign keys come last. SQLite does not check them on this connection.
fn drop_references(target: &mut Side) -> Result<(), String> {
    if target.dialect == Dialect::Sqlite {
        return Ok(());
    }
    let sql = "SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint JOIN _gw_schema \
               ON conrelid = to_regclass(format('%I.%I', current_schema(), resource)) WHERE contype = 'f'";
    if target.exists(RECORDS)? {
        for row in target.rows(&Sql::new(sql, Vec::new()))? {
            target.run(&format!("ALTER TABLE {} DROP CONSTRAINT {}", text(&row, 0), text(&row, 1)))?;
        }
    }
    Ok(())
}

fn make(target: &mut Side, table: &str, index: &Index, guard: bool) -> Result<(), String> {
    if guard {
        let made = target.catalog.guard(target.session.as_mut(), table, index);
        return made.map_err(|error| target.failed(&error));
    }
    let create = target.catalog.create_index(table, index);
    let started = Instant::now();
    loop {
        target.run("SAVEPOINT made")?;
        let Err(error) = target.session.execute(&create, &[]) else { return target.run("RELEASE SAVEPOINT made") };
        target.run("ROLLBACK TO SAVEPOINT made")?;
        if !matches!(error, Error::TooLong) {
            return Err(format!("cannot create an index of the table `{table}`: {}", target.failed(&error)));
        }
        let long = long::longest(target.session.as_mut(), table, index).map_err(|error| target.failed(&error))?;
        if long.passing && started.elapsed() < PATIENCE {
            std::thread::sleep(PAUSE);
            continue;
        }
        let help = match long.passing {
            true => long.help,
            false => "shorten them in the source, or take `index` and `unique` out of the field there, and copy again",
        };
        return Err(format!("{}: {}\n  help: {help}", target.place, long.why));
    }
}

fn guarded(record: &Record) -> &[Index] {
    record.demands.as_ref().map_or(&[], |demands| &demands.guarded)
}

/// The columns that both sides have. The target has the recorded ones.
fn layout(source: &mut Side, target: &mut Side, name: &str, record: Option<&Table>) -> Result<Layout, String> {
    let (there, here) = (source.columns(name)?, target.columns(name)?);
    if here.is_empty() {
        return Err(format!("{} has a table `{name}` of a newer version of gatewright", source.place));
    }
    if let Some((column, _)) = here.iter().find(|(column, _)| !there.iter().any(|(known, _)| known == column)) {
        return Err(format!("the table `{name}` in {} has no column `{column}`", source.place));
    }
    let kind = |column: &str, type_name: &str| match record {
        Some(table) if column == "id" => table.id,
        Some(table) => {
            let known = table.columns.iter().find(|known| known.name == column);
            known.map_or_else(|| kind_of(type_name), |known| known.kind)
        }
        None => kind_of(type_name),
    };
    let columns: Vec<(String, ColumnType)> =
        here.iter().map(|(column, type_name)| (column.clone(), kind(column, type_name))).collect();
    let key = target.key(name)?;
    let key: Vec<usize> = key.iter().filter_map(|key| columns.iter().position(|(column, _)| column == key)).collect();
    if key.is_empty() {
        return Err(format!("the table `{name}` has no primary key"));
    }
    let rounds = |name: &str| there.iter().any(|(known, kind)| known == name && decimals::is_numeric(kind));
    let known = |name: &str| {
        record.filter(|_| rounds(name))?.columns.iter().find(|column| column.name == name).and_then(decimals::scale)
    };
    let scales = columns.iter().enumerate().filter_map(|(at, (name, _))| Some((at, known(name)?)));
    // PostgreSQL itself compares numbers.
    let scales = if target.dialect == Dialect::Sqlite { scales.collect() } else { BTreeMap::new() };
    Ok(Layout { name: name.to_owned(), columns, key, scales })
}
