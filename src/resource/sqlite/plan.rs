//! Plans for a database file that is not open, without creating or changing it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{Access, access};

use super::PREPARE;
use super::connection::Location;
use super::rows::Writer;
use super::schema::SqliteCatalog;
use super::shared::Shared;
use super::touched::Touched;
use crate::resource::contract::{Error, Planned, RefusedTable};
use crate::resource::migrate::{By, apply};
use crate::resource::table::Table;

/// What migrating the tables would do, or why it would be refused.
pub fn plan(shared: &Shared, tables: &[Table], by: &By) -> Result<Result<Planned, Vec<RefusedTable>>, Error> {
    let Location::File(path) = shared.location() else { return Ok(apply::plan_anew(&SqliteCatalog, tables, by)) };
    let _lock = shared.check(path)?;
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(Error::Unavailable(format!("{} is a directory", path.display()))),
        Ok(_) => look(path, tables, by),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            if shared.had_a_file() {
                let path = path.display();
                return Err(Error::Unavailable(format!(
                    "{path} was moved or deleted while it was in use; put it back, or restart the gateway to start with an \
                     empty database"
                )));
            }
            can_be_created(path)?;
            Ok(apply::plan_anew(&SqliteCatalog, tables, by))
        }
        Err(error) => Err(Error::Unavailable(format!("cannot open {}: {error}", path.display()))),
    }
}

/// Uses a separate connection, without the settings that would change the file. It takes the lock that a change would take.
pub fn look(path: &Path, tables: &[Table], by: &By) -> Result<Result<Planned, Vec<RefusedTable>>, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PREPARE)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut writer = Writer { connection: &connection, touched: &mut Touched::default() };
    let planned = apply::rehearse(&mut writer, &SqliteCatalog, tables, by);
    connection.execute_batch("ROLLBACK")?;
    planned
}

/// Whether the file and its missing parent folders can be created.
fn can_be_created(path: &Path) -> Result<(), Error> {
    let nearest = path.ancestors().skip(1).find(|folder| folder.as_os_str().is_empty() || folder.exists());
    let nearest = nearest.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let refuse =
        |why: &str| Err(Error::Unavailable(format!("cannot create {}: {} {why}", path.display(), nearest.display())));
    if !nearest.is_dir() {
        return refuse("is not a directory");
    }
    match access(nearest, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(()),
        Err(error) => refuse(&format!("cannot be written to ({error})")),
    }
}
