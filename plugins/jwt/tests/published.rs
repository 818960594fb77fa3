//! Key sets from files and from issuers that are up, down, or attacked.

use super::*;
use crate::jwt::key_set::KeySet;
use crate::jwt::measure::Measures;
use crate::jwt::published;
use crate::jwt::source::Source;
use bytes::Bytes;
use gatewright_sdk::testing::install_needing;
use gatewright_sdk::{FetchError, Fetching, Needs};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub(super) fn signed_by_one(header: Value, claims: &Value) -> String {
    let mut written: jsonwebtoken::Header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    written.kid = header.as_str().map(str::to_owned);
    let key = EncodingKey::from_ec_pem(include_bytes!("../fixtures/p256.key.pem")).unwrap();
    jsonwebtoken::encode(&written, claims, &key).unwrap()
}

#[tokio::test]
async fn a_token_names_its_key_in_a_set_from_a_file() {
    let settings = json!({
        "issuer": "iss", "audiences": ["api"], "algorithms": ["ES256", "RS256"], "jwks": { "file": "jwt/fixtures/jwks.json" },
    });
    let door = door(settings);
    for (kid, status, reason) in [
        (json!("one"), 200, ""),
        (json!(null), 200, ""),
        (json!("two"), 401, "unknown_key"),
        (json!("three"), 401, "unknown_key"),
    ] {
        let response = ask(&door, &signed_by_one(kid.clone(), &claims())).await;
        let refusal = response.extensions().get::<Refusal>().map(|refusal| refusal.reason.to_string());
        assert_eq!((response.status().as_u16(), refusal.unwrap_or_default()), (status, reason.to_owned()), "{kid}");
    }
    // Signed with a secret that is public in the set.
    assert_eq!(ask(&door, &token(&claims())).await.status(), 401);
}

/// An issuer that publishes given keys, or nothing.
#[derive(Default)]
struct Issuer {
    publishes: Mutex<Option<&'static [u8]>>,
    fetches: AtomicUsize,
}

impl Services for Issuer {
    fn fetch(&self, _: http::Request<Bytes>, _: usize) -> Fetching {
        self.fetches.fetch_add(1, Relaxed);
        let keys = *self.publishes.lock();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            keys.map(|keys| http::Response::new(Bytes::from_static(keys))).ok_or(FetchError("it is down".to_owned()))
        })
    }
}

pub(super) const KEYS: &[u8] = include_bytes!("../fixtures/jwks.json");

