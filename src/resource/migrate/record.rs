//! What is recorded of a table, in the store.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Demands;
use super::copied::{FORMAT, is_newer};
use super::session::{Session, text};
use crate::resource::contract::{Error, Param};
use crate::resource::moment::Moment;
use crate::resource::table::Table;

/// The table of records.
pub const RECORDS: &str = "_gw_schema";

/// What is recorded of a table.
#[derive(Serialize, Deserialize)]
pub struct Record {
    format: u64,
    /// As it was created.
    pub table: Table,
    #[serde(default)]
    pub demands: Option<Demands>,
}

/// The record of a table, if there is one: what it says, if this version can read it, and the version that wrote it.
pub fn read(session: &mut dyn Session, table: &str) -> Result<Option<(Option<Record>, String)>, Error> {
    let sql = "SELECT model_json, gateway_version FROM _gw_schema WHERE resource = $1";
    let kept = session.rows(sql, &[Param::Text(table.to_owned())])?;
    let Some((model, version)) = kept.first().map(|row| (text(row, 0), text(row, 1))) else { return Ok(None) };
    Ok(Some((serde_json::from_str(&model).ok().filter(|_| !is_newer(&model)), version)))
}

/// Records a table, and what documents require of it.
pub fn write(session: &mut dyn Session, table: &Table, demands: &Demands) -> Result<(), Error> {
    let record = Record { format: FORMAT, table: table.clone(), demands: Some(demands.clone()) };
    let model = serde_json::to_string(&record).map_err(|error| Error::Internal(error.to_string()))?;
    let fingerprint = Sha256::digest(&model).iter().map(|byte| format!("{byte:02x}")).collect();
    let values = [
        Param::Text(table.name.clone()),
        Param::Text(model),
        Param::Text(fingerprint),
        Param::Text(env!("CARGO_PKG_VERSION").to_owned()),
        Param::Text(Moment::now().datetime()),
    ];
    let sql = "INSERT INTO _gw_schema (resource, model_json, fingerprint, gateway_version, applied_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (resource) DO UPDATE SET model_json = excluded.model_json, fingerprint = excluded.fingerprint,
        gateway_version = excluded.gateway_version, applied_at = excluded.applied_at";
    session.execute(sql, &values).map(|_| ())
}
