//! Health and connections belong to one address of a name, and outlive a reload.

use super::name_server::{NameServer, Records};
use super::servers::{self, Server};
use super::{NAME, shares, spread, targets, wait_for, wait_until, yaml};
use crate::harness::{ADMIN_TOKEN, Gateway, HEAD, command, connect, read_answer};
use crate::metrics::Scraped;
use hickory_resolver::proto::op::ResponseCode;
use std::io::Write;

/// The health of each address.
fn health(gateway: &Gateway) -> Vec<String> {
    targets(gateway).iter().map(|target| target["health"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_reload_keeps_the_ejection_of_an_address_and_the_connections() {
    let (port, servers) = servers::start(&[1, 2, 3]);
    let dns = NameServer::start();
    dns.point(NAME, &[1, 2, 3], 3600);
    let passive = ", health_checks: { passive: { consecutive_failures: 2, ejection_time: 10m } }";
    let gateway = Gateway::start(&yaml(&dns, port, passive).replace("max_ttl: 2s", "max_ttl: 1h"));
    wait_for(&gateway, &[1, 2, 3]);
    servers[1].fail();
    // A client's connection stays on one worker, and each worker has its own connections to targets.
    let mut client = connect(gateway.address);
    let mut get = || {
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        read_answer(&mut client).unwrap().status
    };
    wait_until("it is ejected", || {
        gateway.get("/");
        health(&gateway) == ["healthy", "ejected", "healthy"]
    });
    assert_eq!([get(), get(), get(), get()], [200; 4]);
    let accepted = || servers.iter().map(Server::accepted).collect::<Vec<_>>();
    let before = accepted();
    let queries = dns.queries(NAME);
    let edited = yaml(&dns, port, &format!("{passive}, timeouts: {{ response_header: 7s }}"));
    let edited = edited.replace("max_ttl: 2s", "max_ttl: 1h");
    assert_eq!(gateway.reload(&edited).status, 200);
    assert_eq!(health(&gateway), ["healthy", "ejected", "healthy"]);
    assert_eq!([get(), get(), get(), get()], [200; 4]);
    assert_eq!(accepted(), before, "no connection was opened");
    assert_eq!(dns.queries(NAME), queries, "nothing was looked up");
    // Other settings of DNS look the name up again, and keep the rest too.
    assert_eq!(gateway.reload(&edited.replace("timeout: 500ms", "timeout: 600ms")).status, 200);
    wait_until("it was looked up", || dns.queries(NAME) > queries);
    assert_eq!(health(&gateway), ["healthy", "ejected", "healthy"]);
    assert_eq!([get(), get(), get(), get()], [200; 4]);
    assert_eq!(accepted(), before, "no connection was opened");
}

#[test]
fn an_active_check_of_each_address_takes_the_unhealthy_one_out() {
    let (port, servers) = servers::start(&[1, 2, 3]);
    let dns = NameServer::start();
    dns.point(NAME, &[1, 2], 1);
    let active = ", health_checks: { active: { path: /health, interval: 50ms, timeout: 5s, unhealthy_after: 1 } }";
    let mut gateway = Gateway::start(&yaml(&dns, port, active));
    wait_for(&gateway, &[1, 2]);
    servers[1].fail();
    wait_until("it is unhealthy", || health(&gateway) == ["healthy", "unhealthy"]);
    let line = gateway.wait_for_log(|line| line["message"] == "target is unhealthy");
    assert_eq!((line["peer"].as_str(), line["error"].as_str()), (Some("127.0.0.2"), Some("status 500")));
    assert_eq!(spread(&gateway, 6), shares(&[(1, 6)]));
    // An address that is added is checked without a reload, and one that is removed no longer.
    servers[2].fail();
    dns.point(NAME, &[1, 3], 1);
    wait_for(&gateway, &[1, 3]);
    wait_until("the new one is unhealthy", || health(&gateway) == ["healthy", "unhealthy"]);
    wait_until("the old one is not connected to", || servers[1].open() == 0);
    let (checked, last) = (servers[1].accepted(), servers[2].accepted());
    wait_until("checks go on", || servers[2].accepted() > last + 3);
    assert_eq!(servers[1].accepted(), checked);
}

#[test]
fn an_address_that_is_added_later_starts_slowly() {
    let (port, _servers) = servers::start(&[1, 2, 3]);
    let dns = NameServer::start();
    dns.point(NAME, &[1, 2], 1);
    let gateway = Gateway::start(&yaml(&dns, port, ", load_balancing: { slow_start: 1h }"));
    wait_for(&gateway, &[1, 2]);
    assert_eq!(spread(&gateway, 10), shares(&[(1, 5), (2, 5)]), "the first addresses do not");
    dns.point(NAME, &[1, 2, 3], 1);
    wait_for(&gateway, &[1, 2, 3]);
    let seen = spread(&gateway, 60);
    // Its chance is a thousandth after some seconds.
    assert!(seen.get("127.0.0.3").is_none_or(|count| *count < 10), "{seen:?}");
}

#[test]
fn metrics_and_status_show_how_many_addresses_of_a_name_are_healthy() {
    let (port, servers) = servers::start(&[1, 2]);
    let dns = NameServer::start();
    dns.point(NAME, &[1, 2], 60);
    let passive = ", health_checks: { passive: { consecutive_failures: 1, ejection_time: 10m } }";
    let head = HEAD.replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },");
    let gateway = Gateway::start_whole(&(head + &yaml(&dns, port, passive)));
    wait_for(&gateway, &[1, 2]);
    servers[1].fail();
    wait_until("it is ejected", || {
        gateway.get("/");
        health(&gateway) == ["healthy", "ejected"]
    });
    let scraped = Scraped::of(&gateway);
    for name in ["gateway_upstream_target_healthy", "gateway_upstream_target_ejected"] {
        assert_eq!(scraped.value(name, &[("server_address", NAME), ("gateway_upstream", "orders")]), 0.5, "{name}");
    }
    dns.set(NAME, Records::Failure(ResponseCode::ServFail));
    wait_until("lookups fail", || targets(&gateway)[0]["lookup_error"].is_string());
    let mut status = command(gateway.folder());
    let status = status.args(["status", "--address", &gateway.admin.to_string(), "--token", ADMIN_TOKEN]).output();
    let shown = String::from_utf8(status.unwrap().stdout).unwrap();
    let address = format!("{NAME}:{port}");
    for row in [
        format!("ejected      orders {address} (127.0.0.2)\n"),
        format!("DNS failing  {address} (DNS server {} failed (SERVFAIL))\n", dns.address),
        format!("addresses    {address}: 127.0.0.1, 127.0.0.2 (ejected)\n"),
    ] {
        assert!(shown.contains(&row), "{row} not in {shown}");
    }
}
