//! TLS of listeners, as curl and openssl see it.

mod addresses;
mod trust;

use crate::harness::{Gateway, HEAD, command, head_of};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ROUTES: &str = "routes: { root: { path: /, respond: { text: hello } } }\n";

/// A self-signed certificate for `host` and its key.
fn certificate(host: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([host.to_owned(), "127.0.0.1".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A gateway with one listener, `tls` and the certificates of `a.example` and `b.example`.
fn start(listener: &str, tls: &str) -> Gateway {
    let ((a, a_key), (b, b_key)) = (certificate("a.example"), certificate("b.example"));
    let files =
        [("gateway.yaml", &*yaml(listener, tls)), ("a.crt", &a), ("a.key", &a_key), ("b.crt", &b), ("b.key", &b_key)];
    Gateway::start_in(&files)
}

fn yaml(listener: &str, tls: &str) -> String {
    format!("{HEAD}{}", rest(listener, tls))
}

fn rest(listener: &str, tls: &str) -> String {
    format!("listeners: {{ web: {{ address: \"127.0.0.1:0\", {listener} tls: {{ {tls} }} }} }}\n{ROUTES}")
}

const BOTH: &str = "certificates: [{ cert_file: a.crt, key_file: a.key }, { cert_file: b.crt, key_file: b.key }]";
const ONE: &str = "certificates: [{ cert_file: a.crt, key_file: a.key }]";
const HTTP2: &str = "protocols: [http1, http2],";

/// What curl prints: the body, the HTTP version and the exit code. It trusts `ca` and calls the gateway `host`.
fn curl(gateway: &Gateway, host: &str, ca: &str, arguments: &[&str]) -> (String, i32) {
    let port = gateway.address.port();
    let mut curl = Command::new("curl");
    curl.current_dir(gateway.folder()).args(["-s", "-m", "20", "-w", " %{http_version}", "--cacert", ca]);
    curl.args(["--resolve", &format!("{host}:{port}:127.0.0.1")]).args(arguments);
    let output = curl.arg(format!("https://{host}:{port}/")).output().unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap())
}

/// What `openssl s_client` prints about a handshake.
fn handshake(gateway: &Gateway, arguments: &[&str]) -> String {
    let mut openssl = Command::new("openssl");
    openssl.current_dir(gateway.folder()).args(["s_client", "-connect", &gateway.address.to_string()]).args(arguments);
    let mut child = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // TLS 1.3 sends tickets after the handshake; the response shows that they have arrived.
    let _ = child.stdin.take().unwrap().write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// An open connection for requests.
fn connection(address: SocketAddr, ca: &Path) -> StreamOwned<ClientConnection, TcpStream> {
    connection_as(address, ca, None)
}

/// An open connection of a client with a certificate and its key.
fn connection_as(
    address: SocketAddr,
    ca: &Path,
    client: Option<&(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(ca).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some((own, key)) => config.with_client_auth_cert(vec![own.clone()], key.clone_key()).unwrap(),
    };
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    StreamOwned::new(client, stream)
}

/// Whether a request on `stream` gets its response.
fn get(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> bool {
    let mut bytes = Vec::new();
    let mut chunk = [0; 1024];
    if stream.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").is_err() {
        return false;
    }
    while !bytes.ends_with(b"hello") {
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => bytes.extend_from_slice(&chunk[..read]),
            _ => return false,
        }
    }
    bytes.starts_with(b"HTTP/1.1 200")
}

#[test]
fn the_host_name_chooses_the_certificate_and_alpn_the_protocol() {
    let gateway = start(HTTP2, BOTH);
    for (host, ca) in [("a.example", "a.crt"), ("b.example", "b.crt"), ("B.EXAMPLE", "b.crt")] {
        assert_eq!(curl(&gateway, host, ca, &["--http1.1"]), ("hello 1.1".into(), 0), "{host}");
        assert_eq!(curl(&gateway, host, ca, &["--http2"]), ("hello 2".into(), 0), "{host}");
    }
    assert_eq!(curl(&gateway, "b.example", "a.crt", &[]).1, 60, "curl rejects a certificate that it does not trust");
    let default = handshake(&gateway, &["-noservername", "-CAfile", "a.crt"]);
    assert!(default.contains("Verify return code: 0 (ok)"), "{default}");
}

#[test]
fn only_the_protocols_of_the_listener_are_negotiated() {
    let (http1, http2) = (start("", ONE), start("protocols: [http2],", ONE));
    assert_eq!(curl(&http1, "a.example", "a.crt", &["--http2"]), ("hello 1.1".into(), 0));
    assert_eq!(curl(&http2, "a.example", "a.crt", &["--http2"]), ("hello 2".into(), 0));
    assert_ne!(curl(&http2, "a.example", "a.crt", &["--http1.1"]).1, 0);
}

#[test]
fn old_versions_are_refused() {
    let (usual, strict) = (start("", ONE), start("", &format!("{ONE}, min_version: \"1.3\"")));
    assert!(handshake(&usual, &["-tls1_2"]).contains("New, TLSv1.2"));
    assert!(handshake(&usual, &["-tls1_3"]).contains("New, TLSv1.3"));
    assert!(handshake(&usual, &["-tls1_1"]).contains("Cipher is (NONE)"));
    assert!(handshake(&strict, &["-tls1_2"]).contains("Cipher is (NONE)"));
    assert!(handshake(&strict, &["-tls1_3"]).contains("New, TLSv1.3"));
}

#[test]
fn a_session_is_resumed_even_after_the_certificate_has_changed() {
    let gateway = start("", ONE);
    for version in ["-tls1_2", "-tls1_3"] {
        assert!(handshake(&gateway, &[version, "-ign_eof", "-sess_out", "session"]).contains("New, TLSv1"));
        assert!(handshake(&gateway, &[version, "-sess_in", "session"]).contains("Reused, TLSv1"), "{version}");
        replace(gateway.folder(), "b");
        assert_eq!(gateway.admin("POST", "/reload").status, 200);
        assert!(handshake(&gateway, &[version, "-sess_in", "session"]).contains("Reused, TLSv1"), "{version}");
        replace(gateway.folder(), "a2");
        assert_eq!(gateway.admin("POST", "/reload").status, 200);
    }
}

/// Makes the certificate called `name`, or a new one, the one of the listener.
fn replace(folder: &Path, name: &str) {
    let (cert, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
    if !cert.exists() {
        let made = certificate("a.example");
        std::fs::write(&cert, made.0).unwrap();
        std::fs::write(&key, made.1).unwrap();
    }
    std::fs::copy(cert, folder.join("a.crt")).unwrap();
    std::fs::copy(key, folder.join("a.key")).unwrap();
}

#[test]
fn a_new_certificate_is_for_new_connections_and_no_request_is_lost() {
    let gateway = start("", ONE);
    let (address, first) = (gateway.address, gateway.folder().join("first.crt"));
    std::fs::copy(gateway.folder().join("a.crt"), &first).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut open = connection(address, &first);
                    let (mut requests, mut lost) = (0, 0);
                    while !stop.load(Ordering::Relaxed) {
                        requests += 1;
                        lost += usize::from(!get(&mut open));
                    }
                    (requests, lost)
                })
            })
            .collect();
        for round in 0..5 {
            replace(gateway.folder(), &format!("round{round}"));
            assert_eq!(gateway.admin("POST", "/reload").status, 200);
            assert!(
                get(&mut connection(address, &gateway.folder().join(format!("round{round}.crt")))),
                "the new certificate is served"
            );
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            let (requests, lost) = client.join().unwrap();
            assert!(requests > 5 && lost == 0, "{lost} of {requests}");
        }
    });
}

