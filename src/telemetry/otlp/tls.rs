//! TLS to a receiver: the trusted authorities, and the client certificate.

use crate::config::sources::{MOST_BYTES, read_bytes};
use crate::telemetry::receiver::Receiver;
use gatewright_sdk::{Code, Fault};
use hyper_rustls::ConfigBuilderExt as _;
use rustls::client::WantsClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// Reads the files named by the receiver's `tls`. Reads nothing if the endpoint does not use TLS.
pub(super) fn config(receiver: &Receiver, folder: &Path) -> Result<ClientConfig, Fault> {
    let files = Files { signal: receiver.signal.name(), folder };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| files.fault("tls", error.to_string()))?;
    if !receiver.endpoint.tls() {
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    }
    let builder = match &receiver.tls.ca_file {
        None => builder.with_webpki_roots(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in files.certificates("tls.ca_file", file.path())? {
                roots.add(certificate).map_err(|error| files.fault("tls.ca_file", format!("{file}: {error}")))?;
            }
            builder.with_root_certificates(roots)
        }
    };
    match (&receiver.tls.cert_file, &receiver.tls.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => files.client(builder, cert.path(), key.path()),
        (Some(_), None) => Err(files
            .fault("tls", "`cert_file` requires `key_file`")
            .help("add its private key: `key_file: certs/client.key`")),
        (None, Some(_)) => Err(files
            .fault("tls", "`key_file` requires `cert_file`")
            .help("add its certificate: `cert_file: certs/client.crt`")),
    }
}

struct Files<'a> {
    signal: &'static str,
    folder: &'a Path,
}

impl Files<'_> {
    fn fault(&self, setting: &str, message: impl Into<String>) -> Fault {
        Fault::new(format!("{}.otlp.{setting}", self.signal), message).code(Code::TELEMETRY_TLS)
    }

    fn read(&self, setting: &str, file: &Path) -> Result<Vec<u8>, Fault> {
        let path = self.folder.join(file);
        read_bytes(&path, MOST_BYTES)
            .map_err(|error| self.fault(setting, format!("cannot read {}: it {error}", file.display())))
    }

    fn certificates(&self, setting: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
        let pem = self.read(setting, file)?;
        match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
            Ok(found) if !found.is_empty() => Ok(found),
            _ => Err(self
                .fault(setting, format!("{} does not contain a certificate", file.display()))
                .help("use a PEM file that starts with `-----BEGIN CERTIFICATE-----`")),
        }
    }

    fn client(
        &self,
        builder: ConfigBuilder<ClientConfig, WantsClientCert>,
        cert: &Path,
        key: &Path,
    ) -> Result<ClientConfig, Fault> {
        let chain = self.certificates("tls.cert_file", cert)?;
        let pem = self.read("tls.key_file", key)?;
        let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
            self.fault("tls.key_file", format!("{} does not contain a private key", key.display()))
                .help("use a PEM file that starts with `-----BEGIN PRIVATE KEY-----`")
        })?;
        builder.with_client_auth_cert(chain, private).map_err(|error| {
            self.fault("tls.key_file", format!("{} does not match {}: {error}", key.display(), cert.display()))
        })
    }
}
