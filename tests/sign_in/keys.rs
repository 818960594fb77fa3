//! Keys that sign tokens, and their rotation.

use super::{Session, Site, plain};
use crate::harness::Gateway;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use serde_json::Value;

fn curve() -> String {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem()
}

/// An Ed25519 key as OpenSSL writes it: version 1 of PKCS #8, without the public half.
fn edwards() -> String {
    let der = KeyPair::generate_for(&PKCS_ED25519).unwrap().serialize_der();
    let head = [0x30, 0x2e, 0x02, 0x01, 0x00];
    let bytes: Vec<u8> = head.into_iter().chain(der[5..48].iter().copied()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(bytes))
}

fn signed_by(algorithms: &str, files: &str) -> String {
    let keys = format!("algorithms: {algorithms}, private_key_files: {files}");
    plain().replace("algorithms: [HS256], secret: \"${env.JWT_SECRET}\"", &keys)
}

fn start(yaml: &str) -> Site {
    let (old, new, curve) = (edwards(), edwards(), curve());
    let yaml = format!("{}{yaml}", crate::harness::HEAD);
    Site(Gateway::start_in(&[("gateway.yaml", &yaml), ("old.pem", &old), ("new.pem", &new), ("curve.pem", &curve)]))
}

fn kid(session: &Session) -> String {
    decode_header(&session.access).unwrap().kid.unwrap()
}

#[test]
fn the_published_keys_verify_the_tokens_and_contain_nothing_private() {
    for (algorithm, file, expected) in
        [("[EdDSA]", "[old.pem]", Algorithm::EdDSA), ("[ES256]", "[curve.pem]", Algorithm::ES256)]
    {
        let site = start(&signed_by(algorithm, file));
        site.sign_up("ada@example.com");
        let session = site.log_in("ada@example.com");
        assert_eq!(site.me(&session.access), 200);
        let answer = site.0.get("/auth/jwks.json");
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("public, max-age=300")));
        for key in answer.json()["keys"].as_array().unwrap() {
            assert!(key.get("d").is_none() && key.get("k").is_none(), "{key}");
            assert_eq!(key["use"], "sig");
        }
        let keys: JwkSet = serde_json::from_str(&answer.body).unwrap();
        let mut rules = Validation::new(expected);
        rules.set_audience(&["api"]);
        rules.set_issuer(&["here"]);
        let key = DecodingKey::from_jwk(keys.find(&kid(&session)).unwrap()).unwrap();
        decode::<Value>(&session.access, &key, &rules).unwrap();
        let head = site.0.send("HEAD", "/auth/jwks.json", &[], "");
        assert_eq!((head.status, &*head.body), (200, ""));
        assert_eq!(head.header("content-length"), answer.header("content-length"));
    }
}

#[test]
fn keys_are_rotated_without_rejecting_a_valid_token() {
    let site = start(&signed_by("[EdDSA]", "[old.pem]"));
    site.sign_up("ada@example.com");
    let before = site.log_in("ada@example.com");
    let published = || {
        let keys = site.0.get("/auth/jwks.json").json();
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let reload = |files: &str| {
        let reloaded = site.0.reload(&signed_by("[EdDSA]", files));
        assert_eq!(reloaded.status, 200, "{reloaded:?}");
    };
    // Publish the new key, then sign with it, then drop the old one.
    reload("[old.pem, new.pem]");
    assert_eq!((published().len(), kid(&site.log_in("ada@example.com"))), (2, kid(&before)));
    reload("[new.pem, old.pem]");
    let after = site.log_in("ada@example.com");
    assert_ne!(kid(&after), kid(&before));
    assert_eq!((site.me(&before.access), site.me(&after.access)), (200, 200));
    reload("[new.pem]");
    assert_eq!((site.me(&before.access), site.me(&after.access)), (401, 200));
    assert_eq!(published(), [kid(&after)]);
    assert_eq!(site.refresh(&before).status, 200, "sessions are not bound to a key");
}

#[test]
fn the_algorithm_can_be_rotated_too_and_a_secret_is_never_published() {
    let site = start(&signed_by("[EdDSA, ES256]", "[curve.pem, old.pem]"));
    site.sign_up("ada@example.com");
    let session = site.log_in("ada@example.com");
    assert_eq!(decode_header(&session.access).unwrap().alg, Algorithm::ES256);
    assert_eq!(site.0.reload(&signed_by("[EdDSA, ES256]", "[old.pem, curve.pem]")).status, 200);
    let next = site.log_in("ada@example.com");
    assert_eq!(decode_header(&next.access).unwrap().alg, Algorithm::EdDSA);
    assert_eq!((site.me(&session.access), site.me(&next.access)), (200, 200));
    assert_eq!(site.0.reload(&plain()).status, 200);
    assert_eq!(site.0.get("/auth/jwks.json").body, r#"{"keys":[]}"#);
}
