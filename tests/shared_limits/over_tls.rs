//! A redis-server that is reached with TLS and demands a certificate.

use super::server::Server;
use super::{configuration, is, left, says};
use crate::harness::Gateway;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for `name`, and its key.
    fn certificate(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        // With the name of its issuer, OpenSSL would take it for a certificate that is signed by itself.
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

const CLIENT: &str = "ca_file: ca.crt, cert_file: client.crt, key_file: client.key";

#[test]
fn the_authority_and_the_certificate_of_a_store_are_its_own_and_are_changed_without_a_restart() {
    let (authority, other) = (Authority::new(), Authority::new());
    let ((cert, key), (client, client_key)) = (authority.certificate("127.0.0.1"), authority.certificate("gateway"));
    let folder = tempfile::tempdir().unwrap();
    for (name, pem) in [("ca.crt", &authority.0.pem()), ("server.crt", &cert), ("server.key", &key)] {
        std::fs::write(folder.path().join(name), pem).unwrap();
    }
    let server = Server::over_tls(folder);
    let url = server.url();
    let with =
        |tls: &str| configuration(&format!("{url}\", tls: {{ {tls} }}, on_error: \"local"), "quota: 5, window: 1h");
    let yaml = with(CLIENT);
    let mut gateway = Gateway::start_in(&[
        ("gateway.yaml", &yaml),
        ("ca.crt", &other.0.pem()),
        ("client.crt", &client),
        ("client.key", &client_key),
    ]);
    let line = gateway.wait_for_log(|line| says(line, "store unreachable"));
    assert!(line["error"].as_str().unwrap().contains("certificate"), "{line}");
    assert_eq!(left(&gateway, "a"), is(200, "4"), "it counts on its own");
    let counted = || server.strings(&["KEYS", "gatewright:all/*"]).len();
    assert_eq!(counted(), 0);

    std::fs::write(gateway.folder().join("ca.crt"), authority.0.pem()).unwrap();
    assert_eq!(gateway.admin("POST", "/reload").json()["changed"], true);
    gateway.wait_for_log(|line| says(line, "store connected"));
    assert_eq!((left(&gateway, "b"), counted()), (is(200, "4"), 1));

    std::fs::write(gateway.file(), with("ca_file: ca.crt")).unwrap();
    assert_eq!(gateway.admin("POST", "/reload").status, 200);
    let line = gateway.wait_for_log(|line| says(line, "store unreachable"));
    assert!(line["error"].as_str().unwrap().to_lowercase().contains("certificate"), "{line}");
}

#[test]
fn certificates_that_cannot_be_used_are_reported_at_their_line() {
    let (authority, other) = (Authority::new(), Authority::new());
    let ((client, _), (_, key)) = (authority.certificate("gateway"), other.certificate("gateway"));
    let good = configuration("redis://127.0.0.1:1", "quota: 5, window: 1h");
    let (ca, nothing) = (authority.0.pem(), "nothing");
    let gateway = Gateway::start_in(&[
        ("gateway.yaml", &good),
        ("ca.crt", &ca),
        ("client.crt", &client),
        ("client.key", &key),
        ("text.crt", nothing),
    ]);
    let cases = [
        ("rediss://127.0.0.1:1", "ca_file: text.crt", "text.crt does not contain a certificate"),
        ("rediss://127.0.0.1:1", "ca_file: gone.crt", "cannot read gone.crt"),
        ("rediss://127.0.0.1:1", CLIENT, "client.key does not match client.crt"),
        ("rediss://127.0.0.1:1", "cert_file: client.crt", "`cert_file` requires `key_file`"),
        ("redis://127.0.0.1:1", "ca_file: ca.crt", "`tls` has no effect: the `url` does not use TLS"),
        ("postgres://127.0.0.1:1/a", "ca_file: ca.crt", "`tls` has no effect: store `counters` is not a Redis store"),
    ];
    for (url, tls, message) in cases {
        let yaml = good.replace("url: \"redis://127.0.0.1:1\"", &format!("url: \"{url}\", tls: {{ {tls} }}"));
        std::fs::write(gateway.file(), yaml).unwrap();
        let refused = gateway.admin("POST", "/reload");
        assert!(refused.status == 422 && refused.body.contains(message), "{url} {tls}: {refused:?}");
        assert!(refused.body.contains("stores.counters.tls"), "{refused:?}");
    }
}
