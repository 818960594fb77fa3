//! Requests beyond the limits of a route or a listener are rejected at once, or wait.

use crate::harness::{Gateway, head_of, send};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};

/// An upstream that reports each request and responds when the test says so.
fn slow() -> (SocketAddr, Receiver<()>, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (arrived, arrivals) = channel();
    let (go, gone) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            if !head_of(&mut stream).is_empty() {
                arrived.send(()).unwrap();
                let Ok(()) = gone.recv() else { return };
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").unwrap();
            }
        }
    });
    (address, arrivals, go)
}

fn yaml(address: SocketAddr, listener: &str, route: &str) -> String {
    format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\", limits: {{ {listener} }} }} }}
upstreams: {{ app: {{ targets: [{{ url: \"http://{address}\" }}] }} }}
routes:
  slow:  {{ path: /slow, upstream: app, limits: {{ {route} }} }}
  other: {{ path: /other, respond: {{ text: other }} }}\n"
    )
}

#[test]
fn requests_beyond_the_limit_of_a_route_are_rejected_and_other_routes_are_served() {
    let (address, arrivals, go) = slow();
    let gateway = Gateway::start(&yaml(address, "", "concurrency: 1"));
    let to = gateway.address;
    let first = std::thread::spawn(move || send(to, "GET", "/slow", &[], ""));
    arrivals.recv().unwrap();
    let refused = gateway.send("GET", "/slow", &[("accept", "application/problem+json")], "");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json()["reason"], "overloaded");
    assert!(refused.header("x-request-id").is_some());
    assert_eq!(gateway.get("/other").status, 200);
    // The count survives a reload, and a higher limit applies at once.
    gateway.reload(&yaml(address, "", "concurrency: 1, queue: 0"));
    assert_eq!(gateway.get("/slow").status, 503);
    go.send(()).unwrap();
    assert_eq!(first.join().unwrap().body, "ok");
    go.send(()).unwrap();
    assert_eq!(gateway.get("/slow").body, "ok");
}

#[test]
fn requests_wait_in_the_queue_until_another_has_ended() {
    let (address, arrivals, go) = slow();
    let gateway = Gateway::start(&yaml(address, "", "concurrency: 1, queue: 1, queue_timeout: 1m"));
    let to = gateway.address;
    let first = std::thread::spawn(move || send(to, "GET", "/slow", &[], ""));
    arrivals.recv().unwrap();
    let second = std::thread::spawn(move || send(to, "GET", "/slow", &[], ""));
    // The third is rejected once the second waits, and waits itself before.
    let third = std::thread::spawn(move || send(to, "GET", "/slow", &[], ""));
    while !second.is_finished() && !third.is_finished() {
        std::thread::yield_now();
    }
    go.send(()).unwrap();
    go.send(()).unwrap();
    let mut seen = [first, second, third].map(|asked| asked.join().unwrap().status);
    seen.sort_unstable();
    assert_eq!(seen, [200, 200, 503]);
}

/// An upstream that reports each request, and responds to all of them once the test drops the sender.
fn holding() -> (SocketAddr, Receiver<()>, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ((arrived, arrivals), (hold, held)) = (channel(), channel::<()>());
    std::thread::spawn(move || {
        let mut streams = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok).take(3) {
            if !head_of(&mut stream).is_empty() {
                arrived.send(()).unwrap();
                streams.push(stream);
            }
        }
        let _ = held.recv();
        for mut stream in streams {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").unwrap();
        }
    });
    (address, arrivals, hold)
}

#[test]
fn an_edit_that_raises_or_removes_a_limit_admits_the_requests_that_wait() {
    let limits = |place: usize, limits: &str, address: SocketAddr| {
        let at = |own: usize| if place == own { limits } else { "" };
        let breaker = format!("connect: 60s }}, circuit_breaker: {{ {} }} }} }}", at(2));
        yaml(address, at(0), at(1)).replace(" }] } }", &format!(" }}], timeouts: {{ {breaker}"))
    };
    let queue = "queue: 2, queue_timeout: 1m";
    for (place, full, raised) in [
        (0, format!("concurrency: 1, {queue}"), format!("concurrency: 3, {queue}")),
        (1, format!("concurrency: 1, {queue}"), format!("concurrency: 3, {queue}")),
        (2, "max_requests: 1, max_pending: 2".to_owned(), "max_requests: 3, max_pending: 2".to_owned()),
        (0, format!("concurrency: 1, {queue}"), String::new()),
        (1, format!("concurrency: 1, {queue}"), String::new()),
        (2, "max_requests: 1, max_pending: 2".to_owned(), String::new()),
    ] {
        let (address, arrivals, hold) = holding();
        let gateway = Gateway::start(&limits(place, &full, address));
        let to = gateway.address;
        let ask = || std::thread::spawn(move || send(to, "GET", "/slow", &[], "").status);
        let first = ask();
        arrivals.recv().unwrap();
        // Two of these wait once the third is rejected.
        let others = [(); 3].map(|()| ask());
        while !others.iter().any(std::thread::JoinHandle::is_finished) {
            std::thread::yield_now();
        }
        let reloaded = gateway.reload(&limits(place, &raised, address));
        assert_eq!(reloaded.status, 200, "{reloaded:?}");
        for _ in 0..2 {
            arrivals.recv_timeout(std::time::Duration::from_secs(20)).expect("those that wait are admitted");
        }
        drop(hold);
        let mut seen: Vec<_> = std::iter::once(first).chain(others).map(|asked| asked.join().unwrap()).collect();
        seen.sort_unstable();
        assert_eq!(seen, [200, 200, 200, 503], "{place} {raised}");
    }
}

#[test]
fn health_and_the_admin_api_are_served_by_a_listener_that_is_full() {
    let (address, arrivals, go) = slow();
    let gateway = Gateway::start(&yaml(address, "concurrency: 1", ""));
    let to = gateway.address;
    let first = std::thread::spawn(move || send(to, "GET", "/slow", &[], ""));
    arrivals.recv().unwrap();
    for path in ["/other", "/nowhere"] {
        let refused = gateway.get(path);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{path}");
        assert!(refused.header("x-request-id").is_some());
    }
    assert_eq!((gateway.get("/health").status, gateway.get("/health/ready").status), (200, 200));
    assert_eq!(gateway.generation(), 1, "the admin API responds");
    go.send(()).unwrap();
    assert_eq!(first.join().unwrap().body, "ok");
    assert_eq!(gateway.get("/other").status, 200);
}

#[test]
fn scripts_of_other_origins_can_read_that_a_limit_is_reached() {
    let (address, arrivals, go) = slow();
    let pages = "plugins: { pages: { cors: { allow_origins: [\"https://app.example\"] } } }\n";
    for (listener, route, chain, plugins) in
        [("concurrency: 1", "", "chain: edge, ", ""), ("", "concurrency: 1", "", "plugins: [pages], ")]
    {
        let yaml = yaml(address, listener, route)
            .replace("\"127.0.0.1:0\", ", &format!("\"127.0.0.1:0\", {chain}"))
            .replace("path: /slow, ", &format!("path: /slow, {plugins}"));
        let gateway = Gateway::start(&format!("{yaml}{pages}chains: {{ edge: [pages] }}\n"));
        let to = gateway.address;
        let first = std::thread::spawn(move || send(to, "GET", "/slow", &[], ""));
        arrivals.recv().unwrap();
        let refused = gateway.send("GET", "/slow", &[("origin", "https://app.example")], "");
        let allowed = refused.header("access-control-allow-origin");
        assert_eq!((refused.status, allowed), (503, Some("https://app.example")), "{listener}{route}");
        go.send(()).unwrap();
        assert_eq!(first.join().unwrap().body, "ok");
    }
}
