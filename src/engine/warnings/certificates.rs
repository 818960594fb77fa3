//! Certificates that are not valid now, or not for much longer.

use crate::engine::compile::Compiled;
use crate::engine::faults::Faults;
use crate::tls::certificate::Validity;
use gatewright_sdk::{Code, Fault};
use jiff::Timestamp;

/// How long before its end a certificate is reported, in seconds: 14 days.
const SOON: i64 = 14 * 24 * 60 * 60;

/// Warns of the certificates of listeners and of the admin address, `now` in seconds since 1970.
pub fn check(compiled: &Compiled, now: i64, faults: &mut Faults<'_>) {
    let names = compiled.plan.document.listeners.names().map(|name| format!("listeners.{name}.tls"));
    let listeners = names.zip(compiled.parts.tls.iter().map(Option::as_ref));
    for (base, tls) in listeners.chain([("admin.tls".to_owned(), compiled.parts.admin_tls.as_ref())]) {
        for (setting, file, validity) in tls.iter().flat_map(|tls| &tls.dates) {
            if let Some(message) = doubt(file, *validity, now) {
                let warning = Fault::new(setting, message).code(Code::CERTIFICATE_DATES);
                let help = "renew it; the new file is loaded without a restart";
                faults.warn(&base, warning.help(help));
            }
        }
    }
}

fn doubt(file: &str, Validity { not_before, not_after }: Validity, now: i64) -> Option<String> {
    if now > not_after {
        Some(format!("the certificate in {file} expired on {}", date(not_after)))
    } else if now < not_before {
        Some(format!("the certificate in {file} is not valid before {}", date(not_before)))
    } else {
        (not_after - now < SOON).then(|| format!("the certificate in {file} expires on {}", date(not_after)))
    }
}

fn date(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .map_or_else(|_| "an unknown date".to_owned(), |time| time.strftime("%F").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_reported_14_days_before_its_end() {
        let day = 24 * 60 * 60;
        let doubted = |now| doubt("a.crt", Validity { not_before: 10 * day, not_after: 100 * day }, now);
        assert_eq!(doubted(9 * day).as_deref(), Some("the certificate in a.crt is not valid before 1970-01-11"));
        assert_eq!(doubted(86 * day), None);
        assert_eq!(doubted(86 * day + 1).as_deref(), Some("the certificate in a.crt expires on 1970-04-11"));
        assert_eq!(doubted(100 * day + 1).as_deref(), Some("the certificate in a.crt expired on 1970-04-11"));
    }
}
