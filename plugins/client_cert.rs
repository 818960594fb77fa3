//! Authenticates clients by the certificate that they present in the TLS handshake.

mod forwarded;
mod name;
#[cfg(test)]
mod tests;

use forwarded::{FORWARDED, forwarded};
use gatewright_sdk::fields::{NamedField, Use};
use gatewright_sdk::{
    Authenticate, CertificateName, CheckContext, ClientCertificate, Code, Compiled, Contract, Credentials, Facts,
    Fault, IDENTITY, Identity, Plugin, Problem, Proof, Request, Traits, Verdict,
};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderName, HeaderValue, StatusCode};
use name::{Pattern, common_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Authenticates clients by the certificate that they present in the TLS handshake, which the listener has verified:
/// see `client_auth` of its `tls`. Without a certificate the response is 401. A certificate must match one entry of each
/// list that is given; otherwise the response is 403. Without a list, every verified certificate passes.
///
/// Later plugins and access rules see its subject as the identity. The claims are `subject`, `common_name`, `dns`, `uri`,
/// `email`, `ip` and `fingerprint`.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ClientCert {
    /// What happens to requests without a certificate. With `continue` they proceed without an identity. A certificate
    /// that does not match is always rejected.
    on_missing: OnMissing,
    /// Accepted subjects, as RFC 4514 writes them: `CN=billing,O=Example`. The most specific part comes first.
    subjects: Vec<String>,
    /// Accepted DNS names: `billing.internal`, or `*.internal` for all names below it.
    dns: Vec<String>,
    /// Accepted URIs: `spiffe://example/billing`, or `spiffe://example/*` for all that begin so.
    uris: Vec<String>,
    /// Accepted email addresses: `ada@example.com`.
    emails: Vec<String>,
    /// Accepted certificates, by their SHA-256 fingerprint in hex, with or without colons.
    fingerprints: Vec<String>,
    /// The part of the certificate that becomes the subject of the identity. A certificate without it is rejected.
    identity: Part,
    /// Whether upstreams receive the certificate in `x-forwarded-client-cert`, as Envoy writes it: `Hash`, `Subject`, `URI`
    /// and `DNS`. Otherwise the field is removed.
    forward: bool,
}

/// `reject` responds with 401, `continue` lets the request go on without an identity.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OnMissingCertificate")]
enum OnMissing {
    /// The request is rejected with 401.
    #[default]
    Reject,
    /// The request proceeds without an identity.
    Continue,
}

/// A part of a certificate.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CertificatePart")]
enum Part {
    /// The whole subject: `CN=billing,O=Example`.
    #[default]
    Subject,
    /// The common name in the subject: `billing`.
    CommonName,
    /// The first DNS name.
    Dns,
    /// The first URI, such as a SPIFFE ID.
    Uri,
    /// The first email address.
    Email,
    /// The SHA-256 fingerprint, in lowercase hex.
    Fingerprint,
}

impl Plugin for ClientCert {
    const NAME: &'static str = "client_cert";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let mut faults = Vec::new();
        let mut patterns = |key: &str, written: &[String], read: fn(&str) -> Result<Pattern, Fault>| -> Vec<Pattern> {
            let read = written
                .iter()
                .enumerate()
                .map(|(index, text)| read(text).map_err(|fault| Fault { path: format!("{key}[{index}]"), ..fault }));
            read.filter_map(|pattern| pattern.map_err(|fault| faults.push(fault)).ok()).collect()
        };
        let gate = Gate {
            refuses: self.on_missing == OnMissing::Reject,
            subjects: patterns("subjects", &self.subjects, Pattern::exact),
            dns: patterns("dns", &self.dns, Pattern::dns),
            uris: patterns("uris", &self.uris, Pattern::uri),
            emails: patterns("emails", &self.emails, Pattern::exact),
            fingerprints: patterns("fingerprints", &self.fingerprints, Pattern::fingerprint),
            identity: self.identity,
            forward: self.forward,
        };
        let field = NamedField { path: "forward".to_owned(), name: FORWARDED, used: Use::Request };
        let traits = Traits {
            provides: &[IDENTITY],
            admits_strangers: !gate.refuses,
            refuses_strangers: gate.refuses.then_some("set `on_missing: continue`"),
            reads_certificates: true,
            contract: Contract { rejects: &[401, 403], ..Contract::accepts(Credentials::Certificate) },
            fields: if self.forward { vec![field] } else { Vec::new() },
            asserts: if self.forward { vec![FORWARDED] } else { Vec::new() },
            ..Traits::default()
        };
        let gate = Arc::new(gate);
        Compiled::identity(move |_| Arc::clone(&gate)).traits(traits).faults(faults)
    }
}

struct Gate {
    refuses: bool,
    subjects: Vec<Pattern>,
    dns: Vec<Pattern>,
    uris: Vec<Pattern>,
    emails: Vec<Pattern>,
    fingerprints: Vec<Pattern>,
    identity: Part,
    forward: bool,
}

