//! SIGTERM: requests in progress finish, nothing hangs, and the exit code is right.

use crate::harness::{Gateway, HEAD, connect, read_answer};
use std::io::{Read, Write};

const YAML: &str = "listeners: { web: { address: \"127.0.0.1:0\" } }
routes: { root: { path: /, respond: { text: hello } } }\n";

#[test]
fn an_idle_connection_is_closed_and_the_process_exits_cleanly() {
    let mut gateway = Gateway::start(YAML);
    let mut stream = connect(gateway.address);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().body, "hello");
    gateway.signal("TERM");
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "closed without a reset");
    assert_eq!(gateway.wait(), Some(0));
}

#[test]
fn signals_that_other_servers_know_are_ignored() {
    let mut gateway = Gateway::start(YAML);
    for name in ["USR1", "USR2"] {
        gateway.signal(name);
        gateway.wait_for_log(|line| line["signal"] == format!("SIG{name}"));
        assert_eq!(gateway.get("/").body, "hello");
    }
}

#[test]
fn during_the_grace_period_readiness_fails_and_requests_are_served() {
    let head = HEAD.replace("shutdown: { drain: 5s }", "shutdown: { grace: 60s, drain: 5s }");
    let mut gateway = Gateway::start_whole(&format!("{head}{YAML}"));
    gateway.signal("TERM");
    gateway.wait_for_log(|line| line["message"] == "shutting down");
    assert_eq!(gateway.get("/health/ready").status, 503);
    assert_eq!(gateway.get("/health/live").status, 200);
    assert_eq!(gateway.get("/").body, "hello");
    gateway.signal("TERM");
    assert_ne!(gateway.wait(), Some(0), "a second signal ends the process at once");
}
