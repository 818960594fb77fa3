//! Proves who asks from the signed token a request carries (RFC 7519, by the rules of RFC 8725).

mod cache;
mod claims;
mod keys;
#[cfg(test)]
mod tests;
mod token;

use cache::{Budget, Cache};
use gatewright_sdk::plugin::CheckContext;
use gatewright_sdk::{
    Context, Facts, Fault, Filter, HttpService, HumanDuration, IDENTITY, Identity, Plugin, Problem, Request, Response,
    Secret,
};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};
use jsonwebtoken::get_current_timestamp;
use keys::Algorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use token::Verifier;

/// Proves who asks, from a token in the header `Authorization: Bearer`. `exp`, `iss`, `aud` and `sub` must be in the token
/// and right; `nbf` and `iat` must be right where they are there. A token that does not hold is answered 401, and only the
/// log says why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// Who must have issued the token: its `iss` claim.
    issuer: String,
    /// Whom the token must be for: its `aud` claim names one of these.
    audiences: Vec<String>,
    /// The algorithms a token may be signed with; all of one family, since a key is made for no other. Only with `jwks`,
    /// where each key names its own, may RS, PS, ES and EdDSA be mixed.
    algorithms: Vec<Algorithm>,
    /// The secret that issuer and gateway share, for HS256, HS384 and HS512: at least 32, 48 or 64 random bytes.
    #[serde(default)]
    secret: Option<Secret>,
    /// A PEM file with the issuer's public key, for the other algorithms; relative to the configuration, and watched like it.
    #[serde(default)]
    public_key_file: Option<PathBuf>,
    /// The address where the issuer publishes its public keys.
    #[serde(default)]
    jwks: Option<Jwks>,
    /// By how much the clocks of issuer and gateway may differ, in whole seconds (a fraction counts as one more); 10m at
    /// most.
    #[serde(default = "thirty_seconds")]
    leeway: HumanDuration,
    /// What happens to requests without a token. With `continue` they go on without an identity; a token that does not
    /// hold is refused in any case.
    #[serde(default)]
    on_missing: OnMissing,
    /// Further claims that must be in the token, with any value but null.
    #[serde(default)]
    required_claims: Vec<String>,
    /// The tokens that were verified, for every use of the plugin.
    #[serde(skip)]
    cache: OnceLock<Arc<Cache>>,
}

/// The issuer's published keys (RFC 7517).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Jwks {
    /// The address of the key set: https, or http on this machine.
    url: String,
    /// How often the keys are fetched anew.
    #[serde(default = "ten_minutes")]
    refresh: HumanDuration,
}

/// `reject` answers 401, `continue` lets the request go on without an identity.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum OnMissing {
    #[default]
    Reject,
    Continue,
}

fn thirty_seconds() -> HumanDuration {
    HumanDuration::from_secs(30)
}

fn ten_minutes() -> HumanDuration {
    HumanDuration::from_secs(600)
}

impl Plugin for Jwt {
    const NAME: &'static str = "jwt";

    fn install(&self, context: &Context<'_>, next: HttpService) -> Result<HttpService, Fault> {
        let key = keys::load(self, context.check)?;
        let verifier = Verifier::new(self, key);
        let budget = context.keep.get_or_make("budget of verified tokens", Budget::default);
        let cache = self.cache.get_or_init(|| Arc::new(Cache::new(budget)));
        Ok(context.filter(next, TokenCheck { verifier, cache: Arc::clone(cache), on_missing: self.on_missing }))
    }

