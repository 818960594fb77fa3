//! A connection for a command: outside the pools of a store, and each statement waits for its end.

use std::collections::HashMap;

use tokio::runtime::Handle;
use tokio_postgres::{Client, Statement};

use super::migration::check;
use super::pools::Pools;
use super::rows::bound;
use crate::resource::contract::{Error, Found, Param};
use crate::resource::migrate::session::Session;

/// The maximum number of prepared statements.
const PREPARED: usize = 64;
/// A copy may take long, and a server may be set up to end what takes long. Where row security would hide rows, statements fail: a
/// copy without them would not be one.
const SETTINGS: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '10s'; \
     SET row_security = off; SET quote_all_identifiers = off";

/// An open connection. Not for threads of a runtime.
pub struct Direct {
    client: Client,
    runtime: Handle,
    statements: HashMap<String, Statement>,
}

impl Direct {
    pub fn open(pools: &Pools, runtime: &Handle) -> Result<Self, Error> {
        let (client, connection) = runtime.block_on(pools.connect())?;
        runtime.spawn(connection);
        let mut session = Self { client, runtime: runtime.clone(), statements: HashMap::new() };
        check(&mut session)?;
        runtime.block_on(session.client.batch_execute(SETTINGS))?;
        Ok(session)
    }

    /// Statements with values are likely to return.
    fn statement(&mut self, sql: &str, parameters: &[Param]) -> Result<Statement, Error> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let statement = self.runtime.block_on(self.client.prepare(sql))?;
        if !parameters.is_empty() {
            if self.statements.len() >= PREPARED {
                self.statements.clear();
            }
            self.statements.insert(sql.to_owned(), statement.clone());
        }
        Ok(statement)
    }
}

impl Session for Direct {
    fn execute(&mut self, sql: &str, parameters: &[Param]) -> Result<u64, Error> {
        let statement = self.statement(sql, parameters)?;
        Ok(self.runtime.block_on(self.client.execute(&statement, &bound(parameters)))?)
    }

    fn rows(&mut self, sql: &str, parameters: &[Param]) -> Result<Vec<Found>, Error> {
        let statement = self.statement(sql, parameters)?;
        let rows = self.runtime.block_on(self.client.query(&statement, &bound(parameters)))?;
        Ok(rows.iter().map(|row| Found::of(row)).collect())
    }
}
