//! Certificates that are not valid now, or not for much longer.

use crate::engine::certificates::UsedCertificate;
use crate::engine::compile::Compiled;
use crate::engine::faults::Faults;
use gatewright_sdk::{Code, Fault};

/// Warns of the certificates of listeners, of the admin address and for upstreams, `now` in seconds since 1970.
pub fn check(compiled: &Compiled, now: i64, faults: &mut Faults<'_>) {
    for certificate in UsedCertificate::of(compiled) {
        if let Some(message) = certificate.doubt(now) {
            let warning = Fault::new(&*certificate.setting, message).code(Code::CERTIFICATE_DATES);
            faults.warn(&certificate.base, warning.help("renew it; the new file is loaded without a restart"));
        }
    }
}
