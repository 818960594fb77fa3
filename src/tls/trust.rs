//! How this program verifies a gateway that it calls: by its certificate, or by an authority.

use crate::tls::provider;
use crate::tls::verifier::verifier;
use hyper_rustls::ConfigBuilderExt as _;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
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
        let verifier = match self {
            Self::Web => return Ok(builder.with_webpki_roots().with_no_client_auth()),
            Self::Certificate(fingerprint) => known(vec![fingerprint.clone()], None),
            Self::Pem(pem) => {
                let found = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect::<Vec<_>>();
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(found.iter().cloned());
                if found.is_empty() {
                    return Err(Error::General("the file does not contain a certificate".to_owned()));
                }
                let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
                known(found.iter().map(|found| fingerprint(found)).collect(), authorities.ok())
            }
        };
        Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    }
}

/// The SHA-256 of a certificate, in lowercase hex.
pub fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Accepts certificates that are known, under any name and at any time, and those of the authorities.
fn known(fingerprints: Vec<String>, authorities: Option<Arc<WebPkiServerVerifier>>) -> Arc<dyn ServerCertVerifier> {
    verifier(move |server| {
        if fingerprints.contains(&fingerprint(server.certificate)) {
            return Ok(ServerCertVerified::assertion());
        }
        match &authorities {
            Some(authorities) => server.judged_by(authorities),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    })
}
