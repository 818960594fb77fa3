//! Sign-out: ends the session of a refresh token, or all sessions of its account.

use super::refresh::refused;
use super::{Caller, SignIn, input, tokens};
use crate::resource::audit;
use crate::resource::handlers::api::within;
use crate::resource::reply;
use crate::resource::sessions::secret::RefreshToken;
use crate::resource::sessions::{self, Standing};
use crate::resource::store::{Error, Writer};
use gatewright_sdk::{Problem, Request, Response};
use http::StatusCode;
use std::sync::Arc;

const EVERYWHERE: &str = "everywhere";

pub(super) async fn answer(desk: Arc<SignIn>, request: Request) -> Result<Response, Problem> {
    let caller = Caller::of(&request);
    let ([text], everywhere) = input::texts_and_switch(request, ["refresh_token"], EVERYWHERE).await?;
    // An earlier token of the session counts too: its holder wants to sign out, or stole it.
    let token = RefreshToken::parse(&text);
    let token = match token {
        Some(token) if desk.standing(&token).await? != Standing::Unknown => Some(token),
        _ => None,
    };
    match (token, everywhere) {
        (Some(token), false) => {
            desk.end(token).await?;
            desk.measures.signed_out(1);
        }
        // As in RFC 7009, a token that is not valid is no error: its session has ended.
        (None, false) => {}
        (Some(token), true) => {
            let ended = desk.end_all(token).await?;
            let (account, sessions) = ended.ok_or_else(|| refused(&desk, "session_ended"))?;
            audit::signed_out_everywhere(desk.resource(), &account, caller.address, sessions);
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
        let job = api.store.write(api.model.timeout, move |writer| sessions::end_one(writer, token.session));
        let span = api.sql_span("DELETE", None);
        within(api.statements.begin("DELETE"), span, job).await.map_err(|error| api.failure(&error))
    }

    /// Ends all sessions of the account of `token`; returns the account and how many there were. `None` if the session of the token
    /// has ended in the meantime.
    async fn end_all(&self, token: RefreshToken) -> Result<Option<(String, usize)>, Problem> {
        let (api, model) = (&self.api, Arc::clone(&self.api.model));
        let job = api.store.write(model.timeout, move |writer: &mut Writer<'_>| -> Result<_, Error> {
            let Some(session) = sessions::find(writer, token.session)? else { return Ok(None) };
            let id = tokens::id(&model, &session.account);
            let ended = sessions::end_all(writer, &model.table.name, &id, None)?;
            Ok(Some((session.account, ended)))
        });
        let span = api.sql_span("DELETE", None);
        within(api.statements.begin("DELETE"), span, job).await.map_err(|error| api.failure(&error))
    }
}
