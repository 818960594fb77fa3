//! Sessions of accounts: who is signed in, and the refresh token that is valid now.
//!
//! The statements are part of writes, so that each is done completely or not at all.

pub mod secret;
mod sweeps;

pub use self::sweeps::Sweeps;

use self::secret::{RefreshToken, same};
use super::contract::prevented;
use super::dialect::Dialect;
use super::store::{Cell, Param, Row, Sql, Statement};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// The maximum number of sessions of one account. One more ends the one that was unused for the longest time.
const MOST: i64 = 50;
/// The maximum number of expired sessions that are removed at once.
const SWEPT: i64 = 100;

const FIND: &str = "SELECT \"accounts\", \"account\", \"proof\", \"secret\", \"generation\", \"started\", \"expires\", \"used\" \
                    FROM \"_gw_sessions\" WHERE \"id\" = $1";
const INSERT: &str = "INSERT INTO \"_gw_sessions\" \
                      (\"id\", \"accounts\", \"account\", \"proof\", \"secret\", \"generation\", \"started\", \"used\", \"expires\") \
                      VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8)";
const RENEW: &str = "UPDATE \"_gw_sessions\" SET \"secret\" = $1, \"generation\" = \"generation\" + 1, \"used\" = $2, \
                     \"expires\" = $3 WHERE \"id\" = $4";
const END: &str = "DELETE FROM \"_gw_sessions\" WHERE \"id\" = $1";
/// The sessions of an account but one.
const OTHERS: &str = "\"_gw_sessions\" WHERE \"accounts\" = $1 AND \"account\" = $2 AND \"id\" IS DISTINCT FROM $3";
const END_OLDEST: &str = "DELETE FROM \"_gw_sessions\" WHERE \"id\" IN (SELECT \"id\" FROM \"_gw_sessions\" \
                          WHERE \"accounts\" = $1 AND \"account\" = $2 ORDER BY \"used\" DESC, \"id\" DESC \
                          LIMIT 1000 OFFSET $3)";
const SWEEP: &str = "DELETE FROM \"_gw_sessions\" WHERE \"id\" IN (SELECT \"id\" FROM \"_gw_sessions\" \
                     WHERE \"expires\" <= $1 ORDER BY \"expires\", \"id\" LIMIT $2)";
/// The one that has been expired for the longest time.
const LEFT: &str = "SELECT \"id\" FROM \"_gw_sessions\" WHERE \"expires\" <= $1 ORDER BY \"expires\", \"id\" LIMIT 1";

/// How long sessions last.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// Without a refresh.
    pub unused: Duration,
    /// In any case.
    pub most: Duration,
    /// For this long after a token was replaced, it may come again without ending the session.
    pub grace: Duration,
}

/// A session as it is stored.
pub struct Session {
    /// The table of the accounts.
    accounts: String,
    /// The id of the account, as text.
    pub account: String,
    proof: String,
    secret: String,
    /// How many tokens it has had.
    pub generation: i64,
    started: i64,
    expires: i64,
    used: i64,
}

/// What a refresh token proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the token that is valid now.
    Current,
    /// It was replaced: someone has a copy.
    Replaced,
    /// It was replaced a moment ago: a client refreshes twice at once.
    JustReplaced,
    Expired,
    /// It belongs to no session of these accounts.
    Unknown,
}

impl Session {
    pub fn of(row: &dyn Row) -> Self {
        let text = |column| match row.cell(column) {
            Cell::Text(text) => text.to_owned(),
            _ => String::new(),
        };
        let number = |column| match row.cell(column) {
            Cell::Integer(number) => number,
            _ => 0,
        };
        let (accounts, account, proof, secret) = (text(0), text(1), text(2), text(3));
        Self {
            accounts,
            account,
            proof,
            secret,
            generation: number(4),
            started: number(5),
            expires: number(6),
            used: number(7),
        }
    }

