//! Authenticates requests with a signed token (RFC 7519, by the rules of RFC 8725).

mod cache;
mod check;
mod claims;
mod key_set;
mod keys;
mod published;
#[cfg(test)]
mod tests;
mod token;

use cache::{Budget, Cache};
use check::{Bearer, KeySource, TokenCheck};
use gatewright_sdk::{
    CheckContext, Compiled, Fault, HumanDuration, IDENTITY, NamedFile, Place, Plugin, Scope, Secret, Traits,
};
use http::Uri;
use http::header::AUTHORIZATION;
use keys::{Algorithm, Keys};
use published::{LastSet, Published};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use token::Verifier;

/// Proves who asks, from a token in the header `Authorization: Bearer`. `exp`, `iss`, `aud` and `sub` must be in the token
/// and right; `nbf` and `iat` must be right where they are there. A token that does not hold is answered 401, and only the
/// log says why.
#[derive(Deserialize, Serialize, JsonSchema)]
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
    public_key_file: Option<NamedFile>,
    /// The set of the issuer's public keys, by address or file.
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
}

/// The issuer's public keys (RFC 7517). A token names the one it is signed with.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Jwks {
    /// The address where the issuer publishes them: https, or http on this machine. Redirects are not followed. While
    /// there are none yet, requests with a token are answered 503.
    #[serde(default)]
    url: Option<String>,
    /// A file that holds them; relative to the configuration, and watched like it.
    #[serde(default)]
    file: Option<NamedFile>,
    /// How often the keys at `url` are fetched anew. A token that names a key which is not known has them fetched too, but
    /// not more often than this or every 30s.
    #[serde(default = "ten_minutes")]
    refresh: HumanDuration,
    /// How long keys are used after the last fetch that succeeded.
    #[serde(default = "one_day")]
    stale: HumanDuration,
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

fn one_day() -> HumanDuration {
    HumanDuration::from_secs(24 * 3600)
}

impl Plugin for Jwt {
    const NAME: &'static str = "jwt";

    fn compile(self, check: &CheckContext<'_>) -> Compiled {
        let verifier = Arc::new(Verifier::new(&self));
        let (mut faults, keys, famous) = (self.faults(), keys::load(&self, &verifier, check), keys::famous(&self));
        faults.extend(keys.as_ref().err().cloned());
        let (refused, warned) = if check.production { (famous, None) } else { (None, famous) };
        faults.extend(refused);
        let compiled = match keys {
            Ok(keys) => self.identity(keys, verifier),
            Err(_) => Compiled::default().traits(Traits { provides: &[IDENTITY], ..Traits::default() }),
        };
        let warning = warned.map(|fault| fault.help("fine for trying things out; production refuses it"));
        compiled.faults(faults).warnings(warning)
    }
}

impl Jwt {
    fn identity(self, keys: Keys, verifier: Arc<Verifier>) -> Compiled {
        let refuses = self.on_missing == OnMissing::Reject;
        let source: Box<dyn Fn(&Place<'_>) -> KeySource + Send + Sync> = match keys {
            Keys::One(key) => {
                let key = Arc::new(verifier.key(key, self.algorithms.iter().copied()));
                Box::new(move |_| KeySource::One(Arc::clone(&key)))
            }
            Keys::Set(set) => {
                let set = Arc::new(set);
                Box::new(move |_| KeySource::Set(Arc::clone(&set)))
            }
            Keys::Published(url) => {
                let (refresh, stale) = self.jwks.map_or((Duration::MAX, Duration::MAX), |jwks| jwks.times());
                let verifier = Arc::clone(&verifier);
                Box::new(move |place| {
                    let shape = format!("{url} {refresh:?} {stale:?} {:?} {}", self.algorithms, verifier.rules());
                    let settings = || published::Settings {
                        url: url.clone(),
                        refresh,
                        stale,
                        algorithms: self.algorithms.clone(),
                        verifier: Arc::clone(&verifier),
                        last: place.keep(Scope::Plugin, format!("last set of {url}"), LastSet::default),
                    };
                    let made = || Published::new(settings());
                    KeySource::Published(place.keep_with_task(Scope::Plugin, shape, made, Published::run))
                })
            }
        };
        // The verified tokens, shared by all places of the plugin.
        let cache = OnceLock::new();
        let mut compiled = Compiled::identity(move |place| {
            let budget = || place.keep.get_or_make("budget of verified tokens", Budget::default);
            Arc::new(Bearer(Arc::new(TokenCheck {
                verifier: Arc::clone(&verifier),
                keys: source(place),
                cache: Arc::clone(cache.get_or_init(|| Arc::new(Cache::new(budget())))),
                on_missing: self.on_missing,
            })))
        });
        compiled.traits.credentials = Some(AUTHORIZATION);
        compiled.traits.refuses_strangers = refuses.then_some("write `on_missing: continue` in it");
        compiled
    }
}

impl Jwt {
    fn faults(&self) -> Vec<Fault> {
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
        faults
    }
}

impl Jwks {
    fn fault(&self) -> Option<Fault> {
        let (refresh, stale) = (self.refresh, self.stale);
        if refresh < HumanDuration::from_secs(1) {
            return Some(
                Fault::new("jwks.refresh", "keys cannot be fetched all the time").help("write 10m or so, 1s at least"),
            );
        }
        let short = stale < refresh;
        short.then(|| {
            Fault::new("jwks.stale", format!("keys would be gone before they are fetched anew, after {refresh}"))
        })
    }

    fn times(&self) -> (Duration, Duration) {
        (self.refresh.get(), self.stale.get())
    }

    /// The address where the keys are published.
    fn address(&self) -> Result<Uri, Fault> {
        let url = match (&self.url, &self.file) {
            (Some(url), None) => url,
            (None, None) => return Err(Fault::new("jwks", "no set of keys").help("give `url` or `file`")),
            _ => return Err(Fault::new("jwks", "several sets of keys").help("give one of `url` and `file`")),
        };
        let uri: Uri = url.parse().unwrap_or_default();
        let host = uri.host().unwrap_or_default();
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let local = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        match uri.scheme_str() {
            _ if user => Err(Fault::new("jwks.url", "an address that keys are fetched from has no user")),
            Some("https") if !host.is_empty() => Ok(uri),
            Some("http") if local => Ok(uri),
            _ => Err(Fault::new("jwks.url", "keys must come over https").help("http is for this machine alone")),
        }
    }
}
