//! Upstreams over TLS: what is verified, what is presented, and which connections are shared.

use super::*;
use crate::telemetry::Proxied;
use crate::tls::provider;
use gatewright_sdk::Services;
use gatewright_sdk::testing::Nothing;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_rustls::TlsAcceptor;

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `name` that is valid until the end of `year`, and its key.
    pub fn sign(&self, name: &str, year: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A server with TLS that responds with the version of the request.
pub struct SecureServer {
    pub port: u16,
    connections: Arc<AtomicUsize>,
}

impl SecureServer {
    /// `clients`: the authority of the certificates that it requires. `alpn`: the protocols it speaks.
    pub async fn start((cert, key): (String, String), clients: Option<&Authority>, alpn: &[&str]) -> Self {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
        let mut config =
            builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    count.fetch_add(1, Ordering::SeqCst);
                    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let serve = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                        if request.version() == http::Version::HTTP_2 && request.uri().path() == "/old" {
                            return Err(h2::Error::from(h2::Reason::HTTP_1_1_REQUIRED));
                        }
                        let text = format!("{:?} {}", request.version(), request.uri().path());
                        Ok(http::Response::new(text))
                    });
                    let io = TokioIo::new(stream);
                    if h2 {
                        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        let _ = builder.serve_connection(io, serve).await;
                    } else {
                        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, serve).await;
                    }
                });
            }
        });
        Self { port, connections }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn over_tls(port: u16, tls: &Value) -> document::Upstream {
    let mut spec = spec(&[&format!("https://localhost:{port}")]);
    spec.tls = Some(serde_json::from_value(tls.clone()).unwrap());
    spec
}

fn write(folder: &Path, name: &str, pem: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, pem).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What is kept, and the services that hold it.
#[derive(Default)]
struct Kept(Keep, Mutex<Vec<HttpService>>);

async fn ask(spec: &document::Upstream, kept: &Kept) -> Result<String, String> {
    let service = service(Arc::new(built(spec, &kept.0).unwrap()), RouteSettings::default());
    kept.1.lock().push(service.clone());
    let response = service.call(get("/x")).await;
    if response.status() == StatusCode::OK {
        return Ok(text(response).await);
    }
    assert_eq!((response.status(), reason(&response)), (StatusCode::BAD_GATEWAY, "upstream_tls"));
    let proxied = response.extensions().get::<Proxied>().unwrap();
    Err(proxied.error.as_ref().unwrap().rsplit(": ").next().unwrap().to_owned())
}

#[tokio::test]
async fn certificates_of_targets_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = write(folder.path(), "ca.pem", &authority.pem());
    let other = write(folder.path(), "other.pem", &Authority::new().pem());
    let server = SecureServer::start(authority.sign("localhost", 2100), None, &["http/1.1"]).await;
    let keep = Kept::default();
    let trusted = over_tls(server.port, &json!({ "ca_file": ca }));
    assert_eq!(ask(&trusted, &keep).await, Ok("HTTP/1.1 /x".to_owned()));
    assert_eq!(ask(&trusted, &keep).await, Ok("HTTP/1.1 /x".to_owned()));
    assert_eq!(server.connections(), 1, "the connection is kept");

    let mistrusted = over_tls(server.port, &json!({ "ca_file": other }));
    let unknown = Err("certificate has an unknown issuer".to_owned());
    assert_eq!(ask(&mistrusted, &keep).await, unknown, "a connection is not shared with other authorities");
    assert_eq!(ask(&over_tls(server.port, &json!({})), &keep).await, unknown, "browsers do not trust it");
    let named = over_tls(server.port, &json!({ "ca_file": ca, "server_name": "orders.internal" }));
    assert_eq!(ask(&named, &keep).await, Err("certificate is not valid for name `orders.internal`".to_owned()));

    let server = SecureServer::start(authority.sign("orders.internal", 2100), None, &["http/1.1"]).await;
    let named = |name| over_tls(server.port, &json!({ "ca_file": ca, "server_name": name }));
    assert_eq!(ask(&named("orders.internal"), &keep).await, Ok("HTTP/1.1 /x".to_owned()));
    let unnamed = over_tls(server.port, &json!({ "ca_file": ca }));
    assert_eq!(ask(&unnamed, &keep).await, Err("certificate is not valid for name `localhost`".to_owned()));

    let server = SecureServer::start(authority.sign("localhost", 2020), None, &["http/1.1"]).await;
    let expired = over_tls(server.port, &json!({ "ca_file": ca }));
    assert_eq!(ask(&expired, &keep).await, Err("certificate has expired".to_owned()));

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = plain.local_addr().unwrap().port();
    let responding = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await
    });
    let refused = ask(&over_tls(port, &json!({ "ca_file": ca })), &keep).await;
    assert_eq!(refused, Err("the target does not use TLS".to_owned()));
    drop(responding);
}

