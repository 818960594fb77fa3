//! Authenticates requests with a signed token (RFC 7519, by the rules of RFC 8725).

mod cache;
mod check;
mod claims;
mod issuer;
mod key_set;
mod keys;
mod measure;
mod published;
mod signing;
mod source;
#[cfg(test)]
mod tests;
mod token;

use cache::{Budget, Cache};
use check::{Bearer, KeySource, TokenCheck, Trusted};
use gatewright_sdk::metrics::Instrument;
use gatewright_sdk::{
    CheckContext, Code, Compiled, Contract, Credentials, Fault, HumanDuration, IDENTITY, NamedFile, Place, Plugin,
    Scope, Secret, Traits,
};
use http::header::AUTHORIZATION;
use issuer::{Issuer, Jwks};
use keys::{Algorithm, Keys};
use measure::Measures;
use published::{LastSet, Published};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use token::Verifier;

/// Authenticates callers by a JSON Web Token in the header `Authorization: Bearer`. The claims `exp`, `iss`, `aud` and
/// `sub` are required and checked; `nbf` and `iat` are checked if present. An invalid token is rejected with 401; only
/// the log contains the reason.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// The issuer of the tokens: their `iss` claim.
    #[serde(default)]
    issuer: Option<String>,
    /// Several issuers, in place of `issuer` and its key. The `iss` claim of a token selects the issuer, and only the keys
    /// of that issuer verify it.
    #[serde(default)]
    issuers: Vec<Issuer>,
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
    /// PEM files with private keys (PKCS #8), for tokens that this gateway issues: see `sign_in` of routes. The first key signs,
    /// and tokens of all of them are accepted. Keys are named by their thumbprints (RFC 7638). The files are watched.
    #[serde(default)]
    private_key_files: Vec<NamedFile>,
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

impl Plugin for Jwt {
    const NAME: &'static str = "jwt";
    const INSTRUMENTS: &'static [&'static Instrument] = &[&measure::FETCHES, &measure::AGE];

    fn compile(mut self, check: &CheckContext<'_>) -> Compiled {
        let mut faults = self.faults();
        let (mut famous, mut trusted, named) = (Vec::new(), Vec::new(), self.issuer.is_none());
        let (mut signer, mut digests, mut issuers) = (None, Vec::new(), Vec::new());
        for (index, issuer) in self.take_issuers().into_iter().enumerate() {
            let at = |fault: Fault| if named { within(index, fault) } else { fault };
            issuers.push(issuer.issuer.clone());
            famous.extend(keys::famous(&issuer).map(at));
            // Reported once for all of them.
            let own = |fault: &Fault| !named || fault.path != "audiences" || !self.accepts_any_audience();
            faults.extend(issuer.faults().filter(own).map(at));
            let verifier = Arc::new(Verifier::new(&issuer, self.leeway.get(), &self.required_claims));
            match keys::load(&issuer, &verifier, check) {
                Ok(keys) => {
                    digests.push(keys::digest(&issuer, &verifier, check));
                    signer = signer.or_else(|| signing::signer(&issuer, &self.required_claims, check));
                    trusted.push(keys_at(issuer, keys, verifier));
                }
                Err(fault) => faults.push(at(fault)),
            }
        }
        let (refused, warned) = if check.production { (famous, Vec::new()) } else { (Vec::new(), famous) };
        faults.extend(refused);
        let mut compiled = if trusted.is_empty() {
            Compiled::default().traits(Traits { provides: &[IDENTITY], ..Traits::default() })
        } else {
            self.identity(trusted, digests.join(" "))
        };
        compiled.signer = signer.map(Arc::new);
        compiled.traits.issuers = issuers;
        let development = |fault: Fault| fault.help("allowed in development; rejected when `environment: production`");
        compiled.faults(faults).warnings(warned.into_iter().map(development))
    }
}

/// A fault in the entry of `issuers` with this index.
fn within(index: usize, fault: Fault) -> Fault {
    let dot = if fault.path.is_empty() { "" } else { "." };
    Fault { path: format!("issuers[{index}]{dot}{}", fault.path), ..fault }
}

