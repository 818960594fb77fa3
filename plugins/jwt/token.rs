//! What a token must be to prove an identity.

use super::Jwt;
use super::keys::Algorithm;
use gatewright_sdk::Identity;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Header, Validation, decode};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// Judges tokens by one key and one set of rules.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
    leeway: u64,
    required: Vec<String>,
}

/// A verified identity and the time for which it is proven, in seconds since 1970, leeway included.
pub struct Proof {
    pub identity: Arc<Identity>,
    pub from: u64,
    pub until: u64,
}

impl Proof {
    pub const fn holds(&self, now: u64) -> bool {
        self.from <= now && now <= self.until
    }
}

/// The last second of the year 9999: later times are typing errors or attacks.
const LAST: u64 = 253_402_300_799;

impl Verifier {
    pub fn new(settings: &Jwt, key: DecodingKey) -> Self {
        let mut validation = Validation::default();
        let leeway = settings.leeway.get().as_secs();
        validation.algorithms = settings.algorithms.iter().copied().map(Algorithm::library).collect();
        validation.leeway = leeway;
        validation.validate_nbf = true;
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&settings.audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Self { key, validation, leeway, required: settings.required_claims.clone() }
    }

    /// The identity that `token` proves at `now`, or a word for the operator why it proves none.
    pub fn verify(&self, token: &[u8], now: u64) -> Result<Proof, &'static str> {
        let verified = decode::<Claims>(token, &self.key, &self.validation).map_err(|error| reason(error.kind()))?;
        judge_header(&verified.header)?;
        let claims = verified.claims.0;
        let Some(Value::String(subject)) = claims.get("sub").filter(|sub| **sub != "") else { return Err("subject") };
        // The library would take a list that holds our issuer.
        if !claims.get("iss").is_some_and(Value::is_string) {
            return Err("issuer");
        }
        let until = claims.get("exp").and_then(seconds).ok_or("malformed")?.saturating_add(self.leeway);
        let from = match claims.get("nbf") {
            Some(nbf) => seconds(nbf).ok_or("malformed")?.saturating_sub(self.leeway),
            None => 0,
        };
        let issued = claims.get("iat").map_or(Some(0), seconds).ok_or("malformed")?;
        if issued > now.saturating_add(self.leeway) {
            return Err("issued_in_the_future");
        }
        if self.required.iter().any(|name| claims.get(name).is_none_or(Value::is_null)) {
            return Err("claim_missing");
        }
        let subject = subject.clone();
        Ok(Proof { identity: Arc::new(Identity { subject, claims }), from, until })
    }
}

/// Header parameters that change what a token means (RFC 7515 section 4.1.11, RFC 7797, RFC 8725 section 3.11).
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

/// A time as RFC 7519 writes it: a number of seconds, fractions allowed.
fn seconds(value: &Value) -> Option<u64> {
    let whole = value.as_u64().or_else(|| {
        let float = value.as_f64().filter(|float| (0.0..=1e12).contains(float))?;
        format!("{float:.0}").parse().ok()
    });
    whole.filter(|seconds| *seconds <= LAST)
}

fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "expired",
        ErrorKind::ImmatureSignature => "not_yet_valid",
        ErrorKind::InvalidSignature => "bad_signature",
        ErrorKind::InvalidAlgorithm => "algorithm",
        ErrorKind::InvalidIssuer => "issuer",
        ErrorKind::InvalidAudience => "audience",
        ErrorKind::MissingRequiredClaim(_) => "claim_missing",
        _ => "malformed",
    }
}

/// The claims; a name that comes twice makes the token invalid, for two readers could read two tokens in it.
struct Claims(Map<String, Value>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Claims, A::Error> {
                let mut claims = Map::new();
                while let Some((name, value)) = members.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(A::Error::custom("a claim comes twice"));
                    }
                }
                Ok(Claims(claims))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
