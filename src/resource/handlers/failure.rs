//! Responses to rejections and failures of the store.

use super::api::Api;
use crate::resource::field::Field;
use crate::resource::refusal::{ListFaults, refusal};
use crate::resource::store::{Error, Side};
use gatewright_sdk::{Detail, Problem};

/// Seconds after which a retry makes sense.
const RETRY: u64 = 1;

/// The reason if the database says that an item does not exist.
const REFERENCE: &str = "reference";

impl Api {
    /// The response to a failure of the store. The client learns which field is taken, and nothing about SQL.
    pub(in crate::resource) fn failure(&self, error: &Error) -> Problem {
        match error {
            Error::Unique(columns) => self.taken(columns),
            Error::Referenced(key) if key.side == Side::Neither => self.failure(&elsewhere(&key.table)),
            Error::Referenced(_) => Problem::conflict("Resource is still referenced"),
            Error::TooLong => {
                Problem::validation("a value is too long for the index of its field").log_reason("too_long")
            }
            Error::Busy => Problem::unavailable(RETRY).log_reason("store_busy"),
            Error::Deadline => Problem::unavailable(RETRY).log_reason("store_deadline"),
            Error::Unavailable(reason) => {
                tracing::warn!(target: "gatewright::resource", resource = &*self.model.name, reason, "store is unavailable");
                Problem::unavailable(RETRY).log_reason("store_unavailable").log_error(reason)
            }
            Error::Blocked { why: reason, .. } | Error::Internal(reason) => {
                tracing::error!(target: "gatewright::resource", resource = &*self.model.name, reason, "statement failed");
                Problem::internal().log_reason("store_failed").log_error(reason)
            }
        }
    }

    /// The response to a failure of a statement that creates or changes an item.
    pub(super) fn write_failure(&self, error: &Error) -> Problem {
        match error {
            Error::Referenced(key) if key.side(&self.model.table.name) == Side::Neither => {
                self.failure(&elsewhere(&key.table))
            }
            Error::Referenced(key) if key.side(&self.model.table.name) == Side::Referred => {
                Problem::conflict("Other items refer to a value that would change")
            }
            Error::Referenced(key) => {
                // A field that clients know.
                let known = |field: &&Field| field.visible() || field.creates || field.updates;
                let own = |field: &&Field| key.table == self.model.table.name && key.columns.contains(&field.name);
                let fields = self.model.fields.iter().filter(own).filter(known);
                let details = fields.map(|field| field.broken("reference", "refers to an item that does not exist"));
                let details: Vec<Detail> = details.collect();
                let problem = match details.is_empty() {
                    true => Problem::validation("the item refers to one that does not exist"),
                    false => refusal(details),
                };
                problem.log_reason(REFERENCE)
            }
            error => self.failure(error),
        }
    }

    /// The same for a list. The item whose row was to get this version is at `place`.
    pub(super) fn list_failure(&self, error: &Error, place: impl FnOnce(i64) -> Option<usize>) -> Problem {
        let problem = self.write_failure(error);
        let place = match error {
            Error::Referenced(key) => key.version.and_then(place),
            _ => None,
        };
        let Some(place) = place else { return problem };
        let mut faults = ListFaults::default();
        faults.push(place, problem.faults().iter().cloned());
        match faults.refuse(problem, refusal) {
            Ok(problem) => problem.in_list(place),
            Err(problem) => problem.log_reason(REFERENCE),
        }
    }

    /// 409: another item has these values.
    pub(super) fn taken(&self, columns: &[String]) -> Problem {
        let named = |field: &&Field| columns.first() == Some(&field.name);
        let field = self.model.fields.iter().find(named);
        let (name, message) = match field.and_then(|field| Some((&*field.name, field.taken.as_ref()?))) {
            Some((name, message)) => (name, message.clone()),
            None => ("id", "Id is already taken".to_owned()),
        };
        Problem::conflict(message.clone()).details(vec![Detail::new(name, "unique", message)])
    }
}

/// A foreign key that has nothing to do with the item.
fn elsewhere(table: &str) -> Error {
    let of = if table.is_empty() { "another table".to_owned() } else { format!("table {table}") };
    Error::Internal(format!("a trigger or a rule of the database does not satisfy a foreign key of {of}"))
}
