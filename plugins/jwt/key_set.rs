//! A set of public keys (RFC 7517); a token names one of them.

use super::keys::Algorithm;
use super::token::{Verifier, VerifyingKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{AlgorithmFamily as Family, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The maximum size of a set, in bytes.
pub const LARGEST: usize = 256 * 1024;

/// The maximum number of keys. An issuer has a few.
const MOST: usize = 64;

/// The keys with which an issuer may sign tokens.
pub struct KeySet(Vec<(Option<String>, VerifyingKey)>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Parses a set. Keys that do not fit `algorithms` are skipped, because issuers publish other keys as well.
    ///
    /// # Errors
    /// What is wrong with the whole set, to follow its name: `is not JSON`.
    pub fn read(content: &[u8], algorithms: &[Algorithm], verifier: &Verifier) -> Result<Self, String> {
        if content.len() > LARGEST {
            return Err(format!("is larger than {} KiB", LARGEST / 1024));
        }
        let Document { keys } =
            serde_json::from_slice(content).map_err(|error| format!("is not a valid key set: {error}"))?;
        if keys.len() > MOST {
            return Err(format!("has {} keys, at most {MOST} are allowed", keys.len()));
        }
        let number = keys.len();
        let usable = |key: Value| {
            let key: Jwk = serde_json::from_value(key).ok()?;
            let fitting = fitting(&key, algorithms)?;
            Some((key.common.key_id.clone(), verifier.key(DecodingKey::from_jwk(&key).ok()?, fitting)))
        };
        let keys: Vec<_> = keys.into_iter().filter_map(usable).collect();
        if keys.is_empty() {
            let names = names(algorithms);
            return Err(match number {
                0 => "has no keys".to_owned(),
                1 => format!("has one key, but not for {names}"),
                _ => format!("has {number} keys, but none for {names}"),
            });
        }
        Ok(Self(keys))
    }

    /// Whether it contains a private key, which only the issuer may have.
    pub fn has_private(content: &[u8]) -> bool {
        let Ok(Document { keys }) = serde_json::from_slice(content) else { return false };
        keys.iter().any(|key| key.get("d").is_some())
    }

    /// The keys that may have signed a token with this `id` and `algorithm`.
    pub fn find(&self, id: Option<&str>, algorithm: jsonwebtoken::Algorithm) -> impl Iterator<Item = &VerifyingKey> {
        let named = move |known: Option<&str>| id.is_none() || known == id;
        self.0.iter().filter(move |(known, key)| named(known.as_deref()) && key.fits(algorithm)).map(|(_, key)| key)
    }
}

fn names(algorithms: &[Algorithm]) -> String {
    algorithms.iter().map(|algorithm| format!("{:?}", algorithm.library())).collect::<Vec<_>>().join(" or ")
}

/// The algorithms that `key` may be used with; `None` if there are none.
fn fitting(key: &Jwk, algorithms: &[Algorithm]) -> Option<Vec<Algorithm>> {
    let common = &key.common;
    let signs = common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|used| used.contains(&KeyOperations::Verify));
    let fits = |algorithm: &Algorithm| {
        let library = algorithm.library();
        let named = common.key_algorithm.is_none_or(|named| named.to_string().parse().ok() == Some(library));
        named
            && match &key.algorithm {
                AlgorithmParameters::RSA(key) => {
                    library.family() == Family::Rsa && bits(&key.n) >= Some(2048) && bits(&key.e) >= Some(2)
                }
                AlgorithmParameters::EllipticCurve(key) => {
                    let (curve, size) = match algorithm {
                        Algorithm::ES256 => (EllipticCurve::P256, 32),
                        Algorithm::ES384 => (EllipticCurve::P384, 48),
                        _ => return false,
                    };
                    key.curve == curve && [&key.x, &key.y].iter().all(|coordinate| length(coordinate) == Some(size))
                }
                AlgorithmParameters::OctetKeyPair(key) => {
                    library.family() == Family::Ed && key.curve == EllipticCurve::Ed25519 && length(&key.x) == Some(32)
                }
                // A published secret is not secret.
                _ => false,
            }
    };
    let fitting: Vec<_> = algorithms.iter().copied().filter(fits).collect();
    (signs && !fitting.is_empty()).then_some(fitting)
}

/// The decoded length of base64url text, in bytes.
fn length(text: &str) -> Option<usize> {
    URL_SAFE_NO_PAD.decode(text).ok().map(|bytes| bytes.len())
}

/// The length of a base64url number (RFC 7518 section 2), in bits.
fn bits(number: &str) -> Option<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(number).ok()?;
    let mut bytes = bytes.iter().skip_while(|byte| **byte == 0);
    let first = bytes.next()?;
    u64::try_from(bytes.count()).ok().map(|more| more * 8 + u64::from(8 - first.leading_zeros()))
}
