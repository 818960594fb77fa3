//! Audit records: one log record for each change of credentials and each lock-out, with the target `gatewright::audit`.
//!
//! They contain ids and addresses, and neither e-mail addresses nor secrets.

use gatewright_sdk::{ClientAddress, Facts, HttpService, Response};
use http::header::LOCATION;
use http::{Method, StatusCode};
use std::sync::Arc;

/// Who did something, and from where.
pub struct Actor<'a> {
    /// The `sub` claim of the caller; for a sign-in, the id of the account.
    pub subject: Option<&'a str>,
    pub client: ClientAddress,
}

/// The password of an account was changed, which ended some sessions.
pub fn password_changed(resource: &str, account: &str, by: &Actor<'_>, sessions_ended: u64) {
    let (by, client) = (by.subject.unwrap_or_default(), by.client);
    let human = format!("password of {resource} {account} changed, {sessions_ended} sessions ended");
    tracing::info!(
        target: "gatewright::audit", event = "password_changed", resource, account, by, client_ip = %client,
        sessions_ended, human, "password changed"
    );
}

/// A refresh token was used again after it was replaced, so its session was ended.
pub fn refresh_token_reused(resource: &str, account: &str, client: ClientAddress, generation: i64) {
    let human = format!("a refresh token of {resource} {account} was used twice, its session ended");
    tracing::warn!(
        target: "gatewright::audit", event = "refresh_token_reused", resource, account, client_ip = %client,
        generation, human, "refresh token reused"
    );
}

/// A user ended all sessions of the account.
pub fn signed_out_everywhere(resource: &str, account: &str, client: ClientAddress, sessions_ended: u64) {
    let human = format!("{resource} {account} signed out everywhere, {sessions_ended} sessions ended");
    tracing::info!(
        target: "gatewright::audit", event = "signed_out_everywhere", resource, account, client_ip = %client,
        sessions_ended, human, "signed out everywhere"
    );
}

/// Sign-in was slowed after too many wrong passwords: for a `client`, an `account`, or a `client_and_account`.
pub fn sign_in_slowed(resource: &str, what: &'static str, client: ClientAddress) {
    let human = format!("too many wrong passwords for {resource} from {client}, sign-in is slowed");
    tracing::warn!(
        target: "gatewright::audit", event = "sign_in_slowed", resource, slowed = what, client_ip = %client, human,
        "sign-in slowed"
    );
}

/// The API of a resource with API keys: each key that is created, changed or deleted is recorded.
pub fn of_keys(items: HttpService, resource: &str) -> HttpService {
    let resource: Arc<str> = resource.into();
    HttpService::from_call(move |request| {
        let method = match request.method() {
            method @ (&Method::POST | &Method::PUT | &Method::PATCH | &Method::DELETE) => method.clone(),
            _ => return items.call(request),
        };
        let facts = Facts::of(&request);
        let (key, client) = (facts.parameter("id").map(str::to_owned), facts.client.ip);
        let by = facts.identity.as_ref().map(|identity| identity.subject.clone());
        let resource = Arc::clone(&resource);
        items.call(request).map(move |response| {
            let (event, what) = match (response.status(), method) {
                (StatusCode::CREATED, _) => ("api_key_created", "created"),
                (StatusCode::OK, Method::POST) => ("api_key_restored", "restored"),
                (status, Method::DELETE) if status.is_success() => ("api_key_deleted", "deleted"),
                (status, _) if status.is_success() => ("api_key_changed", "changed"),
                _ => return,
            };
            let key = key.or_else(|| location(response)).unwrap_or_default();
            let by = by.as_deref().unwrap_or_default();
            let human = format!("API key {key} of {resource} {what} from {client}");
            tracing::info!(
                target: "gatewright::audit", event, resource = &*resource, key_id = key, by, client_ip = %client, human,
                "API key changed"
            );
        })
    })
}

/// The id of a new item.
fn location(response: &Response) -> Option<String> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    location.rsplit('/').next().map(str::to_owned)
}
