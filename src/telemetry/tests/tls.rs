//! Receivers with TLS: verified by their authority, and requiring a client certificate.

use super::collector::Collector;
use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

/// A certificate authority, and the certificates it signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for `name`, and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

fn tls(endpoint: &str, timeout: &str, tls: Value) -> Spec {
    spec(
        json!({ "traces": { "otlp": { "endpoint": endpoint, "timeout": timeout, "tls": tls, "compression": "gzip" } } }),
    )
}

/// Exports one span; returns the final statistics.
async fn one_span(spec: &Spec, folder: &Path) -> Exports {
    std::sync::LazyLock::force(&ANOTHER);
    let (telemetry, dispatch) =
        Telemetry::build(spec, folder, &|_| None, Console::default(), Lines::default()).unwrap();
    let _guard = tracing::dispatcher::set_default(&dispatch);
    drop(observer(spec).begin(&mut request("/x", &[]), &facts(false), None));
    telemetry.flush_and_stop(Duration::from_secs(60)).await;
    telemetry.counters().traces
}

#[tokio::test]
async fn a_receiver_is_verified_by_its_authority_and_gets_our_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (cert, key) = authority.sign("127.0.0.1");
    let (client, client_key) = authority.sign("gatewright");
    for (name, pem) in [
        ("ca.pem", authority.0.pem()),
        ("other.pem", Authority::new().0.pem()),
        ("client.pem", client),
        ("client.key", client_key),
    ] {
        std::fs::write(folder.path().join(name), pem).unwrap();
    }
    let server = ServerTlsConfig::new().identity(Identity::from_pem(cert, key));
    let server = server.client_ca_root(Certificate::from_pem(authority.0.pem()));
    let collector = Collector::grpc_with(server).await;

    let mut settings = json!({ "ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key" });
    let traces = one_span(&tls(&collector.endpoint, "60s", settings.clone()), folder.path()).await;
    assert_eq!((traces.exported, collector.received().len()), (1, 1), "{traces:?}");
    assert_eq!(collector.headers()[0]["grpc-encoding"], "gzip");

    settings["ca_file"] = "other.pem".into();
    for (settings, error) in [
        (settings, "invalid peer certificate"),
        (json!({}), "invalid peer certificate"),
        (json!({ "ca_file": "ca.pem" }), "connection error"),
    ] {
        let traces = one_span(&tls(&collector.endpoint, "4s", settings), folder.path()).await;
        assert_eq!(traces.failed, 1);
        let told = traces.last_error.unwrap();
        assert!(told.contains(error), "{told}");
    }
    assert_eq!(collector.received().len(), 1);
}

#[test]
fn certificates_that_cannot_be_used_are_faults_that_name_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ((cert, key), (_, other_key)) = (authority.sign("a"), authority.sign("b"));
    let files = [("cert.pem", &*cert), ("key.pem", &*key), ("other.pem", &*other_key), ("text.pem", "nothing")];
    for (name, pem) in files {
        std::fs::write(folder.path().join(name), pem).unwrap();
    }
    for (settings, path, message) in [
        (json!({ "ca_file": "gone.pem" }), "ca_file", "cannot read gone.pem: it does not exist"),
        (json!({ "ca_file": "text.pem" }), "ca_file", "text.pem does not contain a certificate"),
        (json!({ "ca_file": "." }), "ca_file", "cannot read .: it is a directory, not a file"),
        (
            json!({ "cert_file": "cert.pem", "key_file": "cert.pem" }),
            "key_file",
            "cert.pem does not contain a private key",
        ),
        (
            json!({ "cert_file": "key.pem", "key_file": "key.pem" }),
            "cert_file",
            "key.pem does not contain a certificate",
        ),
    ] {
        let fault = check(&tls("https://127.0.0.1:1", "1s", settings), folder.path()).unwrap_err();
        assert_eq!((fault.path, fault.message), (format!("traces.otlp.tls.{path}"), message.to_owned()));
    }
    let unfit = json!({ "cert_file": "cert.pem", "key_file": "other.pem" });
    let fault = check(&tls("https://127.0.0.1:1", "1s", unfit), folder.path()).unwrap_err();
    assert!(fault.message.starts_with("other.pem does not match cert.pem"), "{fault}");
    let alone =
        check(&tls("https://127.0.0.1:1", "1s", json!({ "cert_file": "cert.pem" })), folder.path()).unwrap_err();
    assert_eq!(alone.to_string(), "traces.otlp.tls: `cert_file` requires `key_file`");
    let plain = check(&tls("http://127.0.0.1:1", "1s", json!({ "ca_file": "cert.pem" })), folder.path()).unwrap_err();
    assert_eq!(plain.to_string(), "traces.otlp.tls: `tls` has no effect: the endpoint is not https");
}
