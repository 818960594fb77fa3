//! Sets response headers that tell browsers to be strict.

mod check;
#[cfg(test)]
mod tests;
mod values;

use gatewright_sdk::fields::{NamedField, Use};
use gatewright_sdk::{
    CheckContext, Code, Compiled, Facts, Fault, Filter, Plugin, Request, Response, Scheme, Traits, Verdict,
};
use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use values::{Embedder, Existing, Frames, Opener, Referrer, Sharing};

/// Sets response headers that tell browsers to be strict, with the defaults of the OWASP Secure Headers Project for APIs. They
/// apply to the responses of everything behind the plugin, error responses included, so it comes first in a chain.
///
/// `none` as a value means that the plugin leaves that header alone. `X-Content-Type-Options: nosniff` has no setting: every
/// response has it.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SecurityHeaders {
    /// What happens to headers that the target has set: `keep` leaves them as they are, `override` replaces them.
    existing: Existing,
    /// `Strict-Transport-Security`: for how long browsers refuse plain http for this host and, with `includeSubDomains`, for
    /// all its subdomains. Sent only if the client uses https; behind a proxy that ends TLS, the listener's
    /// `trusted_proxies` must contain it.
    strict_transport_security: String,
    /// `X-Frame-Options`: who may show a response in a frame. Browsers use `frame-ancestors` of
    /// `content_security_policy` instead if there is one, so change both.
    frame_options: Frames,
    /// `Content-Security-Policy`. The default only forbids frames. If the target sets a policy or `X-Frame-Options`,
    /// `existing: keep` does not change who may frame the response.
    content_security_policy: String,
    /// `Referrer-Policy`: what other sites learn about the page that a request comes from.
    referrer_policy: Referrer,
    /// `Permissions-Policy`: the browser features that pages may use. The default forbids the listed ones.
    permissions_policy: String,
    /// `Cross-Origin-Opener-Policy`: whether pages share a window group with pages of other origins. Pages that sign in
    /// through a popup of another origin need `same-origin-allow-popups`.
    cross_origin_opener_policy: Opener,
    /// `Cross-Origin-Resource-Policy`: which sites may embed a response as an image, script or other resource. It does
    /// not apply to requests that CORS allows.
    cross_origin_resource_policy: Sharing,
    /// `Cross-Origin-Embedder-Policy`: whether pages may load resources of other origins that do not allow it.
    cross_origin_embedder_policy: Embedder,
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        let features = ["accelerometer", "camera", "display-capture", "geolocation", "gyroscope"].into_iter();
        let features = features.chain(["magnetometer", "microphone", "midi", "payment", "usb"]);
        Self {
            existing: Existing::Keep,
            strict_transport_security: "max-age=63072000; includeSubDomains".to_owned(),
            frame_options: Frames::Deny,
            content_security_policy: "frame-ancestors 'none'".to_owned(),
            referrer_policy: Referrer::SameOrigin,
            permissions_policy: features.map(|feature| format!("{feature}=()")).collect::<Vec<_>>().join(", "),
            cross_origin_opener_policy: Opener::SameOrigin,
            cross_origin_resource_policy: Sharing::SameOrigin,
            cross_origin_embedder_policy: Embedder::None,
        }
    }
}

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const EMBEDDER_POLICY: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The value that leaves a header alone.
const NONE: &str = "none";

fn sent(value: &str) -> Option<&str> {
    (value != NONE).then_some(value)
}

impl SecurityHeaders {
    /// Each setting, its header, and its value unless it is `none`.
    fn settings(&self) -> [(&'static str, HeaderName, Option<&str>); 8] {
        [
            ("strict_transport_security", STRICT_TRANSPORT_SECURITY, sent(&self.strict_transport_security)),
            ("frame_options", X_FRAME_OPTIONS, self.frame_options.value()),
            ("content_security_policy", CONTENT_SECURITY_POLICY, sent(&self.content_security_policy)),
            ("referrer_policy", REFERRER_POLICY, self.referrer_policy.value()),
            ("permissions_policy", PERMISSIONS_POLICY, sent(&self.permissions_policy)),
            ("cross_origin_opener_policy", OPENER_POLICY, self.cross_origin_opener_policy.value()),
            ("cross_origin_resource_policy", RESOURCE_POLICY, self.cross_origin_resource_policy.value()),
            ("cross_origin_embedder_policy", EMBEDDER_POLICY, self.cross_origin_embedder_policy.value()),
        ]
    }
}

impl Plugin for SecurityHeaders {
    const NAME: &'static str = "security_headers";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let mut faults = Vec::new();
        let (mut fields, mut owns) = (Vec::new(), Vec::new());
        let mut policy = Policy { keeps: self.existing == Existing::Keep, ..Policy::default() };
        for (path, name, value) in self.settings() {
            let Some(value) = value else { continue };
            let Some(parsed) = HeaderValue::from_str(value).ok().filter(|_| !value.trim().is_empty()) else {
                let message = format!("`{path}` must not be empty or contain a line break");
                let fault = Fault::new(path, message).code(Code::INVALID_HEADER_VALUE);
                faults.push(fault.help("write the value on one line, or `none` to leave the header alone"));
                continue;
            };
            fields.push(NamedField { path: path.to_owned(), name: name.clone(), used: Use::Response });
            owns.push(name.clone());
            match name {
                STRICT_TRANSPORT_SECURITY => policy.transport = Some(parsed),
                X_FRAME_OPTIONS => policy.frames = Some(parsed),
                CONTENT_SECURITY_POLICY => {
                    policy.unframed = without_frame_ancestors(value);
                    policy.content = Some(parsed);
                }
                name => policy.others.push((name, parsed)),
            }
        }
        if fields.is_empty() && faults.is_empty() {
            let fault = Fault::new("", "every header is `none`").code(Code::NOTHING_TO_DO);
            faults.push(fault.help("remove the plugin, or remove a `none` to use the default of that header"));
        }
        let mut warnings = Vec::new();
        check::transport(&self.strict_transport_security, &mut faults, &mut warnings);
        check::content(&self.content_security_policy, &mut faults);
        check::permissions(&self.permissions_policy, &mut faults);
        check::frames(self.frame_options == Frames::SameOrigin, &self.content_security_policy, &mut warnings);
        if policy.keeps {
            owns.clear();
        }
        let traits = Traits { fields, owns, ..Traits::default() };
        Compiled::filter(policy).traits(traits).faults(faults).warnings(warnings)
    }
}

