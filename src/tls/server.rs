//! TLS of a listener: its certificates by host name, its versions and protocols, and the certificates of its clients.

use crate::config::document::listener::{Certificate, ClientAuth, ClientAuthMode, Protocol, Tls, TlsVersion};
use crate::tls::certificate::{self, Validity};
use crate::tls::trust::fingerprint;
use crate::tls::{pem, provider};
use gatewright_sdk::{ClientCertificate, Code, Fault, Files, Keep};
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// TLS of a listener, ready to serve.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    /// Keeps the keys of session tickets from one configuration to the next.
    _tickets: Arc<Tickets>,
    verifier: Arc<dyn ClientCertVerifier>,
    trust: Arc<str>,
    fingerprint: Arc<str>,
}

/// The keys of session tickets; none if the system has no random numbers.
struct Tickets(Option<Arc<dyn ProducesTickets>>);

/// TLS of a listener, validated.
pub struct Compiled {
    config: ServerConfig,
    verifier: Arc<dyn ClientCertVerifier>,
    /// The settings that a resumed session depends on: it skips the verification of the client.
    verified: String,
    /// These, and what else an open connection was promised.
    trust: Arc<str>,
    /// When each certificate is valid, by the path of its setting relative to `tls`.
    pub dates: Vec<(String, String, Validity)>,
    /// The SHA-256 of the first certificate, in hex.
    fingerprint: Arc<str>,
}

/// Reads the files that `settings` name and validates them.
///
/// # Errors
/// All faults, with paths relative to `tls`.
pub fn compile(settings: &Tls, protocols: &[Protocol], files: &dyn Files) -> Result<Compiled, Vec<Fault>> {
    let (mut faults, mut keys, mut dates) = (Vec::new(), Vec::new(), Vec::new());
    for (index, Certificate { cert_file, key_file }) in settings.certificates.iter().enumerate() {
        let at = |setting: &str| format!("certificates[{index}].{setting}");
        match pem::identity((&at("cert_file"), cert_file), (&at("key_file"), key_file), files) {
            Ok(key) => {
                let validity = key.cert.first().and_then(|first| certificate::validity(first));
                dates.extend(validity.map(|validity| (at("cert_file"), cert_file.to_string(), validity)));
                keys.push(key);
            }
            Err(fault) => faults.push(fault.code(Code::TLS_FILE)),
        }
    }
    let verifier = settings.client_auth.as_ref().map(|auth| verifier(auth, files)).transpose();
    let (verifier, verified) = match verifier {
        Ok(Some(verified)) => verified,
        Ok(None) => (Arc::new(NoClientAuth) as Arc<dyn ClientCertVerifier>, "none".to_owned()),
        Err(fault) => {
            faults.push(fault.code(Code::TLS_FILE));
            return Err(faults);
        }
    };
    if !faults.is_empty() {
        return Err(faults);
    }
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(settings.min_version))
        .map_err(|error| vec![Fault::new("", error.to_string()).code(Code::TLS_FILE)])?;
    let first = keys.first().and_then(|key| key.cert.first());
    let fingerprint = first.map(|first| fingerprint(first)).unwrap_or_default().into();
    let mut config =
        builder.with_client_cert_verifier(Arc::clone(&verifier)).with_cert_resolver(Arc::new(Certificates::new(keys)));
    config.alpn_protocols = alpn(protocols);
    let trust = format!("{verified} {:?}", settings.min_version).into();
    Ok(Compiled { config, verifier, verified, trust, dates, fingerprint })
}

/// The same for HTTP/1.1 with one certificate, whose faults have the names of its settings as their paths.
///
/// # Errors
/// All faults.
pub fn compile_one(certificate: &Certificate, files: &dyn Files) -> Result<Compiled, Vec<Fault>> {
    let certificates = vec![certificate.clone()];
    let settings = Tls { certificates, min_version: TlsVersion::default(), client_auth: None, redirect_from: None };
    let short = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    match compile(&settings, &[Protocol::Http1], files) {
        Ok(mut compiled) => {
            compiled.dates.iter_mut().for_each(|(setting, ..)| *setting = short(setting));
            Ok(compiled)
        }
        Err(faults) => Err(faults.into_iter().map(|fault| Fault { path: short(&fault.path), ..fault }).collect()),
    }
}

const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
const NEWEST: &[&SupportedProtocolVersion] = &[&TLS13];

const fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match least {
        TlsVersion::V12 => BOTH,
        TlsVersion::V13 => NEWEST,
    }
}