#[tokio::test]
async fn a_client_certificate_is_presented_and_a_new_one_opens_new_connections() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = write(folder.path(), "ca.pem", &authority.pem());
    let (cert, key) = authority.sign("gatewright", 2100);
    let (cert, key) = (write(folder.path(), "us.crt", &cert), write(folder.path(), "us.key", &key));
    let server = SecureServer::start(authority.sign("localhost", 2100), Some(&authority), &["http/1.1"]).await;
    let keep = Kept::default();
    let anonymous = over_tls(server.port, &json!({ "ca_file": ca }));
    let rejected = Err("CertificateRequired".to_owned());
    assert_eq!(ask(&anonymous, &keep).await, rejected);
    let identified = over_tls(server.port, &json!({ "ca_file": ca, "cert_file": cert, "key_file": key }));
    for _ in 0..2 {
        assert_eq!(ask(&identified, &keep).await, Ok("HTTP/1.1 /x".to_owned()));
    }
    assert_eq!(server.connections(), 1);
    let (renewed, renewed_key) = authority.sign("gatewright", 2101);
    std::fs::write(&cert, renewed).unwrap();
    std::fs::write(&key, renewed_key).unwrap();
    assert_eq!(ask(&identified, &keep).await, Ok("HTTP/1.1 /x".to_owned()));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn checks_use_tls_too() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = write(folder.path(), "ca.pem", &authority.pem());
    let server = SecureServer::start(authority.sign("other.internal", 2100), None, &["http/1.1"]).await;
    let mut spec = over_tls(server.port, &json!({ "ca_file": ca }));
    let check = json!({ "active": { "path": "/health", "interval": "10ms", "timeout": "1s", "unhealthy_after": 1 } });
    spec.health_checks = Some(serde_json::from_value(check).unwrap());
    let keep = Keep::default();
    let upstream = built(&spec, &keep).unwrap();
    let services: Arc<dyn Services> = Arc::new(Nothing);
    keep.begin(&services);
    let error = loop {
        if let Some(error) = upstream.state().targets[0].last_error.clone() {
            break error;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(error.ends_with("certificate is not valid for name `localhost`"), "{error}");
}

#[test]
fn settings_that_cannot_work_are_faults() {
    let folder = tempfile::tempdir().unwrap();
    let broken = write(folder.path(), "broken.pem", "-----BEGIN CERTIFICATE-----\nnot base64\n");
    let faults = |url: &str, tls: Value| {
        let mut spec = spec(&[url]);
        spec.tls = Some(serde_json::from_value(tls).unwrap());
        let faults = built(&spec, &Keep::default()).err().unwrap();
        faults.into_iter().map(|fault| (fault.path.to_string(), fault.message.to_string())).collect::<Vec<_>>()
    };
    let one = |url, tls| faults(url, tls).pop().unwrap();
    let (path, message) = one("https://h", json!({ "ca_file": broken }));
    assert!(path == "tls.ca_file" && message.ends_with("does not contain a certificate"), "{path} {message}");
    let (path, message) = one("https://h", json!({ "key_file": "us.key" }));
    assert_eq!((&*path, &*message), ("tls", "`key_file` requires `cert_file`"));
    let (path, message) = one("https://h", json!({ "server_name": "not a name" }));
    assert_eq!((&*path, &*message), ("tls.server_name", "`not a name` is not a valid server name"));
    let (path, message) = one("http://h", json!({}));
    assert_eq!((&*path, &*message), ("tls", "`tls` has no effect, because no target uses TLS"));
}
