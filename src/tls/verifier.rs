//! A verifier of servers with a policy of its own about certificates. Signatures are verified in any case.

use crate::tls::provider;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::fmt;
use std::sync::Arc;

/// What a server presents.
pub struct Presented<'a> {
    pub certificate: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    name: &'a ServerName<'a>,
    ocsp: &'a [u8],
    now: UnixTime,
}

impl Presented<'_> {
    /// The verdict of the usual rules: authorities, name and dates.
    pub fn judged_by(&self, authorities: &WebPkiServerVerifier) -> Result<ServerCertVerified, Error> {
        let Self { certificate, intermediates, name, ocsp, now } = self;
        authorities.verify_server_cert(certificate, intermediates, name, ocsp, *now)
    }
}

struct Verifier<F> {
    policy: F,
    algorithms: WebPkiSupportedAlgorithms,
}

/// A verifier that accepts the certificates that `policy` accepts.
pub fn verifier<F>(policy: F) -> Arc<dyn ServerCertVerifier>
where
    F: Fn(&Presented<'_>) -> Result<ServerCertVerified, Error> + Send + Sync + 'static,
{
    Arc::new(Verifier { policy, algorithms: provider().signature_verification_algorithms })
}

impl<F> fmt::Debug for Verifier<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl<F> ServerCertVerifier for Verifier<F>
where
    F: Fn(&Presented<'_>) -> Result<ServerCertVerified, Error> + Send + Sync,
{
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        (self.policy)(&Presented { certificate, intermediates, name, ocsp, now })
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
