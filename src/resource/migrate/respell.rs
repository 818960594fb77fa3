//! Rewrites e-mail addresses that were stored before there was a normal form.

use super::session::{Session, text};
use crate::resource::contract::{Error, Param};
use crate::resource::{email, version};

/// Rewrites what is not in the normal form; returns a warning if some addresses had to stay because they are taken.
pub fn respell(session: &mut dyn Session, table: &str, column: &str) -> Result<Option<String>, Error> {
    let sql = format!("SELECT \"{column}\", \"id\" FROM \"{table}\" WHERE \"{column}\" IS NOT NULL");
    let rows = session.rows(&sql, &[])?;
    let sql = format!("UPDATE \"{table}\" SET \"{column}\" = $1, \"_version\" = $2 WHERE \"id\" = $3");
    let mut taken = 0_u64;
    for mut row in rows {
        let written = text(&row, 0);
        let Some(normal) = email::normal(&written).filter(|normal| *normal != written) else { continue };
        let id = row.0.pop().unwrap_or(Param::Null);
        session.execute("SAVEPOINT respell", &[])?;
        match session.execute(&sql, &[Param::Text(normal), Param::Integer(version::fresh()), id]) {
            Ok(_) => {}
            Err(Error::Unique(_)) => {
                session.execute("ROLLBACK TO SAVEPOINT respell", &[])?;
                taken += 1;
            }
            Err(error) => return Err(error),
        }
        session.execute("RELEASE SAVEPOINT respell", &[])?;
    }
    Ok((taken > 0).then(|| {
        format!(
            "{taken} items of the table {table} keep the spelling of their {column}: other items have the same \
             address in its normal form"
        )
    }))
}
