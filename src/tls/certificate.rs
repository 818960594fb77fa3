//! What a certificate contains: names, dates, and who it was made for.

use crate::tls::trust::fingerprint;
use gatewright_sdk::{CertificateName, ClientCertificate, Derived};
use std::net::IpAddr;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// The time in which a certificate is valid, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub not_before: i64,
    pub not_after: i64,
}

/// When a certificate is valid.
pub fn validity(der: &[u8]) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some(Validity { not_before: validity.not_before.timestamp(), not_after: validity.not_after.timestamp() })
}

/// The hosts it was made for, in lowercase, such as `example.com` and `*.example.com`.
pub fn hosts(der: &[u8]) -> Vec<String> {
    let names = names(der).unwrap_or_default().into_iter();
    let host = |name| if let CertificateName::Dns(host) = name { Some(host.to_ascii_lowercase()) } else { None };
    names.filter_map(host).collect()
}

/// A verified certificate of a client.
pub fn of_client(der: &[u8]) -> Option<ClientCertificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = written(certificate.subject());
    Some(ClientCertificate { subject, names: names(der)?, fingerprint: fingerprint(der), derived: Derived::default() })
}

fn names(der: &[u8]) -> Option<Vec<CertificateName>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let Some(extension) = certificate.subject_alternative_name().ok()? else { return Some(Vec::new()) };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(CertificateName::Dns((*name).to_owned())),
        GeneralName::RFC822Name(name) => Some(CertificateName::Email((*name).to_owned())),
        GeneralName::URI(name) => Some(CertificateName::Uri((*name).to_owned())),
        GeneralName::IPAddress(bytes) => ip(bytes).map(CertificateName::Ip),
        _ => None,
    };
    Some(extension.value.general_names.iter().filter_map(name).collect())
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

/// A name as RFC 4514 writes it: the most specific part first.
fn written(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in name.iter_rdn() {
        let attributes: Vec<String> = part
            .iter()
            .map(|attribute| {
                let kind = attribute.attr_type();
                let short = oid2abbrev(kind, oid_registry()).map_or_else(|_| kind.to_id_string(), ToOwned::to_owned);
                format!("{short}={}", escaped(attribute.as_str().unwrap_or_default()))
            })
            .collect();
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    parts.join(",")
}

/// A value with the characters escaped that would end it (RFC 4514 section 2.4).
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, character) in value.chars().enumerate() {
        let at_edge = (character == ' ' && (index == 0 || index == last)) || (character == '#' && index == 0);
        if at_edge || matches!(character, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    #[test]
    fn a_certificate_of_a_client_is_its_subject_its_names_and_its_fingerprint() {
        let mut params = CertificateParams::new(["*.Example.com".to_owned(), "192.0.2.1".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
        params.distinguished_name.push(DnType::CommonName, "billing");
        params.subject_alt_names.push(SanType::URI("spiffe://example/billing".try_into().unwrap()));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let read = of_client(certificate.der()).unwrap();
        assert_eq!(read.subject, "CN=billing,O=Example\\, Inc.");
        assert_eq!(
            read.names,
            [
                CertificateName::Dns("*.Example.com".into()),
                CertificateName::Ip("192.0.2.1".parse().unwrap()),
                CertificateName::Uri("spiffe://example/billing".into()),
            ]
        );
        assert_eq!(read.fingerprint.len(), 64);
        assert_eq!(hosts(certificate.der()), ["*.example.com"]);
        assert!(of_client(b"no certificate").is_none());
    }
}
