//! TLS to a receiver: the trusted authorities, and the client certificate.

use crate::config::sources::{MOST_BYTES, read_bytes};
use crate::telemetry::receiver::Receiver;
use crate::tls::client::{self, ClientFiles};
use bytes::Bytes;
use gatewright_sdk::{Code, Fault, Files};
use rustls::ClientConfig;
use std::path::Path;

/// Reads the files named by the receiver's `tls`. Reads nothing if the endpoint does not use TLS.
pub(super) fn config(receiver: &Receiver, folder: &Path) -> Result<ClientConfig, Fault> {
    let config = if receiver.endpoint.tls() {
        let (ca_file, cert_file) = (receiver.tls.ca_file.as_ref(), receiver.tls.cert_file.as_ref());
        let files = ClientFiles { ca_file, cert_file, key_file: receiver.tls.key_file.as_ref() };
        client::config(&files, &FolderFiles(folder))
    } else {
        client::without_trust()
    };
    config.map_err(|fault| {
        let setting = if fault.path.is_empty() { String::new() } else { format!(".{}", fault.path) };
        let path = format!("{}.otlp.tls{setting}", receiver.signal.name());
        Fault { path, ..fault }.code(Code::TELEMETRY_TLS)
    })
}

/// Files that are read when they are needed.
struct FolderFiles<'a>(&'a Path);

impl Files for FolderFiles<'_> {
    fn content(&self, file: &Path) -> Result<Bytes, String> {
        read_bytes(&self.0.join(file), MOST_BYTES).map(Bytes::from)
    }
}
