//! Whatever a client sends, and however much: the log stays short, and events are counted.

use crate::harness::{Gateway, HEAD, PATIENCE, command, connect};
use crate::http2::{ACK, END_HEADERS, END_STREAM, PREFACE, frame};
use std::io::{Read, Write};
use std::net::SocketAddr;

const TIMES: usize = 2_000;

/// More lines than a gateway logs from start to end, and far fewer than a flood has pieces.
const FEW: usize = 60;

const REST: &str = r#"
listeners: { web: { address: "127.0.0.1:0", protocols: [http1, http2] } }
routes: { hello: { path: /hello, respond: { text: hi } } }
"#;

/// A request head in HPACK without a table: `:method GET`, `:scheme http`, `:path /`, `:authority a`.
const GET: &[u8] = b"\x82\x86\x84\x41\x01a";

fn open(stream: u32) -> Vec<u8> {
    frame(1, END_HEADERS, stream, GET)
}

/// What is sent on one connection: an opening, and a piece to repeat, by its number.
type Flood = (&'static str, Vec<u8>, Box<dyn Fn(u32) -> Vec<u8>>);

fn floods() -> Vec<Flood> {
    let start = || [PREFACE, &frame(4, 0, 0, b"")].concat();
    let started = |stream: u32| [start(), open(stream)].concat();
    vec![
        ("PING ACK", start(), Box::new(|_| frame(6, ACK, 0, b"12345678"))),
        ("PING", start(), Box::new(|_| frame(6, 0, 0, b"12345678"))),
        ("SETTINGS ACK", start(), Box::new(|_| frame(4, ACK, 0, b""))),
        ("SETTINGS", start(), Box::new(|_| frame(4, 0, 0, b""))),
        ("RST_STREAM", start(), Box::new(|n| [open(2 * n + 1), frame(3, 0, 2 * n + 1, &[0, 0, 0, 8])].concat())),
        ("RST_STREAM of the same", started(1), Box::new(|_| frame(3, 0, 1, &[0, 0, 0, 8]))),
        ("WINDOW_UPDATE", started(1), Box::new(|_| frame(8, 0, 1, &[0, 0, 0, 1]))),
        ("WINDOW_UPDATE of zero", started(1), Box::new(|_| frame(8, 0, 1, &[0, 0, 0, 0]))),
        ("PRIORITY", start(), Box::new(|n| frame(2, 0, 2 * n + 1, &[0, 0, 0, 0, 16]))),
        ("PRIORITY of itself", start(), Box::new(|n| frame(2, 0, 2 * n + 1, &[0, 0, 0, 1, 16]))),
        ("empty DATA", started(1), Box::new(|_| frame(0, 0, 1, b""))),
        (
            "DATA of a closed stream",
            [started(1), frame(0, END_STREAM, 1, b"")].concat(),
            Box::new(|_| frame(0, 0, 1, b"x")),
        ),
        ("CONTINUATION", [start(), frame(1, 0, 1, GET)].concat(), Box::new(|_| frame(9, 0, 1, b""))),
        ("unknown frames", start(), Box::new(|_| frame(0xbe, 0xff, 0, b"?"))),
        (
            "malformed heads",
            start(),
            Box::new(|n| frame(1, END_HEADERS | END_STREAM, 2 * n + 1, b"\x82\x40\x01\x80\x01a")),
        ),
        (
            "lengths that differ",
            start(),
            Box::new(|n| {
                frame(1, END_HEADERS | END_STREAM, 2 * n + 1, &[GET, b"\x00\x0econtent-length\x015"].concat())
            }),
        ),
        ("a garbage preface", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec(), Box::new(|_| vec![0xff; 32])),
        ("garbage", Vec::new(), Box::new(|_| vec![0xfe; 32])),
        ("malformed HTTP/1", Vec::new(), Box::new(|_| b"GET\0/ HTTP/1.1\r\n\r\n".to_vec())),
        ("TLS", Vec::new(), Box::new(|_| b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec())),
    ]
}

/// Sends until the gateway closes, while reading its responses.
fn flood(to: SocketAddr, opening: &[u8], piece: &dyn Fn(u32) -> Vec<u8>) {
    let mut stream = connect(to);
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut answers = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while matches!(answers.read(&mut chunk), Ok(1..)) {}
    });
    let pieces: Vec<u8> = (0..TIMES).flat_map(|n| piece(u32::try_from(n + 1).unwrap())).collect();
    let _ = stream.write_all(opening).and_then(|()| stream.write_all(&pieces));
    let _ = stream.shutdown(std::net::Shutdown::Write);
    reading.join().unwrap();
}

#[test]
fn suppressed_h2_warnings_about_a_flood_are_counted() {
    let yaml = HEAD.replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },") + REST;
    let gateway = Gateway::start_whole(&yaml);
    let (_, opening, piece) = floods().into_iter().find(|(name, ..)| *name == "PING ACK").unwrap();
    flood(gateway.address, &opening, &*piece);
    let metrics = gateway.admin("GET", "/metrics").body;
    let counted = metrics.lines().find_map(|line| line.strip_prefix("gateway_log_lines_suppressed_total "));
    let counted: usize = counted.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap();
    assert!(counted > TIMES / 2, "{counted}");
}

fn lines_of_a_flood(level: &str, environment: &[(&str, &str)]) {
    let yaml = HEAD.replace("level: info", level) + REST;
    let mut gateway = Gateway::start_as(&yaml, |folder| {
        let mut program = command(folder);
        program.envs(environment.iter().copied());
        program
    });
    for (name, opening, piece) in floods() {
        flood(gateway.address, &opening, &*piece);
        assert_eq!(gateway.get("/hello").status, 200, "after {name}");
    }
    for _ in 0..TIMES / 10 {
        drop(connect(gateway.address));
    }
    assert_eq!(gateway.get("/hello").status, 200, "after connections without a word");
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    let log = gateway.whole_log();
    let lines = log.lines().count();
    assert!(
        lines < FEW,
        "{lines} lines at {level} {environment:?}: {}",
        log.lines().take(FEW).collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn no_flood_of_frames_heads_or_connections_fills_the_log() {
    lines_of_a_flood("level: info", &[]);
}

#[test]
fn a_finer_log_level_does_not_let_clients_flood_the_log() {
    lines_of_a_flood("level: trace", &[]);
    lines_of_a_flood("level: info", &[("RUST_LOG", "debug")]);
}
