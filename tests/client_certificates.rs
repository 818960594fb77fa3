//! `client_cert` as curl and openssl see it: which certificates pass, and what upstreams and the log learn about them.

use crate::harness::{Gateway, HEAD, command, head_of};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, SanType};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// The certificate of a client and its key.
fn client(authority: &CertifiedIssuer<'_, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([format!("{name}.internal")]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names.push(SanType::URI(format!("spiffe://example/{name}").try_into().unwrap()));
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

/// An upstream that reports the heads of requests.
fn upstream() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = head_of(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
            let _ = sender.send(head);
        }
    });
    (address, heads)
}

fn start(settings: &str, upstream: SocketAddr) -> Gateway {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let ((billing, billing_key), (other, other_key)) = (client(&authority, "billing"), client(&authority, "other"));
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["a.example".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let head = HEAD.replace(
        "level: info",
        "level: info, access: { fields: [path, status, auth_method, subject, plugin, reason] }",
    );
    let yaml = format!(
        r#"{head}listeners:
  web:
    address: "127.0.0.1:0"
    protocols: [http1, http2]
    tls:
      certificates: [{{ cert_file: a.crt, key_file: a.key }}]
      client_auth: {{ mode: optional, ca_file: ca.crt }}
plugins:
  partners: {{ client_cert: {{ {settings} }} }}
  staff:    {{ authorize: {{ claims: {{ common_name: billing }} }} }}
upstreams: {{ app: {{ targets: [{{ url: "http://{upstream}" }}] }} }}
routes:
  app:  {{ path_prefix: /app, plugins: [partners], upstream: app }}
  open: {{ path: /open, upstream: app }}
  staff: {{ path: /staff, plugins: [partners, staff], respond: {{ text: staff }} }}
"#
    );
    Gateway::start_in(&[
        ("gateway.yaml", &yaml),
        ("a.crt", &server),
        ("a.key", &key.serialize_pem()),
        ("ca.crt", &authority.pem()),
        ("billing.crt", &billing),
        ("billing.key", &billing_key),
        ("other.crt", &other),
        ("other.key", &other_key),
    ])
}

/// The status that curl gets for `path` with the certificate of `client`, if any.
fn status(gateway: &Gateway, path: &str, client: Option<&str>, arguments: &[&str]) -> String {
    let port = gateway.address.port();
    let mut curl = Command::new("curl");
    curl.current_dir(gateway.folder()).args(["-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"]);
    curl.args(["a.crt", "--resolve", &format!("a.example:{port}:127.0.0.1")]).args(arguments);
    if let Some(client) = client {
        curl.args(["--cert", &format!("{client}.crt"), "--key", &format!("{client}.key")]);
    }
    let output = curl.arg(format!("https://a.example:{port}{path}")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn only_listed_certificates_pass_and_upstreams_learn_whose_they_are() {
    let (address, heads) = upstream();
    let mut gateway = start("uris: [\"spiffe://example/billing\"], identity: uri, forward: true", address);
    let forged = ["-H", "x-forwarded-client-cert: Hash=forged"];
    for version in ["--http1.1", "--http2"] {
        assert_eq!(status(&gateway, "/app", Some("billing"), &[version, "-H", forged[1]]), "200", "{version}");
        let head = heads.recv().unwrap();
        let line = head.lines().find_map(|line| line.strip_prefix("x-forwarded-client-cert: ")).unwrap();
        let expected = "subject=\"cn=billing,o=example\";dns=billing.internal;uri=spiffe://example/billing";
        let (hash, rest) = line.split_once(';').unwrap();
        assert_eq!(rest, expected, "{line}");
        assert!(hash.starts_with("hash=") && hash.len() == 5 + 64, "{line}");
    }
    assert_eq!(status(&gateway, "/app/none", None, &[]), "401");
    assert_eq!(status(&gateway, "/app/other", Some("other"), &[]), "403");
    assert_eq!(status(&gateway, "/open", None, &forged), "200");
    assert!(!heads.recv().unwrap().contains("x-forwarded-client-cert"), "no client may send it");
    for (path, reason) in [("/app/none", "missing"), ("/app/other", "uri")] {
        let line = gateway.wait_for_log(|line| line["path"] == path);
        assert_eq!((&line["plugin"], &line["reason"]), (&"app/partners".into(), &reason.into()), "{line}");
    }
    let line = gateway.wait_for_log(|line| line["path"] == "/app");
    assert_eq!(line["subject"], "spiffe://example/billing", "{line}");
    assert_eq!(line["auth_method"], "client_cert", "{line}");
}

#[test]
fn later_plugins_use_the_claims_and_nothing_is_forwarded_by_default() {
    let (address, heads) = upstream();
    let gateway = start("on_missing: continue", address);
    for (client, expected) in [(Some("billing"), "200"), (Some("other"), "403"), (None, "401")] {
        assert_eq!(status(&gateway, "/staff", client, &[]), expected, "{client:?}");
    }
    assert_eq!(status(&gateway, "/app", Some("billing"), &[]), "200");
    assert!(!heads.recv().unwrap().contains("client-cert"));

    // The same with openssl, over one connection.
    let mut openssl = Command::new("openssl");
    openssl.current_dir(gateway.folder()).args(["s_client", "-quiet", "-connect", &gateway.address.to_string()]);
    openssl.args(["-cert", "billing.crt", "-key", "billing.key", "-servername", "a.example"]);
    let mut child = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let requests = b"GET /staff HTTP/1.1\r\nHost: a.example\r\n\r\nGET /staff HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    child.stdin.take().unwrap().write_all(requests).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(output.matches("HTTP/1.1 200 OK").count(), 2, "{output}");
}

#[test]
fn a_listener_that_requests_no_certificate_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = format!(
        "{HEAD}listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\nplugins: {{ partners: {{ client_cert: {{}} }} }}\nroutes: {{ a: {{ path: /a, plugins: [partners], respond: {{ text: a }} }} }}\n"
    );
    std::fs::write(folder.path().join("gateway.yaml"), yaml).unwrap();
    let output = command(folder.path()).args(["check", "gateway.yaml"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{printed}");
    let message = "`partners` finds no client certificate on listener `web`, which requests none";
    assert!(
        printed.contains("GW0415") && printed.contains(message) && printed.contains("gateway.yaml:8:"),
        "{printed}"
    );
}
