//! Refresh: a refresh token for a new pair of tokens. A token that was replaced ends its session (RFC 9700 section 4.14).

use super::tokens::{Account, no_randomness};
use super::{Caller, SignIn, input};
use crate::resource::audit;
use crate::resource::handlers::api::within;
use crate::resource::sessions::secret::RefreshToken;
use crate::resource::sessions::{self, Standing};
use crate::resource::store::{Error, Writer};
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
    if desk.standing(&token).await? == Standing::Unknown {
        return Err(refused(&desk, "unknown_refresh_token"));
    }
    let next = token.next().ok_or_else(no_randomness)?;
    match desk.renew(token, next).await? {
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
    /// What `token` proves now.
    pub(super) async fn standing(&self, token: &RefreshToken) -> Result<Standing, Problem> {
        let api = &self.api;
        let statement = sessions::find_statement(token.session, api.model.timeout);
        let span = api.sql_span("SELECT", Some(&statement.sql));
        let found = within(api.statements.begin("SELECT"), span, api.store.query(statement, sessions::found)).await;
        let session = found.map_err(|error| api.failure(&error))?;
        let standing =
            |session: sessions::Session| session.standing(token, &api.model.table.name, self.accounts.lifetime);
        Ok(session.map_or(Standing::Unknown, standing))
    }

    /// Replaces `token` by `next`, or ends the session: in one job, so that of many requests with one token only the first
    /// gets another.
    async fn renew(&self, token: RefreshToken, next: RefreshToken) -> Result<Outcome, Problem> {
        let (api, accounts, model) = (&self.api, Arc::clone(&self.accounts), Arc::clone(&self.api.model));
        let job = api.store.write(model.timeout, move |writer: &mut Writer<'_>| -> Result<_, Error> {
            let Some(session) = sessions::find(writer, token.session)? else {
                return Ok(Outcome::Refused("session_ended"));
            };
            match session.standing(&token, &model.table.name, accounts.lifetime) {
                Standing::Unknown => return Ok(Outcome::Refused("unknown_refresh_token")),
                Standing::JustReplaced => return Ok(Outcome::Refused("refresh_token_just_replaced")),
                Standing::Replaced => {
                    sessions::end_one(writer, token.session)?;
                    return Ok(Outcome::Reused(session.account, session.generation));
                }
                Standing::Expired => {
                    sessions::end_one(writer, token.session)?;
                    return Ok(Outcome::Refused("session_expired"));
                }
                Standing::Current => {}
            }
            let id = super::tokens::id(&model, &session.account);
            let Some(account) = Account::read(writer, &accounts, &id)? else {
                sessions::end_one(writer, token.session)?;
                return Ok(Outcome::Refused("account_deleted"));
            };
            if !account.may_sign_in {
                sessions::end_one(writer, token.session)?;
                return Ok(Outcome::Refused("account_refused"));
            }
            sessions::renew(writer, &session, &next, accounts.lifetime)?;
            Ok(Outcome::Renewed(account, next))
        });
        let span = api.sql_span("UPDATE", None);
        within(api.statements.begin("UPDATE"), span, job).await.map_err(|error| api.failure(&error))
    }
}
