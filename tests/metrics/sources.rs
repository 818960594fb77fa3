//! Metrics about upstreams, stores and limits.

use super::{Scraped, reload, start, wait_for};
use crate::harness::{Gateway, refusing};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An upstream that responds with the status in the last path segment, and counts the connections it has accepted.
fn upstream() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = stream.read(&mut chunk) {
                    bytes.extend_from_slice(&chunk[..read]);
                    if !bytes.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let head = String::from_utf8(std::mem::take(&mut bytes)).unwrap();
                    let path = head.split(' ').nth(1).unwrap();
                    let status = path.rsplit('/').next().unwrap();
                    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, taken)
}

fn proxying(to: SocketAddr, timeout: &str) -> String {
    format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
upstreams: {{ there: {{ targets: [{{ url: \"http://{to}\" }}], timeouts: {{ response_header: {timeout} }} }} }}
routes: {{ there: {{ path_prefix: /there, upstream: there }} }}\n"
    )
}

const DURATION: &str = "http_client_request_duration_seconds_count";

#[test]
fn an_upstream_is_measured_by_target_method_and_status_and_goes_on_over_reloads() {
    let (address, taken) = upstream();
    let port = address.port().to_string();
    let target = [("server_address", "127.0.0.1"), ("server_port", &*port)];
    let gateway = start(&proxying(address, "10s"));
    for (method, path, times) in [("GET", "/there/200", 3), ("DELETE", "/there/200", 1), ("GET", "/there/503", 2)] {
        for _ in 0..times {
            gateway.send(method, path, &[], "");
        }
    }
    let check = |scraped: &Scraped| {
        for (method, status, error, count) in
            [("GET", "200", None, 3.0), ("DELETE", "200", None, 1.0), ("GET", "503", Some("503"), 2.0)]
        {
            let mut labels = vec![("gateway_upstream", "there"), ("http_request_method", method)];
            labels.extend(target);
            labels.push(("http_response_status_code", status));
            labels.extend(error.map(|error| ("error_type", error)));
            assert_eq!(scraped.value(DURATION, &labels), count);
        }
        assert_eq!(scraped.sum(DURATION, &[]), 6.0);
        let taken = f64::from(u32::try_from(taken.load(Ordering::SeqCst)).unwrap());
        let state = |state| [("http_connection_state", state), target[0], target[1]];
        assert_eq!(scraped.value("http_client_open_connections", &state("idle")), taken);
        assert_eq!(scraped.value("http_client_open_connections", &state("active")), 0.0);
        assert_eq!(scraped.sum("gateway_upstream_connects_total", &target), taken);
    };
    check(&Scraped::of(&gateway));
    assert_eq!(reload(&gateway, &proxying(address, "9s")).status, 200);
    check(&Scraped::of(&gateway));
    let (other, _) = upstream();
    assert_eq!(reload(&gateway, &proxying(other, "9s")).status, 200);
    wait_for(&gateway, |scraped| {
        scraped.values(DURATION, &target).is_empty()
            && scraped.values("http_client_open_connections", &target).is_empty()
    });
}

#[test]
fn an_upstream_that_fails_says_why() {
    let (_socket, address) = refusing();
    let gateway = start(&proxying(address, "10s"));
    assert_eq!(gateway.get("/there/200").status, 502);
    assert_eq!(gateway.get("/there/200").status, 502);
    let scraped = Scraped::of(&gateway);
    let failed = [("error_type", "upstream_connect")];
    assert_eq!(scraped.value(DURATION, &failed), 2.0);
    assert_eq!(scraped.value("gateway_upstream_connects_total", &failed), 2.0);
    assert_eq!(scraped.sum("gateway_upstream_connects_total", &[]), 2.0);
    assert_eq!(scraped.sum("http_client_open_connections", &[]), 0.0);
}

#[test]
fn a_request_cut_off_by_our_deadline_is_measured_too() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let yaml = proxying(silent.local_addr().unwrap(), "10s")
        .replace("upstream: there }", "upstream: there, chain: patient }")
        + "plugins: { patience: { timeout: { request: 100ms } } }\nchains: { patient: [patience] }\n";
    let gateway = start(&yaml);
    assert_eq!(gateway.get("/there/200").status, 504);
    let cut = |scraped: &Scraped| scraped.sum(DURATION, &[("error_type", "upstream_timeout")]) == 1.0;
    wait_for(&gateway, |scraped| cut(scraped) && scraped.sum("http_client_open_connections", &[]) == 0.0);
}

#[test]
fn an_upstream_cannot_make_series_without_bound() {
    let (address, _) = upstream();
    let gateway = start(&proxying(address, "10s"));
    for status in 200..600 {
        assert_eq!(gateway.get(&format!("/there/{status}")).status, status);
    }
    let scraped = Scraped::of(&gateway);
    assert_eq!(scraped.sum(DURATION, &[]), 400.0, "each is counted");
    assert!(scraped.values(DURATION, &[]).len() <= 65, "{} series", scraped.values(DURATION, &[]).len());
}

const STORED: &str = r#"
listeners: { web: { address: "127.0.0.1:0" } }
stores: { main: { url: "sqlite://data/secret-place.db" } }
resources: { things: { store: main, access: { default: public }, fields: { title: { type: string, unique: true }, word: { type: password } } } }
routes: { things: { path: /things, resource: things } }
"#;

#[test]
fn statements_are_measured_by_operation_table_and_failure() {
    let gateway = start(STORED);
    let made = gateway.json("POST", "/things", &json!({ "title": "one" }));
    assert_eq!(made.status, 201, "{made:?}");
    let item = made.header("location").unwrap().to_owned();
    assert_eq!(gateway.json("POST", "/things", &json!({ "title": "one" })).status, 409);
    assert_eq!(gateway.get("/things").status, 200);
    assert_eq!(gateway.get(&item).status, 200);
    assert_eq!(gateway.get(&item).status, 200);
    assert_eq!(gateway.json("PATCH", &item, &json!({ "title": "two" })).status, 200);
    assert_eq!(gateway.send("DELETE", &item, &[], "").status, 204);
    let commits = [("gateway_store", "main")];
    assert_eq!(Scraped::of(&gateway).value("gateway_store_commit_duration_seconds_count", &commits), 3.0);
    assert_eq!(reload(&gateway, &STORED.replace("unique: true", "unique: true, max: 10")).status, 200);
    let scraped = Scraped::of(&gateway);
    let (duration, failed) = ("db_client_operation_duration_seconds_count", [("error_type", "unique")]);
    for (operation, count) in [("SELECT", 3.0), ("INSERT", 2.0), ("UPDATE", 1.0), ("DELETE", 1.0)] {
        let labels = [
            ("db_system_name", "sqlite"),
            ("db_operation_name", operation),
            ("db_collection_name", "things"),
            ("gateway_store", "main"),
        ];
        assert_eq!(scraped.sum(duration, &labels), count, "{operation}");
    }
    assert_eq!(scraped.value(duration, &failed), 1.0);
    let pool = ("db_client_connection_pool_name", "main");
    assert!(scraped.sum("db_client_connections", &[pool]) >= 1.0);
    for queue in ["read", "write"] {
        assert_eq!(
            scraped.value("db_client_connection_pending_requests", &[pool, ("gateway_store_queue", queue)]),
            0.0
        );
    }
    for state in ["waiting", "running"] {
        assert_eq!(scraped.value("gateway_password_pending", &[("gateway_password_state", state)]), 0.0);
    }
    assert!(!scraped.0.contains("secret-place"), "where a store is must not be shown");
}

#[test]
fn a_store_that_is_renamed_is_measured_under_its_new_name() {
    let gateway = start(STORED);
    let renamed = STORED.replace("main", "archive");
    assert_eq!(reload(&gateway, &renamed).status, 200);
    assert_eq!(gateway.json("POST", "/things", &json!({ "title": "one" })).status, 201);
    let archive = [("gateway_store", "archive")];
    let scraped = wait_for(&gateway, |scraped| !scraped.0.contains("\"main\""));
    assert_eq!(scraped.value("gateway_store_commit_duration_seconds_count", &archive), 1.0);
    let things = [archive[0], ("db_collection_name", "things")];
    assert_eq!(scraped.value("db_client_operation_duration_seconds_count", &things), 1.0);
    assert!(scraped.sum("db_client_connections", &[("db_client_connection_pool_name", "archive")]) >= 1.0);
}

fn limited(text: &str, chain: &str) -> String {
    format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
plugins: {{ few: {{ rate_limit: {{ key: client.ip, quota: 4, window: 1h }} }} }}
chains: {{ edge: [few], free: [] }}
routes: {{ root: {{ path: /, chain: {chain}, respond: {{ text: {text} }} }} }}\n"
    )
}

#[test]
fn a_limit_is_measured_and_goes_on_over_reloads_until_it_is_removed() {
    let gateway = start(&limited("one", "edge"));
    let few = [("gateway_plugin", "root/few")];
    let requests = |scraped: &Scraped, outcome| {
        scraped.value("gateway_rate_limit_requests_total", &[few[0], ("gateway_outcome", outcome)])
    };
    for _ in 0..6 {
        gateway.get("/");
    }
    let scraped = Scraped::of(&gateway);
    assert_eq!((requests(&scraped, "allowed"), requests(&scraped, "limited")), (4.0, 2.0));
    assert_eq!(scraped.value("gateway_rate_limit_keys", &few), 1.0);
    assert_eq!(scraped.value("gateway_rate_limit_usage_ratio_count", &few), 4.0);
    assert_eq!(scraped.value("gateway_rate_limit_usage_ratio_sum", &few), 0.25 + 0.5 + 0.75 + 1.0);
    assert_eq!(reload(&gateway, &limited("two", "edge")).status, 200);
    gateway.get("/");
    let scraped = Scraped::of(&gateway);
    assert_eq!((requests(&scraped, "allowed"), requests(&scraped, "limited")), (4.0, 3.0));
    assert_eq!(scraped.value("gateway_rate_limit_keys", &few), 1.0);
    assert_eq!(reload(&gateway, &limited("three", "free")).status, 200);
    wait_for(&gateway, |scraped| !scraped.0.contains("gateway_rate_limit"));
}

/// A configuration with something of everything that is measured.
pub const EVERYTHING: &str = r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge } }
stores: { main: { url: "sqlite::memory:" } }
plugins: { few: { rate_limit: { key: client.ip, quota: 4, window: 1h } } }
chains: { edge: [few] }
upstreams: { there: { targets: [{ url: "http://127.0.0.1:1" }] } }
resources: { things: { store: main, access: { default: public }, fields: { title: { type: string }, word: { type: password } } } }
routes:
  things: { path: /things, resource: things }
  there: { path_prefix: /there, upstream: there }
"#;

pub fn use_everything(gateway: &Gateway) {
    let made = gateway.json("POST", "/things", &json!({ "title": "one", "word": "long enough a word" }));
    assert_eq!(made.status, 201, "{made:?}");
    let statuses = ["/things", "/there", "/things", "/things"].map(|path| gateway.get(path).status);
    assert_eq!(statuses, [200, 502, 200, 429]);
}
