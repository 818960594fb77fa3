//! Login: an identity and a password for a new session.

use super::tokens::{Account, no_randomness};
use super::{Caller, SignIn, input};
use crate::resource::handlers::api::within;
use crate::resource::sessions;
use crate::resource::sessions::secret::RefreshToken;
use crate::resource::store::{Error, Param, Statement};
use gatewright_sdk::{Problem, Request, Response};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;

pub(super) async fn answer(desk: Arc<SignIn>, request: Request) -> Result<Response, Problem> {
    let caller = Caller::of(&request);
    let [identity, password] = &desk.accounts.names;
    let [identity, given] = input::texts(request, [identity, password]).await?;
    input::check_length(password, &given)?;
    let Some(identity) = desk.normal(&identity) else {
        // No account has such a name, and everyone may know that.
        return Err(wrong(&desk, "unknown_account"));
    };
    let attempt = desk.attempt(caller, &desk.folded(&identity))?;
    let found = desk.find(identity).await.inspect_err(|_| desk.guesses.unjudged(attempt, std::time::Instant::now()))?;
    let is_known = found.is_some();
    let (id, hash) = found.unzip();
    let hash = hash.flatten();
    if !desk.is_right((caller, attempt), given, hash.clone()).await? {
        return Err(wrong(&desk, if is_known { "wrong_password" } else { "unknown_account" }));
    }
    let (Some(id), Some(hash)) = (id, hash) else { return Err(wrong(&desk, "unknown_account")) };
    let token = RefreshToken::first().ok_or_else(no_randomness)?;
    let Some((account, token)) = desk.start(id, hash, token).await? else {
        desk.measures.failed();
        return Err(wrong(&desk, "password_changed"));
    };
    let response = desk.tokens(&account, &token)?;
    desk.measures.succeeded();
    Ok(response)
}

/// The same for every reason: only the log contains it.
fn wrong(desk: &SignIn, reason: &'static str) -> Problem {
    let [identity, password] = &desk.accounts.names;
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_grant", format!("Wrong {identity} or {password}"))
        .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        .log_reason(reason)
}

impl SignIn {
    /// The identity as it is stored.
    fn normal(&self, identity: &str) -> Option<String> {
        match self.api.model.fields.get(self.accounts.identity)?.stored_text(identity)? {
            Param::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The same text for all identities of one account.
    pub(super) fn folded(&self, identity: &str) -> String {
        let fold = self.api.model.fields.get(self.accounts.identity).is_some_and(|field| field.fold);
        if fold { identity.to_ascii_lowercase() } else { identity.to_owned() }
    }

    /// The id and the password hash of the account with this identity.
    async fn find(&self, identity: String) -> Result<Option<(Param, Option<String>)>, Problem> {
        let api = &self.api;
        let sql = Arc::clone(&self.accounts.find);
        let span = api.sql_span("SELECT", Some(&sql));
        let statement = Statement { sql, parameters: vec![Param::Text(identity)], deadline: api.model.timeout };
        let found = api.store.query(statement, |rows| {
            Ok(rows.next()?.map(|row| {
                let hash = match row.cell(2).owned() {
                    Param::Text(hash) => Some(hash),
                    _ => None,
                };
                (row.cell(1).owned(), hash)
            }))
        });
        within(api.statements.begin("SELECT"), span, found).await.map_err(|error| api.failure(&error))
    }

    /// Starts a session, unless the account has gone or has another password by now.
    async fn start(
        &self,
        id: Param,
        hash: String,
        token: RefreshToken,
    ) -> Result<Option<(Account, RefreshToken)>, Problem> {
        let (api, accounts) = (&self.api, Arc::clone(&self.accounts));
        let table = api.model.table.name.clone();
        let job = api.store.write(api.model.timeout, move |writer| -> Result<_, Error> {
            let account = Account::read(writer, &accounts, &id)?;
            let Some(account) = account.filter(|account| account.hash.as_ref() == Some(&hash)) else { return Ok(None) };
            sessions::start(writer, (&table, &sessions::text(&id)), &token, accounts.lifetime)?;
            Ok(Some((account, token)))
        });
        let span = api.sql_span("INSERT", None);
        within(api.statements.begin("INSERT"), span, job).await.map_err(|error| api.failure(&error))
    }
}
