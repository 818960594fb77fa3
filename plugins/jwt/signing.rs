//! Keys with which this gateway signs tokens itself.

use super::issuer::Issuer;
use super::key_set::KeySet;
use super::keys::Algorithm;
use super::token::Verifier;
use gatewright_sdk::{CheckContext, Code, Fault, NamedFile, TokenSigner};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{AlgorithmFamily as Family, EncodingKey, Header, encode};
use serde_json::{Map, Value, json};

/// A private key, and its public half with the thumbprint as its id.
struct Pair {
    private: EncodingKey,
    public: Jwk,
    algorithm: jsonwebtoken::Algorithm,
}

/// The signer of tokens for `settings`, which [`keys::load`](super::keys::load) accepted; `None` if it has no key that signs.
pub fn signer(settings: &Issuer, required: &[String], check: &CheckContext<'_>) -> Option<TokenSigner> {
    let audience = settings.audiences.first()?.clone();
    let (key, header, public) = match &settings.secret {
        Some(secret) => {
            let header = Header::new(settings.algorithms.first()?.library());
            (EncodingKey::from_secret(secret.expose().as_bytes()), header, json!({ "keys": [] }))
        }
        None => {
            let mut pairs = pairs(settings, check).ok()?.into_iter();
            let first = pairs.next()?;
            let mut header = Header::new(first.algorithm);
            header.kid.clone_from(&first.public.common.key_id);
            let public: Vec<Jwk> = std::iter::once(first.public).chain(pairs.map(|pair| pair.public)).collect();
            (first.private, header, json!({ "keys": public }))
        }
    };
    let issuer = settings.issuer.clone();
    let sign = move |claims: &Map<String, Value>| {
        let mut claims = claims.clone();
        claims.insert("iss".to_owned(), issuer.clone().into());
        claims.insert("aud".to_owned(), audience.clone().into());
        encode(&header, &claims, &key).map_err(|error| error.to_string())
    };
    Some(TokenSigner::new(&*settings.issuer, required.to_vec(), public, sign))
}

/// The public halves of the private keys, which verify the tokens.
pub fn key_set(settings: &Issuer, verifier: &Verifier, check: &CheckContext<'_>) -> Result<KeySet, Fault> {
    let public: Vec<Jwk> = pairs(settings, check)?.into_iter().map(|pair| pair.public).collect();
    let read = |keys: &[Jwk]| {
        let set = serde_json::to_vec(&json!({ "keys": keys })).unwrap_or_default();
        KeySet::read(&set, &settings.algorithms, verifier)
    };
    // The set skips keys that are too weak, which is right only for those of others.
    for ((index, file), key) in settings.private_key_files.iter().enumerate().zip(&public) {
        if read(std::slice::from_ref(key)).is_err() {
            let message = format!("{file} contains a key that is too weak; RSA keys need at least 2048 bits");
            return Err(Fault::new(format!("private_key_files[{index}]"), message).code(Code::UNUSABLE_KEY));
        }
    }
    read(&public)
        .map_err(|why| Fault::new("private_key_files", format!("the set of these keys {why}")).code(Code::UNUSABLE_KEY))
}

fn pairs(settings: &Issuer, check: &CheckContext<'_>) -> Result<Vec<Pair>, Fault> {
    let mut pairs: Vec<Pair> = Vec::new();
    for (index, file) in settings.private_key_files.iter().enumerate() {
        let wrong =
            |message: String| Fault::new(format!("private_key_files[{index}]"), message).code(Code::UNUSABLE_KEY);
        let pair = pair(file, &settings.algorithms, check).map_err(|(message, help)| wrong(message).help(help))?;
        if pairs.iter().any(|other| other.public.common.key_id == pair.public.common.key_id) {
            return Err(wrong(format!("{file} contains the same key as an earlier file")).help("remove one of them"));
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

/// The key in `file`, or what is wrong and what to do.
fn pair(file: &NamedFile, algorithms: &[Algorithm], check: &CheckContext<'_>) -> Result<Pair, (String, String)> {
    let content = check.read(file).map_err(|why| (why, "create it with `openssl genpkey`".to_owned()))?;
    let unfit = |algorithm: Algorithm| {
        let generate = match algorithm.library().family() {
            Family::Rsa => "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            Family::Ed => "openssl genpkey -algorithm ed25519",
            _ if algorithm == Algorithm::ES384 => "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
            _ => "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        };
        let help = format!("use a PEM file that starts with `-----BEGIN PRIVATE KEY-----`: `{generate}`");
        (format!("{file} does not contain a private key for {:?}", algorithm.library()), help)
    };
    let Some(&first) = algorithms.first() else { return Err((String::new(), String::new())) };
    let fit = |algorithm: Algorithm| {
        let library = algorithm.library();
        let private = match library.family() {
            Family::Rsa => EncodingKey::from_rsa_pem(&content),
            Family::Ec => EncodingKey::from_ec_pem(&content),
            Family::Ed => EncodingKey::from_ed_pem(&content),
            Family::Hmac => return None,
        };
        let private = private.ok()?;
        let mut public = Jwk::from_encoding_key(&private, library).ok()?;
        public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256).ok()?);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        // A key that cannot sign, or that is too weak to verify with, must not be the first error of a user.
        encode(&Header::new(library), &json!({}), &private).ok()?;
        Some(Pair { private, public, algorithm: library })
    };
    algorithms.iter().find_map(|algorithm| fit(*algorithm)).ok_or_else(|| unfit(first))
}