/// An issuer with its keys, at any place.
type TrustedAt = Box<dyn Fn(&Place<'_>) -> Trusted + Send + Sync>;

fn keys_at(issuer: Issuer, keys: Keys, verifier: Arc<Verifier>) -> TrustedAt {
    let Issuer { issuer: name, algorithms, jwks, .. } = issuer;
    let own = name.clone();
    let trusted =
        move |verifier: &Arc<Verifier>, keys| Trusted { name: own.clone(), verifier: Arc::clone(verifier), keys };
    match keys {
        Keys::One(key) => {
            let key = Arc::new(verifier.key(key, algorithms));
            Box::new(move |_| trusted(&verifier, KeySource::One(Arc::clone(&key))))
        }
        Keys::Set(set) => {
            let set = Arc::new(set);
            Box::new(move |_| trusted(&verifier, KeySource::Set(Arc::clone(&set))))
        }
        Keys::Published(source) => {
            let (refresh, stale) = jwks.map_or((Duration::MAX, Duration::MAX), |jwks: Jwks| jwks.times());
            Box::new(move |place| {
                let from = source.shape();
                let shape = format!("{from} {refresh:?} {stale:?} {algorithms:?} {}", verifier.rules());
                let settings = || published::Settings {
                    source: source.clone(),
                    refresh,
                    stale,
                    algorithms: algorithms.clone(),
                    verifier: Arc::clone(&verifier),
                    last: place.keep(Scope::Plugin, format!("last set of {from}"), LastSet::default),
                    measures: Measures::new(place.plugin, &name),
                };
                let made = || Published::new(settings());
                let published = place.keep_with_task(Scope::Plugin, shape, made, Published::run);
                trusted(&verifier, KeySource::Published(published))
            })
        }
    }
}

impl Jwt {
    /// `shape` changes with anything that decides which tokens are accepted.
    fn identity(self, issuers: Vec<TrustedAt>, shape: String) -> Compiled {
        let refuses = self.on_missing == OnMissing::Reject;
        let mut compiled = Compiled::identity(move |place| {
            let budget = || place.keep.get_or_make("budget of verified tokens", Budget::default);
            let verified = format!("verified tokens {shape}");
            let check = Arc::new(TokenCheck {
                issuers: issuers.iter().map(|trusted| trusted(place)).collect(),
                cache: place.keep(Scope::Plugin, verified, || Cache::new(budget())),
                on_missing: self.on_missing,
            });
            let keys = Arc::clone(&check);
            place.ready_when("no_keys", move || keys.has_keys());
            Arc::new(Bearer(check))
        });
        compiled.traits.credentials = Some(AUTHORIZATION);
        compiled.traits.contract = Contract::accepts(Credentials::Bearer("JWT"));
        compiled.traits.admits_strangers = !refuses;
        compiled.traits.refuses_strangers = refuses.then_some("set `on_missing: continue`");
        compiled
    }

    /// The issuers with all their settings; none if there are faults that concern all of them.
    fn take_issuers(&mut self) -> Vec<Issuer> {
        if let Some(issuer) = self.issuer.clone() {
            return vec![Issuer {
                issuer,
                audiences: self.audiences.clone(),
                algorithms: self.algorithms.clone(),
                secret: self.secret.take(),
                public_key_file: self.public_key_file.take(),
                jwks: self.jwks.take(),
                private_key_files: std::mem::take(&mut self.private_key_files),
            }];
        }
        let mut issuers = std::mem::take(&mut self.issuers);
        if self.algorithms.is_empty() {
            issuers.clear();
        }
        for issuer in &mut issuers {
            if issuer.audiences.is_empty() {
                issuer.audiences.clone_from(&self.audiences);
            }
            if issuer.algorithms.is_empty() {
                issuer.algorithms.clone_from(&self.algorithms);
            }
        }
        issuers
    }

    fn accepts_any_audience(&self) -> bool {
        self.audiences.is_empty() || self.audiences.iter().any(String::is_empty)
    }

    /// What is wrong with the settings that concern all issuers.
    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut add = |path: &str, message: &str, code, help: &str| {
            faults.push(Fault::new(path, message).code(code).help(help));
        };
        let key = self.secret.is_some()
            || self.public_key_file.is_some()
            || self.jwks.is_some()
            || !self.private_key_files.is_empty();
        match (&self.issuer, self.issuers.as_slice()) {
            (None, []) => {
                add("", "`issuer` is required", Code::MISSING_KEY, "add `issuer: \"https://idp.example.com/\"`")
            }
            (Some(_), [_, ..]) => {
                let help = "move `issuer` and its key into the list, or remove `issuers`";
                add("issuers", "`issuer` and `issuers` are both set", Code::ONE_TOKEN_KEY, help);
            }
            (None, [_, ..]) if key => {
                let help =
                    "move `secret`, `public_key_file`, `jwks` or `private_key_files` into the entry of its issuer";
                add("issuers", "a key outside of `issuers` belongs to none of them", Code::ONE_TOKEN_KEY, help);
            }
            _ => {}
        }
        if self.issuer.is_none() && self.accepts_any_audience() {
            let message = "without an audience, tokens for any service would be accepted";
            add("audiences", message, Code::TOKEN_CHECK, "use the value of the `aud` claim in your tokens");
        }
        if self.issuer.is_none() && self.algorithms.is_empty() {
            faults.push(keys::no_algorithm());
        }
        for (index, issuer) in self.issuers.iter().enumerate() {
            if self.issuers.iter().take(index).any(|other| other.issuer == issuer.issuer) {
                let fault = Fault::new(format!("issuers[{index}].issuer"), "this issuer is already listed");
                faults.push(
                    fault.code(Code::TOKEN_CHECK).help("use each issuer once, and list all its keys in one key set"),
                );
            }
        }
        if self.leeway.get() > Duration::from_secs(600) {
            faults.push(
                Fault::new("leeway", "`leeway` is too long: expired tokens would be accepted")
                    .code(Code::TOKEN_CHECK)
                    .help("use at most 10m"),
            );
        }
        faults
    }
}
