//! Reads certificates and private keys from PEM files that settings name.

use crate::tls::provider;
use gatewright_sdk::{Fault, Files, NamedFile};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};

/// All certificates of `file`, which `setting` names; at least one.
///
/// # Errors
/// The file cannot be read or does not contain a certificate.
pub fn certificates(setting: &str, file: &NamedFile, files: &dyn Files) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let pem = read(setting, file, files)?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Fault::new(setting, format!("{file} does not contain a certificate"))
            .help("use a PEM file that starts with `-----BEGIN CERTIFICATE-----`")),
    }
}

/// The first private key of `file`, which `setting` names.
///
/// # Errors
/// The file cannot be read or does not contain a private key.
pub fn private_key(setting: &str, file: &NamedFile, files: &dyn Files) -> Result<PrivateKeyDer<'static>, Fault> {
    let pem = read(setting, file, files)?;
    let encrypted = || String::from_utf8_lossy(&pem).contains("ENCRYPTED");
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| match encrypted() {
        true => Fault::new(setting, format!("the private key in {file} is encrypted"))
            .help("use a file without a passphrase: `openssl pkey -in encrypted.key -out plain.key`"),
        false => Fault::new(setting, format!("{file} does not contain a private key"))
            .help("use a PEM file that starts with `-----BEGIN PRIVATE KEY-----`"),
    })
}

/// The authorities in `file`, which `setting` names.
///
/// # Errors
/// The file cannot be read, or a certificate in it is not valid.
pub fn authorities(setting: &str, file: &NamedFile, files: &dyn Files) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(setting, file, files)? {
        roots.add(certificate).map_err(|error| Fault::new(setting, format!("{file}: {error}")).help(readable(file)))?;
    }
    Ok(roots)
}

/// A certificate chain and its private key. Each is a setting and the file that it names.
///
/// # Errors
/// A file cannot be used, or the key does not match the certificate.
pub fn identity(
    (cert_setting, cert): (&str, &NamedFile),
    (key_setting, key): (&str, &NamedFile),
    files: &dyn Files,
) -> Result<CertifiedKey, Fault> {
    let chain = certificates(cert_setting, cert, files)?;
    let private = private_key(key_setting, key, files)?;
    CertifiedKey::from_der(chain, private, &provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            Fault::new(key_setting, format!("{key} does not match {cert}"))
                .help("use the private key that the certificate was made for")
        }
        Error::InvalidCertificate(error) => {
            let message = format!("{cert} does not contain a valid certificate: {error}");
            Fault::new(cert_setting, message).help(readable(cert))
        }
        error => {
            let message = match error {
                // The details only list what was tried.
                Error::General(_) => {
                    format!("the private key in {key} cannot be used: it is too short, damaged or of another kind")
                }
                error => format!("{key} does not contain a valid private key: {error}"),
            };
            let help = "use an RSA key of at least 2048 bits, or an ECDSA (P-256, P-384, P-521) or Ed25519 key";
            Fault::new(key_setting, message).help(help)
        }
    })
}

fn readable(file: &NamedFile) -> String {
    format!("use a certificate that `openssl x509 -in {file} -noout -subject` can read")
}

fn read(setting: &str, file: &NamedFile, files: &dyn Files) -> Result<bytes::Bytes, Fault> {
    files.content(file.path()).map_err(|error| {
        let key = setting.rsplit('.').next().unwrap_or(setting);
        let name = match key {
            "key_file" => "tls.key",
            "ca_file" => "ca.crt",
            _ => "tls.crt",
        };
        let help = format!("write a path relative to the folder of the main configuration file: `{key}: certs/{name}`");
        Fault::new(setting, format!("cannot read {file}: it {error}")).help(help)
    })
}
