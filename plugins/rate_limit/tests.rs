//! Rate limits as clients and attackers see them.

use super::*;
use gatewright_sdk::HttpService;
use gatewright_sdk::testing::{
    Nothing, answers, compile, faults, header, install_act, install_at, install_keeping, request,
};
use gatewright_sdk::{
    Counters, Facts, Fallback, IDENTITY, Identity, Keep, Refusal, Response, Services, Stores, Take, Taken, Taking,
    Usages,
};
use meter::Limiter;
use serde_json::{Value, json};
use std::time::Duration;
use table::{Limit, Now, Table, View, nanos};

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

/// The status and what is left, according to `RateLimit`.
async fn left(service: &HttpService, ip: &str) -> (u16, String) {
    let response = from(service, ip, &[], None).await;
    let left = header(&response, "ratelimit");
    (response.status().as_u16(), left.split(';').nth(1).unwrap_or_default().to_owned())
}

#[tokio::test]
async fn what_was_used_counts_after_a_reload_also_against_a_new_quota() {
    let with = |quota: u32, window: &str| json!({ "key": "client.ip", "quota": quota, "window": window });
    let keep = Keep::default();
    let before = service(settings(), &keep);
    for _ in 0..3 {
        assert_eq!(status(&before, "192.0.2.1").await, 200);
    }
    let after = service(settings(), &keep);
    drop(before);
    assert_eq!(status(&after, "192.0.2.1").await, 429);
    let larger = service(with(10, "1h"), &keep);
    assert_eq!(left(&larger, "192.0.2.1").await, (200, "r=6".to_owned()), "3 of 10 were used before");
    assert_eq!(left(&larger, "192.0.2.2").await, (200, "r=9".to_owned()));
    let slower = service(with(10, "24h"), &keep);
    assert_eq!(left(&slower, "192.0.2.1").await, (200, "r=5".to_owned()), "another window changes nothing of it");
    let smaller = service(with(4, "1h"), &keep);
    assert_eq!(left(&smaller, "192.0.2.1").await, (429, "r=0".to_owned()));
    let refused = from(&smaller, "192.0.2.1", &[], None).await;
    assert_eq!(header(&refused, "retry-after"), "900", "no one waits longer than the new limit says");
    assert_eq!(left(&after, "192.0.2.1").await, (429, "r=0".to_owned()), "requests of the old generation agree");
    drop((after, larger, slower, smaller));
    assert!(keep.is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn overrides_apply_to_users_headers_addresses_and_networks() {
    let overrides = json!({ "acme": { "quota": 5 }, "slow": { "window": "24h", "burst": 1 } });
    let by_user = json!({ "key": "auth.subject", "quota": 2, "window": "1h", "overrides": overrides });
    let by_user = service(by_user, &Keep::default());
    for (name, remaining, policy) in [
        ("acme", "\"rate_limit\";r=4;t=720", "\"rate_limit\";q=5;w=3600"),
        ("slow", "\"rate_limit\";r=0;t=43200", "\"rate_limit\";q=2;w=86400"),
        ("other", "\"rate_limit\";r=1;t=1800", "\"rate_limit\";q=2;w=3600"),
    ] {
        let response = from(&by_user, "192.0.2.1", &[], Some(name)).await;
        assert_eq!((&*header(&response, "ratelimit"), &*header(&response, "ratelimit-policy")), (remaining, policy));
    }
    let overrides =
        json!({ "10.0.0.0/8": { "quota": 3 }, "10.1.2.3": { "quota": 4 }, "2001:db8::/32": { "quota": 5 } });
    let by_ip = json!({ "key": "client.ip", "quota": 2, "window": "1h", "overrides": overrides });
    let by_ip = service(by_ip, &Keep::default());
    for (ip, remaining) in [("10.9.9.9", "r=2"), ("10.1.2.3", "r=3"), ("2001:db8::1", "r=4"), ("192.0.2.1", "r=1")] {
        assert_eq!(left(&by_ip, ip).await, (200, remaining.to_owned()), "{ip}");
    }
    assert_eq!(left(&by_ip, "10.9.9.8").await, (200, "r=2".to_owned()), "each address of the network counts alone");
}

#[tokio::test]
async fn an_override_that_is_added_keeps_what_was_used() {
    let keep = Keep::default();
    let before = service(settings(), &keep);
    for _ in 0..3 {
        assert_eq!(status(&before, "192.0.2.1").await, 200);
    }
    let mut more = settings();
    more["overrides"] = json!({ "192.0.2.1": { "quota": 10 } });
    assert_eq!(left(&service(more, &keep), "192.0.2.1").await, (200, "r=6".to_owned()));
}

#[tokio::test]
async fn requests_may_cost_more_or_nothing() {
    let costs = json!({ "POST": 3, "OPTIONS": 0 });
    let service = service(json!({ "key": "client.ip", "quota": 5, "window": "1h", "cost": costs }), &Keep::default());
    let ask = async |method: &str| {
        let response = service.call(request(method, &[])).await;
        (response.status().as_u16(), header(&response, "ratelimit"), header(&response, "retry-after"))
    };
    assert_eq!(ask("POST").await, (200, "\"rate_limit\";r=2;t=2160".to_owned(), String::new()));
    assert_eq!(ask("POST").await, (429, "\"rate_limit\";r=0;t=720".to_owned(), "720".to_owned()), "one more is needed");
    assert_eq!(ask("GET").await, (200, "\"rate_limit\";r=1;t=2880".to_owned(), String::new()));
    assert_eq!(ask("OPTIONS").await, (200, String::new(), String::new()));
}

#[tokio::test]
async fn the_uses_of_a_plugin_count_together_if_it_says_so() {
    let keep = Keep::default();
    for (scope, remaining) in [("place", "r=2"), ("plugin", "r=1")] {
        let mut settings = settings();
        settings["scope"] = json!(scope);
        let compiled = compile::<RateLimit>(settings, false);
        let (stores, usages) = (Stores::default(), Usages::default());
        let at = |name| install_at(&compiled, (name, "limit"), &keep, (&stores, &usages), answers(|_| "in"));
        let (one, other) = (at("a/limit"), at("b/limit"));
        assert_eq!(left(&one, "192.0.2.1").await, (200, "r=2".to_owned()));
        assert_eq!(left(&other, "192.0.2.1").await, (200, remaining.to_owned()), "{scope}");
    }
}

/// A store that admits everything, says that the bucket needs ten minutes, and remembers what it was asked.
#[derive(Default)]
struct Said(parking_lot::Mutex<Vec<Take>>, std::sync::atomic::AtomicBool);

impl Counters for Said {
    fn take(&self, take: Take) -> Option<Taking> {
        self.0.lock().push(take);
        let taken = Taken { admitted: true, owed: Duration::from_secs(600) };
        let is_down = self.1.load(std::sync::atomic::Ordering::Relaxed);
        (!is_down).then(|| Box::pin(std::future::ready(Some(taken))) as Taking)
    }

    fn is_reachable(&self) -> bool {
        true
    }

    fn fallback(&self) -> Fallback {
        Fallback::Local
    }
}

#[tokio::test]
async fn a_store_decides_and_learns_what_was_counted_without_it() {
    let (said, keep, usages) = (Arc::new(Said::default()), Keep::default(), Usages::default());
    let stores = Stores([("shared".to_owned(), Arc::clone(&said) as Arc<dyn Counters>)].into());
    let mut settings = settings();
    (settings["store"], settings["cost"]) = (json!("shared"), json!(2));
    let compiled = compile::<RateLimit>(settings, false);
    assert_eq!(compiled.traits.counts_in.as_ref().map(|used| &*used.name), Some("shared"));
    let service = install_at(&compiled, ("route/limit", "limit"), &keep, (&stores, &usages), answers(|_| "in"));
    let asked = |owed| {
        let bucket = "gatewright:route/limit:client.ip=192.0.2.1".to_owned();
        let take = Take { bucket, cost: 2, burst: 3, period: Duration::from_secs(1200), owed };
        assert_eq!(said.0.lock().pop(), Some(take));
    };
    assert_eq!(left(&service, "192.0.2.1").await, (200, "r=2".to_owned()), "half of a request is taken");
    asked(Duration::ZERO);
    said.1.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(left(&service, "192.0.2.1").await, (200, "r=0".to_owned()), "goes on from there");
    said.0.lock().clear();
    said.1.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(left(&service, "192.0.2.1").await, (200, "r=2".to_owned()), "the store decides");
    let owed = said.0.lock().last().map(|take| take.owed).unwrap();
    assert!(owed > Duration::from_secs(2990) && owed <= Duration::from_secs(3000), "{owed:?}");
    let reported = &usages.read()["route/limit"];
    assert_eq!((&reported["store"], &reported["counted"]), (&json!("shared"), &json!("store")));
}

#[tokio::test]
async fn each_of_several_limits_reports_its_own_headers() {
    let keep = Keep::default();
    let of = |name: &str, quota: u32, next| {
        let compiled = compile::<RateLimit>(json!({ "key": "client.ip", "quota": quota, "window": "1h" }), false);
        install_act(&compiled, name, &keep, &(Arc::new(Nothing) as Arc<dyn Services>), next)
    };
    let inner = of("per-day", 1, answers(|_| "in"));
    let both = of("per-second", 5, inner);
    let first = both.call(request("GET", &[])).await;
    assert_eq!(header(&first, "ratelimit-policy"), "\"per-day\";q=1;w=3600, \"per-second\";q=5;w=3600");
    assert_eq!(header(&first, "ratelimit"), "\"per-day\";r=0;t=3600, \"per-second\";r=4;t=720");
    let refused = both.call(request("GET", &[])).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "ratelimit-policy"), "\"per-day\";q=1;w=3600, \"per-second\";q=5;w=3600");
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
    assert_eq!(status(&service, "64:ff9b::192.0.2.1").await, 200, "an IPv4 client behind a translator");
    assert_eq!(status(&service, "64:ff9b::192.0.2.2").await, 200, "another one");
    assert_eq!(status(&service, "64:ff9b::192.0.2.1").await, 429);
    let wide = json!({ "key": "client.ip", "quota": 1, "window": "1h", "ipv6_prefix": 0 });
    let wide = self::service(wide, &Keep::default());
    assert_eq!((status(&wide, "2001:db8::1").await, status(&wide, "fd00::1").await), (200, 429));
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

fn limiter(table: &Arc<Table>, period: Duration, burst: u32, max_keys: usize) -> Limiter {
    let limit = Limit { period: nanos(period), burst };
    let view = View { table: Arc::clone(table), limit, max_keys };
    let quota = governor::Quota::with_period(period).unwrap().allow_burst(burst.try_into().unwrap());
    Limiter::new(quota, view, Now)
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_flood_of_keys_is_bounded_and_limited_and_frees_no_abuser() {
    let table = Arc::default();
    let limiter = limiter(&table, HOUR, 2, 5000);
    let take = |key: u128| limiter.check_key(&key).is_ok();
    let abuser = 1_000_000;
    assert!(take(abuser) && take(abuser));
    let admitted = (0..100_000).filter(|key| take(*key)).count();
    assert!(table.len() <= 5001, "{} buckets", table.len());
    assert!(admitted <= 5002, "{admitted} requests got through: newcomers share a bucket");
    assert!(!take(abuser), "the abuser is still limited");
    assert!(!take(abuser + 1), "and so is a newcomer");
}

#[test]
fn many_threads_get_no_more_than_one_would() {
    let limiter = limiter(&Arc::default(), HOUR, 100, 1000);
    let taken: usize = std::thread::scope(|scope| {
        let take = || scope.spawn(|| (0..100).filter(|_| limiter.check_key(&7).is_ok()).count());
        let threads: Vec<_> = (0..8).map(|_| take()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 100);
}

#[test]
fn full_buckets_are_dropped_on_demand() {
    let table = Arc::default();
    let limiter = limiter(&table, Duration::from_nanos(1), 1, 1_000_000);
    for key in 0..50_000 {
        assert!(limiter.check_key(&key).is_ok());
    }
    assert!(table.len() <= 64 * 32, "{} buckets", table.len());
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
        (with("cost", json!(0)), "cost: a cost of zero limits nothing"),
        (with("cost", json!(4)), "cost: a request that costs 4 never passes: the smallest burst is 3"),
        (with("cost", json!({ "POST": 4 })), "cost.POST: a request that costs 4 never passes"),
        (with("cost", json!({ "post": 1 })), "cost.post: `post` is not a method"),
        (with("cost", json!("2")), "cost: "),
        (
            with("overrides", json!({ "acme": { "quota": 1 } })),
            "overrides.acme: `acme` is not a valid address or network",
        ),
        (with("overrides", json!({ "10.0.0.1": {} })), "overrides.10.0.0.1: the override changes nothing"),
        (with("overrides", json!({ "10.0.0.1": { "quota": 0 } })), "overrides.10.0.0.1.quota: a quota of zero"),
        (with("overrides", json!({ "10.0.0.1": { "burst": 0 } })), "overrides.10.0.0.1.burst: a burst of zero"),
        (with("overrides", json!({ "10.0.0.1": { "quote": 1 } })), "overrides.10.0.0.1.quote: unknown field `quote`"),
        (with("key", json!(["client.ip", "header.host"])), "key[1]: `host` is not sent in HTTP/2"),
        (with("key", json!([])), "key: expected 1 to 4 keys"),
        (json!({ "key": "client.ip", "window": "1s" }), "missing field `quota`"),
    ] {
        let found = faults::<RateLimit>(settings.clone(), false);
        assert!(found.len() == 1 && found[0].starts_with(start), "{settings}: {found:?}");
    }
    assert_eq!(compile::<RateLimit>(with("key", json!("auth.subject")), false).traits.requires, [IDENTITY]);
    assert!(compile::<RateLimit>(settings(), false).traits.requires.is_empty());
}
