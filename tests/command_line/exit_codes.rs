//! How `gatewright run` ends, and what signals do.

use crate::harness::{Gateway, HEAD};

const ROUTES: &str = "listeners: { web: { address: \"127.0.0.1:0\" } }\n\
                      routes: { root: { path: /, respond: { text: hello } } }\n";

#[test]
fn one_signal_is_a_clean_end_and_a_second_one_ends_at_once() {
    for signal in ["TERM", "INT"] {
        let mut gateway = Gateway::start(ROUTES);
        gateway.signal(signal);
        assert_eq!(gateway.wait(), Some(0), "{signal}");
        let mut gateway =
            Gateway::start_whole(&format!("{}{ROUTES}", HEAD.replace("drain: 5s }\nadmin", "grace: 60s }\nadmin")));
        gateway.signal(signal);
        while gateway.get("/health/ready").status != 503 {
            std::thread::yield_now();
        }
        gateway.signal(signal);
        assert_eq!(gateway.wait(), Some(130), "{signal}");
    }
}

#[test]
fn a_hangup_reloads() {
    let mut gateway = Gateway::start(ROUTES);
    std::fs::write(gateway.file(), format!("{HEAD}{}", ROUTES.replace("hello", "bye"))).unwrap();
    gateway.signal("HUP");
    while gateway.generation() == 1 {
        std::thread::yield_now();
    }
    assert_eq!(gateway.get("/").body, "bye");
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
}
