//! What is dropped if the operator wants it: columns that are not declared, and tables that no resource uses.

use super::session::{Catalog, Session, text};
use super::{Orders, Ours, Step, Table, hidden};
use crate::resource::contract::{Count, Error};

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

/// The steps that drop the tables that gatewright created and that are not wanted.
pub fn tables(
    session: &mut dyn Session,
    catalog: &dyn Catalog,
    wanted: &[Table],
    orders: &Orders,
) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    for record in session.rows("SELECT resource FROM _gw_schema ORDER BY resource", &[])? {
        let table = text(&record, 0);
        if wanted.iter().any(|other| other.name == table) || orders.keep.contains(&table) {
            continue;
        }
        let rows = match catalog.exists(session, &table)? {
            true => hidden::count_of(&session.rows(&hidden::count_rows(&table), &[])?),
            false => Count { found: 0, complete: true },
        };
        steps.push(Step::DropTable { table, rows });
    }
    Ok(steps)
}