    /// What `token` proves now about this session.
    pub fn standing(&self, token: &RefreshToken, accounts: &str, lifetime: Lifetime) -> Standing {
        if self.accounts != accounts || !same(&self.proof, &token.proof_hash()) {
            return Standing::Unknown;
        }
        if !same(&self.secret, &token.secret_hash()) {
            let since = now().saturating_sub(self.used);
            let recent = since < seconds(lifetime.grace);
            return if recent { Standing::JustReplaced } else { Standing::Replaced };
        }
        let end = self.expires.min(self.started.saturating_add(seconds(lifetime.most)));
        if end <= now() { Standing::Expired } else { Standing::Current }
    }
}

/// The statement that finds the session of a token, for a read in front of a write job.
pub fn find_statement(session: Uuid, deadline: Duration) -> Statement {
    Statement { sql: Arc::from(FIND), parameters: vec![id(session)], deadline }
}

/// The session of a token, in a write.
pub fn find(session: Uuid) -> Sql {
    Sql::new(FIND, [id(session)])
}

/// The statements that start a session of an account with its first token, end those that are too many, and remove some that
/// have expired. The last one finds one that has expired and is still there.
pub fn start((accounts, account): (&str, &str), token: &RefreshToken, lifetime: Lifetime) -> [Sql; 4] {
    let now = now();
    let (accounts, account) = (Param::Text(accounts.to_owned()), Param::Text(account.to_owned()));
    let insert = Sql::of_row(
        INSERT,
        [
            id(token.session),
            accounts.clone(),
            account.clone(),
            Param::Text(token.proof_hash()),
            Param::Text(token.secret_hash()),
            Param::Integer(now),
            Param::Integer(now),
            Param::Integer(end(now, now, lifetime)),
        ],
    );
    let sweep = Sql::new(SWEEP, [Param::Integer(now), Param::Integer(SWEPT)]);
    let end_oldest = Sql::new(END_OLDEST, [accounts, account, Param::Integer(MOST)]);
    [sweep, insert, end_oldest, Sql::new(LEFT, [Param::Integer(now)])]
}

/// Replaces the token of a session.
pub fn renew(session: &Session, next: &RefreshToken, lifetime: Lifetime) -> Sql {
    let now = now();
    let end = end(now, session.started, lifetime);
    Sql::of_row(RENEW, [Param::Text(next.secret_hash()), Param::Integer(now), Param::Integer(end), id(next.session)])
}

pub fn end_one(session: Uuid) -> Sql {
    Sql::of_row(END, [id(session)])
}

/// Ends all sessions of an account but one: the first statement changes as many rows, and the second one must count none. `but` is the
/// `sid` claim of the caller, if any. The account must be locked, or a sign-in could start one in between.
pub fn end_all(dialect: Dialect, accounts: &str, account: &Param, but: Option<&str>) -> [Sql; 2] {
    let but = but.map_or(Param::Null, |but| Param::Text(but.to_owned()));
    let parameters = [Param::Text(accounts.to_owned()), Param::Text(text(account)), but];
    let count = dialect.must_count(0, &not_ended());
    [format!("DELETE FROM {OTHERS}"), format!("SELECT {count} FROM {OTHERS}")]
        .map(|text| Sql::new(text, parameters.clone()))
}

/// What it means if sessions are left.
pub fn not_ended() -> String {
    prevented("not all rows of `_gw_sessions` were deleted")
}

/// The id of an account as text.
pub fn text(account: &Param) -> String {
    match account {
        Param::Text(text) => text.clone(),
        Param::Integer(number) => number.to_string(),
        Param::Null | Param::Real(_) => String::new(),
    }
}

fn id(session: Uuid) -> Param {
    Param::Text(session.to_string())
}

/// When a session ends that was started at one time and used at another.
fn end(used: i64, started: i64, lifetime: Lifetime) -> i64 {
    used.saturating_add(seconds(lifetime.unused)).min(started.saturating_add(seconds(lifetime.most)))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Seconds since 1970.
pub fn now() -> i64 {
    seconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
