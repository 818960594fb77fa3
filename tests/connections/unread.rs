//! Uploads that no one reads: the connection stays open, or the response announces its end.

use crate::harness::{Answer, Gateway, connect, head_of, read_answer};
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

/// Sends a POST with `length` bytes in two pieces, and returns the response, if the connection has not ended.
fn post(stream: &mut TcpStream, path: &str, length: usize) -> Option<Answer> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    // It may be closed already.
    let _ = stream.write_all(&vec![b'x'; length]);
    read_answer(stream)
}

/// RFC 9112 section 9.6: a client that does not know of the end sends its next request in vain.
#[test]
fn a_connection_whose_upload_is_not_read_stays_open_or_announces_its_end() {
    let hasty = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = hasty.local_addr().unwrap();
    std::thread::spawn(move || {
        // Responds to the head.
        for mut stream in hasty.incoming().map_while(Result::ok) {
            head_of(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.shutdown(Shutdown::Write);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    let gateway = Gateway::start(&format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}
upstreams:
  dead: {{ targets: [{{ url: \"http://127.0.0.1:1\" }}] }}
  hasty: {{ targets: [{{ url: \"http://{at}\" }}] }}
routes:
  dead: {{ path: /dead, upstream: dead }}
  hasty: {{ path: /hasty, upstream: hasty }}
  here: {{ path: /here, respond: {{ text: here }} }}\n"
    ));
    let mut client = connect(gateway.address);
    for (path, status) in [("/dead", 502), ("/here", 200), ("/nowhere", 404)] {
        for length in [1, 20_000, 60_000] {
            let answer = post(&mut client, path, length).unwrap();
            assert_eq!((answer.status, answer.header("connection")), (status, None), "{path} {length}");
        }
    }
    for (path, status) in [("/dead", 502), ("/here", 200), ("/nowhere", 404)] {
        let answer = post(&mut client, path, 200_000).unwrap();
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{path}");
        client = connect(gateway.address);
    }
    // The upload may have been read and passed on before the response came.
    let answer = post(&mut client, "/hasty", 200_000).unwrap();
    assert_eq!(answer.status, 413);
    match answer.header("connection") {
        Some(option) => {
            assert_eq!(option, "close");
            client = connect(gateway.address);
        }
        None => assert_eq!(post(&mut client, "/here", 1).unwrap().status, 200),
    }
    // The body is not waited for if the client waits for the response.
    client.write_all(b"POST /dead HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n").unwrap();
    let answer = read_answer(&mut client).unwrap();
    assert_eq!((answer.status, answer.header("connection")), (502, Some("close")));
}