/// The directives of a content security policy.
fn directives(policy: &str) -> impl Iterator<Item = &str> {
    policy.split(';').map(str::trim).filter(|directive| !directive.is_empty())
}

fn is_frame_ancestors(directive: &str) -> bool {
    directive.split_ascii_whitespace().next().is_some_and(|name| name.eq_ignore_ascii_case("frame-ancestors"))
}

/// The policy without what it states about frames; `None` if nothing is left.
fn without_frame_ancestors(policy: &str) -> Option<HeaderValue> {
    let rest: Vec<_> = directives(policy).filter(|directive| !is_frame_ancestors(directive)).collect();
    HeaderValue::from_str(&rest.join("; ")).ok().filter(|value| !value.is_empty())
}

/// Whether one of the policies of a response restricts frames.
fn restricts_frames(headers: &HeaderMap) -> bool {
    let policies = headers.get_all(CONTENT_SECURITY_POLICY).iter().filter_map(|policy| policy.to_str().ok());
    policies.flat_map(|policy| policy.split(',')).flat_map(directives).any(is_frame_ancestors)
}

/// The settings, prepared.
#[derive(Default)]
struct Policy {
    /// Whether values of the target are kept.
    keeps: bool,
    transport: Option<HeaderValue>,
    frames: Option<HeaderValue>,
    content: Option<HeaderValue>,
    /// `content` without `frame-ancestors`.
    unframed: Option<HeaderValue>,
    others: Vec<(HeaderName, HeaderValue)>,
}

impl Policy {
    fn keep(&self, headers: &mut HeaderMap) {
        // Of `frame-ancestors` and `X-Frame-Options`, browsers obey only the first: adding it would replace the target's
        // choice.
        let framed = headers.contains_key(X_FRAME_OPTIONS);
        let content = if framed { &self.unframed } else { &self.content };
        let frames = self.frames.as_ref().filter(|_| !framed && !restricts_frames(headers));
        let others = self.others.iter().map(|(name, value)| (name, value));
        let policies = [(&X_FRAME_OPTIONS, frames), (&CONTENT_SECURITY_POLICY, content.as_ref())];
        for (name, value) in policies.into_iter().filter_map(|(name, value)| Some((name, value?))).chain(others) {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
    }

    fn replace(&self, headers: &mut HeaderMap) {
        let policies = [(X_FRAME_OPTIONS, &self.frames), (CONTENT_SECURITY_POLICY, &self.content)];
        for (name, value) in policies.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.others {
            headers.insert(name.clone(), value.clone());
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    }
}

impl Filter for Policy {
    /// The scheme that the client uses.
    type Ticket = Scheme;

    fn decide(&self, request: &Request) -> Verdict<Scheme> {
        Verdict::Continue(Facts::of(request).client.scheme)
    }

    fn response(&self, scheme: Scheme, response: &mut Response) {
        let headers = response.headers_mut();
        if self.keeps {
            self.keep(headers);
        } else {
            self.replace(headers);
        }
        let Some(transport) = &self.transport else { return };
        match scheme {
            Scheme::Https if self.keeps && headers.contains_key(STRICT_TRANSPORT_SECURITY) => {}
            Scheme::Https => drop(headers.insert(STRICT_TRANSPORT_SECURITY, transport.clone())),
            // RFC 6797 section 7.2: not over plain http.
            Scheme::Http if !self.keeps => drop(headers.remove(STRICT_TRANSPORT_SECURITY)),
            Scheme::Http => {}
        }
    }
}
