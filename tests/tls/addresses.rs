//! Addresses around TLS: redirects from http, the health check, the admin API, and a port shared by two processes.

use super::{ONE, certificate, curl};
use crate::harness::{ADMIN_TOKEN, Gateway, HEAD, command, send};
use std::net::SocketAddr;

#[test]
fn plain_http_is_redirected_to_the_same_url() {
    let (cert, key) = certificate("a.example");
    let rest = |redirect: &str| {
        format!(
            "listeners: {{ web: {{ address: \"127.0.0.1:0\", tls: {{ {ONE}{redirect} }} }} }}\n\
             routes: {{ root: {{ path: /a, respond: {{ text: hello }} }} }}\n"
        )
    };
    let yaml = format!("{HEAD}{}", rest(", redirect_from: \"127.0.0.1:0\""));
    let mut gateway = Gateway::start_in(&[("gateway.yaml", &yaml), ("a.crt", &cert), ("a.key", &key)]);
    let line = gateway.wait_for_log(|line| line["message"] == "redirecting to https");
    let from: SocketAddr = line["address"].as_str().unwrap().parse().unwrap();
    let port = gateway.address.port();
    for (path, location) in [
        ("/a?b=c&d=%20", format!("https://127.0.0.1:{port}/a?b=c&d=%20")),
        ("//evil.example/", format!("https://127.0.0.1:{port}//evil.example/")),
        ("/unknown", format!("https://127.0.0.1:{port}/unknown")),
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = send(from, method, path, &[], "");
            assert_eq!((answer.status, answer.header("location")), (308, Some(&*location)), "{method} {path}");
        }
    }
    // The host is the one of the request, and a request without one is not redirected.
    assert_eq!(send(from, "GET", "/a", &[("host", "b.example")], "").status, 400, "two hosts");
    assert_eq!(gateway.reload(&rest("")).status, 200);
    assert!(std::net::TcpStream::connect(from).is_err(), "the address is closed once the file does not name it");
    assert_eq!(curl(&gateway, "a.example", "a.crt", &[]).1, 0);
}

#[test]
fn the_health_check_trusts_the_certificate_that_the_process_serves() {
    let (cert, key) = certificate("a.example");
    let yaml = format!(
        "{HEAD}listeners: {{ web: {{ address: \"127.0.0.1:0\", tls: {{ {ONE} }} }} }}\n\
         routes: {{ root: {{ path: /, respond: {{ text: hello }} }} }}\n"
    );
    let files =
        [("gateway.yaml", &*yaml), ("a.crt", &cert), ("a.key", &key), ("other.crt", &certificate("b.example").0)];
    let gateway = Gateway::start_with(&files, &["--runtime-file", "runtime.json"]);
    let address = format!("https://127.0.0.1:{}", gateway.address.port());
    for (arguments, good) in [
        (&["--runtime-file", "runtime.json"][..], true),
        (&["--address", &address, "--ca-file", "a.crt"], true),
        (&["--address", &address, "--ca-file", "other.crt"], false),
        (&["--address", &address], false),
    ] {
        let output = command(gateway.folder()).arg("healthcheck").args(arguments).output().unwrap();
        assert_eq!(output.status.success(), good, "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_admin_api_speaks_https_with_its_own_certificate() {
    let (cert, key) = certificate("a.example");
    let yaml = format!(
        "version: 1\nreload: {{ watch: false }}\ntelemetry: {{ logs: {{ format: json }} }}\n\
         admin: {{ address: \"127.0.0.1:0\", token: \"{ADMIN_TOKEN}\", tls: {{ cert_file: a.crt, key_file: a.key }} }}\n\
         listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\nroutes: {{ root: {{ path: /, respond: {{ text: hello }} }} }}\n"
    );
    let gateway = Gateway::start_in(&[("gateway.yaml", &yaml), ("a.crt", &cert), ("a.key", &key)]);
    let address = format!("https://{}", gateway.admin);
    for name in ["status", "reload"] {
        let mut command = command(gateway.folder());
        let output = command.args([name, "gateway.yaml", "--address", &address]).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let plain = send(gateway.admin, "GET", "/status", &[], "");
    assert_eq!(plain.status, 400);
    std::fs::write(gateway.folder().join("a.key"), "").unwrap();
    let output = command(gateway.folder()).args(["reload", "gateway.yaml", "--address", &address]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && printed.contains("a.key does not contain a private key"), "{printed}");
}

#[test]
fn two_processes_share_a_port_if_both_say_so() {
    let on = |address: &str, reuse: bool| {
        format!(
            "listeners: {{ web: {{ address: \"{address}\", share_address: {reuse} }} }}\n\
             routes: {{ root: {{ path: /, respond: {{ text: hello }} }} }}\n"
        )
    };
    let mut old = Gateway::start(&on("127.0.0.1:0", true));
    let address = old.address.to_string();
    let alone = format!("{HEAD}{}", on(&address, false));
    std::fs::write(old.folder().join("alone.yaml"), alone).unwrap();
    let refused = command(old.folder()).args(["run", "alone.yaml"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("GW0801"), "{refused:?}");
    let new = Gateway::start(&on(&address, true));
    old.signal("TERM");
    for _ in 0..50 {
        assert_eq!(new.get("/").body, "hello");
    }
    assert_eq!(old.wait(), Some(0));
}
