//! TLS to targets: the settings of an upstream, compiled, and the handshake.

use super::broken;
use super::failure::Failure;
use super::stream::{Stream, is_http2};
use super::trust::{describe, tls_error};
use crate::config::document::server_url::ServerUrl;
use crate::config::document::upstream::{Upstream, UpstreamTls};
use crate::tls::certificate::{self, Validity};
use crate::tls::client::{self, ClientFiles};
use crate::tls::pem;
use gatewright_sdk::{Code, Fault, Files, hex};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, Error};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The protocols that a target may choose from (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpn {
    Http1,
    Http2,
    /// It chooses.
    Any,
}

/// The TLS of an upstream.
#[derive(Clone)]
pub(super) struct Tls {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    any: Arc<ClientConfig>,
    /// The name that certificates must contain, if it is not that of the target.
    name: Option<ServerName<'static>>,
    /// Identifies the settings and the content of their files.
    key: Arc<str>,
    /// When the certificate that it presents is valid, with its setting and file.
    pub certificate: Option<(String, String, Validity)>,
}

impl Tls {
    /// The TLS of `spec`; `None` if no target uses it.
    ///
    /// # Errors
    /// All faults, with paths relative to the upstream.
    pub fn compile(spec: &Upstream, files: &dyn Files) -> Result<Option<Self>, Vec<Fault>> {
        let used = spec.targets.iter().any(|target| target.url.tls);
        let usual = UpstreamTls::default();
        let settings = spec.tls.as_ref().unwrap_or(&usual);
        let mut faults = Vec::new();
        if spec.tls.is_some() && !used && !spec.targets.is_empty() {
            let fault = Fault::new("tls", "`tls` has no effect, because no target uses TLS").code(Code::UNUSED);
            faults.push(fault.help("write `https://` in the `url` of the targets, or remove `tls`"));
        }
        for (index, target) in spec.targets.iter().enumerate() {
            if target.url.tls && settings.server_name.is_none() && server_name(&target.url.name).is_none() {
                let fault = Fault::new(format!("targets[{index}].url"), "the host is not a valid server name");
                faults.push(fault.code(Code::INVALID_HOST).help("set the name of the certificate: `tls.server_name`"));
            }
        }
        let name = settings.server_name.as_deref().and_then(server_name);
        if let (Some(written), None) = (&settings.server_name, &name) {
            let fault = Fault::new("tls.server_name", format!("`{written}` is not a valid server name"));
            faults.push(fault.code(Code::INVALID_HOST).help("write a host name or an IP address: `orders.internal`"));
        }
        let UpstreamTls { ca_file, cert_file, key_file, .. } = settings;
        let named =
            ClientFiles { ca_file: ca_file.as_ref(), cert_file: cert_file.as_ref(), key_file: key_file.as_ref() };
        let config = client::config(&named, files).map_err(|fault| {
            let path = if fault.path.is_empty() { "tls".to_owned() } else { format!("tls.{}", fault.path) };
            faults.push(Fault { path, ..fault });
        });
        let (Ok(config), true) = (config, faults.is_empty()) else { return Err(faults) };
        let key = key(settings, &named, files);
        let certificate = cert_file.as_ref().and_then(|file| {
            let chain = pem::certificates("cert_file", file, files).ok()?;
            Some(("cert_file".to_owned(), file.to_string(), certificate::validity(chain.first()?)?))
        });
        let with = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        let (http1, http2, any) = (with(&[b"http/1.1"]), with(&[b"h2"]), with(&[b"h2", b"http/1.1"]));
        Ok(used.then_some(Self { http1, http2, any, name, key, certificate }))
    }

    /// How to connect to `url`; `None` without TLS.
    pub fn to(&self, url: &ServerUrl) -> Option<Handshake> {
        let name = self.name.clone().or_else(|| server_name(&url.name)).filter(|_| url.tls)?;
        Some(Handshake { tls: self.clone(), name })
    }
}

/// The name or address in a certificate. A name may end with a dot in a URL, but not in a certificate.
fn server_name(text: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(text.trim_end_matches('.').to_owned()).ok()
}

/// Identifies everything that decides whether a connection may be shared.
fn key(settings: &UpstreamTls, named: &ClientFiles<'_>, files: &dyn Files) -> Arc<str> {
    format!("{:?} {}", settings.server_name, hex(named.digest(files))).into()
}

/// How to begin TLS with one target.
pub(super) struct Handshake {
    tls: Tls,
    name: ServerName<'static>,
}

impl Handshake {
    /// Identifies what connections have in common.
    pub fn key(&self) -> String {
        format!("tls={} {}", self.name.to_str(), self.tls.key)
    }

    /// Begins TLS on `stream`.
    pub async fn perform(&self, stream: TcpStream, alpn: Alpn) -> Result<Stream, Failure> {
        let config = match alpn {
            Alpn::Http1 => &self.tls.http1,
            Alpn::Http2 => &self.tls.http2,
            Alpn::Any => &self.tls.any,
        };
        match TlsConnector::from(Arc::clone(config)).connect(self.name.clone(), stream).await {
            Ok(stream) => {
                let stream = Stream::Right(Box::new(stream));
                if alpn == Alpn::Http2 && !is_http2(&stream) {
                    return Err(Failure::Tls("the target does not support HTTP/2".to_owned()));
                }
                Ok(stream)
            }
            Err(error) => Err(Failure::Tls(self.describe(&error))),
        }
    }

    fn describe(&self, error: &io::Error) -> String {
        match tls_error(error) {
            Some(Error::InvalidCertificate(CertificateError::NotValidForName))
            | Some(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })) => {
                format!("certificate is not valid for name `{}`", self.name.to_str())
            }
            Some(error) => describe(error),
            None => broken::describe_io(error),
        }
    }
}
