//! Rate limits as clients and attackers see them.

use super::*;
use gatewright_sdk::HttpService;
use gatewright_sdk::testing::{answers, compile, faults, header, install_keeping, request};
use gatewright_sdk::{Facts, Identity, Keep, Refusal, Response};
use serde_json::{Value, json};

fn settings() -> Value {
    json!({ "key": "client.ip", "quota": 3, "window": "1h" })
}

fn service(settings: Value, keep: &Keep) -> HttpService {
    install_keeping::<RateLimit>(settings, keep, answers(|_| "in"))
}

async fn from(service: &HttpService, ip: &str, headers: &[(&str, &str)], subject: Option<&str>) -> Response {
    let mut request = request("GET", headers);
    let facts = Facts::of_mut(&mut request);
    facts.client.ip = ip.parse().unwrap();
    facts.identity = subject.map(|s| Arc::new(Identity { subject: s.into(), ..Identity::default() }));
    service.call(request).await
}

async fn status(service: &HttpService, ip: &str) -> u16 {
    from(service, ip, &[], None).await.status().as_u16()
}

#[tokio::test]
async fn responses_count_down_and_a_rejection_says_when_to_retry() {
    let service = service(settings(), &Keep::default());
    for headers in ["\"rate_limit\";r=2;t=1200", "\"rate_limit\";r=1;t=2400", "\"rate_limit\";r=0;t=3600"] {
        let response = from(&service, "192.0.2.1", &[], None).await;
        assert_eq!(header(&response, "ratelimit"), headers);
        assert_eq!(header(&response, "ratelimit-policy"), "\"rate_limit\";q=3;w=3600");
    }
    let refused = from(&service, "192.0.2.1", &[("x-forwarded-for", "203.0.113.9")], None).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "retry-after"), "1200", "rounded up");
    assert_eq!(header(&refused, "ratelimit"), "\"rate_limit\";r=0;t=1200");
    assert_eq!(header(&refused, "ratelimit-policy"), "\"rate_limit\";q=3;w=3600");
    let refusal = refused.extensions().get::<Refusal>().unwrap();
    assert_eq!((refusal.plugin.as_deref(), &*refusal.reason), (Some("test/rate_limit"), "quota"));
    assert_eq!(status(&service, "192.0.2.2").await, 200, "others are not concerned");
}

#[tokio::test]
async fn the_wait_is_never_zero_seconds() {
    let service = service(json!({ "key": "client.ip", "quota": 1000, "window": "5m", "burst": 1 }), &Keep::default());
    assert_eq!(status(&service, "192.0.2.1").await, 200);
    assert_eq!(header(&from(&service, "192.0.2.1", &[], None).await, "retry-after"), "1");
}

