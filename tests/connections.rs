//! Connections and the framing of HTTP, through the real program: who is answered, who is told to wait or go, and how.

mod bodies;

use crate::harness::{Answer, Gateway, HEAD, PATIENCE, command_after, connect, head_of, read_answer};
use crate::http2;
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// An upstream that gives each connection to the test.
fn by_hand() -> (SocketAddr, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, connections) = channel();
    std::thread::spawn(move || {
        let give = |stream: TcpStream| {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            sender.send(stream)
        };
        listener.incoming().map_while(Result::ok).try_for_each(give)
    });
    (address, connections)
}

/// A gateway before that upstream, with `limits` for its clients.
fn gateway(upstream: SocketAddr, limits: &str) -> Gateway {
    Gateway::start(&format!(
        r#"
listeners: {{ web: {{ address: "127.0.0.1:0", protocols: [http1, http2], limits: {{ {limits} }} }} }}
stores: {{ main: {{ url: "sqlite::memory:" }} }}
upstreams: {{ there: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
resources:
  notes: {{ store: main, access: {{ default: public }}, fields: {{ title: {{ type: string, required: true }} }} }}
routes:
  hello: {{ path: /hello, respond: {{ text: hi }} }}
  notes: {{ path: /notes, resource: notes }}
  there: {{ path_prefix: /there, upstream: there }}
"#
    ))
}

const GET: &str = "GET /there HTTP/1.1\r\nHost: a\r\n\r\n";

/// Everything that comes until the connection ends.
fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

