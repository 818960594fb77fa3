//! Health and connections belong to one address of a name, and outlive a reload.

use super::name_server::NameServer;
use super::servers::{self, Server};
use super::{NAME, shares, spread, targets, wait_for, wait_until, yaml};
use crate::harness::{Gateway, connect, read_answer};
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
