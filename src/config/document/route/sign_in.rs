//! Settings of a route where the users of a resource sign in.

use crate::config::named::Named;
use gatewright_sdk::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// Who may sign in: fields of the account must have these values, as in `where` of access rules: `{ active: true }`, or
    /// `{ status: { in: [trial, paid] } }`. For other accounts, a login gets the same response as with a wrong password, and the
    /// next refresh ends the session.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "active": true }]))]
    pub r#where: Named<Value>,
    /// How many wrong passwords may be tried before a client has to wait.
    #[serde(default)]
    pub wrong_passwords: WrongPasswords,
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

/// How many wrong passwords may be tried, counted in three ways. Beyond any of them, the response is 429, and no password is
/// tried. Right passwords do not count. A client is an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrongPasswords {
    /// By one client, for one account.
    pub client_and_account: WrongPasswordLimit,
    /// By one client, for any accounts. Many users may share an address.
    pub client: WrongPasswordLimit,
    /// By any clients, for one account. Clients that have signed in to the account before are not affected. It must allow more
    /// than `client_and_account`, so that one client cannot lock an account.
    pub account: WrongPasswordLimit,
    /// The Redis store in which several gateways count together. It also keeps what was tried when a gateway restarts. Without it,
    /// each gateway counts separately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

/// How many wrong passwords may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WrongPasswordLimit {
    /// How many at once, at most 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub burst: u32,
    /// The time until one more may be tried, between 1s and 24h.
    pub every: HumanDuration,
}

impl Default for WrongPasswords {
    fn default() -> Self {
        let limit = |burst, seconds| WrongPasswordLimit { burst, every: HumanDuration::from_secs(seconds) };
        Self { client_and_account: limit(10, 300), client: limit(50, 30), account: limit(50, 120), store: None }
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
