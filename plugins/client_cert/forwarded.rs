//! The header field `X-Forwarded-Client-Cert`, as Envoy writes it.

use gatewright_sdk::{CertificateName, ClientCertificate};
use http::{HeaderName, HeaderValue};
use std::fmt::Write;

pub(super) const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// One element: `Hash=…;Subject="…";URI=…;DNS=…`.
pub(super) fn forwarded(certificate: &ClientCertificate) -> Option<HeaderValue> {
    let mut text = format!("Hash={};Subject=\"{}\"", certificate.fingerprint, printable(&certificate.subject));
    for name in &certificate.names {
        // Writing to memory cannot fail.
        let _ = match name {
            CertificateName::Uri(uri) => write!(text, ";URI={}", quoted(uri)),
            CertificateName::Dns(name) => write!(text, ";DNS={}", quoted(name)),
            CertificateName::Email(_) | CertificateName::Ip(_) => Ok(()),
        };
    }
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

/// A subject, in which `"` and `\` are escaped already, with its control characters escaped too (RFC 4514 section 2.4).
fn printable(subject: &str) -> String {
    let mut text = String::with_capacity(subject.len());
    for character in subject.chars() {
        if character.is_ascii_control() {
            let _ = write!(text, "\\{:02X}", u32::from(character));
        } else {
            text.push(character);
        }
    }
    text
}

/// A value, in quotes if it contains a separator.
fn quoted(value: &str) -> String {
    let value: String = value.chars().filter(|character| !character.is_control()).collect();
    if value.contains([',', ';', '=', '"', '\\']) {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        value
    }
}
