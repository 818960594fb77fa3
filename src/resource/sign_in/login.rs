//! Login: an identity and a password for a new session.

use super::tokens::{Account, no_randomness};
use super::{Caller, SignIn, input};
use crate::resource::handlers::api::within;
use crate::resource::sessions;
use crate::resource::sessions::secret::RefreshToken;
use crate::resource::store::{Decision, Done, Param, Statement, only};
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
    let attempt = desk.attempt(caller, &desk.folded(&identity)).await?;
    let found = match desk.find(identity).await {
        Ok(found) => found,
        Err(problem) => {
            desk.counting.unjudged(attempt);
            return Err(problem);
        }
    };
    let (hash, may_sign_in) = found.as_ref().map_or((None, false), |found| (found.hash.clone(), found.may_sign_in));
    if !desk.is_right((caller, attempt), given, (hash, may_sign_in)).await? {
        return Err(wrong(
            &desk,
            match found {
                Err(reason) => reason,
                Ok(_) if may_sign_in => "wrong_password",
                Ok(_) => "account_refused",
            },
        ));
    }
    let Ok(Found { id, hash: Some(hash), .. }) = found else { return Err(wrong(&desk, "unknown_account")) };
    let token = RefreshToken::first().ok_or_else(no_randomness)?;
    let (account, token) = desk.start(id, hash, token).await?.map_err(|reason| {
        desk.measures.failed();
        wrong(&desk, reason)
    })?;
    let response = desk.tokens(&account, &token)?;
    desk.measures.succeeded();
    Ok(response)
}

/// What a login needs to know of an account.
struct Found {
    id: Param,
    hash: Option<String>,
    may_sign_in: bool,
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

    /// The account with this identity; otherwise the reason why there is none. Two accounts have the same one if they were kept when its
    /// unique rule came back. Then neither signs in, because nothing tells whose name it is.
    async fn find(&self, identity: String) -> Result<Result<Found, &'static str>, Problem> {
        let (api, accounts) = (&self.api, Arc::clone(&self.accounts));
        let sql = Arc::clone(&self.accounts.find);
        let span = api.sql_span("SELECT", Some(&sql));
        let statement = Statement { sql, parameters: vec![Param::Text(identity)], deadline: api.model.timeout };
        let found = api.store.query(statement, move |rows| {
            let found = rows.next()?.map(|row| {
                let hash = match row.cell(2).owned() {
                    Param::Text(hash) => Some(hash),
                    _ => None,
                };
                Found { id: row.cell(1).owned(), hash, may_sign_in: accounts.admit(row, 3) }
            });
            let is_ambiguous = found.is_some() && rows.next()?.is_some();
            Ok(found.ok_or("unknown_account").and_then(|found| match is_ambiguous {
                true => Err("ambiguous_account"),
                false => Ok(found),
            }))
        });
        within(api.statements.begin("SELECT"), span, found).await.map_err(|error| api.failure(&error))
    }

    /// Starts a session, unless the account has gone, has another password, or may not sign in by now: then the reason.
    async fn start(
        &self,
        id: Param,
        hash: String,
        token: RefreshToken,
    ) -> Result<Result<(Account, RefreshToken), &'static str>, Problem> {
        let (api, accounts) = (&self.api, Arc::clone(&self.accounts));
        let table = api.model.table.name.clone();
        let (looks, session) = (vec![accounts.look(&id)], token.clone());
        let decide = move |found| {
            let account = only(found).map(|row| Account::of(&row, &accounts));
            let Some(account) = account.filter(|account| account.hash.as_ref() == Some(&hash)) else {
                return Decision::leave(Err("password_changed"));
            };
            if !account.may_sign_in {
                return Decision::leave(Err("account_refused"));
            }
            let start = sessions::start((&table, &sessions::text(&id)), &session, accounts.lifetime);
            // The first statement removes sessions that have expired.
            Decision::run(start, Ok(account)).checked(|done| Done::wrote(done.get(1), "inserted"))
        };
        let job = api.store.write(api.model.timeout, looks, decide);
        let (span, left) = (api.sql_span("INSERT", None), self.sweeps.left());
        let written = within(api.statements.begin("INSERT"), span, job).await;
        let (account, done) = written.map_err(|error| api.failure(&error))?;
        self.sweeps.ended(&api.model.store, left.as_deref(), &done);
        Ok(account.map(|account| (account, token)))
    }
}