/// What a certificate is turned into, once per connection.
struct Presented {
    /// `None` without a subject.
    identity: Option<Arc<Identity>>,
    /// The field for upstreams, if they receive it.
    forwarded: Option<HeaderValue>,
}

impl Gate {
    /// Which list has no entry for `certificate`, as a word for the operator.
    fn unmatched(&self, certificate: &ClientCertificate) -> Option<&'static str> {
        let matches = |patterns: &[Pattern], texts: &[&str]| {
            patterns.is_empty() || patterns.iter().any(|pattern| texts.iter().any(|text| pattern.matches(text)))
        };
        let kind = |kind: Part| certificate.names.iter().filter_map(move |name| text(name, kind)).collect::<Vec<_>>();
        [
            (matches(&self.subjects, &[&certificate.subject]), "subject"),
            (matches(&self.dns, &kind(Part::Dns)), "dns"),
            (matches(&self.uris, &kind(Part::Uri)), "uri"),
            (matches(&self.emails, &kind(Part::Email)), "email"),
            (matches(&self.fingerprints, &[&certificate.fingerprint]), "fingerprint"),
        ]
        .into_iter()
        .find_map(|(matches, word)| (!matches).then_some(word))
    }

    fn presented(&self, certificate: &ClientCertificate) -> Arc<Presented> {
        let key = self.identity as u32 * 2 + u32::from(self.forward);
        certificate.derived.get_or_make(key, || Presented {
            identity: self.identity(certificate).map(Arc::new),
            forwarded: if self.forward { forwarded(certificate) } else { None },
        })
    }

    fn identity(&self, certificate: &ClientCertificate) -> Option<Identity> {
        let first = |kind| certificate.names.iter().find_map(|name| text(name, kind)).map(str::to_owned);
        let common_name = common_name(&certificate.subject);
        let subject = match self.identity {
            Part::Subject => Some(certificate.subject.clone()),
            Part::CommonName => common_name.clone(),
            Part::Dns | Part::Uri | Part::Email => first(self.identity),
            Part::Fingerprint => Some(certificate.fingerprint.clone()),
        };
        let subject = subject.filter(|subject| !subject.is_empty())?;
        let list = |kind: fn(&CertificateName) -> Option<String>| -> Value {
            certificate.names.iter().filter_map(kind).map(Value::from).collect()
        };
        let mut claims = Map::new();
        claims.insert("subject".to_owned(), certificate.subject.clone().into());
        claims.extend(common_name.map(|name| ("common_name".to_owned(), name.into())));
        claims.insert("dns".to_owned(), list(|name| text(name, Part::Dns).map(str::to_owned)));
        claims.insert("uri".to_owned(), list(|name| text(name, Part::Uri).map(str::to_owned)));
        claims.insert("email".to_owned(), list(|name| text(name, Part::Email).map(str::to_owned)));
        claims.insert("ip".to_owned(), list(ip));
        claims.insert("fingerprint".to_owned(), certificate.fingerprint.clone().into());
        Some(Identity::of(ClientCert::NAME, &subject, claims))
    }
}

/// The text of `name`, if it is of this kind.
fn text(name: &CertificateName, kind: Part) -> Option<&str> {
    match (name, kind) {
        (CertificateName::Dns(text), Part::Dns)
        | (CertificateName::Uri(text), Part::Uri)
        | (CertificateName::Email(text), Part::Email) => Some(text),
        _ => None,
    }
}

fn ip(name: &CertificateName) -> Option<String> {
    if let CertificateName::Ip(ip) = name { Some(ip.to_string()) } else { None }
}

impl Authenticate for Gate {
    fn identify(&self, request: &Request) -> Verdict<Option<Proof>> {
        let Some(certificate) = &Facts::of(request).certificate else { return Verdict::Continue(None) };
        if let Some(reason) = self.unmatched(certificate) {
            return Verdict::refuse(Problem::forbidden().log_reason(reason));
        }
        let presented = self.presented(certificate);
        let Some(identity) = presented.identity.clone() else {
            return Verdict::refuse(Problem::forbidden().log_reason("no_identity"));
        };
        let fields = presented.forwarded.clone().map(|value| (FORWARDED, value)).into_iter().collect();
        Verdict::Continue(Some(Proof { fields, ..identity.into() }))
    }

    fn missing(&self) -> Option<Problem> {
        self.refuses.then(unauthorized)
    }

    fn reads(&self) -> &str {
        "certificate"
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(CHALLENGE)
    }

    /// What a client or another proxy claims is removed in any case.
    fn owns(&self) -> &[HeaderName] {
        &OWNED
    }
}

static OWNED: [HeaderName; 1] = [FORWARDED];

/// No scheme is registered for client certificates, but a 401 must name one (RFC 9110 section 15.5.2).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Certificate");

fn unauthorized() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "A client certificate is required")
        .header(WWW_AUTHENTICATE, CHALLENGE)
        .log_reason("missing")
}

/// An entry of a list that is not valid.
fn wrong(message: String, help: &str) -> Fault {
    Fault::new("", message).code(Code::WRONG_FORM).help(help)
}
