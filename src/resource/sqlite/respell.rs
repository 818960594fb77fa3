//! Rewrites e-mail addresses that were stored before there was a normal form.

use super::catalog::{list, text};
use super::rows::Writer;
use crate::resource::contract::{Error, Param};
use crate::resource::{email, version};

/// Rewrites what is not in the normal form; returns a warning if some addresses had to stay because they are taken.
pub fn respell(writer: &mut Writer<'_>, table: &str, column: &str) -> Result<Option<String>, Error> {
    let sql = format!("SELECT \"id\", \"{column}\" FROM \"{table}\" WHERE \"{column}\" NOTNULL");
    let rows = list(writer, &sql, &[], |row| {
        let normal = email::normal(&text(row, 1)).filter(|normal| *normal != text(row, 1));
        normal.map(|normal| (row.cell(0).owned(), normal))
    })?;
    let sql = format!("UPDATE \"{table}\" SET \"{column}\" = ?, \"_version\" = ? WHERE \"id\" = ?");
    let mut taken = 0_u64;
    for (id, normal) in rows.into_iter().flatten() {
        match writer.execute(&sql, &[Param::Text(normal), Param::Integer(version::fresh()), id]) {
            Ok(_) => {}
            Err(Error::Unique(_)) => taken += 1,
            Err(error) => return Err(error),
        }
    }
    Ok((taken > 0).then(|| {
        format!(
            "{taken} items of the table {table} keep the spelling of their {column}: other items have the same \
             address in its normal form"
        )
    }))
}