/// The protocols by preference (RFC 7301).
fn alpn(protocols: &[Protocol]) -> Vec<Vec<u8>> {
    let known = [(Protocol::Http2, &b"h2"[..]), (Protocol::Http1, b"http/1.1")];
    known.iter().filter(|(protocol, _)| protocols.contains(protocol)).map(|(_, name)| name.to_vec()).collect()
}

/// Verifies certificates of clients; also returns what its verdicts depend on.
fn verifier(auth: &ClientAuth, files: &dyn Files) -> Result<(Arc<dyn ClientCertVerifier>, String), Fault> {
    let setting = "client_auth.ca_file";
    let roots = pem::authorities(setting, &auth.ca_file, files)?;
    let mut digest = Sha256::new();
    roots.subjects().iter().for_each(|subject| digest.update(subject.as_ref()));
    roots.roots.iter().for_each(|root| digest.update(root.subject_public_key_info.as_ref()));
    let verified = format!("{:?} {:?}", auth.mode, digest.finalize());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = match auth.mode {
        ClientAuthMode::Optional => builder.allow_unauthenticated(),
        ClientAuthMode::Required => builder,
    };
    let verifier = builder.build().map_err(|error| {
        let help = "use a PEM file with the certificates of the authorities that issue client certificates";
        Fault::new(setting, format!("{}: {error}", auth.ca_file)).help(help)
    })?;
    Ok((verifier, verified))
}

impl Compiled {
    /// TLS of `listener` with the session tickets of earlier configurations, unless these verified clients differently.
    pub fn install(&self, listener: &str, keep: &Keep) -> ServerTls {
        let tickets =
            keep.get_or_make(&format!("tls tickets {listener} {}", self.verified), || Tickets(Ticketer::new().ok()));
        let mut config = self.config.clone();
        config.ticketer.clone_from(tickets.0.as_ref().unwrap_or(&self.config.ticketer));
        ServerTls {
            config: Arc::new(config),
            _tickets: tickets,
            verifier: Arc::clone(&self.verifier),
            trust: Arc::clone(&self.trust),
            fingerprint: Arc::clone(&self.fingerprint),
        }
    }
}

impl ServerTls {
    pub const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// The SHA-256 of the certificate for clients that name no host, in hex.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What a handshake establishes about the client, apart from the certificates of the listener: with another text, open connections
    /// need a new one.
    pub fn trust(&self) -> &str {
        &self.trust
    }

    /// Whether a handshake would accept a client that presented these certificates in an earlier one.
    pub fn accepts(&self, presented: &[CertificateDer<'_>]) -> bool {
        match presented.split_first() {
            None => !self.verifier.client_auth_mandatory(),
            // The certificate is not asked for.
            Some(_) if !self.verifier.offer_client_auth() => true,
            Some((own, issuers)) => self.verifier.verify_client_cert(own, issuers, UnixTime::now()).is_ok(),
        }
    }

    /// The certificate that a client presented, which was verified in the handshake.
    pub fn client_certificate(&self, certificate: &CertificateDer<'_>) -> Option<Arc<ClientCertificate>> {
        certificate::of_client(certificate).map(Arc::new)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

impl PartialEq for ServerTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for ServerTls {}

/// The certificates of a listener. Several may have the same host, with keys of different types.
struct Certificates {
    all: Vec<Arc<CertifiedKey>>,
    /// The certificates of each host, by index. Wildcards are written `*.example.com`.
    by_host: HashMap<String, Vec<usize>>,
}

impl Certificates {
    fn new(keys: Vec<CertifiedKey>) -> Self {
        let mut by_host: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, key) in keys.iter().enumerate() {
            let hosts = key.cert.first().map(|first| certificate::hosts(first)).unwrap_or_default();
            hosts.into_iter().for_each(|host| by_host.entry(host).or_default().push(index));
        }
        Self { all: keys.into_iter().map(Arc::new).collect(), by_host }
    }

    /// The certificates of `host`: an exact name beats a wildcard.
    fn of(&self, host: &str) -> Option<&Vec<usize>> {
        let exact = self.by_host.get(host);
        exact.or_else(|| self.by_host.get(&format!("*.{}", host.split_once('.')?.1)))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name().map(str::to_ascii_lowercase);
        let of_host = host.as_deref().and_then(|host| self.of(host)).map(Vec::as_slice).unwrap_or_default();
        let candidates = of_host.iter().filter_map(|index| self.all.get(*index));
        let candidates = candidates.chain(&self.all);
        // The first whose key the client can verify; if there is none, the handshake reports it.
        let mut usable = candidates.clone().filter(|key| key.key.choose_scheme(hello.signature_schemes()).is_some());
        usable.next().or_else(|| self.all.first()).map(Arc::clone)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_host.keys()).finish()
    }
}
