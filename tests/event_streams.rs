//! Event streams through the default chain: each event reaches the client before the next one is sent.

use crate::harness::{Gateway, connect, head_of};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::channel;

#[test]
fn events_are_not_buffered() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap();
    // The upstream sends the next event when the test asks for it.
    let (next, wanted) = channel::<u32>();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        head_of(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        for number in wanted {
            let event = format!("id: {number}\ndata: {}\n\n", "x".repeat(2000));
            write!(stream, "{:x}\r\n{event}\r\n", event.len()).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    let gateway = Gateway::start(&format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0" }} }}
upstreams: {{ there: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
routes: {{ events: {{ path: /events, upstream: there }} }}
"#
    ));
    let mut client = connect(gateway.address);
    client.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br, zstd\r\n\r\n").unwrap();
    let head = head_of(&mut client).to_lowercase();
    assert!(head.starts_with("http/1.1 200 ") && !head.contains("content-encoding"), "{head}");
    let mut received = String::new();
    for number in 0..20 {
        next.send(number).unwrap();
        while !received.contains(&format!("id: {number}\n")) {
            let mut piece = [0; 4096];
            let read = client.read(&mut piece).unwrap();
            assert!(read > 0, "{received}");
            received.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        // The rest of the event.
        while received.matches('x').count() < 2000 * (number as usize + 1) {
            let mut piece = [0; 4096];
            let read = client.read(&mut piece).unwrap();
            received.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
    }
    drop(next);
    while !received.ends_with("0\r\n\r\n") {
        let mut piece = [0; 64];
        let read = client.read(&mut piece).unwrap();
        assert!(read > 0, "the stream is complete");
        received.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
}
