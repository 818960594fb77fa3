//! Opens connections to PostgreSQL, with TLS as `sslmode` says.

use std::path::Path;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerified;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::document::postgres_url::{PostgresUrl, Verify};
use crate::tls::provider;
use crate::tls::verifier::{Presented, verifier};

/// Makes TLS connections for a server.
///
/// # Errors
/// The file with the authorities cannot be used, as text for the operator.
pub fn tls(url: &PostgresUrl) -> Result<MakeRustlsConnect, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let authorities = url.root_file.as_deref().map(authorities).transpose()?;
    let config = match (url.verify, authorities) {
        (Verify::Full, None) => builder.with_webpki_roots().with_no_client_auth(),
        (Verify::Full, Some(authorities)) => {
            builder.dangerous().with_custom_certificate_verifier(authorities).with_no_client_auth()
        }
        (verify, authorities) => {
            let authorities = authorities.filter(|_| verify == Verify::Authority);
            let lenient = verifier(move |server| anyone_or_signed_by(authorities.as_deref(), server));
            builder.dangerous().with_custom_certificate_verifier(lenient).with_no_client_auth()
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn authorities(path: &Path) -> Result<Arc<WebPkiServerVerifier>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() {
        return Err(format!("{} does not contain a certificate", path.display()));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    verifier.map_err(|error| error.to_string())
}

/// Without `verify-full`, the name in the certificate does not count, as in libpq; without authorities, nothing does.
fn anyone_or_signed_by(
    authorities: Option<&WebPkiServerVerifier>,
    server: &Presented<'_>,
) -> Result<ServerCertVerified, Error> {
    match authorities.map(|authorities| server.judged_by(authorities)) {
        None
        | Some(Err(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ))) => Ok(ServerCertVerified::assertion()),
        Some(verdict) => verdict,
    }
}
