//! Who asks: every way to prove it, what upstreams learn, and that nothing passes when a part of it fails.

mod any_of;
mod api_keys;
mod basic;
mod forwarded_identity;

use crate::harness::{Answer, Gateway, SECRET, command};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};

/// An upstream that returns the head of each request as its body, in lower case.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                loop {
                    let head = crate::harness::head_of(&mut stream);
                    if head.is_empty() {
                        return;
                    }
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}", head.len());
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// The values of a field in the head that [`echo`] returned.
fn values<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    let lines = answer.body.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(known, _)| *known == name).map(|(_, value)| value).collect()
}

/// A token for the `login` plugin of the gateway.
fn token(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = command(gateway.folder()).args(["token", "gateway.yaml"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn jwt() -> String {
    format!("login: {{ jwt: {{ issuer: idp, audiences: [shop], algorithms: [HS256], secret: \"{SECRET}\" }} }}")
}

/// The value of the header `Authorization` for a name and a password.
fn basic(name: &str, password: &str) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    format!("Basic {encoded}")
}

/// `ada` with the password `correct horse`, as `htpasswd -B -C 4` writes it.
const HTPASSWD: &str = "ada:$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e\n";

/// A new key, and its hash.
fn new_key() -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path()).arg("api-key").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    (value("key: "), value("hash: "))
}
