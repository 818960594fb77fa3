//! Converts errors of PostgreSQL to errors of a store.

use tokio_postgres::error::{DbError, SqlState};

use super::indexes::{LONGEST, column};
use crate::resource::contract::{Error, ForeignKey, OVERTAKEN};

/// What may be done after a statement failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: it fails again.
    None,
    /// The transaction lost against another one, and has a chance when it runs again.
    Repeat,
    /// The same, and whatever the other one did is done: that happens as often as others change the same rows.
    Overtaken,
    /// A prepared statement is out of date: its table was changed.
    Prepare,
    /// A connection pooler in between has lost a prepared statement.
    Unprepared,
    /// The connection is gone. Whether a commit that was under way happened is not known.
    Connect,
}

/// What may be done about an error.
pub fn remedy(error: &tokio_postgres::Error) -> Remedy {
    if error.is_closed() {
        return Remedy::Connect;
    }
    let Some(error) = error.as_db_error() else { return Remedy::Connect };
    match error.code() {
        code if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED => {
            Remedy::Repeat
        }
        _ if is_overtaken(error) => Remedy::Overtaken,
        code if *code == SqlState::INVALID_SQL_STATEMENT_NAME || *code == SqlState::DUPLICATE_PSTATEMENT => {
            Remedy::Unprepared
        }
        code if *code == SqlState::FEATURE_NOT_SUPPORTED && error.message().contains("cached plan") => Remedy::Prepare,
        code if code.code().starts_with("57P") || code.code().starts_with("08") => Remedy::Connect,
        _ => Remedy::None,
    }
}

/// Whether a statement failed that must not find rows which another transaction added meanwhile.
fn is_overtaken(error: &DbError) -> bool {
    *error.code() == SqlState::INVALID_TEXT_REPRESENTATION && error.message().contains(OVERTAKEN)
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(error) => of_server(error),
            None => Self::Unavailable(format!("the connection to PostgreSQL failed: {}", reasons(&error))),
        }
    }
}

/// How the message begins if the user lacks a right.
pub const DENIED: &str = "PostgreSQL denies the user a right";
/// The function of the server that compares rows with the policies of their table. Messages are in the language of the server.
const POLICY: &str = "ExecWithCheckOptions";

fn of_server(error: &DbError) -> Error {
    let code = error.code();
    let unavailable = |what: &str| Error::Unavailable(format!("PostgreSQL {what}: {}", error.message()));
    match code.code() {
        "23505" => Error::Unique(unique_columns(error)),
        "23503" | "23001" => Error::Referenced(ForeignKey {
            table: error.table().unwrap_or_default().to_owned(),
            ..ForeignKey::default()
        }),
        "57014" => Error::Deadline,
        "54000" => Error::TooLong,
        "55P03" => unavailable("waited too long for a lock"),
        "40001" | "40P01" => unavailable("could not bring the transaction in an order with others"),
        _ if is_overtaken(error) => unavailable("could not bring the transaction in an order with others"),
        "25006" => unavailable("cannot be written to"),
        // Neither passes by itself.
        "42501" if error.routine() == Some(POLICY) => {
            Error::Internal(format!("a policy of PostgreSQL rejects the row: {}", error.message()))
        }
        "42501" => Error::Internal(format!("{DENIED}: {}", error.message())),
        "53300" => unavailable("has no connection left"),
        "53100" => unavailable("has no disk space left"),
        other => match other.get(..2) {
            Some("08" | "28" | "3D" | "53" | "57" | "58") => unavailable("cannot be used now"),
            // What depends on what. Other details may have values of rows.
            _ if matches!(other, "0A000" | "2BP01") => {
                let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
                Error::Internal(format!("{other} {}{detail}", error.message()))
            }
            _ => Error::Internal(format!("{other} {}", error.message())),
        },
    }
}

/// The columns of the unique index that was hit. The name of a long one is shortened, and the detail says them:
/// `Key (email)=(…) already exists.`
fn unique_columns(error: &DbError) -> Vec<String> {
    let (constraint, table) = (error.constraint().unwrap_or_default(), error.table().unwrap_or_default());
    let detail = error.detail().and_then(|detail| detail.strip_prefix("Key (")?.split_once(")=("));
    match detail {
        Some((keys, _)) if constraint.len() == LONGEST => keys.split(", ").map(|key| column(key).0).collect(),
        _ => columns(constraint, table),
    }
}

/// The columns of a unique index, from its name: `gwu_<table>.<columns>`, or `<table>_pkey`.
fn columns(constraint: &str, table: &str) -> Vec<String> {
    let own = constraint.strip_prefix("gwu_").and_then(|rest| rest.strip_prefix(table)?.strip_prefix('.'));
    own.map_or_else(|| vec!["id".to_owned()], |columns| columns.split('.').map(str::to_owned).collect())
}

/// An error with its causes.
pub fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.ends_with(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_unique_index_says_its_columns() {
        assert_eq!(columns("gwu_users.email", "users"), ["email"]);
        assert_eq!(columns("gwu_users.tenant.name", "users"), ["tenant", "name"]);
        assert_eq!(columns("users_pkey", "users"), ["id"]);
    }
}
