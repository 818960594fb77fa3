//! Changes of addresses: each address serves what the file says, and no request is lost.

mod ports;

use crate::harness::{ADMIN_TOKEN, Answer, Gateway, connect, read_answer, send};
use serde_json::json;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const FREE: &str = "127.0.0.1:0";

/// A configuration with these listeners, each of which returns its name in every response, and this admin address.
fn on(listeners: &[(&str, &str)], admin: Option<&str>) -> String {
    let mut document = json!({
        "version": 1,
        "reload": { "watch": false, "drain": "5s" },
        "shutdown": { "drain": "5s" },
        "telemetry": { "logs": { "format": "json" } },
        "listeners": {}, "plugins": {}, "chains": {},
        "routes": { "all": { "path_prefix": "/", "respond": { "text": "a route" } } },
    });
    for (name, address) in listeners {
        document["listeners"][name] = json!({ "address": address, "chain": name });
        document["plugins"][name] = json!({ "headers": { "response": { "set": { "x-listener": name } } } });
        document["chains"][name] = json!([name]);
    }
    if let Some(admin) = admin {
        document["admin"] = json!({ "address": admin, "token": ADMIN_TOKEN });
    }
    document.to_string()
}

/// What an address serves: `admin`, the name of a listener, or `nothing`.
fn served(address: SocketAddr) -> String {
    if TcpStream::connect(address).is_err() {
        return "nothing".into();
    }
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let answer = send(address, "GET", "/status", &[("authorization", &bearer)], "");
    match answer.header("x-listener") {
        Some(name) => name.to_owned(),
        None if answer.status == 200 && answer.json()["generation"].is_u64() => "admin".into(),
        None => panic!("{answer:?}"),
    }
}

/// Writes the file and reloads through the current admin address.
fn edit(gateway: &Gateway, yaml: &str) -> crate::harness::Answer {
    std::fs::write(gateway.file(), yaml).unwrap();
    gateway.admin("POST", "/reload")
}

fn start() -> (Gateway, SocketAddr, SocketAddr) {
    let gateway = Gateway::start_whole(&on(&[("web", FREE)], Some(FREE)));
    let (web, admin) = (gateway.address, gateway.admin);
    (gateway, web, admin)
}

