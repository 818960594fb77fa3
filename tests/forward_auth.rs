//! `forward_auth` with a real server that decides, hangs, or is not there.

use crate::harness::{Gateway, head_of, refusing};
use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// An authorization server; returns the heads of its requests. It keeps its connections, and responds `ok`, `no` or not
/// at all, depending on the cookie.
fn server() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || {
                loop {
                    let head = head_of(&mut stream);
                    if head.is_empty() {
                        return;
                    }
                    let answer: &[u8] = if head.contains("user=good") {
                        b"HTTP/1.1 204 No Content\r\nx-user: u1\r\n\r\n"
                    } else if head.contains("user=slow") {
                        std::thread::sleep(Duration::from_secs(20));
                        b""
                    } else {
                        b"HTTP/1.1 302 Found\r\nlocation: https://login.example/\r\ncontent-length: 0\r\n\r\n"
                    };
                    let _ = sender.send(head);
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (format!("http://{address}/verify"), asked)
}

fn yaml(url: &str) -> String {
    format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\", chain: edge }} }}
plugins:
  request-id: {{ request_id: {{}} }}
  sso: {{ forward_auth: {{ url: \"{url}\", take: [x-user], subject: x-user, timeout: 300ms }} }}
  admins: {{ authorize: {{ claims: {{ x-user: u1 }} }} }}
chains: {{ edge: [request-id, sso] }}
routes:
  inner: {{ path: /inner, plugins: [admins], respond: {{ text: in }} }}
  there: {{ path: /there, upstream: there }}
upstreams: {{ there: {{ targets: [{{ url: \"{base}\" }}] }} }}\n",
        base = url.trim_end_matches("/verify"),
    )
}

#[test]
fn a_server_decides_who_passes() {
    let (url, asked) = server();
    let yaml = crate::harness::HEAD.replace("level: info", "level: info, access: {}") + &yaml(&url);
    let mut gateway = Gateway::start_whole(&yaml);
    let get = |cookie: &str| gateway.send("GET", "/inner?a=b", &[("cookie", cookie), ("x-user", "root")], "");
    let answer = get("user=good");
    assert_eq!((answer.status, answer.body.as_str()), (200, "in"));
    let head = asked.recv().unwrap().to_lowercase();
    for line in ["get /verify http/1.1", "x-forwarded-method: get", "x-forwarded-uri: /inner?a=b", "cookie: user=good"]
    {
        assert!(head.contains(line), "{line}: {head}");
    }
    let id = answer.header("x-request-id").unwrap();
    assert!(head.contains(&format!("x-request-id: {id}")), "{head}");
    let answer = get("user=bad");
    assert_eq!((answer.status, answer.header("location")), (302, Some("https://login.example/")));
    let begun = Instant::now();
    assert_eq!(get("user=slow").status, 503);
    assert!(begun.elapsed() < Duration::from_secs(10), "the deadline is the plugin's");
    assert_eq!(gateway.get("/health/live").status, 200, "health asks nobody");
    gateway.wait_for_log(|line| line["reason"] == "auth_timeout");
    gateway.wait_for_log(|line| line["level"] == "WARN" && line["plugin"] == "web/sso");
}

#[test]
fn fields_from_the_server_reach_the_upstream_whatever_connection_names() {
    let (url, asked) = server();
    let gateway = Gateway::start(&yaml(&url));
    let headers = [("cookie", "user=good"), ("connection", "x-user, x-own"), ("x-user", "root"), ("x-own", "1")];
    assert_eq!(gateway.send("GET", "/there", &headers, "").status, 204);
    let heads = [asked.recv().unwrap(), asked.recv().unwrap()];
    let upstream = heads.iter().find(|head| head.starts_with("get /there")).unwrap();
    assert!(upstream.contains("x-user: u1\r\n"), "{upstream}");
    assert!(!upstream.contains("x-own") && !upstream.contains("root"), "{upstream}");
}

#[test]
fn without_the_server_nothing_passes() {
    let (_socket, closed) = refusing();
    let gateway = Gateway::start(&yaml(&format!("http://{closed}/verify")));
    assert_eq!(gateway.send("GET", "/inner", &[("cookie", "user=good")], "").status, 503);
}

#[test]
fn the_access_log_has_the_time_of_the_upstream_and_the_subject_only_if_it_is_chosen() {
    let (url, _asked) = server();
    for (access, has_subject) in
        [("access: {}", false), ("access: { fields: [path, subject, auth_method, upstream_ms] }", true)]
    {
        let head = crate::harness::HEAD.replace("level: info", &format!("level: info, {access}"));
        let mut gateway = Gateway::start_whole(&format!("{head}{}", yaml(&url)));
        assert_eq!(gateway.send("GET", "/there", &[("cookie", "user=good")], "").status, 204);
        let line = gateway.wait_for_log(|line| line["path"] == "/there");
        assert!(line["upstream_ms"].as_f64().is_some_and(|taken| taken > 0.0), "{line}");
        assert_eq!(line["subject"].as_str(), has_subject.then_some("u1"), "{line}");
        assert_eq!(line["auth_method"].as_str(), has_subject.then_some("forward_auth"), "{line}");
        assert_eq!(gateway.send("GET", "/inner", &[("cookie", "user=good")], "").status, 200);
        let line = gateway.wait_for_log(|line| line["path"] == "/inner");
        assert!(line["upstream_ms"].is_null(), "{line}");
        assert_eq!(line["subject"].as_str(), has_subject.then_some("u1"), "{line}");
    }
}
