//! The names of targets: all addresses get requests, changes of DNS are followed, and failures of DNS change nothing.

mod failures;
mod health;
mod name_server;
mod servers;

use crate::harness::{Answer, Gateway, HEAD, PATIENCE, connect, read_answer};
use name_server::{NameServer, Records, addresses};
use serde_json::Value;
use servers::Server;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

const NAME: &str = "orders.test";

/// A configuration with an upstream at `orders.test:PORT`, and more settings of the upstream.
fn yaml(dns: &NameServer, port: u16, settings: &str) -> String {
    with_target(dns, &format!("{{ url: \"http://{NAME}:{port}\" }}"), settings)
}

fn with_target(dns: &NameServer, target: &str, settings: &str) -> String {
    format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
dns: {{ servers: [\"{}\"], timeout: 500ms, max_ttl: 2s }}
upstreams:
  orders: {{ targets: [{target}]{settings} }}
routes:
  orders: {{ path_prefix: /, upstream: orders }}\n",
        dns.address
    )
}

/// The entries for the addresses in `/status`.
fn targets(gateway: &Gateway) -> Vec<Value> {
    gateway.admin("GET", "/status").json()["upstreams"]["orders"]["targets"].as_array().unwrap().clone()
}

/// The addresses that get requests, as `/status` lists them.
fn in_use(gateway: &Gateway) -> Vec<String> {
    targets(gateway).iter().filter_map(|target| Some(target["ip"].as_str()?.to_owned())).collect()
}

/// Waits until `holds`.
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the addresses `127.0.0.N` are in use.
fn wait_for(gateway: &Gateway, numbers: &[u8]) {
    let wanted: Vec<_> = addresses(numbers).iter().map(ToString::to_string).collect();
    wait_until(&format!("{wanted:?} are in use"), || in_use(gateway) == wanted);
}

/// How often each server responds to `count` requests.
fn spread(gateway: &Gateway, count: usize) -> BTreeMap<String, usize> {
    let mut spread = BTreeMap::new();
    for _ in 0..count {
        let Answer { status, body, .. } = gateway.get("/");
        assert_eq!(status, 200, "{body}");
        *spread.entry(body).or_default() += 1;
    }
    spread
}

fn shares(counts: &[(u8, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(number, count)| (format!("127.0.0.{number}"), *count)).collect()
}

#[test]
fn all_addresses_of_a_name_get_equal_shares() {
    let (port, _servers) = servers::start(&[1, 2, 3]);
    let dns = NameServer::start();
    dns.point(NAME, &[3, 1, 2], 60);
    let gateway = Gateway::start(&yaml(&dns, port, ""));
    wait_for(&gateway, &[1, 2, 3]);
    assert_eq!(spread(&gateway, 30), shares(&[(1, 10), (2, 10), (3, 10)]));
}

#[test]
fn each_address_has_the_weight_of_its_target() {
    let (port, _servers) = servers::start(&[1, 2, 3]);
    let dns = NameServer::start();
    dns.point(NAME, &[1, 2], 60);
    let targets = format!("{{ url: \"http://{NAME}:{port}\", weight: 2 }}, {{ url: \"http://127.0.0.3:{port}\" }}");
    let gateway = Gateway::start(&with_target(&dns, &targets, ""));
    wait_until("there are three", || targets_of(&gateway) == 3);
    assert_eq!(spread(&gateway, 25), shares(&[(1, 10), (2, 10), (3, 5)]));
}

#[test]
fn http2_upstreams_use_all_addresses_too() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let _servers = Gateway::start(&format!(
        "listeners:
  web: {{ address: \"127.0.0.1:{port}\", protocols: [http1, http2] }}
  other: {{ address: \"127.0.0.2:{port}\", protocols: [http1, http2] }}
routes:
  web: {{ path: /, listeners: [web], respond: {{ text: 127.0.0.1 }} }}
  other: {{ path: /, listeners: [other], respond: {{ text: 127.0.0.2 }} }}\n"
    ));
    let dns = NameServer::start();
    dns.point(NAME, &[1, 2], 1);
    let gateway = Gateway::start(&yaml(&dns, port, ", protocol: http2"));
    wait_for(&gateway, &[1, 2]);
    assert_eq!(spread(&gateway, 20), shares(&[(1, 10), (2, 10)]));
    under_load(&gateway, || {
        dns.point(NAME, &[2], 1);
        wait_for(&gateway, &[2]);
    });
    assert_eq!(spread(&gateway, 20), shares(&[(2, 20)]));
}

fn targets_of(gateway: &Gateway) -> usize {
    targets(gateway).len()
}

/// Sends requests over two connections while `change` runs; every response must be a 200.
fn under_load(gateway: &Gateway, change: impl FnOnce()) {
    let (address, ended) = (gateway.address, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let load = || {
            let mut client = connect(address);
            while !ended.load(SeqCst) {
                client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
                let answer = read_answer(&mut client).unwrap();
                if answer.status != 200 {
                    return Some(answer);
                }
            }
            None
        };
        let clients = [scope.spawn(load), scope.spawn(load)];
        // A panic must end the clients too.
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(change));
        ended.store(true, SeqCst);
        let failed: Vec<_> = clients.into_iter().filter_map(|client| client.join().unwrap()).collect();
        changed.unwrap();
        assert!(failed.is_empty(), "{failed:?}");
    });
}

#[test]
fn a_changed_record_moves_requests_without_a_reload_and_without_a_failure() {
    let (port, servers) = servers::start(&[1, 2, 3]);
    let dns = NameServer::start();
    dns.point(NAME, &[1], 1);
    let gateway = Gateway::start(&yaml(&dns, port, ""));
    wait_for(&gateway, &[1]);
    under_load(&gateway, || {
        for numbers in [&[2, 3][..], &[1], &[1, 2, 3]] {
            dns.point(NAME, numbers, 1);
            wait_for(&gateway, numbers);
            let before: Vec<_> = servers.iter().map(Server::requests).collect();
            let used = |number: &u8| servers[usize::from(*number) - 1].requests() > before[usize::from(*number) - 1];
            wait_until("all are used", || numbers.iter().all(used));
        }
    });
    assert_eq!(gateway.generation(), 1);
}

#[test]
fn reloads_while_addresses_change_lose_no_request() {
    let (port, _servers) = servers::start(&[1, 2, 3]);
    let dns = NameServer::start();
    dns.point(NAME, &[1, 2], 1);
    let active = "health_checks: { active: { path: /health, interval: 100ms, timeout: 5s } }";
    let edited = |seconds: usize| yaml(&dns, port, &format!(", {active}, timeouts: {{ stream_idle: {seconds}s }}"));
    let gateway = Gateway::start(&edited(10));
    wait_for(&gateway, &[1, 2]);
    under_load(&gateway, || {
        for seconds in 11..31 {
            let numbers = [&[1, 2][..], &[2, 3], &[3, 1]][seconds % 3];
            dns.point(NAME, numbers, 1);
            // Each third one changes the settings of DNS too.
            let edited = edited(seconds).replace("timeout: 500ms", &format!("timeout: {}s", 1 + seconds / 3));
            assert_eq!(gateway.reload(&edited).status, 200);
        }
        dns.point(NAME, &[3], 1);
        wait_for(&gateway, &[3]);
    });
    assert_eq!(gateway.generation(), 21);
}

#[test]
fn requests_to_a_removed_address_finish_and_its_idle_connections_close() {
    let (port, servers) = servers::start(&[1, 2]);
    let dns = NameServer::start();
    dns.point(NAME, &[1], 1);
    let gateway = Gateway::start(&yaml(&dns, port, ", timeouts: { idle: 10m }"));
    wait_for(&gateway, &[1]);
    assert_eq!(spread(&gateway, 3), shares(&[(1, 3)]));
    let mut slow = connect(gateway.address);
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    wait_until("the request has arrived", || servers[0].requests() == 4);
    dns.point(NAME, &[2], 1);
    wait_for(&gateway, &[2]);
    assert_eq!(spread(&gateway, 3), shares(&[(2, 3)]));
    servers[0].release();
    assert_eq!(read_answer(&mut slow).unwrap().body, "127.0.0.1");
    wait_until("all connections to it are closed", || servers[0].open() == 0);
    assert!(servers[1].open() > 0);
}

#[test]
fn ring_hash_moves_only_the_keys_of_the_address_that_goes() {
    let (port, _servers) = servers::start(&[1, 2, 3]);
    let dns = NameServer::start();
    dns.point(NAME, &[1, 2, 3], 1);
    let balancing = ", load_balancing: { policy: ring_hash, key: header.x-key }";
    let gateway = Gateway::start(&yaml(&dns, port, balancing));
    wait_for(&gateway, &[1, 2, 3]);
    let owner = |gateway: &Gateway, key: usize| gateway.send("GET", "/", &[("x-key", &key.to_string())], "").body;
    let before: Vec<_> = (0..60).map(|key| owner(&gateway, key)).collect();
    // The same addresses without a name have the same keys, so it does not matter how a gateway learned them.
    let urls = [1, 2, 3].map(|number| format!("{{ url: \"http://127.0.0.{number}:{port}\" }}")).join(", ");
    let fixed = Gateway::start(&with_target(&dns, &urls, balancing));
    assert_eq!((0..60).map(|key| owner(&fixed, key)).collect::<Vec<_>>(), before);
    dns.point(NAME, &[1, 3], 1);
    wait_for(&gateway, &[1, 3]);
    for (key, before) in before.iter().enumerate() {
        let now = owner(&gateway, key);
        assert!(now == *before || before == "127.0.0.2", "key {key} moved from {before} to {now}");
        assert_ne!(now, "127.0.0.2");
    }
}

#[test]
fn aliases_and_long_responses_are_followed() {
    let many: Vec<u8> = (1..=60).collect();
    let dns = NameServer::start();
    dns.set(NAME, Records::Alias("many.test", 60));
    dns.point("many.test", &many, 60);
    let gateway = Gateway::start(&yaml(&dns, 9, ""));
    wait_for(&gateway, &many);
}

#[test]
fn a_ttl_of_zero_does_not_cause_many_queries_and_a_long_one_few() {
    let (port, _servers) = servers::start(&[1]);
    let dns = NameServer::start();
    dns.point(NAME, &[1], 0);
    dns.point("long.test", &[1], 3600);
    let targets = ["long.test", NAME].map(|name| format!("{{ url: \"http://{name}:{port}\" }}")).join(", ");
    let yaml = with_target(&dns, &targets, "").replace("timeout: 500ms, max_ttl: 2s", "timeout: 20s, max_ttl: 1h");
    let (started, gateway) = (Instant::now(), Gateway::start(&yaml));
    wait_until("there were some lookups", || dns.queries(NAME) >= 3);
    assert!(spread(&gateway, 50).len() == 1);
    let (queries, seconds) = (dns.queries(NAME), started.elapsed().as_secs_f32());
    assert!(queries as f32 <= 2.0 * (seconds + 2.0), "{queries} in {seconds} s");
    assert!(dns.queries("long.test") < 5);
}

#[test]
fn the_log_and_the_status_show_the_address_that_was_used() {
    let (port, servers) = servers::start(&[2]);
    let dns = NameServer::start();
    dns.point(NAME, &[2], 60);
    let head = HEAD.replace("level: info", "level: info, access: {}");
    let mut gateway = Gateway::start_whole(&(head + &yaml(&dns, port, "")));
    wait_for(&gateway, &[2]);
    assert_eq!(targets(&gateway)[0]["address"], format!("{NAME}:{port}"));
    assert_eq!(gateway.get("/").body, servers[0].ip.to_string());
    let line = gateway.wait_for_log(|line| line["upstream_target"] == format!("{NAME}:{port}"));
    assert_eq!(line["peer"], "127.0.0.2");
}
