//! Limits of a route replace those around it: wider and narrower than its listener and its chains.

use crate::harness::{Gateway, head_of, send};
use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc::channel;

#[test]
fn a_route_accepts_longer_or_shorter_bodies_than_its_listener() {
    let gateway = Gateway::start(
        r#"
listeners: { web: { address: "127.0.0.1:0", chain: edge, limits: { body_bytes: 1KiB } } }
plugins: { small: { body_limit: { max: 1KiB } } }
chains: { edge: [small] }
stores: { main: { url: "sqlite::memory:" } }
resources: { notes: { store: main, access: { default: public }, fields: { text: { type: string } } } }
routes:
  wide:   { path_prefix: /wide, limits: { body_bytes: 4KiB }, respond: { text: taken } }
  narrow: { path: /narrow, limits: { body_bytes: 512B }, respond: { text: taken } }
  plain:  { path: /plain, respond: { text: taken } }
  notes:  { path: /notes, limits: { body_bytes: 4KiB }, resource: notes }
"#,
    );
    let status = |path: &str, length: usize| gateway.send("POST", path, &[], &"x".repeat(length)).status;
    for (path, largest) in
        [("/wide", 4096), ("/wide/below", 4096), ("/narrow", 512), ("/plain", 1024), ("/nowhere", 1024)]
    {
        assert_ne!(status(path, largest), 413, "{path}");
        assert_eq!(status(path, largest + 1), 413, "{path}");
    }
    let note = serde_json::json!({ "text": "x".repeat(3000) });
    assert_eq!(gateway.json("POST", "/notes", &note).status, 201, "what is read is not cut either");
}

/// An upstream that responds when the test tells it to.
#[test]
fn a_route_waits_longer_than_the_timeout_of_its_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = Gateway::start(&format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0", chain: edge }} }}
plugins: {{ hasty: {{ timeout: {{ request: 1ms }} }} }}
chains: {{ edge: [hasty] }}
upstreams: {{ there: {{ targets: [{{ url: "http://{address}" }}] }} }}
routes:
  patient: {{ path: /patient, limits: {{ request_timeout: 1h }}, upstream: there }}
  hasty:   {{ path: /hasty, upstream: there }}
"#
    ));
    let (arrived, arrivals) = channel();
    let (go, gone) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut patient, _) = listener.accept().unwrap();
            assert!(head_of(&mut patient).starts_with("get /patient"));
            arrived.send(()).unwrap();
            gone.recv().unwrap();
            patient.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        });
        let to = gateway.address;
        let patient = scope.spawn(move || send(to, "GET", "/patient", &[], ""));
        arrivals.recv().unwrap();
        // No one accepts this connection. When it times out, the patient one has waited longer.
        assert_eq!(gateway.get("/hasty").status, 504);
        go.send(()).unwrap();
        assert_eq!(patient.join().unwrap().body, "ok");
    });
}
