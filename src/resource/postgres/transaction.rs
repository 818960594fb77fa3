//! Statements and transactions on a connection.

use std::pin::pin;

use futures_util::TryStreamExt;
use futures_util::future::join;
use tokio_postgres::Row as PgRow;
use tokio_postgres::types::Type;

use super::error::{Remedy, remedy};
use super::pools::Lease;
use super::rows::bound;
use crate::resource::contract::{Decision, Done, Error, Found, Param, Row, Sql};

/// The maximum number of prepared statements of a connection.
const PREPARED: usize = 256;

/// Why something failed, and what may be done about it.
#[derive(Debug)]
pub struct Failure {
    pub error: Error,
    pub remedy: Remedy,
    /// Whether the transaction has not ended.
    pub open: bool,
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self { remedy: remedy(&error), error: error.into(), open: false }
    }
}

impl Failure {
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
    let stream = if prepared {
        if client.statement_cache.size() >= PREPARED {
            client.statement_cache.clear();
        }
        let statement = client.prepare_cached(text).await?;
        client.query_raw(&statement, bound(parameters)).await?
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

async fn done(client: &Lease, prepared: bool, statement: &Sql) -> Result<Done, Failure> {
    let (rows, changed) = run(client, prepared, &statement.text, &statement.parameters).await?;
    Ok(Done { changed, first: rows.first().map_or(Param::Null, |row| row.cell(0).owned()) })
}

/// Looks, decides and writes in one transaction. A single statement is one by itself.
pub async fn write<T>(
    client: &Lease,
    prepared: bool,
    looks: &[Sql],
    decide: &(dyn Fn(Vec<Option<Found>>) -> Decision<T> + Send + Sync),
) -> Result<(T, Vec<Done>), Failure> {
    if looks.is_empty() {
        let Decision { statements, value } = decide(Vec::new());
        if let [statement] = statements.as_slice() {
            return Ok((value, vec![done(client, prepared, statement).await?]));
        }
        client.batch_execute(BEGIN).await?;
        return finish(client, prepared, &statements, value).await;
    }
    let mut found = Vec::with_capacity(looks.len());
    for (number, look) in looks.iter().enumerate() {
        let text = format!("{} FOR UPDATE", look.text);
        let row = async { run(client, prepared, &text, &look.parameters).await };
        // The first look follows without waiting for the server.
        let rows = if number == 0 {
            if prepared {
                client.prepare_cached(&text).await?;
            }
            let (begun, rows) = join(client.batch_execute(BEGIN), row).await;
            begun?;
            rows
        } else {
            row.await
        };
        let (rows, _) = rows.map_err(Failure::within)?;
        found.push(rows.first().map(|row| Found::of(row)));
    }
    let missing = found.iter().any(Option::is_none);
    let Decision { statements, value } = decide(found);
    let written = finish(client, prepared, &statements, value).await;
    written.map_err(|failure| match &failure.error {
        // Another transaction may have inserted what was not there: then the next look finds it.
        Error::Unique(_) if missing => Failure { remedy: Remedy::Repeat, ..failure },
        _ => failure,
    })
}

/// Whatever the server's default is: rows that were looked at are locked.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The statements and the commit. The commit follows the last statement without waiting: if that fails, it rolls back.
async fn finish<T>(client: &Lease, prepared: bool, statements: &[Sql], value: T) -> Result<(T, Vec<Done>), Failure> {
    let Some((last, first)) = statements.split_last() else {
        client.batch_execute("ROLLBACK").await?;
        return Ok((value, Vec::new()));
    };
    let mut all = Vec::with_capacity(statements.len());
    for statement in first {
        all.push(done(client, prepared, statement).await.map_err(Failure::within)?);
    }
    if prepared {
        client.prepare_cached(&last.text).await.map_err(|error| Failure::from(error).within())?;
    }
    let (last, committed) = join(done(client, prepared, last), client.batch_execute("COMMIT")).await;
    all.push(last?);
    committed?;
    Ok((value, all))
}
