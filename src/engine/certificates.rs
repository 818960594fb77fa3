//! The certificates that a configuration uses, and when they expire.

use crate::engine::compile::Compiled;
use crate::telemetry::instruments::CERTIFICATE_END;
use crate::tls::certificate::Validity;
use gatewright_sdk::metrics::{Attribute, Observed, observe};
use jiff::Timestamp;
use std::sync::Arc;

/// How long before its end a certificate is reported, in seconds: 14 days.
const SOON: i64 = 14 * 24 * 60 * 60;

/// A certificate that the configuration names.
#[derive(Debug, Clone)]
pub struct UsedCertificate {
    /// The path of what uses it: `listeners.web.tls`.
    pub base: String,
    /// The setting that names it, below `base`.
    pub setting: String,
    pub file: String,
    validity: Validity,
    /// Who uses it, as an attribute of its series.
    user: Option<Attribute>,
}

impl UsedCertificate {
    /// All certificates of `compiled`.
    pub fn of(compiled: &Compiled) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |base: &str, (setting, file, validity): &(String, String, Validity), user: Option<Attribute>| {
            let (base, setting, file) = (base.to_owned(), setting.clone(), file.clone());
            all.push(Self { base, setting, file, validity: *validity, user });
        };
        let parts = &compiled.parts;
        for (name, tls) in compiled.plan.document.listeners.names().zip(&parts.tls) {
            let user = || Some(("gateway.listener", name.to_owned().into()));
            let dates = tls.iter().flat_map(|tls| &tls.dates);
            dates.for_each(|date| add(&format!("listeners.{name}.tls"), date, user()));
        }
        let dates = parts.admin_tls.iter().flat_map(|tls| &tls.dates);
        dates.for_each(|date| add("admin.tls", date, None));
        let mut upstreams: Vec<_> = parts.upstreams.iter().collect();
        upstreams.sort_by_key(|(name, _)| *name);
        for (name, upstream) in upstreams {
            let user = Some(("gateway.upstream", name.clone().into()));
            upstream.certificate().iter().for_each(|date| add(&format!("upstreams.{name}.tls"), date, user.clone()));
        }
        all
    }

    /// What is wrong with its dates, or will be soon, `now` in seconds since 1970.
    pub fn doubt(&self, now: i64) -> Option<String> {
        let (Validity { not_before, not_after }, file) = (self.validity, &self.file);
        if now > not_after {
            Some(format!("the certificate in {file} expired on {}", date(not_after)))
        } else if now < not_before {
            Some(format!(
                "the certificate in {file} is not valid before {}: clients reject it until then",
                date(not_before)
            ))
        } else {
            (not_after - now < SOON).then(|| format!("the certificate in {file} expires on {}", date(not_after)))
        }
    }

    /// Its series, which ends with the returned value.
    #[expect(clippy::cast_precision_loss, reason = "a date is below 2^53")]
    pub fn measure(&self) -> Arc<Observed> {
        let end = self.validity.not_after as f64;
        let file: Attribute = ("gateway.certificate.file", self.file.clone().into());
        let attributes: Vec<Attribute> = self.user.clone().into_iter().chain([file]).collect();
        observe(&CERTIFICATE_END, attributes, move || end)
    }
}

/// The certificates of a snapshot, with their series.
pub struct UsedCertificates {
    all: Vec<UsedCertificate>,
    _series: Vec<Arc<Observed>>,
}

impl UsedCertificates {
    pub fn new(all: Vec<UsedCertificate>) -> Self {
        let series = all.iter().map(UsedCertificate::measure).collect();
        Self { all, _series: series }
    }

    /// Logs those that are not valid `now`, or not for much longer.
    pub fn log(&self, now: i64) {
        for certificate in &self.all {
            let Some(doubt) = certificate.doubt(now) else { continue };
            let UsedCertificate { base, setting, .. } = certificate;
            tracing::warn!(setting = %format_args!("{base}.{setting}"), problem = &*doubt, "the certificate is not valid now, or not for much longer");
        }
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
        let certificate = UsedCertificate {
            base: "admin.tls".to_owned(),
            setting: "cert_file".to_owned(),
            file: "a.crt".to_owned(),
            validity: Validity { not_before: 10 * day, not_after: 100 * day },
            user: None,
        };
        let doubted = |now| certificate.doubt(now);
        assert_eq!(
            doubted(9 * day).as_deref(),
            Some("the certificate in a.crt is not valid before 1970-01-11: clients reject it until then")
        );
        assert_eq!(doubted(86 * day), None);
        assert_eq!(doubted(86 * day + 1).as_deref(), Some("the certificate in a.crt expires on 1970-04-11"));
        assert_eq!(doubted(100 * day + 1).as_deref(), Some("the certificate in a.crt expired on 1970-04-11"));
    }
}
