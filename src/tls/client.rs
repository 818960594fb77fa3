//! TLS of a client: the authorities it trusts, and the certificate it presents.

use crate::tls::{pem, provider};
use gatewright_sdk::{Fault, Files, NamedFile};
use hyper_rustls::ConfigBuilderExt as _;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The files of a client. Faults have the names of these settings as their paths.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientFiles<'a> {
    /// The trusted authorities. Default: those that browsers trust.
    pub ca_file: Option<&'a NamedFile>,
    /// The certificate for servers that require one.
    pub cert_file: Option<&'a NamedFile>,
    /// Its private key.
    pub key_file: Option<&'a NamedFile>,
}

impl ClientFiles<'_> {
    /// A digest of what the files contain.
    pub fn digest(&self, files: &dyn Files) -> [u8; 32] {
        let mut digest = Sha256::new();
        for file in [self.ca_file, self.cert_file, self.key_file] {
            let content = file.and_then(|file| files.content(file.path()).ok());
            digest.update(content.map_or([0; 32], |content| Sha256::digest(&content).into()));
        }
        digest.finalize().into()
    }
}

/// The configuration of a client. It names no protocol (ALPN).
///
/// # Errors
/// A file that cannot be used, or a certificate without a private key.
pub fn config(settings: &ClientFiles<'_>, files: &dyn Files) -> Result<ClientConfig, Fault> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new("", error.to_string()))?;
    let builder = match settings.ca_file {
        None => builder.with_webpki_roots(),
        Some(file) => builder.with_root_certificates(pem::authorities("ca_file", file, files)?),
    };
    match (settings.cert_file, settings.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let identity = pem::identity(("cert_file", cert), ("key_file", key), files)?;
            Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))))
        }
        (Some(_), None) => {
            Err(Fault::new("", "`cert_file` requires `key_file`")
                .help("add its private key: `key_file: certs/client.key`"))
        }
        (None, Some(_)) => Err(Fault::new("", "`key_file` requires `cert_file`")
            .help("add its certificate: `cert_file: certs/client.crt`")),
    }
}

/// The configuration of a client that trusts no one, for connections without TLS.
///
/// # Errors
/// The TLS library does not support its own defaults.
pub fn without_trust() -> Result<ClientConfig, Fault> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new("", error.to_string()))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