/// An RSA key of 1024 bits.
const SHORT: &[u8] = include_bytes!("tls/short.key");

#[test]
fn a_certificate_that_cannot_be_used_is_rejected_by_name_and_the_old_one_keeps_serving() {
    let gateway = start("", ONE);
    let (good, key) = (
        std::fs::read(gateway.folder().join("a.crt")).unwrap(),
        std::fs::read(gateway.folder().join("a.key")).unwrap(),
    );
    std::fs::write(gateway.folder().join("old.crt"), &good).unwrap();
    let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (cert, key, message) in [
        (&b""[..], &*key, "a.crt does not contain a certificate"),
        (b"text", &key, "a.crt does not contain a certificate"),
        (&good, b"", "a.key does not contain a private key"),
        (&good, &good, "a.key does not contain a private key"),
        (&good, encrypted, "the private key in a.key is encrypted"),
        (&good, SHORT, "the private key in a.key cannot be used: it is too short, damaged or of another kind"),
        (&good, &std::fs::read(gateway.folder().join("b.key")).unwrap(), "a.key does not match a.crt"),
    ] {
        std::fs::write(gateway.folder().join("a.crt"), cert).unwrap();
        std::fs::write(gateway.folder().join("a.key"), key).unwrap();
        let refused = gateway.admin("POST", "/reload");
        assert_eq!(refused.status, 422, "{refused:?}");
        assert!(refused.body.contains(message) && refused.body.contains("GW0803"), "{message}: {}", refused.body);
        assert_eq!(curl(&gateway, "a.example", "old.crt", &[]).0, "hello 1.1");
    }
}

