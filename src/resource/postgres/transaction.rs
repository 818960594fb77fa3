//! Statements and transactions on a connection.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use futures_util::TryStreamExt;
use futures_util::future::{join, maybe_done};
use tokio_postgres::types::Type;
use tokio_postgres::{Row as PgRow, Statement};

use super::error::{DENIED, Remedy, remedy};
use super::lease::Lease;
use super::rows::bound;
use super::violated::{KEY, Violated};
use crate::resource::contract::{Decision, Done, Error, ForeignKey, Found, Param, Row, Sql, written};
use crate::resource::dialect::SHARED;

/// The maximum number of prepared statements of a connection.
const PREPARED: usize = 256;

/// Holds the rows that are looked at before a write.
const LOCKED: &str = " FOR UPDATE";

/// Why something failed, and what may be done about it.
#[derive(Debug)]
pub struct Failure {
    pub error: Error,
    pub remedy: Remedy,
    /// Whether the transaction has not ended.
    pub open: bool,
    /// The foreign key that was not satisfied.
    pub key: Option<Box<Violated>>,
    /// The table of the unique index that was hit, if it is known.
    table: Option<Box<str>>,
    /// How many rows it looked for and did not find, if it failed because a value is taken.
    pub missing: u32,
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self {
            remedy: remedy(&error),
            key: Violated::of(&error).map(Box::new),
            table: error.as_db_error().and_then(|error| error.table()).map(Into::into),
            error: error.into(),
            open: false,
            missing: 0,
        }
    }
}

impl Failure {
    /// Of statements that the server accepted, and that did not do what they should.
    const fn discarded(error: Error) -> Self {
        Self { error, remedy: Remedy::None, open: false, key: None, table: None, missing: 0 }
    }

    /// Of this statement.
    fn of(mut self, statement: &Sql) -> Self {
        if let Error::Referenced(key) = &mut self.error {
            key.version = statement.version();
        }
        let written = written(&statement.text);
        if let Some(key) = &mut self.key {
            key.written = written.map(|(verb, table)| (verb, table.to_owned()));
        }
        // A trigger may hit a unique rule of another table, which is no fault of the row.
        if let (Error::Unique(_), Some(hit), Some((_, table))) = (&self.error, &self.table, written)
            && **hit != *table
        {
            self.error = Error::Internal(format!("a unique rule of table {hit} was hit by a write to {table}"));
            self.remedy = Remedy::None;
        }
        self
    }

    /// Adds what the statement needs, if the user lacks a right: the server names the table alone.
    fn needing(mut self, text: &str) -> Self {
        if let Error::Internal(why) = &mut self.error
            && why.starts_with(DENIED)
        {
            let verb = text.split(' ').next().unwrap_or_default();
            let locks = text.ends_with(SHARED) || text.ends_with(LOCKED);
            why.push_str(match verb {
                "SELECT" if locks => "; the statement needs SELECT and UPDATE",
                "INSERT" => "; the statement needs SELECT and INSERT",
                "UPDATE" => "; the statement needs SELECT and UPDATE",
                "DELETE" => "; the statement needs SELECT and DELETE",
                _ => "; the statement needs SELECT",
            });
        }
        self
    }

    /// Of a statement within a transaction.
    fn within(self) -> Self {
        Self { open: true, ..self }
    }
}

/// Runs one statement; returns its rows, and how many it changed.
///
/// Without `prepared`, the text is sent each time: connection poolers that give each transaction another connection lose
/// prepared statements.
pub async fn run(
    client: &Lease,
    prepared: bool,
    text: &str,
    parameters: &[Param],
) -> Result<(Vec<PgRow>, u64), Failure> {
    let statement = if prepared { Some(statement(client, text).await?) } else { None };
    send(client, statement.as_ref(), text, parameters).await
}

async fn statement(client: &Lease, text: &str) -> Result<Statement, Failure> {
    if client.statement_cache.size() >= PREPARED {
        client.statement_cache.clear();
    }
    Ok(client.prepare_cached(text).await?)
}

/// Sends a statement, prepared or as text, when it is polled for the first time.
async fn send(
    client: &Lease,
    statement: Option<&Statement>,
    text: &str,
    parameters: &[Param],
) -> Result<(Vec<PgRow>, u64), Failure> {
    sent(client, statement, text, parameters).await.map_err(|failure| failure.needing(text))
}

async fn sent(
    client: &Lease,
    statement: Option<&Statement>,
    text: &str,
    parameters: &[Param],
) -> Result<(Vec<PgRow>, u64), Failure> {
    let stream = if let Some(statement) = statement {
        client.query_raw(statement, bound(parameters)).await?
    } else {
        let typed = bound(parameters).into_iter().zip(parameters.iter().map(kind));
        client.query_typed_raw(text, typed).await?
    };
    let mut stream = pin!(stream);
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await? {
        rows.push(row);
    }
    Ok((rows, stream.rows_affected().unwrap_or(0)))
}

/// The type of a parameter without a prepared statement; the text casts it where another is meant.
const fn kind(parameter: &Param) -> Type {
    match parameter {
        Param::Integer(_) => Type::INT8,
        Param::Real(_) => Type::FLOAT8,
        Param::Text(_) | Param::Null => Type::TEXT,
    }
}

fn done((rows, changed): (Vec<PgRow>, u64)) -> Done {
    Done { changed, first: rows.first().map_or(Param::Null, |row| row.cell(0).owned()) }
}

