//! Finds the token of a request, and the key that signed it.

use super::OnMissing;
use super::cache::Cache;
use super::key_set::KeySet;
use super::published::Published;
use super::token::{self, Proof, Verifier, VerifyingKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatewright_sdk::{Authenticate, Identity, Problem, Proof as Proven, Request, Verdict, WithTask};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use jsonwebtoken::{decode_header, get_current_timestamp};
use serde::Deserialize;
use serde_json::Value;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The maximum length of a token, in bytes.
const LONGEST: usize = 8 * 1024;

/// How long a request may wait for keys.
const PATIENCE: Duration = Duration::from_secs(5);

/// Authenticates requests by their token.
pub struct TokenCheck {
    pub issuers: Box<[Trusted]>,
    pub cache: Arc<Cache>,
    pub on_missing: OnMissing,
}

/// An issuer, and how its tokens are verified.
pub struct Trusted {
    /// The `iss` claim of its tokens.
    pub name: String,
    pub verifier: Arc<Verifier>,
    pub keys: KeySource,
}

/// Where the key for a token comes from.
pub enum KeySource {
    One(Arc<VerifyingKey>),
    Set(Arc<KeySet>),
    Published(Arc<WithTask<Published>>),
}

/// Why a token was not accepted.
enum Unproven {
    /// A word for the operator.
    Refused(&'static str),
    /// It names an unknown key.
    UnknownKey,
    /// There are no keys.
    NoKeys,
}

impl From<&'static str> for Unproven {
    fn from(reason: &'static str) -> Self {
        Self::Refused(reason)
    }
}

impl From<Unproven> for Problem {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::Refused(reason) => Self::unauthorized(true).log_reason(reason),
            Unproven::UnknownKey => Self::unauthorized(true).log_reason("unknown_key"),
            Unproven::NoKeys => Self::unavailable(5).log_reason("no_keys"),
        }
    }
}

impl TokenCheck {
    fn verify(&self, token: &[u8]) -> Result<Arc<Identity>, Unproven> {
        if token.len() > LONGEST {
            return Err(Unproven::Refused("too_long"));
        }
        let now = get_current_timestamp();
        // Read first: if the keys change in the meantime, the cached entry will not match.
        let version = self.version();
        if let Some(identity) = self.cache.find(token, now, version) {
            return Ok(identity);
        }
        let proof = self.issuer(token)?.verify(token, now)?;
        let identity = Arc::clone(&proof.identity);
        self.cache.store(token, proof, version);
        Ok(identity)
    }

    /// The version of all keys: it grows with each change. Versions never shrink, so equal sums are equal versions.
    fn version(&self) -> u64 {
        let version = |trusted: &Trusted| match &trusted.keys {
            KeySource::Published(published) => published.version(),
            _ => 0,
        };
        self.issuers.iter().map(version).sum()
    }

    /// Whether there are keys of every issuer.
    pub fn has_keys(&self) -> bool {
        self.issuers.iter().all(|trusted| match &trusted.keys {
            KeySource::Published(published) => published.keys().is_some(),
            KeySource::One(_) | KeySource::Set(_) => true,
        })
    }

    /// The issuer whose keys must have signed `token`. The claim is not verified yet.
    fn issuer(&self, token: &[u8]) -> Result<&Trusted, Unproven> {
        if let [only] = &*self.issuers {
            return Ok(only);
        }
        let name = claimed_issuer(token)?;
        self.issuers.iter().find(|trusted| trusted.name == name).ok_or(Unproven::Refused("issuer"))
    }

    /// Requests the keys of the issuer again, unless that happened recently, or the token claims to be from another.
    fn refetch(&self, token: &[u8]) -> Option<watch::Receiver<u64>> {
        let issuer = self.issuer(token).ok()?;
        if claimed_issuer(token).ok()? != issuer.name {
            return None;
        }
        match &issuer.keys {
            KeySource::Published(published) => published.refetch(),
            _ => None,
        }
    }
}

/// The `iss` claim of a token, before its signature is verified.
fn claimed_issuer(token: &[u8]) -> Result<String, &'static str> {
    #[derive(Deserialize)]
    struct Claimed {
        iss: Option<Value>,
    }
    let payload = token.split(|byte| *byte == b'.').nth(1).ok_or("malformed")?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| "malformed")?;
    let claimed: Claimed = serde_json::from_slice(&payload).map_err(|_| "malformed")?;
    match claimed.iss {
        Some(Value::String(issuer)) => Ok(issuer),
        Some(_) => Err("issuer"),
        None => Err("claim_missing"),
    }
}

impl Trusted {
    fn verify(&self, token: &[u8], now: u64) -> Result<Proof, Unproven> {
        match &self.keys {
            KeySource::One(key) => Ok(self.verifier.verify(key, token, now)?),
            KeySource::Set(set) => self.verify_by(set, token, now),
            KeySource::Published(published) => self.verify_by(&*published.keys().ok_or(Unproven::NoKeys)?, token, now),
        }
    }

    fn verify_by(&self, set: &KeySet, token: &[u8], now: u64) -> Result<Proof, Unproven> {
        let header = decode_header(token).map_err(|error| Unproven::Refused(token::reason(error.kind())))?;
        let mut outcome = Err(Unproven::UnknownKey);
        for key in set.find(header.kid.as_deref(), header.alg) {
            match self.verifier.verify(key, token, now) {
                // Another key with this name may have signed it.
                Err("bad_signature") => outcome = Err(Unproven::Refused("bad_signature")),
                decided => return Ok(decided?),
            }
        }
        outcome
    }
}

/// The credentials of a request.
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

/// A shared check, for decisions that wait.
pub struct Bearer(pub Arc<TokenCheck>);

impl Authenticate for Bearer {
    fn identify(&self, request: &Request) -> Verdict<Option<Proven>> {
        let check = &self.0;
        let token = match credentials(request.headers()) {
            Credentials::Missing => return Verdict::Continue(None),
            Credentials::Several => {
                let problem = Problem::validation("Authorization: must be sent once");
                return Verdict::refuse(problem.log_reason("several_credentials"));
            }
            Credentials::Bearer(token) => token,
        };
        let unproven = match check.verify(token) {
            Ok(identity) => return Verdict::Continue(Some(identity.into())),
            Err(unproven) => unproven,
        };
        let fetched = match &unproven {
            Unproven::UnknownKey | Unproven::NoKeys => check.refetch(token),
            Unproven::Refused(_) => None,
        };
        let Some(mut fetched) = fetched else { return Verdict::refuse(unproven.into()) };
        let (check, token) = (Arc::clone(check), token.to_vec());
        Verdict::later(PATIENCE, unproven.into(), async move {
            // An error means that the keys are no longer maintained.
            let _ = fetched.changed().await;
            match check.verify(&token) {
                Ok(identity) => ControlFlow::Continue(Some(identity.into())),
                Err(unproven) => ControlFlow::Break(Problem::from(unproven).into()),
            }
        })
    }

    fn missing(&self) -> Option<Problem> {
        let rejects = self.0.on_missing == OnMissing::Reject;
        rejects.then(|| Problem::unauthorized(false).log_reason("missing"))
    }

    fn reads(&self) -> &str {
        "Bearer"
    }

    fn field(&self) -> Option<HeaderName> {
        Some(AUTHORIZATION)
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static("Bearer"))
    }
}