#[tokio::test(start_paused = true)]
async fn published_keys_are_awaited_refreshed_and_expire() {
    let issuer = Arc::new(Issuer::default());
    let (keep, services): (_, Arc<dyn Services>) = (Keep::default(), issuer.clone());
    let settings = json!({
        "issuer": "iss", "audiences": ["api"], "algorithms": ["ES256"],
        "jwks": { "url": "https://idp.example/jwks.json", "refresh": "10m", "stale": "1h" },
    });
    let compiled = compile::<Jwt>(settings, false);
    assert_eq!(compiled.faults, []);
    let needs = Needs::default();
    let door = install_needing(&compiled, "login", &keep, &services, &needs, answers(|_| "in"));
    let (good, stranger) = (signed_by_one(json!("one"), &claims()), signed_by_one(json!("x"), &claims()));
    let status = async |token: &str| ask(&door, token).await.status().as_u16();
    let fetches = || issuer.fetches.load(Relaxed);
    assert_eq!(status(&good).await, 503, "a configuration that does not serve fetches nothing");
    assert_eq!(fetches(), 0);
    keep.begin(&services);
    assert_eq!(status(&good).await, 503, "the issuer is down");
    assert_eq!(needs.missing(), [("login".to_owned(), "no_keys")]);
    *issuer.publishes.lock() = Some(KEYS);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(status(&good).await, 200, "it was asked again soon");
    assert_eq!(needs.missing(), []);
    let before = fetches();
    for _ in 0..1000 {
        assert_eq!(status(&stranger).await, 401);
    }
    assert!(fetches() <= before + 1, "strangers make us ask once in a while only");
    tokio::time::sleep(Duration::from_secs(31)).await;
    let before = fetches();
    let waiting = (0..50).map(|_| ask(&door, &stranger));
    let refused = futures_util::future::join_all(waiting).await;
    assert!(refused.iter().all(|response| response.status() == 401));
    assert_eq!(fetches(), before + 1, "those that wait, wait for one fetch");
    for worthless in [None, Some(&b"{\"keys\": []}"[..]), Some(b"<html>")] {
        *issuer.publishes.lock() = worthless;
        tokio::time::sleep(Duration::from_secs(15 * 60)).await;
        assert_eq!(status(&good).await, 200, "good keys are not replaced by {worthless:?}");
    }
    tokio::time::sleep(Duration::from_secs(20 * 60)).await;
    assert_eq!(status(&good).await, 503, "but an hour after the last good ones they are too old");
    assert_eq!(needs.missing().len(), 1);
    *issuer.publishes.lock() = Some(KEYS);
    tokio::time::sleep(Duration::from_secs(11 * 60)).await;
    assert_eq!(status(&good).await, 200);
    drop((door, compiled, needs));
    assert!(keep.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_edit_reinterprets_known_keys_while_the_issuer_is_down() {
    let issuer = Arc::new(Issuer::default());
    let (keep, services): (_, Arc<dyn Services>) = (Keep::default(), issuer.clone());
    let installed = |jwks: Value, algorithms: Value| {
        let settings = json!({ "issuer": "iss", "audiences": ["api"], "algorithms": algorithms, "jwks": jwks });
        install_act(&compile::<Jwt>(settings, false), "login", &keep, &services, answers(|_| "in"))
    };
    let url = "https://idp.example/jwks.json";
    *issuer.publishes.lock() = Some(KEYS);
    let before = installed(json!({ "url": url, "stale": "1h" }), json!(["ES256"]));
    keep.begin(&services);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let good = signed_by_one(json!("one"), &claims());
    assert_eq!(ask(&before, &good).await.status(), 200);
    *issuer.publishes.lock() = None;
    let after = installed(json!({ "url": url, "stale": "1h", "refresh": "1m" }), json!(["ES256", "RS256"]));
    keep.begin(&services);
    drop(before);
    tokio::time::sleep(Duration::from_secs(50 * 60)).await;
    assert_eq!(ask(&after, &good).await.status(), 200);
    tokio::time::sleep(Duration::from_secs(20 * 60)).await;
    assert_eq!(ask(&after, &good).await.status(), 503, "an edit makes no key younger");
}

#[test]
fn an_unusable_key_is_skipped_and_a_private_one_is_rejected() {
    let verifier = verifier(Duration::ZERO);
    let with = |name: &str, value: &str| {
        let mut set: Value = serde_json::from_slice(KEYS).unwrap();
        set["keys"][0][name] = json!(value);
        set.to_string()
    };
    for (name, value) in [("x", "AAAA"), ("y", "!"), ("crv", "P-384"), ("use", "enc"), ("alg", "ES384")] {
        let read = KeySet::read(with(name, value).as_bytes(), &[Algorithm::ES256], &verifier);
        assert!(read.is_err_and(|why| why.ends_with("keys, but none for ES256")), "{name}");
    }
    assert!(KeySet::read(KEYS, &[Algorithm::ES256], &verifier).is_ok() && !KeySet::has_private(KEYS));
    assert!(KeySet::has_private(with("d", "AAAA").as_bytes()));
}

#[test]
fn unchanged_keys_keep_cached_tokens() {
    let published = Published::new(published::Settings {
        source: Source::keys("https://idp.example/jwks.json", false).unwrap(),
        refresh: Duration::from_secs(600),
        stale: Duration::from_secs(3600),
        algorithms: vec![Algorithm::ES256],
        verifier: Arc::new(verifier(Duration::ZERO)),
        last: Arc::default(),
        measures: Measures::new("login", "iss"),
    });
    let other = String::from_utf8_lossy(KEYS).replace("\"one\"", "\"two\"");
    let versions = [KEYS, KEYS, other.as_bytes()].map(|keys| {
        published.take(&Bytes::copy_from_slice(keys)).unwrap();
        published.version()
    });
    assert_eq!(versions, [1, 1, 2]);
}
