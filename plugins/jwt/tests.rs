//! Tokens from honest clients and from attackers.

mod issuers;
mod published;
mod remembered;
mod signing;
mod wycheproof;

use super::*;
use gatewright_sdk::testing::{Nothing, answers, bytes, compile, faults, header, install, install_act, request};
use gatewright_sdk::{Facts, HttpService, Keep, Refusal, Request, Response, Services};
use http::header::AUTHORIZATION;
use jsonwebtoken::{EncodingKey, crypto::sign, get_current_timestamp};
use serde_json::{Value, json};

const SECRET: &str = "k7Qm2vXr9TfB4nLs8WdZ1pYc6HgJ3eRu";

fn settings() -> Value {
    json!({ "issuer": "iss", "audiences": ["api", "web"], "algorithms": ["HS256"], "secret": SECRET })
}

fn claims() -> Value {
    json!({ "sub": "u1", "exp": get_current_timestamp() + 300, "iss": "iss", "aud": "api" })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn with_algorithms(settings: Value, algorithms: Value) -> Value {
    with(settings, "algorithms", algorithms)
}

/// The rules of `settings`, with this leeway.
fn verifier(leeway: Duration) -> Verifier {
    let settings = without(without(settings(), "algorithms"), "secret");
    Verifier::new(&serde_json::from_value(settings).unwrap(), leeway, &[])
}

/// Base64url without padding.
fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let number = piece.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)) << (8 * (3 - piece.len()));
        for digit in 0..=piece.len() {
            text.push(char::from(DIGITS[number >> (18 - 6 * digit) & 63]));
        }
    }
    text
}

/// A token with exactly these texts, signed with the right secret.
fn raw(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn token(claims: &Value) -> String {
    raw(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string())
}

/// A protected target that returns the subject.
fn door(settings: Value) -> HttpService {
    let who = |request: Request| {
        let facts = Facts::of(&request);
        let hidden = request.headers().get(AUTHORIZATION).is_none_or(http::HeaderValue::is_sensitive);
        assert!(hidden, "the token cannot be printed by accident");
        facts.identity.as_ref().map_or("nobody".to_owned(), |identity| identity.subject.clone())
    };
    install::<Jwt>(settings, answers(who))
}

async fn ask(door: &HttpService, token: &str) -> Response {
    door.call(request("GET", &[("authorization", &format!("Bearer {token}"))])).await
}

fn why(response: &Response) -> String {
    response.extensions().get::<Refusal>().map_or(String::new(), |refusal| refusal.reason.to_string())
}

#[tokio::test]
async fn a_valid_token_proves_the_identity() {
    let door = door(settings());
    let all = claims();
    for (what, claims) in [
        ("plain", all.clone()),
        ("again, from memory", all.clone()),
        ("several audiences", with(all.clone(), "aud", json!(["x", "web"]))),
        ("expired within the leeway", with(all.clone(), "exp", json!(get_current_timestamp() - 20))),
        ("a fraction", with(all.clone(), "exp", json!(9_999_999_999.5))),
        ("issued now", with(with(all.clone(), "iat", json!(get_current_timestamp())), "nbf", json!(0))),
    ] {
        let response = ask(&door, &token(&claims)).await;
        assert_eq!(bytes(response).await, b"u1", "{what}");
    }
    for kind in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","typ":"at+JWT"}"#, r#"{"alg":"HS256","kid":"../../x"}"#] {
        assert_eq!(ask(&door, &raw(kind, &all.to_string())).await.status(), 200, "{kind}");
    }
    for scheme in ["bearer", "BEARER", "Bearer  "] {
        let value = format!("{scheme} {}", token(&all));
        assert_eq!(door.call(request("GET", &[("authorization", &value)])).await.status(), 200, "{scheme}");
    }
}

