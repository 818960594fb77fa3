//! The signature step against the JWS vectors of Wycheproof.

use super::*;
use crate::jwt::issuer::Issuer;
use crate::jwt::key_set::KeySet;
use crate::jwt::keys::Algorithm;
use crate::jwt::token::{Verifier, VerifyingKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use std::collections::BTreeMap;
use std::time::Duration;

const VECTORS: &[u8] = include_bytes!("../fixtures/wycheproof/json_web_signature_test.json");

const ALL: [&str; 12] =
    ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// Vectors that are judged otherwise than they are marked, with the reason.
const OTHERWISE: &[(&str, &[u64])] = &[
    ("PS384 with a key that is only for PS256 (RFC 7517 section 4.4), marked valid", &[346, 350]),
    ("ES512, which the library does not know, marked valid", &[347, 351]),
    ("byte for byte a valid token: the padding that its comment names is not there, marked invalid", &[367, 370]),
    ("`?` in base64url (RFC 7515 section 2), marked valid", &[372, 373]),
];

/// Whether a key of `group` has signed `token`.
fn signed(group: &Value, token: &str, verifier: &Verifier) -> bool {
    let Ok(header) = jsonwebtoken::decode_header(token) else { return false };
    let algorithms: Vec<Algorithm> = ALL.iter().map(|name| serde_json::from_value(json!(name)).unwrap()).collect();
    let secret = group["private"].as_object().filter(|key| key["kty"] == "oct");
    let by = |key: &VerifyingKey| key.fits(header.alg) && verifier.has_signed(key, token.as_bytes());
    if let Some(key) = secret {
        let secret = URL_SAFE_NO_PAD.decode(key["k"].as_str().unwrap()).unwrap();
        // As `algorithms` and `secret` of the settings say it.
        let named = |algorithm: &Algorithm| key.get("alg").is_none_or(|alg| *alg == json!(algorithm));
        let hmac = algorithms.into_iter().filter(|algorithm| {
            algorithm.library().family() == jsonwebtoken::AlgorithmFamily::Hmac && named(algorithm)
        });
        return by(&verifier.key(DecodingKey::from_secret(&secret), hmac));
    }
    let key = group.get("public").filter(|key| key.is_object()).unwrap_or(&group["private"]);
    let set = json!({ "keys": [key] }).to_string();
    let Ok(set) = KeySet::read(set.as_bytes(), &algorithms, verifier) else { return false };
    set.find(header.kid.as_deref(), header.alg).any(by)
}

#[test]
fn the_signature_step_judges_as_wycheproof_does() {
    let issuer: Issuer = serde_json::from_value(json!({ "issuer": "a", "audiences": ["b"] })).unwrap();
    let verifier = Verifier::new(&issuer, Duration::ZERO, &[]);
    let vectors: Value = serde_json::from_slice(VECTORS).unwrap();
    let (mut judged, mut otherwise) = (0, BTreeMap::new());
    for group in vectors["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            judged += 1;
            let token = test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned);
            let (id, valid) = (test["tcId"].as_u64().unwrap(), test["result"] == "valid");
            if signed(group, &token, &verifier) != valid {
                otherwise.insert(id, format!("{} {} {}", group["comment"], test["comment"], test["result"]));
            }
        }
    }
    assert_eq!(judged, 401);
    let mut known: Vec<_> = OTHERWISE.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
    known.sort_unstable();
    let found: Vec<_> = otherwise.keys().copied().collect();
    assert_eq!(found, known, "{otherwise:#?}");
}
