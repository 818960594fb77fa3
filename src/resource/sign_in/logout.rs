//! Sign-out: ends the session of a refresh token, or all sessions of its account.

use super::refresh::refused;
use super::{Caller, SignIn, input, tokens};
use crate::resource::audit;
use crate::resource::handlers::api::within;
use crate::resource::reply;
use crate::resource::sessions::secret::RefreshToken;
use crate::resource::sessions::{self, Session};
use crate::resource::store::{Decision, Done, only};
use gatewright_sdk::{Problem, Request, Response};
use http::StatusCode;
use std::sync::Arc;

/// The switch in the body with which all sessions of the account end.
pub const EVERYWHERE: &str = "everywhere";

pub(super) async fn answer(desk: Arc<SignIn>, request: Request) -> Result<Response, Problem> {
    let caller = Caller::of(&request);
    let ([text], everywhere) = input::texts_and_switch(request, ["refresh_token"], EVERYWHERE).await?;
    // An earlier token of the session counts too: its holder wants to sign out, or stole it.
    let found = match RefreshToken::parse(&text) {
        Some(token) => desk.session(&token).await?.map(|session| (token, session)),
        None => None,
    };
    match (found, everywhere) {
        (Some((token, _)), false) => {
            desk.end(token).await?;
            desk.measures.signed_out(1);
        }
        // As in RFC 7009, a token that is not valid is no error: its session has ended.
        (None, false) => {}
        (Some((token, session)), true) => {
            let ended = desk.end_all(token, &session).await?;
            let sessions = ended.ok_or_else(|| refused(&desk, "session_ended"))?;
            audit::signed_out_everywhere(desk.resource(), &session.account, caller.address, sessions);
            desk.measures.signed_out(sessions);
        }
        // Other sessions go on: the user must not believe otherwise.
        (None, true) => return Err(refused(&desk, "unknown_refresh_token")),
    }
    Ok(reply::empty(StatusCode::NO_CONTENT, true))
}

impl SignIn {
    async fn end(&self, token: RefreshToken) -> Result<(), Problem> {
        let api = &self.api;
        let decide = move |found| match only(found) {
            Some(_) => Decision::run([sessions::end_one(token.session)], ())
                .checked(|done| Done::wrote(done.first(), "deleted")),
            None => Decision::leave(()),
        };
        let job = api.store.write(api.model.timeout, vec![sessions::find(token.session)], decide);
        let span = api.sql_span("DELETE", None);
        within(api.statements.begin("DELETE"), span, job).await.map_err(|error| api.failure(&error)).map(|_| ())
    }

    /// Ends all sessions of the account of a session; returns how many there were. `None` if the session has ended in the
    /// meantime.
    async fn end_all(&self, token: RefreshToken, session: &Session) -> Result<Option<u64>, Problem> {
        let (api, model) = (&self.api, &self.api.model);
        let account = tokens::id(model, &session.account);
        let end = sessions::end_all(model.sql.dialect(), &model.table.name, &account, None);
        let decide = move |found| match only(found) {
            Some(_) => Decision::run(end.clone(), ()).none(vec![(1, sessions::not_ended())]),
            None => Decision::leave(()),
        };
        // No sign-in starts a session meanwhile: it looks at the account too.
        let looks = vec![sessions::find(token.session), self.accounts.look(&account)];
        let job = api.store.write(model.timeout, looks, decide);
        let span = api.sql_span("DELETE", None);
        let done = within(api.statements.begin("DELETE"), span, job).await.map_err(|error| api.failure(&error))?.1;
        Ok(done.first().map(|done| done.changed))
    }
}
