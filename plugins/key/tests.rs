//! Tests of keys.

use super::*;
use gatewright_sdk::Identity;
use gatewright_sdk::testing::request;
use serde_json::json;
use std::sync::Arc;

fn by(key: Value, prefix: u8) -> By {
    By::new(serde_json::from_value(key).unwrap(), prefix)
}

fn named(key: Value, prefix: u8, request: &gatewright_sdk::Request) -> String {
    let by = by(key, prefix);
    by.name(&by.parts(request))
}

#[test]
fn a_name_shows_addresses_and_users_and_no_header() {
    let both = by(json!(["client.ip", "auth.subject", "header.x-api-key"]), 64);
    let mut asked = request("GET", &[("x-api-key", "hunter2")]);
    let facts = Facts::of_mut(&mut asked);
    facts.client.ip = "2001:db8::1".parse().unwrap();
    facts.identity = Some(Arc::new(Identity { subject: "alice".into(), ..Identity::default() }));
    let name = both.name(&both.parts(&asked));
    let digest = "f52fbd32b2b3b86ff88ef6c490628285";
    assert_eq!(name, format!("client.ip=2001:db8::/64&auth.subject=alice&header.x-api-key=sha256:{digest}"));
    assert_eq!(named(json!("client.ip"), 128, &asked), "client.ip=2001:db8::1");
    Facts::of_mut(&mut asked).client.ip = ClientAddress::Unix;
    assert_eq!(named(json!("client.ip"), 64, &asked), "client.ip=unix:");
    for odd in ["a&client.ip=1", "a b", "sha256:0", "ä", &"x".repeat(101)] {
        let identity = Identity { subject: odd.to_owned(), ..Identity::default() };
        Facts::of_mut(&mut asked).identity = Some(Arc::new(identity));
        assert!(named(json!("auth.subject"), 64, &asked).starts_with("auth.subject=sha256:"), "{odd}");
    }
}

#[test]
fn a_list_counts_by_the_combination() {
    let both = by(json!(["client.ip", "header.x-api-key"]), 64);
    let of = |ip: &str, key: Option<&str>| {
        let headers: Vec<_> = key.map(|key| ("x-api-key", key)).into_iter().collect();
        let mut asked = request("GET", &headers);
        Facts::of_mut(&mut asked).client.ip = ip.parse().unwrap();
        both.of(&asked)
    };
    assert_eq!(of("192.0.2.1", Some("a")), of("192.0.2.1", Some("a")));
    for (ip, key) in [("192.0.2.1", Some("b")), ("192.0.2.2", Some("a")), ("192.0.2.1", None)] {
        assert_ne!(of("192.0.2.1", Some("a")), of(ip, key));
    }
    assert_ne!(of("192.0.2.1", None), of("192.0.2.2", None), "without the header, the address counts twice");
}

#[test]
fn an_expression_is_counted_by_its_value_and_shown_unless_it_reads_the_request() {
    let of = |cel: &str| by(json!({ "cel": cel }), 64);
    let (open, read) = (of("'t' + client.ip"), of("request.method + request.path"));
    let asked = |method: &str| {
        let mut asked = request(method, &[]);
        Facts::of_mut(&mut asked).client.ip = "192.0.2.1".parse().unwrap();
        asked
    };
    let (get, post) = (asked("GET"), asked("POST"));
    assert_eq!(open.name(&open.parts(&get)), "cel=t192.0.2.1");
    assert!(read.name(&read.parts(&get)).starts_with("cel=sha256:"));
    assert_eq!(open.of(&get), open.of(&post));
    assert_ne!(read.of(&get), read.of(&post));
    let by_claim = of("auth.claims.tenant");
    assert_eq!(by_claim.name(&by_claim.parts(&get)), "client.ip=192.0.2.1", "without a value the address counts");
    assert_eq!(by_claim.key.requires(), [IDENTITY]);
    assert!(open.key.requires().is_empty());
}

#[test]
fn keys_are_written_as_they_are_read() {
    for good in [json!("client.ip"), json!(["client.ip", "header.x-tenant"]), json!({ "cel": "auth.claims.tenant" })] {
        let key: Key = serde_json::from_value(good.clone()).unwrap();
        assert_eq!(serde_json::to_value(&key).unwrap(), good);
    }
    for (bad, message) in [
        (json!([]), "expected 1 to 4 keys, found 0"),
        (json!(["client.ip", "client.ip"]), "`client.ip` is listed twice"),
        (json!(7), "expected a name such as `client.ip`, or `{ cel: … }`"),
        (json!(["client.ip", "moon"]), "unknown key `moon`, expected client.ip, auth.subject or header.NAME"),
    ] {
        assert_eq!(serde_json::from_value::<Key>(bad).unwrap_err().to_string(), message);
    }
}