#[test]
fn an_expired_certificate_is_a_warning_with_its_date() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 2, 3);
    for (name, text) in [
        ("gateway.yaml", &*yaml("", ONE)),
        ("a.crt", &params.self_signed(&key).unwrap().pem()),
        ("a.key", &key.serialize_pem()),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let output = command(folder.path()).args(["check", "gateway.yaml"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("the certificate in a.crt expired on 2020-02-03"), "{printed}");
    assert!(printed.contains("gateway.yaml:7:"), "{printed}");
    let upstreams = "upstreams: { app: { targets: [{ url: \"https://127.0.0.1:1\" }], tls: { cert_file: a.crt, key_file: a.key } } }";
    let rest = format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\n{upstreams}\nroutes: {{ app: {{ path: /, upstream: app }} }}\n"
    );
    std::fs::write(folder.path().join("gateway.yaml"), format!("{HEAD}{rest}")).unwrap();
    let output = command(folder.path()).args(["check", "gateway.yaml"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(printed.contains("the certificate in a.crt expired on 2020-02-03"), "{printed}");
    assert!(printed.contains("gateway.yaml:8:"), "{printed}");
}

#[test]
fn the_end_of_each_certificate_is_measured() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    let head = HEAD.replace("telemetry: {", "telemetry: { metrics: { prometheus: {} },");
    let upstreams = "upstreams: { app: { targets: [{ url: \"https://127.0.0.1:1\" }], tls: { cert_file: a.crt, key_file: a.key } } }\n";
    let whole = format!("{head}{}{upstreams}", rest("", ONE).replace("respond: { text: hello }", "upstream: app"));
    let (certificate, key) = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
    let gateway = Gateway::start_in(&[("gateway.yaml", &whole), ("a.crt", &certificate), ("a.key", &key)]);
    let scraped = crate::metrics::Scraped::of(&gateway);
    for used_by in [("gateway_listener", "web"), ("gateway_upstream", "app")] {
        let labels = [used_by, ("gateway_certificate_file", "a.crt")];
        assert_eq!(scraped.value("gateway_tls_certificate_not_after_seconds", &labels), 4_102_444_800.0, "{labels:?}");
    }
}

#[test]
fn certificates_of_clients_are_verified() {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let client = KeyPair::generate().unwrap();
    let signed = CertificateParams::new(["billing".to_owned()]).unwrap().signed_by(&client, &authority).unwrap();
    let (cert, key) = certificate("a.example");
    let start = |mode: &str| {
        let yaml = yaml("", &format!("{ONE}, client_auth: {{ mode: {mode}, ca_file: ca.crt }}"));
        Gateway::start_in(&[
            ("gateway.yaml", &yaml),
            ("a.crt", &cert),
            ("a.key", &key),
            ("ca.crt", &authority.pem()),
            ("client.crt", &signed.pem()),
            ("client.key", &client.serialize_pem()),
        ])
    };
    let good = ["--cert", "client.crt", "--key", "client.key"];
    let foreign = ["--cert", "a.crt", "--key", "a.key"];
    for (mode, without) in [("required", false), ("optional", true)] {
        let gateway = start(mode);
        assert_eq!(curl(&gateway, "a.example", "a.crt", &good), ("hello 1.1".into(), 0), "{mode}");
        assert_eq!(curl(&gateway, "a.example", "a.crt", &[]).1 == 0, without, "{mode}");
        assert_ne!(curl(&gateway, "a.example", "a.crt", &foreign).1, 0, "{mode}");
    }
}

#[test]
fn upstreams_learn_that_the_client_used_https() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = upstream.local_addr().unwrap();
    let head = std::thread::spawn(move || {
        let (mut stream, _) = upstream.accept().unwrap();
        let head = head_of(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").unwrap();
        head
    });
    let (cert, key) = certificate("a.example");
    let yaml = format!(
        "{HEAD}listeners: {{ web: {{ address: \"127.0.0.1:0\", tls: {{ {ONE} }} }} }}\n\
         upstreams: {{ up: {{ targets: [{{ url: \"http://{address}\" }}] }} }}\nroutes: {{ all: {{ path_prefix: /, upstream: up }} }}\n"
    );
    let gateway = Gateway::start_in(&[("gateway.yaml", &yaml), ("a.crt", &cert), ("a.key", &key)]);
    assert_eq!(curl(&gateway, "a.example", "a.crt", &[]).0, "hello 1.1");
    let head = head.join().unwrap();
    assert!(head.contains("x-forwarded-proto: https"), "{head}");
}

#[test]
fn plain_http_gets_a_400_and_a_silent_client_is_closed() {
    let gateway = start("limits: { header_timeout: 1s },", ONE);
    let plain = gateway.get("/");
    assert_eq!(
        (plain.status, plain.json()["message"].as_str()),
        (400, Some("this port requires https; the request is http"))
    );
    let mut silent = TcpStream::connect(gateway.address).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The beginning of a record, and then nothing.
    silent.write_all(&[0x16, 3, 1, 2, 0]).unwrap();
    let begun = Instant::now();
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0);
    assert!(begun.elapsed() < Duration::from_secs(10));
}
