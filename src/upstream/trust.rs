//! Why TLS with a target failed, for the log.

use rustls::{AlertDescription, CertificateError, Error};
use std::io;

/// The error of the TLS library inside `error`.
pub(super) fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// What went wrong, for the log.
pub(super) fn describe(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => match error {
            // A wrong signature comes from another authority of the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "certificate has an unknown issuer".to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate has expired".to_owned(),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "certificate is not valid yet".to_owned()
            }
            CertificateError::Revoked => "certificate was revoked".to_owned(),
            // rustls has no name for this error.
            CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                "the target uses the certificate of an authority (CA:TRUE), which is only for signing".to_owned()
            }
            error => format!("certificate is not valid: {error}"),
        },
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the target does not support this version of HTTP".to_owned()
        }
        Error::AlertReceived(alert) => format!("the target rejected the connection: {alert:?}"),
        Error::InvalidMessage(_) => "the target does not use TLS".to_owned(),
        error => error.to_string(),
    }
}
