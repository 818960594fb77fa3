//! What routes do with requests to upstreams.

mod limits;
mod maintenance;
mod mirror;
mod rewrite;
mod split;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

/// An upstream that responds to each request with `response`, and reports its head in lower case.
fn upstream(response: String) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (sender, response) = (sender.clone(), response.clone());
            std::thread::spawn(move || {
                loop {
                    let head = crate::harness::head_of(&mut stream);
                    if head.is_empty() || sender.send(head).is_err() || stream.write_all(response.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, heads)
}

/// A response with these header lines and this body.
fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