#[tokio::test]
async fn a_bucket_survives_an_unrelated_reload_and_a_new_quota_starts_over() {
    let keep = Keep::default();
    let before = service(settings(), &keep);
    for _ in 0..3 {
        assert_eq!(status(&before, "192.0.2.1").await, 200);
    }
    let after = service(settings(), &keep);
    drop(before);
    assert_eq!(status(&after, "192.0.2.1").await, 429);
    let larger = service(json!({ "key": "client.ip", "quota": 4, "window": "1h" }), &keep);
    assert_eq!(status(&larger, "192.0.2.1").await, 200);
    drop((after, larger));
    assert!(keep.is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn one_ipv6_network_is_one_client() {
    let service = service(json!({ "key": "client.ip", "quota": 1, "window": "1h" }), &Keep::default());
    assert_eq!(status(&service, "2001:db8::1").await, 200);
    assert_eq!(status(&service, "2001:db8::ffff:1").await, 429);
    assert_eq!(status(&service, "2001:db8:0:1::1").await, 200);
    assert_eq!(status(&service, "192.0.2.1").await, 200);
    assert_eq!(status(&service, "::ffff:192.0.2.1").await, 429, "the same address, written as IPv6");
    assert_eq!(status(&service, "192.0.2.2").await, 200);
    let wide = By::new(RateLimitKey::Client, 0);
    let mut request = request("GET", &[]);
    Facts::of_mut(&mut request).client.ip = "2001:db8::1".parse().unwrap();
    assert_eq!(wide.extract(&request).unwrap(), 0);
}

#[tokio::test]
async fn users_and_keys_are_counted_by_name() {
    let by_user = service(json!({ "key": "auth.subject", "quota": 1, "window": "1h" }), &Keep::default());
    let by_key = service(json!({ "key": "header.X-Api-Key", "quota": 1, "window": "1h" }), &Keep::default());
    let long = "k".repeat(10_000);
    for (name, expected) in [("a", 200), ("b", 200), (&*long, 200), ("a", 429), (&*long, 429)] {
        let by_user = from(&by_user, "192.0.2.1", &[], Some(name)).await;
        let by_key = from(&by_key, "192.0.2.1", &[("x-api-key", name)], None).await;
        assert_eq!((by_user.status().as_u16(), by_key.status().as_u16()), (expected, expected), "{name:.9}");
    }
    assert_eq!(status(&by_key, "192.0.2.1").await, 200, "without a key the address counts");
    assert_eq!(status(&by_key, "192.0.2.1").await, 429);
}

fn buckets(max_keys: usize) -> Buckets {
    let by = By::new(RateLimitKey::Client, 64);
    let mut builder = GovernorConfigBuilder::default();
    let hour = Duration::from_secs(3600);
    let config = builder.period(hour).burst_size(2).key_extractor(by.clone()).use_headers().finish().unwrap();
    Buckets::new(by, config, 2, max_keys)
}

#[test]
fn a_flood_of_keys_is_bounded_and_limited_and_frees_no_abuser() {
    let buckets = buckets(5000);
    let abuser = 1_000_000;
    assert!(buckets.take(abuser).is_ok() && buckets.take(abuser).is_ok());
    let admitted = (0..100_000).filter(|key| buckets.take(*key).is_ok()).count();
    assert!(buckets.len() <= 5001, "{} buckets", buckets.len());
    assert!(admitted <= 5002, "{admitted} requests got through: newcomers share a bucket");
    assert!(buckets.take(abuser).is_err(), "the abuser is still limited");
    assert!(buckets.take(abuser + 1).is_err(), "and so is a newcomer");
}

#[test]
fn many_threads_get_no_more_than_one_would() {
    let by = By::new(RateLimitKey::Client, 64);
    let mut builder = GovernorConfigBuilder::default();
    let hour = Duration::from_secs(3600);
    let config = builder.period(hour).burst_size(100).key_extractor(by.clone()).use_headers().finish().unwrap();
    let buckets = Buckets::new(by, config, 100, 1000);
    let taken: usize = std::thread::scope(|scope| {
        let take = || scope.spawn(|| (0..100).filter(|_| buckets.take(7).is_ok()).count());
        let threads: Vec<_> = (0..8).map(|_| take()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 100);
}

#[test]
fn full_buckets_are_dropped_on_demand() {
    let by = By::new(RateLimitKey::Client, 64);
    let mut builder = GovernorConfigBuilder::default();
    let instant = Duration::from_nanos(1);
    let config = builder.period(instant).burst_size(1).key_extractor(by.clone()).use_headers().finish().unwrap();
    let buckets = Buckets::new(by, config, 1, 1_000_000);
    for key in 0..50_000 {
        assert!(buckets.take(key).is_ok());
    }
    assert!(buckets.len() <= 2048, "{} buckets", buckets.len());
}

#[test]
fn nonsensical_settings_are_faults() {
    let with = |key: &str, value: Value| {
        let mut settings = settings();
        settings[key] = value;
        settings
    };
    for (settings, start) in [
        (with("quota", json!(0)), "quota: "),
        (with("quota", json!(-1)), "quota: "),
        (with("quota", json!(18_446_744_073_709_551_615_u64)), "quota: "),
        (json!({ "key": "client.ip", "quota": 4_000_000_000_u32, "window": "1s" }), "quota: "),
        (with("burst", json!(0)), "burst: "),
        (with("burst", json!(4_000_000_000_u32)), "burst: "),
        (with("window", json!("0s")), "window: "),
        (with("window", json!("99999999999h")), "window: "),
        (with("key", json!("moon")), "key: unknown key `moon`"),
        (with("key", json!("header.")), "key: unknown key `header.`"),
        (with("key", json!("header.X-Forwarded-For")), "key: `x-forwarded-for` can be forged"),
        (with("key", json!("header.x_api_key")), "key: `x_api_key` is never received"),
        (with("key", json!("header.host")), "key: `host` is not sent in HTTP/2"),
        (with("key", json!("header.connection")), "key: `connection` belongs"),
        (with("ipv6_prefix", json!(129)), "ipv6_prefix: "),
        (with("max_keys", json!(0)), "max_keys: "),
        (with("max_keys", json!(500_001)), "max_keys: "),
        (with("store", json!("limits")), "store: `store: limits` is not implemented"),
        (json!({ "key": "client.ip", "window": "1s" }), "missing field `quota`"),
    ] {
        let found = faults::<RateLimit>(settings.clone(), false);
        assert!(found.len() == 1 && found[0].starts_with(start), "{settings}: {found:?}");
    }
    assert_eq!(compile::<RateLimit>(with("key", json!("auth.subject")), false).traits.requires, [IDENTITY]);
    assert!(compile::<RateLimit>(settings(), false).traits.requires.is_empty());
}
