//! The account behind a token, and the response with a new pair of tokens.

use super::SignIn;
use super::check::Accounts;
use crate::resource::model::Model;
use crate::resource::reply;
use crate::resource::sessions::secret::RefreshToken;
use crate::resource::sessions::{self, now};
use crate::resource::store::{Param, Row, Sql};
use gatewright_sdk::{Problem, Response};
use http::StatusCode;
use serde_json::Map;

/// What is known of an account: the columns of [`Accounts::read`].
pub struct Account {
    pub id: Param,
    pub hash: Option<String>,
    pub identity: Option<String>,
    pub may_sign_in: bool,
    /// The values of the claims, in order.
    claims: Vec<Param>,
}

impl Account {
    pub fn of(row: &dyn Row, accounts: &Accounts) -> Self {
        let text = |column: usize| match row.cell(column).owned() {
            Param::Text(text) => Some(text),
            _ => None,
        };
        let end = accounts.claims.len().saturating_add(4);
        let claims = (4..end).map(|column| row.cell(column).owned()).collect();
        let may_sign_in = accounts.admit(row, end);
        Self { id: row.cell(1).owned(), hash: text(2), identity: text(3), may_sign_in, claims }
    }
}

impl Accounts {
    /// Finds the account with this id, in a write.
    pub fn look(&self, id: &Param) -> Sql {
        Sql::new(&*self.read, [id.clone()])
    }
}

/// The id in a `sub` claim as it is stored.
pub fn id(model: &Model, text: &str) -> Param {
    use crate::config::document::resource::IdKind;
    match (model.id, text.parse()) {
        (IdKind::Integer, Ok(number)) => Param::Integer(number),
        _ => Param::Text(text.to_owned()),
    }
}

impl SignIn {
    /// The response with an access token and a refresh token (RFC 6749 section 5.1).
    pub fn tokens(&self, account: &Account, refresh: &RefreshToken) -> Result<Response, Problem> {
        let mut claims = Map::new();
        for ((claim, at), value) in self.accounts.claims.iter().zip(&account.claims) {
            let field = self.api.model.fields.get(*at);
            if let Some(value) = field.and_then(|field| field.json(value)) {
                claims.insert(claim.clone(), value);
            }
        }
        let (now, ttl) = (now(), i64::try_from(self.accounts.ttl.as_secs()).unwrap_or(0));
        claims.insert("sub".to_owned(), sessions::text(&account.id).into());
        claims.insert("sid".to_owned(), refresh.session.to_string().into());
        claims.insert("iat".to_owned(), now.into());
        claims.insert("exp".to_owned(), now.saturating_add(ttl).into());
        let access = self.signer.sign(&claims).map_err(|error| {
            tracing::error!(target: "gatewright::resource", resource = self.resource(), error, "cannot sign a token");
            Problem::internal().log_reason("cannot_sign")
        })?;
        let body = serde_json::json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": ttl,
            "refresh_token": *refresh.text(),
        });
        Ok(reply::json(StatusCode::OK, serde_json::to_vec(&body).unwrap_or_default(), true))
    }
}

/// The problem of having no randomness.
pub fn no_randomness() -> Problem {
    Problem::internal().log_reason("no_randomness")
}

/// The problem of a valid token whose account is gone, or may not sign in.
pub fn no_account(reason: &'static str) -> Problem {
    Problem::unauthorized(true).log_reason(reason)
}