    fn validate(&self, check: &CheckContext<'_>) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.issuer.is_empty() {
            faults
                .push(Fault::new("issuer", "an issuer has a name").help("write the value of the tokens' `iss` claim"));
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            let fault = Fault::new("audiences", "tokens for anybody would be accepted");
            faults.push(fault.help("write the value of the tokens' `aud` claim"));
        }
        if self.leeway.get() > Duration::from_secs(600) {
            faults.push(Fault::new("leeway", "expired tokens would live on for long").help("10m at most"));
        }
        faults.extend(self.jwks.as_ref().and_then(Jwks::fault));
        if let Err(fault) = keys::load(self, check) {
            faults.push(fault);
        }
        if check.production {
            faults.extend(keys::famous(self));
        }
        faults
    }

    fn warnings(&self, check: &CheckContext<'_>) -> Vec<Fault> {
        let famous = keys::famous(self).filter(|_| !check.production);
        famous.map(|fault| fault.help("fine for trying things out; production refuses it")).into_iter().collect()
    }

    fn provides(&self) -> &'static [&'static str] {
        &[IDENTITY]
    }
}

impl Jwks {
    fn fault(&self) -> Option<Fault> {
        let uri: Uri = self.url.parse().unwrap_or_default();
        let host = uri.host().unwrap_or_default();
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let local = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        if self.refresh.is_zero() {
            return Some(Fault::new("jwks.refresh", "keys cannot be fetched all the time").help("write 10m or so"));
        }
        match uri.scheme_str() {
            Some("https") if !host.is_empty() => None,
            Some("http") if local => None,
            _ => Some(Fault::new("jwks.url", "keys must come over https").help("http is for this machine alone")),
        }
    }
}

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;

struct TokenCheck {
    verifier: Verifier,
    cache: Arc<Cache>,
    on_missing: OnMissing,
}

impl TokenCheck {
    fn identify(&self, token: &[u8]) -> Result<Arc<Identity>, &'static str> {
        if token.len() > LONGEST {
            return Err("too_long");
        }
        let now = get_current_timestamp();
        if let Some(identity) = self.cache.find(token, now) {
            return Ok(identity);
        }
        let proof = self.verifier.verify(token, now)?;
        let identity = Arc::clone(&proof.identity);
        self.cache.store(token, proof);
        Ok(identity)
    }
}

/// What a request says about who sends it.
enum Credentials<'a> {
    Missing,
    Bearer(&'a [u8]),
    Several,
}

fn credentials(headers: &HeaderMap) -> Credentials<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, more) = (values.next(), values.next());
    if more.is_some() {
        return Credentials::Several;
    }
    let value = value.map_or(&[][..], |value| value.as_bytes());
    match value.split_at_checked("Bearer".len()) {
        Some((scheme, [])) if scheme.eq_ignore_ascii_case(b"Bearer") => Credentials::Bearer(&[]),
        Some((scheme, rest @ [b' ', ..])) if scheme.eq_ignore_ascii_case(b"Bearer") => {
            Credentials::Bearer(rest.trim_ascii())
        }
        _ => Credentials::Missing,
    }
}

impl Filter for TokenCheck {
    type Ticket = ();
    const RESPONDS: bool = false;

    fn request(&self, request: &mut Request) -> ControlFlow<Response, ()> {
        let refuse = |presented, reason| ControlFlow::Break(Problem::unauthorized(presented).log_reason(reason).into());
        let identity = match credentials(request.headers()) {
            Credentials::Missing if self.on_missing == OnMissing::Continue => return ControlFlow::Continue(()),
            Credentials::Missing => return refuse(false, "missing"),
            Credentials::Several => {
                let problem = Problem::validation("Authorization: must be sent once").log_reason("several_credentials");
                return ControlFlow::Break(problem.into());
            }
            Credentials::Bearer(token) => match self.identify(token) {
                Ok(identity) => identity,
                Err(reason) => return refuse(true, reason),
            },
        };
        if let Some(value) = request.headers_mut().get_mut(AUTHORIZATION) {
            // From here on the header prints as "Sensitive", and HTTP/2 keeps it out of its tables.
            value.set_sensitive(true);
        }
        Facts::of_mut(request).identity = Some(identity);
        ControlFlow::Continue(())
    }
}
