//! Keys with which this gateway signs tokens itself.

use super::*;

/// Settings with this algorithm and these private keys, below `plugins/jwt/fixtures`.
fn signing(algorithm: &str, files: &[&str]) -> Value {
    let files: Vec<String> = files.iter().map(|file| format!("jwt/fixtures/{file}")).collect();
    json!({ "issuer": "iss", "audiences": ["api"], "algorithms": [algorithm], "private_key_files": files })
}

fn said(settings: Value) -> String {
    faults::<Jwt>(settings, false).join("\n")
}

#[tokio::test]
async fn a_plugin_accepts_what_it_signs_and_nothing_that_is_changed() {
    for settings in [settings(), signing("ES256", &["p256.key.pem"])] {
        let signer = compile::<Jwt>(settings.clone(), false).signer.expect("it can sign");
        let claims = json!({ "sub": "u1", "exp": get_current_timestamp() + 60, "iss": "other", "aud": "other" });
        let token = signer.sign(claims.as_object().unwrap()).unwrap();
        let door = door(settings);
        assert_eq!(ask(&door, &token).await.status(), 200);
        let (start, end) = token.rsplit_once('.').unwrap();
        assert_eq!(ask(&door, &format!("{start}.A{end}")).await.status(), 401);
    }
}

#[test]
fn only_the_holder_of_a_private_key_or_a_secret_can_sign() {
    let public = json!({ "issuer": "iss", "audiences": ["api"], "algorithms": ["ES256"], "public_key_file": "jwt/fixtures/p256.pub.pem" });
    assert!(compile::<Jwt>(public, false).signer.is_none());
    let signer = compile::<Jwt>(settings(), false).signer.unwrap();
    assert_eq!(signer.public_keys(), &json!({ "keys": [] }), "a secret is not published");
    let signer = compile::<Jwt>(signing("ES256", &["p256.key.pem"]), false).signer.unwrap();
    let key = &signer.public_keys()["keys"][0];
    assert_eq!((&key["alg"], &key["use"], key.get("d")), (&json!("ES256"), &json!("sig"), None));
    assert_eq!(key["kid"].as_str().unwrap().len(), 43, "a thumbprint");
}

#[test]
fn keys_that_do_not_fit_are_rejected_with_a_way_out() {
    for (settings, expected) in [
        (signing("ES256", &["p256.pub.pem"]), "does not contain a private key for ES256"),
        (signing("RS256", &["p256.key.pem"]), "does not contain a private key for RS256"),
        (signing("ES384", &["p256.key.pem"]), "does not contain a private key for ES384"),
        (signing("EdDSA", &["p256.key.pem"]), "does not contain a private key for EdDSA"),
        (signing("HS256", &["p256.key.pem"]), "HS256 uses a secret, not a private key"),
        (signing("ES256", &["nothing.pem"]), "cannot read"),
        (signing("ES256", &["p256.key.pem", "p256.key.pem"]), "the same key as an earlier file"),
        (with(signing("ES256", &["p256.key.pem"]), "secret", json!(SECRET)), "more than one verification key is set"),
        (
            with(signing("ES256", &["p256.key.pem"]), "public_key_file", json!("jwt/fixtures/p256.pub.pem")),
            "more than one verification key is set",
        ),
    ] {
        let faults = said(settings);
        assert!(faults.contains(expected), "{expected}: {faults}");
    }
}
