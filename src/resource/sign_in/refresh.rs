//! Refresh: a refresh token for a new pair of tokens. A token that was replaced ends its session (RFC 9700 section 4.14).

use super::tokens::{Account, no_randomness};
use super::{Caller, SignIn, input};
use crate::resource::audit;
use crate::resource::handlers::api::within;
use crate::resource::sessions::secret::RefreshToken;
use crate::resource::sessions::{self, Session, Standing};
use crate::resource::store::{Decision, Done, Found};
use gatewright_sdk::{Problem, Request, Response};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;

/// How a refresh ended.
enum Outcome {
    Renewed(Account, RefreshToken),
    /// The account, and how many tokens the session had.
    Reused(String, i64),
    Refused(&'static str),
}

pub(super) async fn answer(desk: Arc<SignIn>, request: Request) -> Result<Response, Problem> {
    let caller = Caller::of(&request);
    let [text] = input::texts(request, ["refresh_token"]).await?;
    let token = RefreshToken::parse(&text).ok_or_else(|| refused(&desk, "malformed"))?;
    // A token that was made up costs no write.
    let Some(session) = desk.session(&token).await? else { return Err(refused(&desk, "unknown_refresh_token")) };
    let next = token.next().ok_or_else(no_randomness)?;
    match desk.renew(&session, token, next).await? {
        Outcome::Renewed(account, token) => {
            let response = desk.tokens(&account, &token)?;
            desk.measures.refreshed();
            Ok(response)
        }
        Outcome::Reused(account, generation) => {
            audit::refresh_token_reused(desk.resource(), &account, caller.address, generation);
            desk.measures.reused();
            Err(invalid().log_reason("refresh_token_reused"))
        }
        Outcome::Refused(reason) => Err(refused(&desk, reason)),
    }
}

fn invalid() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_grant", "The refresh token is not valid")
        .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

pub(super) fn refused(desk: &SignIn, reason: &'static str) -> Problem {
    desk.measures.refused();
    invalid().log_reason(reason)
}

impl SignIn {
    /// The session that `token` belongs to, whether or not it is still valid.
    pub(super) async fn session(&self, token: &RefreshToken) -> Result<Option<Session>, Problem> {
        let api = &self.api;
        let statement = sessions::find_statement(token.session, api.model.timeout);
        let span = api.sql_span("SELECT", Some(&statement.sql));
        let find = api.store.query(statement, |rows| Ok(rows.next()?.map(Session::of)));
        let found = within(api.statements.begin("SELECT"), span, find).await;
        let session = found.map_err(|error| api.failure(&error))?;
        let standing = |session: &Session| session.standing(token, &api.model.table.name, self.accounts.lifetime);
        Ok(session.filter(|session| standing(session) != Standing::Unknown))
    }

    /// Replaces `token` by `next`, or ends the session: without interference, so that of many requests with one token only
    /// the first gets another.
    async fn renew(&self, session: &Session, token: RefreshToken, next: RefreshToken) -> Result<Outcome, Problem> {
        let (api, accounts, model) = (&self.api, Arc::clone(&self.accounts), Arc::clone(&self.api.model));
        let account = accounts.look(&super::tokens::id(&model, &session.account));
        let (timeout, looks) = (model.timeout, vec![sessions::find(token.session), account]);
        let decide = move |found: Vec<Option<Found>>| {
            let mut found = found.into_iter();
            let mut row = move || found.next().flatten();
            let (session, account) = (row().map(|row| Session::of(&row)), row());
            let Some(session) = session else { return Decision::leave(Outcome::Refused("session_ended")) };
            let end = |outcome| {
                let end = Decision::run([sessions::end_one(token.session)], outcome);
                end.checked(|done| Done::wrote(done.first(), "deleted"))
            };
            match session.standing(&token, &model.table.name, accounts.lifetime) {
                Standing::Unknown => return Decision::leave(Outcome::Refused("unknown_refresh_token")),
                Standing::JustReplaced => return Decision::leave(Outcome::Refused("refresh_token_just_replaced")),
                Standing::Replaced => return end(Outcome::Reused(session.account, session.generation)),
                Standing::Expired => return end(Outcome::Refused("session_expired")),
                Standing::Current => {}
            }
            let Some(account) = account.map(|row| Account::of(&row, &accounts)) else {
                return end(Outcome::Refused("account_deleted"));
            };
            if !account.may_sign_in {
                return end(Outcome::Refused("account_refused"));
            }
            let renew = sessions::renew(&session, &next, accounts.lifetime);
            let renewed = Decision::run([renew], Outcome::Renewed(account, next.clone()));
            renewed.checked(|done| Done::wrote(done.first(), "changed"))
        };
        let job = api.store.write(timeout, looks, decide);
        let span = api.sql_span("UPDATE", None);
        let written = within(api.statements.begin("UPDATE"), span, job).await;
        written.map(|(outcome, _)| outcome).map_err(|error| api.failure(&error))
    }
}
