//! Stores whose tables cannot be changed at all: why, and what helps.

use super::contract::{Error, RefusedTable};
use gatewright_sdk::Code;

/// What part of a message calls for which help. The first one counts.
const HELP: &[(&str, &str)] = &[
    ("in use by another gatewright process", "stop that gateway"),
    ("locked by another process", "end what uses the database"),
    ("the disk is full", "free space on the disk of the database"),
    ("no disk space left", "free space on the disk of the server"),
    ("No space left on device", "free space on the disk of the database"),
    (
        "waited too long for a lock",
        "wait for the transactions that use the table, or end them: SELECT pid, state, query FROM pg_stat_activity WHERE \
         pid = ANY (SELECT pid FROM pg_locks WHERE relation IS NOT NULL)",
    ),
    ("PostgreSQL cannot be written to", "connect to the primary server, not to a standby"),
    ("it is read-only", "give this user the right to write to the file and to its folder"),
    ("cannot be written to", "give this user the right to write there"),
    ("has no connection left", "wait for other programs to close theirs, or raise `max_connections` of the server"),
    ("cannot connect to PostgreSQL", "start the server, or correct the `url`"),
    ("does not respond", "look at the server and at the network"),
    ("restore it from a backup", "`gatewright db restore` puts a backup in its place"),
    ("was moved or deleted while it was in use", "put the file back"),
];

/// The same for a step that the database rejects.
const OBSTACLES: &[(&str, &str)] = &[
    ("denies the user a right", "name the owner of the tables in the URL of the store, or grant that right"),
    ("used by a view or rule", "drop the view, and create it again afterwards"),
    ("used by a generated column", "drop that column, and add it again afterwards"),
    ("used in a trigger", "drop the trigger, and create it again afterwards"),
    ("used in a policy", "drop the policy, and create it again afterwards"),
    ("depend on it", "drop first what depends on it"),
    ("error in view", "drop the view, and create it again afterwards"),
    ("error in trigger", "drop the trigger, and create it again afterwards"),
    ("error in index", "drop the index, and create it again afterwards"),
    ("partition", "PostgreSQL cannot do this with a partitioned table: use a table that is not partitioned"),
    ("foreign table", "the table is on another server: change it there"),
    ("already exists", "rename or drop what has this name"),
    ("cannot be cast", "change the values that do not fit, or keep the type of the field"),
];

/// What helps against the obstacle that the message of a database names.
pub fn obstacle(message: &str) -> Option<&'static str> {
    OBSTACLES.iter().find(|(part, _)| message.contains(part)).map(|(_, help)| *help)
}

impl RefusedTable {
    /// A store that cannot be used, so that none of its tables can be migrated.
    pub fn unusable(error: &Error) -> Vec<Self> {
        let (code, message, what) = match error {
            Error::Blocked { why, help } => (Code::TABLE_CHANGE, why.clone(), help.clone()),
            Error::Unavailable(why) => {
                let known = HELP.iter().find(|(part, _)| why.contains(part)).map(|(_, help)| *help);
                (Code::STORE_UNAVAILABLE, error.to_string(), known.unwrap_or("fix this").to_owned())
            }
            Error::Deadline => {
                let help = "end what keeps the tables busy; `gatewright migrate --apply` may take as long as it needs";
                (Code::STORE_UNAVAILABLE, "the change of the tables took too long".to_owned(), help.to_owned())
            }
            Error::Referenced(_) => {
                let help = "give them a value that exists, or null";
                (Code::TABLE_CHANGE, "some rows refer to rows that do not exist".to_owned(), help.to_owned())
            }
            Error::TooLong | Error::Busy | Error::Unique(_) | Error::Internal(_) => {
                let known = obstacle(&error.to_string()).unwrap_or("fix this");
                (Code::STORE_UNAVAILABLE, error.to_string(), known.to_owned())
            }
        };
        let help = format!("no tables were changed: {what}, then reload or start again");
        vec![Self { code, table: None, column: None, message, help, command: None, duplicates: Vec::new() }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_the_help_that_fits() {
        let help = |error: Error| RefusedTable::unusable(&error).remove(0).help;
        for (error, part) in [
            (Error::Unavailable("the disk is full".into()), "free space on the disk of the database, then reload"),
            (Error::Unavailable("PostgreSQL has no disk space left: x".into()), "free space on the disk of the server"),
            (Error::Unavailable("PostgreSQL cannot be written to: x".into()), "connect to the primary server"),
            (Error::Internal("0A000 cannot alter type of a column used by a view or rule".into()), "drop the view"),
            (Error::Internal("42809 \"t\" is a partitioned table".into()), "not partitioned"),
            (Error::Blocked { why: "x".into(), help: "shorten them".into() }, "shorten them, then reload"),
            (
                Error::Unavailable("something else".into()),
                "no tables were changed: fix this, then reload or start again",
            ),
        ] {
            let help = help(error);
            assert!(help.contains(part), "{part}: {help}");
        }
    }
}