#[tokio::test]
async fn claims_are_read_literally_whatever_their_names() {
    let role = |request: Request| {
        let identity = Facts::of(&request).identity.clone().unwrap();
        identity.claims["role"].to_string()
    };
    let door = install::<Jwt>(settings(), answers(role));
    for name in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
        let written = json!({ name: "1" });
        for role in [written.clone(), json!([written.clone(), { "a": written.clone() }]), json!(1.5), Value::Null] {
            let response = ask(&door, &token(&with(claims(), "role", role.clone()))).await;
            assert_eq!(bytes(response).await, role.to_string().as_bytes());
        }
    }
    let payload = with(claims(), "role", json!("x")).to_string();
    for twice in [r#"{"a":1,"a":1}"#, r#"[{"a":1,"\u0061":2}]"#] {
        let token = raw(r#"{"alg":"HS256"}"#, &payload.replace(r#""x""#, twice));
        assert_eq!(why(&ask(&door, &token).await), "malformed", "{twice}");
    }
}

#[tokio::test]
async fn every_failure_gets_the_same_response_and_only_the_operator_sees_why() {
    let door = door(with(settings(), "required_claims", json!(["tenant"])));
    let all = with(claims(), "tenant", json!("t"));
    assert_eq!(ask(&door, &token(&all)).await.status(), 200, "the pattern for all that follows");
    let now = get_current_timestamp();
    let (good, text) = (token(&all), all.to_string());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let hs = r#"{"alg":"HS256"}"#;
    let mut cases = vec![
        (String::new(), "malformed"),
        ("a.b".into(), "malformed"),
        ("a.b.c.d.e".into(), "malformed"),
        ("a".repeat(8193), "too_long"),
        (format!("{message}."), "bad_signature"),
        (format!("{message}.{flipped}{}", &signature[1..]), "bad_signature"),
        (format!("{good}="), "malformed"),
        (format!("{}.{signature}", raw(hs, "{}").rsplit_once('.').unwrap().0), "bad_signature"),
        (raw(r#"{"alg":"none"}"#, &text), "malformed"),
        (raw(r#"{"alg":"hs256"}"#, &text), "malformed"),
        (raw(r#"{"alg":"HS256 "}"#, &text), "malformed"),
        (raw(r#"{"typ":"JWT"}"#, &text), "malformed"),
        (raw(r#"{"alg":"HS512"}"#, &text), "algorithm"),
        (raw(r#"{"alg":"RS256"}"#, &text), "algorithm"),
        (raw(r#"{"alg":"HS256","alg":"none"}"#, &text), "malformed"),
        (raw(r#"{"alg":"HS256","crit":["exp"]}"#, &text), "critical_header"),
        (raw(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, &text), "critical_header"),
        (raw(r#"{"alg":"HS256","b64":false}"#, &text), "critical_header"),
        (raw(r#"{"alg":"HS256","zip":"DEF"}"#, &text), "encrypted_or_packed"),
        (raw(r#"{"alg":"HS256","typ":"logout+jwt"}"#, &text), "type"),
        (raw(r#"{"alg":"HS256","kid":["a"]}"#, &text), "malformed"),
        (raw(hs, &text.replacen('{', r#"{"sub":"admin","#, 1)), "malformed"),
        (raw(hs, &format!("{}{}", "[".repeat(3000), "]".repeat(3000))), "malformed"),
        (raw(hs, "null"), "malformed"),
    ];
    for (name, value, reason) in [
        ("exp", json!(now - 31), "expired"),
        ("exp", json!("9999999999"), "malformed"),
        ("exp", json!("NaN"), "malformed"),
        ("exp", json!(1e300), "malformed"),
        ("exp", json!(1e18), "malformed"),
        ("exp", json!(u64::MAX), "malformed"),
        ("exp", json!(-1), "expired"),
        ("exp", json!(-1e300), "expired"),
        ("exp", json!(i64::MIN), "expired"),
        ("exp", json!(0), "expired"),
        ("exp", json!(null), "claim_missing"),
        ("exp", json!([9_999_999_999_u64]), "malformed"),
        ("exp", json!({}), "malformed"),
        ("exp", json!(true), "malformed"),
        ("nbf", json!(now + 60), "not_yet_valid"),
        ("nbf", json!("0"), "malformed"),
        ("iat", json!(now + 6000), "issued_in_the_future"),
        ("iat", json!("0"), "malformed"),
        ("aud", json!([]), "audience"),
        ("aud", json!("other"), "audience"),
        ("aud", json!(7), "claim_missing"),
        ("iss", json!("iss/"), "issuer"),
        ("iss", json!(["iss"]), "issuer"),
        ("sub", json!(""), "subject"),
        ("sub", json!(1), "claim_missing"),
        ("tenant", json!(null), "claim_missing"),
    ] {
        cases.push((token(&with(all.clone(), name, value)), reason));
    }
    for name in ["exp", "aud", "iss", "sub", "tenant"] {
        cases.push((token(&without(all.clone(), name)), "claim_missing"));
    }
    let expected = (r#"{"error":"unauthorized","message":"Unauthorized"}"#, "Bearer error=\"invalid_token\"");
    for (token, reason) in cases {
        let response = ask(&door, &token).await;
        assert_eq!((response.status().as_u16(), &*why(&response)), (401, reason), "{token}");
        assert_eq!(header(&response, "www-authenticate"), expected.1);
        assert_eq!(bytes(response).await, expected.0.as_bytes());
    }
}

#[test]
fn times_are_compared_to_the_second_and_a_second_begun_counts() {
    const T: u64 = 1_700_000_000;
    let judge = |leeway: &str, claim: &str, value: &str, now: u64| {
        let verifier = verifier(leeway.parse::<HumanDuration>().unwrap().get());
        let key = verifier.key(jsonwebtoken::DecodingKey::from_secret(SECRET.as_bytes()), [Algorithm::HS256]);
        let rest = if claim == "exp" { "" } else { r#""exp":9999999999,"# };
        let payload = format!(r#"{{{rest}"{claim}":{value},"iss":"iss","aud":"api","sub":"u1"}}"#);
        let proof = verifier.verify(&key, raw(r#"{"alg":"HS256"}"#, &payload).as_bytes(), now)?;
        assert!(proof.holds(now), "what is remembered holds as well: {claim} {value} at {now}");
        Ok(())
    };
    for (claim, value, now, expected) in [
        ("iat", "1700000000.7", T, Ok(())),
        ("iat", "1700000000.7", T - 1, Err("issued_in_the_future")),
        ("iat", "1700000000", T, Ok(())),
        ("nbf", "1700000000.999", T, Ok(())),
        ("nbf", "1700000000.0", T - 1, Err("not_yet_valid")),
        ("exp", "1700000000.2", T, Ok(())),
        ("exp", "1700000000.2", T + 1, Err("expired")),
        ("exp", "1700000000", T - 1, Ok(())),
        ("exp", "1700000000", T, Err("expired")),
        ("exp", "1.7000000005e9", T, Ok(())),
        ("nbf", "-1", T, Ok(())),
        ("iat", "-0.5", T, Ok(())),
        ("iat", "-1e300", T, Ok(())),
        ("nbf", "1e300", T, Err("malformed")),
        ("iat", "253402300800", T, Err("malformed")),
        ("iat", "18446744073709551616", T, Err("malformed")),
        ("exp", "1e400", T, Err("malformed")),
        ("iat", "null", T, Err("malformed")),
    ] {
        assert_eq!(judge("0s", claim, value, now), expected, "{claim} {value} at {now}");
    }
    for (claim, value, now, expected) in [
        ("exp", "1700000000", T + 1, Ok(())),
        ("exp", "1700000000", T + 2, Err("expired")),
        ("iat", "1700000000", T - 2, Ok(())),
        ("iat", "1700000000", T - 3, Err("issued_in_the_future")),
        ("nbf", "1700000000", T - 2, Ok(())),
    ] {
        assert_eq!(judge("1500ms", claim, value, now), expected, "{claim} {value} at {now}, leeway rounded up");
    }
}

#[tokio::test]
async fn without_a_token_the_setting_decides() {
    let others = [vec![], vec![("authorization", "Basic dTpw")], vec![("authorization", "Bearerx y")]];
    for headers in others {
        let response = door(settings()).call(request("GET", &headers)).await;
        assert_eq!((response.status().as_u16(), header(&response, "www-authenticate")), (401, "Bearer".into()));
        assert_eq!(why(&response), "missing");
    }
    let open = door(with(settings(), "on_missing", json!("continue")));
    assert_eq!(bytes(open.call(request("GET", &[])).await).await, b"nobody");
    assert_eq!(ask(&open, "a.b.c").await.status(), 401, "a token that does not hold is refused");
    assert_eq!(ask(&open, "").await.status(), 401);
    let twice = [("authorization", "Bearer a"), ("authorization", "Bearer a")];
    assert_eq!(open.call(request("GET", &twice)).await.status(), 400);
}

#[tokio::test]
async fn a_public_key_verifies_what_its_private_half_signed() {
    let settings = json!({
        "issuer": "iss", "audiences": ["api"], "algorithms": ["ES256"], "public_key_file": "jwt/fixtures/p256.pub.pem",
    });
    let key = EncodingKey::from_ec_pem(include_bytes!("fixtures/p256.key.pem")).unwrap();
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    let door = door(settings);
    let good = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
    assert_eq!(bytes(ask(&door, &good).await).await, b"u1");
    // The public key as an HMAC secret: a classic attack.
    let public = include_str!("fixtures/p256.pub.pem");
    let confused = EncodingKey::from_secret(public.as_bytes());
    let confused = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims(), &confused).unwrap();
    assert_eq!(why(&ask(&door, &confused).await), "algorithm");
}

#[test]
fn unsuitable_settings_are_faults_that_never_show_the_secret() {
    let with = |key: &str, value: Value| with(settings(), key, value);
    let public = |algorithms: Value, file: &str| json!({ "issuer": "iss", "audiences": ["api"], "algorithms": algorithms, "public_key_file": file });
    let jwks = |algorithm: &str, jwks: Value| json!({ "issuer": "iss", "audiences": ["api"], "algorithms": [algorithm], "jwks": jwks });
    let fixture = |name: &str| format!("jwt/fixtures/{name}");
    for (settings, start) in [
        (without(settings(), "issuer"), "`issuer` is required"),
        (without(settings(), "audiences"), "missing field `audiences`"),
        (without(settings(), "secret"), "no verification key"),
        (with("issuer", json!("")), "issuer: "),
        (with("audiences", json!([])), "audiences: "),
        (with("audiences", json!(["api", ""])), "audiences: "),
        (with("leeway", json!("11m")), "leeway: "),
        (with("on_missing", json!("ignore")), "on_missing: "),
        (with("algorithms", json!([])), "algorithms: "),
        (with("algorithms", json!(["none"])), "algorithms[0]: "),
        (with("algorithms", json!(["HS256", "RS256"])), "algorithms: "),
        (with("algorithms", json!(["RS256"])), "secret: "),
        (with("algorithms", json!(["HS512"])), "secret: secret is too short: 32 bytes, at least 64"),
        (with("secret", json!("")), "secret: secret is too short"),
        (with("secret", json!("hush-hush-7")), "secret: secret is too short"),
        (with("secret", json!(1_234_567)), "secret: not a string"),
        (with("secrte", json!(1)), "secrte: unknown field `secrte`"),
        (with("public_key_file", json!("x.pem")), "more than one verification key is set"),
        (public(json!(["HS256"]), "x.pem"), "public_key_file: "),
        (public(json!(["RS256"]), "nowhere.pem"), "public_key_file: cannot read"),
        (public(json!(["RS256"]), "jwt"), "public_key_file: cannot read"),
        (public(json!(["RS256"]), "jwt.rs"), "public_key_file: "),
        (public(json!(["RS256"]), &fixture("p256.pub.pem")), "public_key_file: "),
        (public(json!(["ES256"]), &fixture("rsa2048.pub.pem")), "public_key_file: "),
        (public(json!(["ES384"]), &fixture("p256.pub.pem")), "public_key_file: "),
        (public(json!(["EdDSA"]), &fixture("p256.pub.pem")), "public_key_file: "),
        (public(json!(["RS256"]), &fixture("rsa1024.pub.pem")), "public_key_file: "),
        (public(json!(["ES256"]), &fixture("p256.key.pem")), "public_key_file: "),
        (jwks("HS256", json!({ "url": "https://a.b/k" })), "jwks: HS256 uses a secret"),
        (with("jwks", json!({ "url": "https://a.b/k" })), "more than one verification key is set"),
        (jwks("RS256", json!({ "refresh": "10m" })), "jwks: one of `url`, `file` and `discovery` is required"),
        (
            jwks("RS256", json!({ "url": "https://a.b/k", "file": "k.json" })),
            "jwks: more than one of `url`, `file` and `discovery` is set",
        ),
        (jwks("RS256", json!({ "url": "https://a.b/k", "refresh": "0s" })), "jwks.refresh: "),
        (jwks("RS256", json!({ "url": "https://a.b/k", "refresh": "2h", "stale": "1h" })), "jwks.stale: "),
        (jwks("RS256", json!({ "url": "https://u:p@a.b/k" })), "jwks.url: "),
        (jwks("RS256", json!({ "url": "https://169.254.169.254/k" })), "jwks.url: the URL names a link-local address"),
        (jwks("RS256", json!({ "discovery": true })), "jwks.discovery: discovery requires an `issuer`"),
        (jwks("RS256", json!({ "discovery": true, "file": "k" })), "jwks: more than one of"),
        (jwks("RS256", json!({ "file": "nowhere.json" })), "jwks.file: cannot read nowhere.json"),
        (jwks("RS256", json!({ "file": "jwt.rs" })), "jwks.file: jwt.rs is not a valid key set"),
        (
            jwks("RS256", json!({ "file": "jwt/fixtures/jwks.json" })),
            "jwks.file: jwt/fixtures/jwks.json has 4 keys, but none for RS256",
        ),
    ] {
        let found = faults::<Jwt>(settings.clone(), false);
        assert!(found.len() == 1 && found[0].starts_with(start), "{settings}: {found:?}");
        assert!(!found[0].contains("hush") && !found[0].contains("1234567") && !found[0].contains(SECRET));
    }
    for url in ["http://idp.example/k", "file:///etc/passwd", "https://", "k", "http://127.0.0.1.evil.example/k", ""] {
        let found = faults::<Jwt>(jwks("RS256", json!({ "url": url })), false);
        assert!(found[0].starts_with("jwks.url: "), "{url}: {found:?}");
    }
    let published = json!({ "url": "https://a.b/k" });
    let mixed = |algorithms| faults::<Jwt>(with_algorithms(jwks("RS256", published.clone()), algorithms), false);
    assert_eq!(mixed(json!(["RS256", "ES256", "EdDSA"])), [""; 0]);
    assert!(mixed(json!(["RS256", "HS256"]))[0].starts_with("algorithms: "));
    assert_eq!(faults::<Jwt>(jwks("RS256", json!({ "url": "http://[::1]:1/k" })), true), [""; 0]);
    for algorithms in [json!(["RS256", "PS512"]), json!(["PS256"])] {
        assert!(faults::<Jwt>(public(algorithms, &fixture("rsa2048.pub.pem")), true).is_empty());
    }
}

#[test]
fn well_known_secrets_warn_and_production_rejects_them() {
    for (secret, known) in [
        ("changemechangemechangemechangeme", true),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true),
        ("your-256-bit-secret-your-256-bit-secret", true),
        ("a-string-secret-at-least-256-bits-long", true),
        ("your-super-secret-jwt-token-with-at-least-32-characters-long", true),
        ("development-only-secret-do-not-use-in-production", true),
        ("0123456789abcdef0123456789abcdef", true),
        (SECRET, false),
        ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", false),
    ] {
        let settings = with(settings(), "secret", json!(secret));
        let production = faults::<Jwt>(settings.clone(), true);
        let warned = compile::<Jwt>(settings.clone(), false).warnings;
        assert!(compile::<Jwt>(settings.clone(), true).warnings.is_empty());
        assert!(faults::<Jwt>(settings, false).is_empty(), "{secret}");
        assert_eq!((production.len(), warned.len()), (usize::from(known), usize::from(known)), "{secret}");
        assert!(production.iter().all(|fault| fault.starts_with("secret: ") && !fault.contains(secret)));
    }
}
