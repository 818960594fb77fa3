//! TLS to Redis: the certificates that a store names.

use crate::config::document::process::StoreTls;
use crate::tls::client::{self, ClientFiles};
use bytes::Bytes;
use gatewright_sdk::{Fault, Files, NamedFile, hex};
use redis::{ClientTlsConfig, TlsCertificates};

/// The certificates of a store, as they were when the configuration was read.
#[derive(Debug, Clone)]
pub struct Certificates {
    pub(super) read: TlsCertificates,
    /// Identifies their content.
    pub digest: String,
}

/// Reads the files that `settings` name.
///
/// # Errors
/// A file that cannot be used, or a certificate without a private key.
pub fn certificates(settings: &StoreTls, files: &dyn Files) -> Result<Certificates, Fault> {
    let StoreTls { ca_file, cert_file, key_file } = settings;
    let named = ClientFiles { ca_file: ca_file.as_ref(), cert_file: cert_file.as_ref(), key_file: key_file.as_ref() };
    // What is wrong with them is found here, since the Redis library does not say which file it is.
    client::config(&named, files)?;
    let content = |file: &Option<NamedFile>| -> Option<Bytes> { files.content(file.as_ref()?.path()).ok() };
    let client_tls = content(cert_file).zip(content(key_file));
    Ok(Certificates {
        read: TlsCertificates {
            client_tls: client_tls
                .map(|(cert, key)| ClientTlsConfig { client_cert: cert.into(), client_key: key.into() }),
            root_cert: content(ca_file).map(Into::into),
        },
        digest: hex(named.digest(files)),
    })
}