/// The address of the admin API after it was given a free port again.
fn new_admin(gateway: &mut Gateway, old: SocketAddr) -> SocketAddr {
    let line =
        gateway.wait_for_log(|line| line["message"] == "admin API listening" && line["address"] != old.to_string());
    line["address"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_listener_that_moves_onto_the_admin_address_serves_its_routes_there() {
    let (mut gateway, web, admin) = start();
    // Port 0 with the same address in the file would keep the old port.
    assert_eq!(edit(&gateway, &on(&[("web", &admin.to_string())], Some("127.0.0.2:0"))).status, 200);
    assert_eq!((served(admin), served(web)), ("web".into(), "nothing".into()));
    let moved = new_admin(&mut gateway, admin);
    assert_eq!(served(moved), "admin");
}

#[test]
fn the_admin_api_that_moves_onto_the_address_of_a_listener_is_served_there() {
    let (gateway, web, admin) = start();
    assert_eq!(edit(&gateway, &on(&[("other", FREE)], Some(&web.to_string()))).status, 200);
    assert_eq!((served(web), served(admin)), ("admin".into(), "nothing".into()));
}

#[test]
fn the_admin_address_and_a_listener_swap_over_and_over_under_load() {
    let (mut gateway, mut web, mut admin) = start();
    let (stop, served_requests) = (AtomicBool::new(false), AtomicUsize::new(0));
    let addresses = [web, admin];
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (stop, served_requests) = (&stop, &served_requests);
            // Connections that cross a swap are closed or told to reconnect; none is refused or hangs.
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut stream = connect(addresses[client % 2]);
                    let request = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", addresses[client % 2]);
                    for _ in 0..3 {
                        if stream.write_all(request.as_bytes()).is_err() {
                            break;
                        }
                        let Some(answer) = read_answer(&mut stream) else { break };
                        assert!(matches!(answer.status, 200 | 401 | 503), "{answer:?}");
                        served_requests.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for _ in 0..8 {
            assert_eq!(edit(&gateway, &on(&[("web", &admin.to_string())], Some(&web.to_string()))).status, 200);
            (web, admin) = (admin, web);
            (gateway.address, gateway.admin) = (web, admin);
            assert_eq!((served(web), served(admin)), ("web".into(), "admin".into()));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(served_requests.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_token_grants_nothing_once_the_admin_api_is_removed() {
    let (gateway, web, admin) = start();
    let mut kept = connect(admin);
    let request = format!("GET /status HTTP/1.1\r\nhost: {admin}\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\r\n");
    kept.write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut kept).unwrap().status, 200);
    assert_eq!(edit(&gateway, &on(&[("web", &admin.to_string())], None)).status, 200);
    assert_eq!((served(admin), served(web)), ("web".into(), "nothing".into()));
    // An older connection is closed, or its request is told to reconnect.
    let _ = kept.write_all(request.as_bytes());
    if let Some(answer) = read_answer(&mut kept) {
        assert_eq!((answer.status, answer.header("connection")), (503, Some("close")), "{answer:?}");
    }
}

#[test]
fn a_replaced_token_grants_nothing_after_the_reload() {
    let (gateway, web, admin) = start();
    let yaml = on(&[("web", &web.to_string())], Some(&admin.to_string()));
    assert_eq!(edit(&gateway, &yaml.replace(ADMIN_TOKEN, "another-token-of-forty-letters-0123456789")).status, 200);
    assert_eq!(gateway.admin("GET", "/status").status, 401);
}

#[test]
fn two_listeners_swap_addresses_by_name() {
    let gateway = Gateway::start_whole(&on(&[("web", FREE), ("more", "127.0.0.2:0")], Some(FREE)));
    let mut gateway = gateway;
    let line = gateway.wait_for_log(|line| line["message"] == "listening" && line["listener"] == "more");
    let (web, more): (_, SocketAddr) = (gateway.address, line["address"].as_str().unwrap().parse().unwrap());
    assert_eq!((served(web), served(more)), ("web".into(), "more".into()));
    let mut kept = connect(web);
    let request = format!("GET / HTTP/1.1\r\nhost: {web}\r\n\r\n");
    kept.write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut kept).unwrap().header("x-listener"), Some("web"));
    for (first, second) in [(more, web), (web, more), (more, web)] {
        let yaml = on(&[("web", &first.to_string()), ("more", &second.to_string())], Some(FREE));
        assert_eq!(edit(&gateway, &yaml).status, 200);
        assert_eq!((served(first), served(second)), ("web".into(), "more".into()));
    }
}

#[test]
fn a_listener_called_admin_on_a_free_port_is_not_the_admin_address() {
    let gateway = Gateway::start_whole(&on(&[("admin", FREE)], Some(FREE)));
    assert_ne!(gateway.address, gateway.admin);
    assert_eq!((served(gateway.address), served(gateway.admin)), ("admin".into(), "admin".into()));
    assert_eq!(gateway.get("/status").body, "a route");
}

#[test]
fn an_edit_that_writes_down_the_free_port_keeps_it() {
    let (gateway, web, admin) = start();
    assert_eq!(edit(&gateway, &on(&[("web", &web.to_string())], Some(&admin.to_string()))).status, 200);
    assert_eq!((served(web), served(admin)), ("web".into(), "admin".into()));
}

#[test]
fn an_address_that_another_listener_keeps_is_refused_with_its_holder() {
    let (gateway, web, admin) = start();
    for (taken, holder) in [(web, "listeners.web.address"), (admin, "admin.address")] {
        let yaml = on(&[("web", FREE), ("more", &taken.to_string())], Some(FREE));
        let refused = edit(&gateway, &yaml);
        assert_eq!(refused.status, 422);
        assert!(
            refused.body.contains(holder) && !refused.body.contains("the program that uses this address"),
            "{refused:?}"
        );
    }
    assert_eq!((served(web), served(admin)), ("web".into(), "admin".into()));
}

#[test]
fn an_address_can_go_and_come_back_at_once() {
    let (gateway, web, _) = start();
    let other = on(&[("other", FREE)], Some(FREE));
    for _ in 0..5 {
        assert_eq!(edit(&gateway, &other).status, 200);
        assert_eq!(served(web), "nothing");
        assert_eq!(edit(&gateway, &on(&[("web", &web.to_string())], Some(FREE))).status, 200);
        assert_eq!(served(web), "web");
    }
}

/// The port of `address` on other interfaces: wildcards of both families, and loopback.
fn beside(address: SocketAddr) -> [String; 3] {
    ["0.0.0.0", "[::]", "127.0.0.1"].map(|host| format!("{host}:{}", address.port()))
}

/// The response to one request, or none if the connection was refused or reset.
fn response_of(to: SocketAddr) -> Option<Answer> {
    let mut stream = TcpStream::connect(to).ok()?;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n").as_bytes()).ok()?;
    read_answer(&mut stream)
}

#[test]
fn an_address_can_become_a_wildcard_and_back_while_clients_connect() {
    let (gateway, web, admin) = start();
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // Each request has its own connection.
                    let answer = response_of(web).expect("no connection is refused or reset");
                    assert_eq!(answer.status, 200, "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let [all, both, loopback] = beside(web);
        let (admin_all, admin_loopback) = (beside(admin)[0].clone(), beside(admin)[2].clone());
        for (web_address, admin_address) in [
            (&all, &admin_loopback),
            (&loopback, &admin_all),
            (&both, &admin_loopback),
            (&all, &admin_all),
            (&both, &admin_all),
            (&loopback, &admin_loopback),
        ] {
            assert_eq!(edit(&gateway, &on(&[("web", web_address)], Some(admin_address))).status, 200, "{web_address}");
            assert_eq!((served(web), served(admin)), ("web".into(), "admin".into()), "{web_address}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(answered.load(Ordering::Relaxed) > 0);
}

/// Requests on one connection until it is told to close. `None` if a request got no response.
fn session(to: SocketAddr) -> Option<u32> {
    let mut stream = TcpStream::connect(to).ok()?;
    for served in 1..200 {
        stream.write_all(format!("GET / HTTP/1.1\r\nhost: {to}\r\n\r\n").as_bytes()).ok()?;
        if read_answer(&mut stream)?.header("connection") == Some("close") {
            return Some(served);
        }
    }
    Some(200)
}

#[test]
fn open_connections_lose_no_request_when_their_address_becomes_a_wildcard_and_back() {
    let (gateway, web, admin) = start();
    let idle = || {
        let mut stream = connect(web);
        stream.write_all(format!("GET / HTTP/1.1\r\nhost: {web}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream).unwrap().status, 200);
        stream
    };
    let (stop, served_requests) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let served = session(web).expect("each request gets a response");
                    served_requests.fetch_add(served as usize, Ordering::Relaxed);
                }
            });
        }
        let [all, both, loopback] = beside(web);
        for address in [&all, &loopback, &both, &all, &both, &loopback, &all, &loopback] {
            let mut kept = idle();
            assert_eq!(edit(&gateway, &on(&[("web", address)], Some(&admin.to_string()))).status, 200, "{address}");
            assert_eq!(served(web), "web", "{address}");
            // A connection that was idle meanwhile is told to close by the response to its next request.
            kept.write_all(format!("GET / HTTP/1.1\r\nhost: {web}\r\n\r\n").as_bytes()).unwrap();
            let answer = read_answer(&mut kept).expect("an idle connection stays usable");
            assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(served_requests.load(Ordering::Relaxed) > 0);
}

#[test]
fn two_listeners_swap_their_ports_and_become_wildcards_in_one_edit() {
    let mut gateway = Gateway::start_whole(&on(&[("web", FREE), ("more", FREE)], Some(FREE)));
    let line = gateway.wait_for_log(|line| line["message"] == "listening" && line["listener"] == "more");
    let (web, more): (_, SocketAddr) = (gateway.address, line["address"].as_str().unwrap().parse().unwrap());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for address in [web, more] {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(response_of(address).expect("no connection is refused or reset").status, 200);
                }
            });
        }
        let wild = |address| beside(address)[0].clone();
        let plain = |address: SocketAddr| address.to_string();
        for (first, second) in
            [(wild(more), wild(web)), (plain(web), wild(more)), (wild(more), plain(web)), (plain(web), plain(more))]
        {
            let yaml = on(&[("web", &first), ("more", &second)], Some(FREE));
            assert_eq!(edit(&gateway, &yaml).status, 200, "{first} {second}");
            let web_is_first = first.ends_with(&format!(":{}", web.port()));
            let (at_web, at_more) = if web_is_first { ("web", "more") } else { ("more", "web") };
            assert_eq!((served(web), served(more)), (at_web.into(), at_more.into()));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_wildcard_moves_from_a_listener_to_the_admin_api_and_back() {
    let (mut gateway, web, admin) = start();
    for _ in 0..2 {
        let (web_all, admin_all) = (beside(web)[0].clone(), beside(admin)[0].clone());
        assert_eq!(edit(&gateway, &on(&[("web", &admin_all)], Some(&web_all))).status, 200);
        (gateway.address, gateway.admin) = (admin, web);
        assert_eq!((served(admin), served(web)), ("web".into(), "admin".into()));
        assert_eq!(edit(&gateway, &on(&[("web", &web.to_string())], Some(&admin.to_string()))).status, 200);
        (gateway.address, gateway.admin) = (web, admin);
        assert_eq!((served(admin), served(web)), ("admin".into(), "web".into()));
    }
}

#[test]
fn an_address_that_was_shared_in_an_edit_is_still_refused_to_others() {
    let (gateway, web, _) = start();
    let all = beside(web)[0].clone();
    assert_eq!(edit(&gateway, &on(&[("web", &all)], Some(FREE))).status, 200);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), on(&[("web", &all)], None)).unwrap();
    let output = crate::harness::command(folder.path()).args(["run", "gateway.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stop the program that uses this address"));
}
