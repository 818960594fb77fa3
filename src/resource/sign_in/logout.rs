//! Sign-out: ends the session of a refresh token. As in RFC 7009, a token that is not valid is no error.

use super::{SignIn, input};
use crate::resource::handlers::api::within;
use crate::resource::reply;
use crate::resource::sessions::secret::RefreshToken;
use crate::resource::sessions::{self, Standing};
use gatewright_sdk::{Problem, Request, Response};
use http::StatusCode;
use std::sync::Arc;

pub(super) async fn answer(desk: Arc<SignIn>, request: Request) -> Result<Response, Problem> {
    let [text] = input::texts(request, ["refresh_token"]).await?;
    // An earlier token of the session ends it too: its holder wants that, or stole it.
    if let Some(token) = RefreshToken::parse(&text)
        && desk.standing(&token).await? != Standing::Unknown
    {
        let api = &desk.api;
        let job = api.store.write(api.model.timeout, move |writer| sessions::end_one(writer, token.session));
        let span = api.sql_span("DELETE", None);
        within(api.statements.begin("DELETE"), span, job).await.map_err(|error| api.failure(&error))?;
        desk.measures.signed_out();
    }
    Ok(reply::empty(StatusCode::NO_CONTENT, true))
}
