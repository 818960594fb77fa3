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

#[test]
fn a_redirect_keeps_a_trailing_slash_and_a_loop_that_only_a_request_shows_ends_with_404() {
    let gateway = crate::harness::Gateway::start(
        "listeners: { web: { address: \"127.0.0.1:0\" } }
routes:
  docs: { path_prefix: /docs, redirect: { to: \"/new{rest}\" } }
  all: { path_prefix: /all, redirect: { to: /all/index#top } }
  form: { path: /form, methods: [POST, PUT], redirect: { to: /form, status: 303 } }
  form-page: { path: /form, methods: [GET], respond: { text: thanks } }
  consent: { path: /consent, headers: { x-seen: \"no\" }, redirect: { to: /consent } }\n",
    );
    let location = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let answer = gateway.send(method, path, headers, "");
        (answer.status, answer.header("location").map(str::to_owned))
    };
    let to = |status, to: &str| (status, Some(to.to_owned()));
    for (path, led) in [("/docs", "/new"), ("/docs/", "/new/"), ("/docs/a/?b", "/new/a/?b"), ("/docs/?b", "/new/?b")] {
        assert_eq!(location("GET", path, &[]), to(307, led), "{path}");
    }
    assert_eq!(location("GET", "/all/other", &[]), to(307, "/all/index#top"));
    let looped = gateway.send("GET", "/all/index", &[], "");
    assert_eq!((looped.status, looped.header("location")), (404, None));
    assert_eq!(location("POST", "/form", &[]), to(303, "/form"), "the GET that follows gets a page");
    assert_eq!(location("GET", "/consent", &[("x-seen", "no")]), to(307, "/consent"));
}