/// Looks, decides and writes in one transaction. A single statement is one by itself.
pub async fn write<T>(
    client: &Lease,
    prepared: bool,
    looks: &[Sql],
    decide: &(dyn Fn(Vec<Vec<Found>>) -> Decision<T> + Send + Sync),
) -> Result<(T, Vec<Done>), Failure> {
    if looks.is_empty() {
        let decision = decide(Vec::new());
        if let [statement] = decision.statements.as_slice() {
            let ran = run(client, prepared, &statement.text, &statement.parameters).await;
            let ran = [done(ran.map_err(|failure| failure.of(statement))?)];
            decision.check.map_or(Ok(()), |check| check(&ran)).map_err(Failure::discarded)?;
            return Ok((decision.value, ran.into()));
        }
        client.batch_execute(BEGIN).await?;
        return finish(client, prepared, decision).await;
    }
    let lock = |look: &Sql| if look.text.ends_with(SHARED) { "" } else { LOCKED };
    let looks = looks.iter().map(|look| Sql { text: format!("{}{}", look.text, lock(look)), ..look.clone() });
    let looks: Vec<Sql> = looks.collect();
    let ready = ready(client, prepared, &looks).await?;
    // The looks follow without waiting for the server.
    let (begun, rows) = join(client.batch_execute(BEGIN), in_order(client, &ready)).await;
    begun?;
    let all = |(rows, _): (Vec<PgRow>, u64)| rows.iter().map(|row| Found::of(row)).collect();
    let found: Result<Vec<Vec<_>>, _> = rows.into_iter().map(|rows| rows.map(all).map_err(Failure::within)).collect();
    let found = found?;
    let missing = u32::try_from(found.iter().filter(|rows| rows.is_empty()).count()).unwrap_or(u32::MAX);
    let written = finish(client, prepared, decide(found)).await;
    written.map_err(|failure| match &failure.error {
        // Another transaction may have inserted what was not there: then the next look finds it.
        Error::Unique(_) if missing > 0 => Failure { remedy: Remedy::Repeat, missing, ..failure },
        _ => failure,
    })
}

/// Adds to `key` what the catalog says about the one that was not satisfied, if that can be found out.
pub async fn explain(client: &Lease, prepared: bool, violated: &Violated, key: &mut ForeignKey) {
    if let Ok((rows, _)) = run(client, prepared, KEY, &violated.name()).await {
        violated.explain(&rows, key);
    }
}

/// Whatever the server's default is: rows that were looked at are locked.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The statements and the commit, each sent without waiting for the one before. If a statement fails, those after it fail too, and the
/// commit rolls back. Only if several have to be checked, the commit waits for them.
async fn finish<T>(client: &Lease, prepared: bool, decision: Decision<T>) -> Result<(T, Vec<Done>), Failure> {
    let Decision { statements, value, check, none: _, trees: _ } = decision;
    if statements.is_empty() {
        client.batch_execute("ROLLBACK").await?;
        return Ok((value, Vec::new()));
    }
    let ready = ready(client, prepared, &statements).await.map_err(Failure::within)?;
    let of = |all: Vec<Result<_, Failure>>| {
        let each = all.into_iter().zip(&statements);
        each.map(|(ran, statement)| ran.map(done).map_err(|failure| failure.of(statement)))
            .collect::<Result<Vec<_>, _>>()
    };
    if let Some(check) = check.as_ref().filter(|_| statements.len() > 1) {
        let all = of(in_order(client, &ready).await).map_err(Failure::within)?;
        check(&all).map_err(|error| Failure::discarded(error).within())?;
        client.batch_execute("COMMIT").await?;
        return Ok((value, all));
    }
    let (all, committed) = join(in_order(client, &ready), client.batch_execute("COMMIT")).await;
    let all = of(all)?;
    committed?;
    check.map_or(Ok(()), |check| check(&all)).map_err(Failure::discarded)?;
    Ok((value, all))
}

/// Statements that can be sent one after the other, without waiting for the server.
async fn ready<'a>(
    client: &Lease,
    prepared: bool,
    statements: &'a [Sql],
) -> Result<Vec<(Option<Statement>, &'a Sql)>, Failure> {
    let mut all: Vec<(Option<Statement>, &Sql)> = Vec::with_capacity(statements.len());
    for sql in statements {
        let ready = match all.last() {
            _ if !prepared => None,
            // Lists of items have the same text many times.
            Some((Some(last), same)) if same.text == sql.text => Some(last.clone()),
            _ => Some(statement(client, &sql.text).await?),
        };
        all.push((ready, sql));
    }
    Ok(all)
}

/// Sends statements in their order, and waits for all responses, which come in the same order.
async fn in_order(client: &Lease, statements: &[(Option<Statement>, &Sql)]) -> Vec<Result<(Vec<PgRow>, u64), Failure>> {
    let running = statements.iter().map(|(ready, sql)| send(client, ready.as_ref(), &sql.text, &sql.parameters));
    let mut running: Vec<_> = running.map(|future| Box::pin(maybe_done(future))).collect();
    let (mut sent, mut received) = (false, 0);
    poll_fn(|context| {
        if !std::mem::replace(&mut sent, true) {
            running.iter_mut().for_each(|one| {
                let _ = one.as_mut().poll(context);
            });
        }
        while let Some(one) = running.get_mut(received) {
            if one.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            received = received.saturating_add(1);
        }
        Poll::Ready(())
    })
    .await;
    running.iter_mut().filter_map(|one| one.as_mut().take_output()).collect()
}
