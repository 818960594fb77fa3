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
    CheckContext, Code, Compiled, Fault, HumanDuration, IDENTITY, NamedFile, Place, Plugin, Scope, Secret, Traits,
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

/// Authenticates callers by a JSON Web Token in the header `Authorization: Bearer`. The claims `exp`, `iss`, `aud` and
/// `sub` are required and checked; `nbf` and `iat` are checked if present. An invalid token is rejected with 401; only
/// the log contains the reason.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// The issuer of the tokens: their `iss` claim.
    issuer: String,
    /// The accepted audiences. The `aud` claim of a token must contain one of them.
    audiences: Vec<String>,
    /// The accepted signature algorithms. They must all belong to one family, because a key works with only one. With
    /// `jwks`, where each key names its algorithm, RS, PS, ES and EdDSA can be mixed.
    algorithms: Vec<Algorithm>,
    /// The secret shared with the issuer, for HS256, HS384 and HS512: at least 32, 48 or 64 random bytes.
    #[serde(default)]
    secret: Option<Secret>,
    /// A PEM file with the public key of the issuer, for the other algorithms. The path is relative to the configuration;
    /// the file is watched.
    #[serde(default)]
    public_key_file: Option<NamedFile>,
    /// The JSON Web Key Set of the issuer, from a URL or a file.
    #[serde(default)]
    jwks: Option<Jwks>,
    /// Allowed clock difference between issuer and gateway, in whole seconds (fractions are rounded up); at most 10m.
    #[serde(default = "thirty_seconds")]
    leeway: HumanDuration,
    /// What happens to requests without a token. With `continue` they proceed without an identity. A token that is not
    /// valid is always rejected.
    #[serde(default)]
    on_missing: OnMissing,
    /// Additional claims that a token must contain, with any value but null.
    #[serde(default)]
    required_claims: Vec<String>,
}

/// A JSON Web Key Set, from a URL or a file.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Jwks {
    /// Where the issuer publishes its keys: an https URL, or http on this machine. Redirects are not followed. Until the
    /// keys have been fetched, requests with a token get 503.
    #[serde(default)]
    url: Option<String>,
    /// A file with the keys. The path is relative to the configuration; the file is watched.
    #[serde(default)]
    file: Option<NamedFile>,
    /// How often the keys are fetched from `url`. A token signed with an unknown key also triggers a fetch, but no more
    /// often than this interval or every 30s, whichever is shorter.
    #[serde(default = "ten_minutes")]
    refresh: HumanDuration,
    /// How long keys are used after the last successful fetch.
    #[serde(default = "one_day")]
    stale: HumanDuration,
}

/// `reject` answers 401, `continue` lets the request go on without an identity.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum OnMissing {
    /// The request is rejected with 401.
    #[default]
    Reject,
    /// The request proceeds without an identity.
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
        let warning = warned.map(|fault| fault.help("allowed in development; rejected when `environment: production`"));
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
        compiled.traits.refuses_strangers = refuses.then_some("set `on_missing: continue`");
        compiled
    }
}

impl Jwt {
    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.issuer.is_empty() {
            faults.push(
                Fault::new("issuer", "`issuer` is empty")
                    .code(Code::TOKEN_CHECK)
                    .help("use the value of the `iss` claim in your tokens"),
            );
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            let fault = Fault::new("audiences", "without an audience, tokens for any service would be accepted");
            faults.push(fault.code(Code::TOKEN_CHECK).help("use the value of the `aud` claim in your tokens"));
        }
        if self.leeway.get() > Duration::from_secs(600) {
            faults.push(
                Fault::new("leeway", "`leeway` is too long: expired tokens would be accepted")
                    .code(Code::TOKEN_CHECK)
                    .help("use at most 10m"),
            );
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
                Fault::new("jwks.refresh", "`refresh` is too short")
                    .code(Code::KEY_SET)
                    .help("use at least 1s, such as 10m"),
            );
        }
        let short = stale < refresh;
        short.then(|| {
            Fault::new("jwks.stale", format!("keys would expire before the next fetch, after {refresh}"))
                .code(Code::KEY_SET)
                .help("use a longer time than `refresh`")
        })
    }

    fn times(&self) -> (Duration, Duration) {
        (self.refresh.get(), self.stale.get())
    }

    /// The address where the keys are published.
    fn address(&self) -> Result<Uri, Fault> {
        let url = match (&self.url, &self.file) {
            (Some(url), None) => url,
            (None, None) => {
                return Err(Fault::new("jwks", "`url` or `file` is required")
                    .code(Code::KEY_SET)
                    .help("add `url` or `file`"));
            }
            _ => {
                return Err(Fault::new("jwks", "`url` and `file` are both set")
                    .code(Code::KEY_SET)
                    .help("keep `url` or `file`, not both"));
            }
        };
        let uri: Uri = url.parse().unwrap_or_default();
        let host = uri.host().unwrap_or_default();
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let local = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        match uri.scheme_str() {
            _ if user => {
                Err(Fault::new("jwks.url", "the URL must not contain a username or password").code(Code::KEY_SET))
            }
            Some("https") if !host.is_empty() => Ok(uri),
            Some("http") if local => Ok(uri),
            _ => Err(Fault::new("jwks.url", "keys must be fetched over HTTPS")
                .code(Code::KEY_SET)
                .help("write `https://`; http is allowed only for localhost")),
        }
    }
}
