//! Edits of the file are applied or rejected as a whole, and no request is lost.

use crate::harness::{Gateway, HEAD, PATIENCE, connect, read_answer};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

fn answering(text: &str) -> String {
    format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\nroutes: {{ root: {{ path: /, respond: {{ text: \"{text}\" }} }} }}\n"
    )
}

#[test]
fn an_edit_changes_the_response_and_counts_a_generation() {
    let gateway = Gateway::start(&answering("one"));
    assert_eq!(gateway.get("/").body, "one");
    assert_eq!(gateway.reload(&answering("two")).status, 200);
    assert_eq!(gateway.get("/").body, "two");
    assert_eq!(gateway.generation(), 2);
}

#[test]
fn an_edit_that_leaves_no_route_is_applied_with_a_warning() {
    let mut gateway = Gateway::start(&answering("one"));
    assert_eq!(gateway.reload("listeners: { web: { address: \"127.0.0.1:0\" } }\n").status, 200);
    assert_eq!(gateway.get("/").status, 404);
    let line = gateway.wait_for_log(|line| line["code"] == "GW0535");
    assert_eq!(line["level"], "WARN");
}

#[test]
fn a_change_to_the_watched_file_is_applied() {
    let head = HEAD.replace("watch: false", "watch: true, debounce: 20ms, poll: 200ms");
    let gateway = Gateway::start_whole(&format!("{head}{}", answering("one")));
    let replacement = gateway.folder().join("next.yaml");
    std::fs::write(&replacement, format!("{head}{}", answering("two"))).unwrap();
    std::fs::rename(replacement, gateway.file()).unwrap();
    let until = Instant::now() + PATIENCE;
    while gateway.get("/").body != "two" {
        assert!(Instant::now() < until, "the edit was not seen");
    }
}

#[test]
fn a_bad_edit_is_rejected_with_its_line_while_the_old_one_serves() {
    let gateway = Gateway::start(&answering("one"));
    let refused = gateway.reload("listeners: { web: { adress: \"127.0.0.1:0\" } }\nroutes: {}\n");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.body.contains("gateway.yaml") && refused.body.contains("address"), "{refused:?}");
    assert_eq!(gateway.get("/").body, "one");
    let status = gateway.admin("GET", "/status").json();
    assert_eq!(status["generation"], 1);
    assert!(status["last_refused"]["diagnostics"][0]["line"].is_u64(), "{status}");
    assert_eq!(gateway.reload(&answering("two")).status, 200);
    assert!(gateway.admin("GET", "/status").json()["last_refused"].is_null());
}

#[test]
fn no_request_on_a_kept_connection_is_lost_over_many_reloads() {
    let gateway = Gateway::start(&answering("0"));
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut stream = connect(gateway.address);
                while !stop.load(Ordering::Relaxed) {
                    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
                    let answer = read_answer(&mut stream).expect("the connection was closed");
                    assert_eq!(answer.status, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for generation in 1..=25 {
            assert_eq!(gateway.reload(&answering(&generation.to_string())).status, 200);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(answered.load(Ordering::Relaxed) > 0);
    assert_eq!(gateway.get("/").body, "25");
    assert_eq!(gateway.generation(), 26);
}

fn limited(text: &str, quota: u32) -> String {
    format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\", chain: edge }} }}
plugins: {{ per-ip: {{ rate_limit: {{ key: client.ip, quota: {quota}, window: 1h }} }} }}
chains: {{ edge: [per-ip] }}
routes: {{ root: {{ path: /, respond: {{ text: \"{text}\" }} }} }}\n"
    )
}

#[test]
fn a_bucket_survives_an_unrelated_reload() {
    let gateway = Gateway::start(&limited("one", 3));
    let statuses = |count: usize| (0..count).map(|_| gateway.get("/").status).collect::<Vec<_>>();
    assert_eq!(statuses(2), [200, 200]);
    assert_eq!(gateway.reload(&limited("two", 3)).status, 200);
    assert_eq!(statuses(2), [200, 429]);
    assert_eq!(gateway.reload(&limited("three", 4)).status, 200);
    assert_eq!(statuses(1), [200], "a new quota starts anew");
}

#[test]
fn a_listener_can_come_and_go() {
    let two = "listeners: { web: { address: \"127.0.0.1:0\" }, more: { address: \"127.0.0.1:PORT\" } }
routes: { root: { path: /, respond: { text: hello } } }\n";
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Gateway::start(&answering("one"));
    let web = "127.0.0.1:0";
    assert_eq!(
        gateway.reload(&two.replace("127.0.0.1:0", web).replace("127.0.0.1:PORT", &free.to_string())).status,
        200
    );
    let answer = crate::harness::send(free, "GET", "/", &[], "");
    assert_eq!(answer.body, "hello");
    let mut kept = connect(free);
    let request = format!("GET / HTTP/1.1\r\nhost: {free}\r\n\r\n");
    kept.write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut kept).unwrap().body, "hello");
    assert_eq!(gateway.reload(&answering("two")).status, 200);
    // It is closed, or a request that crosses the edit is told to reconnect.
    let _ = kept.write_all(request.as_bytes());
    if let Some(answer) = read_answer(&mut kept) {
        assert_eq!((answer.status, answer.header("connection")), (503, Some("close")), "{answer:?}");
    }
    let until = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(free).is_ok() {
        assert!(Instant::now() < until, "the removed listener still accepts");
    }
    assert_eq!(gateway.get("/").body, "two");
}

#[test]
fn an_address_in_use_refuses_the_reload_and_opens_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = Gateway::start(&answering("one"));
    let yaml = format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }}, more: {{ address: \"{}\" }} }}\nroutes: {{ root: {{ path: /, respond: {{ text: two }} }} }}\n",
        taken.local_addr().unwrap()
    );
    let refused = gateway.reload(&yaml);
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("cannot listen on"), "{refused:?}");
    assert_eq!(gateway.get("/").body, "one");
}

#[test]
fn sighup_reloads() {
    let mut gateway = Gateway::start(&answering("one"));
    std::fs::write(gateway.file(), format!("{HEAD}{}", answering("two"))).unwrap();
    gateway.signal("HUP");
    gateway.wait_for_log(|line| line["message"] == "configuration reloaded" && line["generation"] == 2);
    assert_eq!(gateway.get("/").body, "two");
}

/// A watched configuration whose only route is in an included file.
fn including() -> String {
    let head = HEAD.replace("watch: false", "watch: true, debounce: 5ms, poll: 100ms");
    format!("{head}include: [route.yaml]\nlisteners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\n")
}

fn route(text: &str) -> String {
    format!("routes: {{ root: {{ path: /, respond: {{ text: \"{text}\" }} }} }}\n")
}

fn wait_for_body(gateway: &Gateway, text: &str) {
    let until = Instant::now() + PATIENCE;
    while gateway.get("/").body != text {
        assert!(Instant::now() < until, "the edit was not seen");
    }
}

#[test]
fn includes_are_watched_again_once_a_rejected_edit_is_reverted() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // Rejected when parsed, when built, and when its address is bound; none of these names the include.
    for (turn, refused) in [
        "listeners: { web: { adress: 1 } }\n".to_owned(),
        "listeners: { web: { address: \"127.0.0.1:0\", chain: none } }\n".to_owned(),
        format!("listeners: {{ web: {{ address: \"{}\" }} }}\n", taken.local_addr().unwrap()),
    ]
    .iter()
    .enumerate()
    {
        let good = including();
        let mut gateway = Gateway::start_in(&[("gateway.yaml", &good), ("route.yaml", &route("0"))]);
        let head = HEAD.replace("watch: false", "watch: true, debounce: 5ms, poll: 100ms");
        std::fs::write(gateway.file(), format!("{head}{refused}{}", route("x"))).unwrap();
        gateway.wait_for_log(|line| {
            line["message"].as_str().is_some_and(|text| text.starts_with("configuration rejected"))
        });
        if turn == 1 {
            let replacement = folder.path().join("next.yaml");
            std::fs::write(&replacement, &good).unwrap();
            std::fs::rename(&replacement, gateway.file()).unwrap();
        } else {
            std::fs::write(gateway.file(), &good).unwrap();
        }
        let until = Instant::now() + PATIENCE;
        while !gateway.admin("GET", "/status").json()["last_refused"].is_null() {
            assert!(Instant::now() < until, "the edit that took it back was not seen");
        }
        std::fs::write(gateway.folder().join("route.yaml"), route("1")).unwrap();
        wait_for_body(&gateway, "1");
        assert_eq!(gateway.generation(), 2);
    }
}
