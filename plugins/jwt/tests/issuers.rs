//! Several issuers in one plugin, and issuers whose metadata names the address of their keys.

use super::published::{KEYS, signed_by_one};
use super::*;
use bytes::Bytes;
use gatewright_sdk::{FetchError, Fetching, RemoteOnly};
use parking_lot::Mutex;
use std::collections::HashMap;

fn two() -> Value {
    json!({
        "audiences": ["api"], "algorithms": ["ES256"],
        "issuers": [
            { "issuer": "own", "algorithms": ["HS256"], "secret": SECRET },
            { "issuer": "idp", "jwks": { "file": "jwt/fixtures/jwks.json" }, "audiences": ["web"] },
        ],
    })
}

#[tokio::test]
async fn each_issuer_has_its_own_keys_algorithms_and_audiences() {
    let door = door(two());
    let of = |issuer: Value, audience: &str| with(with(claims(), "iss", issuer), "aud", json!(audience));
    let one = |claims: Value| signed_by_one(json!("one"), &claims);
    for (token, expected) in [
        (token(&of(json!("own"), "api")), ""),
        (token(&of(json!("own"), "api")), ""),
        (one(of(json!("idp"), "web")), ""),
        (token(&of(json!("own"), "web")), "audience"),
        (one(of(json!("idp"), "api")), "audience"),
        // The key of the other issuer.
        (one(of(json!("own"), "api")), "algorithm"),
        (token(&of(json!("idp"), "web")), "unknown_key"),
        (token(&of(json!("other"), "api")), "issuer"),
        (token(&of(json!(["own"]), "api")), "issuer"),
        (token(&of(Value::Null, "api")), "claim_missing"),
        (token(&without(claims(), "iss")), "claim_missing"),
        (raw(r#"{"alg":"HS256"}"#, r#"{"iss":"own","iss":"idp"}"#), "malformed"),
        ("a".to_owned(), "malformed"),
        ("a.!.c".to_owned(), "malformed"),
    ] {
        let response = ask(&door, &token).await;
        let status = if expected.is_empty() { 200 } else { 401 };
        assert_eq!((response.status().as_u16(), &*why(&response)), (status, expected), "{token}");
    }
}

#[test]
fn faults_name_the_issuer_they_belong_to() {
    let second = |name: &str, value: Value| {
        let mut settings = two();
        settings["issuers"][1][name] = value;
        settings
    };
    for (settings, start) in [
        (with(two(), "issuers", json!([])), "`issuer` is required"),
        (with(two(), "issuer", json!("x")), "issuers: `issuer` and `issuers` are both set"),
        (with(two(), "secret", json!(SECRET)), "issuers: a key outside of `issuers` belongs to none of them"),
        (with(two(), "algorithms", json!([])), "algorithms: "),
        (with(two(), "audiences", json!([])), "audiences: "),
        (second("issuer", json!("own")), "issuers[1].issuer: this issuer is already listed"),
        (second("issuer", json!("")), "issuers[1].issuer: `issuer` is empty"),
        (second("audiences", json!([""])), "issuers[1].audiences: "),
        (second("algorithms", json!(["HS256"])), "issuers[1].jwks: HS256 uses a secret"),
        (second("jwks", Value::Null), "issuers[1]: no verification key is set"),
        (second("jwks", json!({ "file": "nowhere" })), "issuers[1].jwks.file: cannot read nowhere"),
        (second("jwks", json!({ "url": "https://a.b", "refresh": "0s" })), "issuers[1].jwks.refresh: "),
        (second("leeway", json!("1s")), "issuers[1].leeway: unknown field"),
    ] {
        let mut found = faults::<Jwt>(settings.clone(), false);
        // `issuer` without a key of its own is a second fault.
        found.retain(|fault| fault != "no verification key is set");
        assert!(found.len() == 1 && found[0].starts_with(start), "{settings}: {found:?}");
    }
    let mut famous = two();
    famous["issuers"][0]["secret"] = json!("changemechangemechangemechangeme");
    assert!(faults::<Jwt>(famous.clone(), true)[0].starts_with("issuers[0].secret: "));
    assert_eq!(compile::<Jwt>(famous, false).warnings.len(), 1);
}

/// What is published at each URL, and which URLs were fetched.
#[derive(Default)]
struct Web {
    pages: Mutex<HashMap<String, Vec<u8>>>,
    log: Mutex<Vec<String>>,
}

impl Web {
    fn publish(&self, url: &str, content: impl Into<Vec<u8>>) {
        self.pages.lock().insert(url.to_owned(), content.into());
    }

    fn withdraw(&self, url: &str) {
        self.pages.lock().remove(url);
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock())
    }
}

impl Services for Web {
    fn fetch(&self, request: http::Request<Bytes>, _: usize) -> Fetching {
        let url = request.uri().to_string();
        assert!(request.extensions().get::<RemoteOnly>().is_some(), "{url} is not on this machine");
        let page = self.pages.lock().get(&url).cloned();
        self.log.lock().push(url);
        Box::pin(
            async move { page.map(|page| http::Response::new(page.into())).ok_or(FetchError("it is down".to_owned())) },
        )
    }
}

const METADATA: &str = "https://idp.example/realm/.well-known/openid-configuration";

fn metadata(issuer: &str, keys: &str) -> String {
    json!({ "issuer": issuer, "jwks_uri": keys, "response_types_supported": ["code"] }).to_string()
}

#[tokio::test(start_paused = true)]
async fn the_metadata_of_the_issuer_names_the_url_of_its_keys() {
    let web = Arc::new(Web::default());
    let (keep, services): (_, Arc<dyn Services>) = (Keep::default(), web.clone());
    let issuer = "https://idp.example/realm/";
    let settings = json!({
        "issuer": issuer, "audiences": ["api"], "algorithms": ["ES256"], "jwks": { "discovery": true, "refresh": "10m" },
    });
    let door = install_act(&compile::<Jwt>(settings, false), "login", &keep, &services, answers(|_| "in"));
    keep.begin(&services);
    let good = signed_by_one(json!("one"), &with(claims(), "iss", json!(issuer)));
    let status = async || ask(&door, &good).await.status().as_u16();
    let minutes = |minutes: u64| tokio::time::sleep(Duration::from_secs(60 * minutes));
    let (old, new) = ("https://keys.example/a", "https://keys.example/b");
    web.publish(old, KEYS);
    web.publish(new, KEYS);
    for wrong in [
        metadata("https://idp.example/realm", old),
        metadata(issuer, "http://keys.example/a"),
        metadata(issuer, "https://169.254.169.254/a"),
        metadata(issuer, "https://u:p@keys.example/a"),
        "<html>".to_owned(),
    ] {
        web.publish(METADATA, wrong.clone());
        minutes(20).await;
        assert_eq!(status().await, 503, "{wrong}");
        assert!(web.log().iter().all(|url| url == METADATA), "{wrong}");
    }
    web.publish(METADATA, metadata(issuer, old));
    minutes(20).await;
    assert_eq!(status().await, 200);
    web.log();
    minutes(30).await;
    assert_eq!(web.log(), [old, old, old], "the metadata is read once in an hour");
    web.publish(METADATA, metadata(issuer, new));
    web.withdraw(old);
    minutes(20).await;
    assert_eq!(web.log().last().map(String::as_str), Some(new), "a failed fetch reads it again");
    web.withdraw(METADATA);
    web.log();
    minutes(300).await;
    let log = web.log();
    assert!(log.iter().any(|url| url == METADATA) && log.last().is_some_and(|url| url == new), "{log:?}");
    assert_eq!(status().await, 200, "the known URL is used while the metadata is missing");
}
