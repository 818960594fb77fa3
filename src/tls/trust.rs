//! How this program verifies a gateway that it calls: by its certificate, or by an authority.

use crate::tls::provider;
use hyper_rustls::ConfigBuilderExt as _;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Who a client trusts.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// The authorities that browsers trust.
    #[default]
    Web,
    /// A PEM file with the server's certificate, or with the authorities that signed it.
    Pem(Vec<u8>),
    /// The server with this certificate, by its SHA-256 in hex.
    Certificate(String),
}

impl Trust {
    /// The configuration of a client.
    ///
    /// # Errors
    /// The file does not contain a certificate.
    pub fn config(&self) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let known = match self {
            Self::Web => return Ok(builder.with_webpki_roots().with_no_client_auth()),
            Self::Certificate(fingerprint) => Known::new(vec![fingerprint.clone()], None),
            Self::Pem(pem) => {
                let found = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect::<Vec<_>>();
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(found.iter().cloned());
                if found.is_empty() {
                    return Err(Error::General("the file does not contain a certificate".to_owned()));
                }
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
                Known::new(found.iter().map(|found| fingerprint(found)).collect(), verifier.ok())
            }
        };
        Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(known)).with_no_client_auth())
    }
}

/// The SHA-256 of a certificate, in lowercase hex.
pub fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Accepts certificates that are known, under any name and at any time, and those of the authorities.
#[derive(Debug)]
struct Known {
    fingerprints: Vec<String>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Known {
    fn new(fingerprints: Vec<String>, authorities: Option<Arc<WebPkiServerVerifier>>) -> Self {
        Self { fingerprints, authorities, algorithms: provider().signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.fingerprints.contains(&fingerprint(server)) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.authorities {
            Some(authorities) => authorities.verify_server_cert(server, intermediates, name, ocsp, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
