//! Opens connections to PostgreSQL, with TLS as `sslmode` says.

use std::path::Path;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerified;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, Error, InconsistentKeys, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use crate::config::document::postgres_url::{PostgresUrl, Verify};
use crate::tls::provider;
use crate::tls::verifier::{Presented, verifier};

/// Makes TLS connections for a server.
///
/// # Errors
/// A file with certificates or a key cannot be used, as text for the operator.
pub fn tls(url: &PostgresUrl) -> Result<MakeRustlsConnect, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let authorities = url.root_file.as_deref().map(authorities).transpose()?;
    let verified = match (url.verify, authorities) {
        (Verify::Full, None) => builder.with_webpki_roots(),
        (Verify::Full, Some(authorities)) => builder.dangerous().with_custom_certificate_verifier(authorities),
        (verify, authorities) => {
            let authorities = authorities.filter(|_| verify == Verify::Authority);
            let lenient = verifier(move |server| anyone_or_signed_by(authorities.as_deref(), server));
            builder.dangerous().with_custom_certificate_verifier(lenient)
        }
    };
    let config = match &url.identity {
        None => verified.with_no_client_auth(),
        Some((certificate, key)) => verified.with_client_cert_resolver(Arc::new(identity(certificate, key)?)),
    };
    Ok(MakeRustlsConnect::new(config))
}

/// The certificate that this client shows. What the server thinks of it is up to the server: it may be one of version 1, as those in
/// the manual of PostgreSQL are.
fn identity(certificate: &Path, key: &Path) -> Result<SingleCertAndKey, String> {
    let (shown, shown_key) = (certificate.display(), key.display());
    let chain = chain(certificate)?;
    let private = provider().key_provider.load_private_key(private_key(key)?);
    let private = private.map_err(|error| format!("the private key in {shown_key} cannot be used: {error}"))?;
    let certified = CertifiedKey::new(chain, private);
    match certified.keys_match() {
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(format!(
            "`sslcert` {shown} and `sslkey` {shown_key} cannot be used together: it is the key of another certificate"
        )),
        _ => Ok(SingleCertAndKey::from(certified)),
    }
}

/// The certificate of this client, and those of the authorities in between.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| format!("{} does not contain a certificate", path.display()))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = Zeroizing::new(read(path)?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| match String::from_utf8_lossy(&pem).contains("ENCRYPTED") {
        true => format!(
            "the private key in {0} is encrypted, which is not supported: write it without a passphrase, such as with \
             `openssl pkey -in {0} -out plain.key`",
            path.display()
        ),
        false => format!("{} does not contain a private key in PEM", path.display()),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn authorities(path: &Path) -> Result<Arc<WebPkiServerVerifier>, String> {
    let pem = read(path)?;
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
