//! DNS that fails: the last addresses stay in use, and a name that begins to exist works.

use super::name_server::{NameServer, Records, addresses};
use super::{NAME, in_use, servers, shares, spread, targets, wait_for, wait_until, with_target, yaml};
use crate::harness::Gateway;
use hickory_resolver::proto::op::ResponseCode;
use serde_json::Value;
use std::time::{Duration, Instant};

#[test]
fn the_last_addresses_stay_in_use_while_lookups_fail() {
    let (port, _servers) = servers::start(&[1, 2]);
    let dns = NameServer::start();
    dns.point(NAME, &[1, 2], 1);
    // Long enough that only silence makes a lookup fail, whatever else the machine does.
    let mut gateway = Gateway::start(&yaml(&dns, port, "").replace("timeout: 500ms", "timeout: 2s"));
    wait_for(&gateway, &[1, 2]);
    for (records, reason) in [
        (Records::Failure(ResponseCode::ServFail), "failed (SERVFAIL)"),
        (Records::Failure(ResponseCode::NXDomain), "the name does not exist or has no addresses"),
        (Records::Addresses(Vec::new(), 1), "the name does not exist or has no addresses"),
        (Records::Silence, "no response from DNS server"),
        // The other version of IP must not replace the addresses.
        (Records::OnlyIpv6(vec!["::1".parse().unwrap()]), "no response from DNS server"),
    ] {
        dns.set(NAME, records);
        let fails = || targets(&gateway).iter().all(|target| error(target).contains(reason));
        wait_until(reason, fails);
        assert_eq!(in_use(&gateway), ["127.0.0.1", "127.0.0.2"]);
        assert_eq!(spread(&gateway, 4), shares(&[(1, 2), (2, 2)]), "{reason}");
    }
    dns.point(NAME, &[2], 1);
    wait_for(&gateway, &[2]);
    wait_until("lookups succeed", || targets(&gateway)[0]["lookup_error"] == Value::Null);
    gateway.wait_for_log(|line| line["message"] == "name was looked up");
    let log = gateway.log();
    assert_eq!(log.matches("name cannot be looked up").count(), 1, "{log}");
}

fn error(target: &Value) -> &str {
    target["lookup_error"].as_str().unwrap_or_default()
}

#[test]
fn a_name_that_does_not_exist_gives_502_and_works_once_it_exists() {
    let (port, _servers) = servers::start(&[1, 2]);
    let dns = NameServer::start();
    let mut gateway = Gateway::start(&yaml(&dns, port, ""));
    assert_eq!(gateway.get("/").status, 502);
    let reason = format!("connect {NAME}:{port}: the name does not exist or has no addresses");
    gateway.wait_for_log(|line| line["error"] == *reason);
    dns.point(NAME, &[1, 2], 60);
    wait_until("requests are served", || gateway.get("/").status == 200);
    wait_for(&gateway, &[1, 2]);
    assert_eq!(spread(&gateway, 4), shares(&[(1, 2), (2, 2)]));
    assert_eq!(gateway.generation(), 1);
}

#[test]
fn the_first_request_waits_for_the_first_lookup() {
    let (port, _servers) = servers::start(&[1]);
    let dns = NameServer::start();
    dns.point(NAME, &[1], 60);
    for _ in 0..5 {
        assert_eq!(Gateway::start(&yaml(&dns, port, "")).get("/").status, 200);
    }
}

#[test]
fn a_lookup_that_takes_longer_than_connecting_may_is_the_reason_of_the_502() {
    let dns = NameServer::start();
    dns.set(NAME, Records::Silence);
    let mut gateway = Gateway::start(&yaml(&dns, 1, ", timeouts: { connect: 100ms }"));
    assert_eq!(gateway.get("/").status, 502);
    let reason = format!("connect {NAME}:1: the DNS lookup takes longer than `timeouts.connect`");
    gateway.wait_for_log(|line| line["error"].as_str().is_some_and(|error| error.starts_with(&*reason)));
}

#[test]
fn an_address_that_refuses_connections_is_looked_up_before_its_ttl_ends() {
    let (port, _servers) = servers::start(&[1]);
    let dns = NameServer::start();
    dns.point(NAME, &[2], 3600);
    let gateway = Gateway::start(&yaml(&dns, port, "").replace("max_ttl: 2s", "max_ttl: 1h"));
    wait_for(&gateway, &[2]);
    dns.point(NAME, &[1], 3600);
    wait_until("requests are served", || gateway.get("/").status == 200);
    assert_eq!(in_use(&gateway), ["127.0.0.1"]);
}

#[test]
fn ipv4_addresses_are_used_unless_there_are_none_or_ipv6_is_preferred() {
    let dns = NameServer::start();
    let both: Vec<_> = addresses(&[1]).into_iter().chain(["::1".parse().unwrap()]).collect();
    dns.set(NAME, Records::Addresses(both, 60));
    dns.set("v6.test", Records::Addresses(vec!["::1".parse().unwrap()], 60));
    let targets = format!("{{ url: \"http://{NAME}:9\" }}, {{ url: \"http://v6.test:9\" }}");
    let yaml = with_target(&dns, &targets, "");
    let gateway = Gateway::start(&yaml);
    wait_until("IPv6 is used if there is no IPv4", || in_use(&gateway) == ["127.0.0.1", "::1"]);
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        assert_eq!(gateway.reload(&yaml.replace("timeout:", "prefer: ipv6, timeout:")).status, 200);
        wait_until("IPv6 is preferred", || in_use(&gateway) == ["::1", "::1"]);
    }
}

#[test]
fn the_second_server_is_asked_only_if_the_first_fails() {
    let (first, second) = (NameServer::start(), NameServer::start());
    second.point(NAME, &[2], 1);
    second.point("other.test", &[2], 1);
    let targets = format!("{{ url: \"http://{NAME}:9\" }}, {{ url: \"http://other.test:9\" }}");
    let servers = format!("servers: [\"{}\", \"{}\"]", first.address, second.address);
    let yaml = with_target(&first, &targets, "").replace(&format!("servers: [\"{}\"]", first.address), &servers);
    first.set("other.test", Records::Failure(ResponseCode::ServFail));
    // The first one does not have this name, and is not too slow either.
    let gateway = Gateway::start(&yaml.replace("timeout: 500ms", "timeout: 20s"));
    wait_until("the other name is known", || in_use(&gateway) == ["127.0.0.2"]);
    wait_until("the first one is asked again", || first.queries(NAME) > 4);
    assert_eq!((in_use(&gateway).len(), second.queries(NAME)), (1, 0));
    first.set(NAME, Records::Silence);
    assert_eq!(gateway.reload(&yaml).status, 200);
    wait_for(&gateway, &[2, 2]);
}

#[test]
fn a_name_that_does_not_exist_is_not_looked_up_for_each_request() {
    let dns = NameServer::start();
    let gateway = Gateway::start(&yaml(&dns, 9, "").replace("timeout: 500ms", "timeout: 20s"));
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(2) {
        assert_eq!(gateway.get("/").status, 502);
    }
    let (queries, seconds) = (dns.queries(NAME), started.elapsed().as_secs_f32());
    // Each lookup asks for both versions of IP.
    assert!(queries as f32 <= 4.0 * (seconds + 2.0), "{queries} in {seconds} s");
}
