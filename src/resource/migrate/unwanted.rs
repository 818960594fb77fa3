//! What is dropped if the operator wants it: columns that are not declared, and tables that no resource uses.

use super::reason::Reason;
use super::session::{Catalog, Session, text};
use super::{Orders, Ours, Step, Table, hidden};
use crate::resource::contract::{Count, Error, RefusedTable};
use gatewright_sdk::Code;

/// The recorded columns that are not declared, and how many values each has.
pub fn columns(session: &mut dyn Session, wanted: &Table, ours: &Ours) -> Result<Vec<(String, Count)>, Error> {
    let declared = |name: &String| wanted.columns.iter().any(|column| column.name == *name);
    let mut found = Vec::new();
    for column in ours.recorded.columns.iter().filter(|column| !declared(&column.name)) {
        let (values, _) = hidden::count(session, &wanted.name, &column.name)?;
        found.push((column.name.clone(), values));
    }
    Ok(found)
}

/// A table that is dropped: its rows, and which columns of which tables refer to it.
struct Dropped {
    table: String,
    rows: Count,
    referring: Vec<(String, String)>,
}

/// The steps that drop the tables that gatewright created and that are not wanted, or why some of them cannot be dropped.
pub fn tables(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &[Table],
    orders: &Orders,
) -> Result<Result<Vec<Step>, Vec<RefusedTable>>, Error> {
    let mut dropped = Vec::new();
    for record in session.rows("SELECT resource FROM _gw_schema ORDER BY resource", &[])? {
        let table = text(&record, 0);
        if wanted.iter().any(|other| other.name == table) || orders.keep.contains(&table) {
            continue;
        }
        let (rows, referring) = match catalog.exists(session, &table)? {
            true => {
                let rows = hidden::count_of(&session.rows(&hidden::count_rows(&table), &[])?);
                (rows, catalog.referring(session, &table)?)
            }
            false => (Count { found: 0, complete: true }, Vec::new()),
        };
        dropped.push(Dropped { table, rows, referring });
    }
    let refused: Vec<_> = dropped.iter().flat_map(|one| one.refused(&dropped, wanted)).collect();
    Ok(if refused.is_empty() { Ok(in_order(dropped)) } else { Err(refused) })
}

impl Dropped {
    /// The references of tables that stay. Those of columns that no field has go with the columns.
    fn refused(&self, dropped: &[Self], wanted: &[Table]) -> Vec<RefusedTable> {
        let stays = |(table, column): &&(String, String)| {
            let goes = dropped.iter().any(|other| other.table == *table);
            let orphan = wanted
                .iter()
                .any(|other| other.name == *table && !other.columns.iter().any(|declared| declared.name == *column));
            !goes && !orphan
        };
        let refusal = |(table, column): &(String, String)| {
            let name = &self.table;
            let message =
                format!("table `{name}` cannot be dropped: `{column}` of table `{table}`, which stays, refers to it");
            let help = format!(
                "drop that table or column first, declare the resource of `{name}` again, or leave out `--prune`"
            );
            Reason::new(None, message, help).about(Code::TABLE_CHANGE, table)
        };
        self.referring.iter().filter(stays).map(refusal).collect()
    }
}

/// Tables are dropped before those that they refer to. Where some refer to each other, their references end first.
fn in_order(mut left: Vec<Dropped>) -> Vec<Step> {
    let mut steps = Vec::new();
    while !left.is_empty() {
        let others = |one: &Dropped| -> Vec<(String, String)> {
            let there = |table: &String| *table != one.table && left.iter().any(|other| other.table == *table);
            one.referring.iter().filter(|(table, _)| there(table)).cloned().collect()
        };
        let at = left.iter().position(|one| others(one).is_empty()).unwrap_or(0);
        let ends = left.get(at).map(others).unwrap_or_default();
        let Dropped { table, rows, .. } = left.remove(at);
        steps.extend(ends.into_iter().map(|(from, column)| Step::LetGo { table: from, column, to: table.clone() }));
        steps.push(Step::DropTable { table, rows });
    }
    steps
}
