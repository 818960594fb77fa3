//! The rules that a token must satisfy to prove an identity.

use super::claims::Claims;
use super::issuer::Issuer;
use super::keys::Algorithm;
use gatewright_sdk::Identity;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Header, Validation, decode};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Validates the tokens of one issuer by one set of rules, whatever key they are signed with.
pub struct Verifier {
    validation: Validation,
    leeway: u64,
    required: Vec<String>,
}

/// A key, and the algorithms it may be used with: all of one family.
pub struct VerifyingKey {
    key: DecodingKey,
    validation: Validation,
}

impl VerifyingKey {
    pub fn fits(&self, algorithm: jsonwebtoken::Algorithm) -> bool {
        self.validation.algorithms.contains(&algorithm)
    }
}

/// A verified identity and its validity period, in seconds since 1970, leeway included.
pub struct Proof {
    pub identity: Arc<Identity>,
    /// The first second.
    pub from: u64,
    /// The second after the last.
    pub until: u64,
}

impl Proof {
    pub const fn holds(&self, now: u64) -> bool {
        self.from <= now && now < self.until
    }
}

/// The last second of the year 9999: later times are typos or attacks.
const LAST: u64 = 253_402_300_799;

impl Verifier {
    pub fn new(issuer: &Issuer, leeway: Duration, required: &[String]) -> Self {
        let mut validation = Validation::default();
        // The clock has a resolution of one second.
        let leeway = ceiling(leeway);
        // The library rounds times to the nearest second, so they are checked here.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_issuer(&[&issuer.issuer]);
        validation.set_audience(&issuer.audiences);
        validation.set_required_spec_claims(&["iss", "aud", "sub"]);
        Self { validation, leeway, required: required.to_vec() }
    }

    /// The rules as text, for comparison.
    pub fn rules(&self) -> String {
        let Self { validation, leeway, required } = self;
        // Sets have a different order each time.
        let sorted = |names: &Option<HashSet<String>>| names.iter().flatten().cloned().collect::<BTreeSet<_>>();
        format!("{:?} {:?} {leeway} {required:?}", sorted(&validation.iss), sorted(&validation.aud))
    }

    /// Combines `key` with these algorithms.
    pub fn key(&self, key: DecodingKey, algorithms: impl IntoIterator<Item = Algorithm>) -> VerifyingKey {
        let mut validation = self.validation.clone();
        validation.algorithms = algorithms.into_iter().map(Algorithm::library).collect();
        VerifyingKey { key, validation }
    }

    /// The identity in `token`, signed with `key`, at `now`, or a word for the operator why it is rejected.
    pub fn verify(&self, key: &VerifyingKey, token: &[u8], now: u64) -> Result<Proof, &'static str> {
        let verified = decode::<Claims>(token, &key.key, &key.validation).map_err(|error| reason(error.kind()))?;
        judge_header(&verified.header)?;
        let claims = verified.claims.0;
        let Some(Value::String(subject)) = claims.get("sub").filter(|sub| **sub != "") else { return Err("subject") };
        // The library would accept a list that contains our issuer.
        if !claims.get("iss").is_some_and(Value::is_string) {
            return Err("issuer");
        }
        let (from, until) = self.times(&claims, now)?;
        if self.required.iter().any(|name| claims.get(name).is_none_or(Value::is_null)) {
            return Err("claim_missing");
        }
        let subject = subject.clone();
        Ok(Proof { identity: Arc::new(Identity { subject, method: "jwt", claims }), from, until })
    }

    /// Whether `key` has signed `token`, whatever it says.
    #[cfg(test)]
    pub fn has_signed(&self, key: &VerifyingKey, token: &[u8]) -> bool {
        match decode::<Claims>(token, &key.key, &key.validation) {
            Ok(verified) => judge_header(&verified.header).is_ok(),
            // The claims are read after the signature.
            Err(error) => matches!(
                error.kind(),
                ErrorKind::Json(_) | ErrorKind::Utf8(_) | ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidIssuer
            ),
        }
    }

    /// The first valid second, and the first after the last. A second that is partly valid counts as valid: RFC 7519
    /// section 4.1.4 ends the token at `exp`, not before.
    fn times(&self, claims: &Map<String, Value>, now: u64) -> Result<(u64, u64), &'static str> {
        let read = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => time(value).map(Some).ok_or("malformed"),
        };
        if claims.get("exp").is_none_or(Value::is_null) {
            return Err("claim_missing");
        }
        let until = read("exp")?.map_or(0, ceiling).saturating_add(self.leeway);
        let from = read("nbf")?.map_or(0, |nbf| nbf.as_secs()).saturating_sub(self.leeway);
        let issued = read("iat")?.map_or(0, |iat| iat.as_secs()).saturating_sub(self.leeway);
        if until <= now {
            return Err("expired");
        }
        if now < from {
            return Err("not_yet_valid");
        }
        if now < issued { Err("issued_in_the_future") } else { Ok((from, until)) }
    }
}

/// Rejects header parameters that change the meaning of a token (RFC 7515 section 4.1.11, RFC 7797, RFC 8725 section
/// 3.11).
fn judge_header(header: &Header) -> Result<(), &'static str> {
    let extras = header.extras.inner();
    if header.crit.is_some() || extras.contains_key("crit") || extras.contains_key("b64") {
        return Err("critical_header");
    }
    if header.zip.is_some() || header.enc.is_some() {
        return Err("encrypted_or_packed");
    }
    // Other kinds of tokens (logout, DPoP, security events) may be signed with the same key.
    let kind = header.typ.as_deref().unwrap_or("JWT");
    let kind = kind.strip_prefix("application/").unwrap_or(kind);
    let access = kind.eq_ignore_ascii_case("JWT") || kind.eq_ignore_ascii_case("at+jwt");
    if access { Ok(()) } else { Err("type") }
}

/// A time in the format of RFC 7519 section 2: seconds since 1970, with optional fractions. A time before 1970 counts
/// as 1970. `None` if it is not a number, or beyond the year 9999.
fn time(value: &Value) -> Option<Duration> {
    let time = match value.as_u64() {
        Some(seconds) => Duration::from_secs(seconds),
        None => Duration::try_from_secs_f64(value.as_f64().filter(|seconds| seconds.is_finite())?.max(0.0)).ok()?,
    };
    (time.as_secs() <= LAST).then_some(time)
}

/// Whole seconds, rounded up.
fn ceiling(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

pub fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidSignature => "bad_signature",
        ErrorKind::InvalidAlgorithm => "algorithm",
        ErrorKind::InvalidIssuer => "issuer",
        ErrorKind::InvalidAudience => "audience",
        ErrorKind::MissingRequiredClaim(_) => "claim_missing",
        _ => "malformed",
    }
}
