//! Settings of a route where the users of a resource sign in.

use crate::config::named::Named;
use gatewright_sdk::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sign-in for the items of a resource, below the `path` of the route: `POST …/login`, `…/refresh`, `…/logout` and
/// `…/password`, and `GET …/me` and `…/jwks.json`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The resource whose items are the accounts.
    pub resource: String,
    /// The unique field that names an account, and the key for it in the body of a login.
    #[serde(default = "email")]
    pub identity: String,
    /// The field of type `password`, and the key for it in the body of a login.
    #[serde(default = "password")]
    pub password: String,
    /// The access tokens.
    pub token: AccessToken,
    /// The refresh tokens, with which clients get new access tokens.
    #[serde(default)]
    pub refresh: RefreshToken,
}

/// The access tokens that a login issues.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessToken {
    /// The `jwt` plugin that accepts the tokens. They are signed with its `secret`, or the first of its `private_key_files`.
    pub plugin: String,
    /// How long a token is valid, at most 24h. A token cannot be revoked: after sign-out, or when the account is deleted, it
    /// remains valid until then.
    #[serde(default = "quarter")]
    pub ttl: HumanDuration,
    /// More claims, each with the field of the account that it is taken from: `{ name: name, roles: roles }`. `sub` is the id
    /// of the account.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "name": "name" }]))]
    pub claims: Named<String>,
}

/// Refresh tokens. Each can be used once and is replaced. If one is used again, it was stolen or copied, and its session ends.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RefreshToken {
    /// A session ends when it is not refreshed for this long.
    pub ttl: HumanDuration,
    /// A session ends after this time even if it is refreshed. The user has to sign in again.
    pub max_session: HumanDuration,
    /// For this long after a token was replaced, using it again is rejected without ending the session, at most 1m. For clients
    /// that cannot avoid to refresh twice at once, such as pages in several tabs: `10s`. A thief may go unnoticed for as long.
    pub reuse_grace: HumanDuration,
}

impl Default for RefreshToken {
    fn default() -> Self {
        Self {
            ttl: HumanDuration::from_secs(30 * DAY),
            max_session: HumanDuration::from_secs(YEAR),
            reuse_grace: HumanDuration::from_secs(0),
        }
    }
}

const DAY: u64 = 24 * 3600;
/// As durations count it: `1y`.
const YEAR: u64 = 31_557_600;

fn email() -> String {
    "email".to_owned()
}

fn password() -> String {
    "password".to_owned()
}

const fn quarter() -> HumanDuration {
    HumanDuration::from_secs(15 * 60)
}
