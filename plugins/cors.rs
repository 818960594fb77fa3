//! Allows web pages of other origins to call the API from a browser (the Fetch standard, section 3.2).

#[cfg(test)]
mod tests;

use crate::origins::Origins;
use crate::vary;
use gatewright_sdk::{
    Body, CheckContext, Code, Compiled, Fault, Filter, HumanDuration, IDENTITY, PERMISSION, Plugin, Problem, Request,
    Response, ScriptHeaders, Traits, Verdict,
};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    CONTENT_LENGTH, ORIGIN,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Lets web pages from other origins call the API from a browser. It responds to preflight requests itself, so it must
/// come before plugins that require a token.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// The origins that may call: `https://app.example.com`; `https://*.example.com` for every subdomain;
    /// `http://localhost:*` for every port; `*` for all origins, which excludes `credentials`.
    allow_origins: Vec<String>,
    /// The methods that pages may use. `*` for all, which excludes `credentials`.
    #[serde(default = "simple_methods")]
    allow_methods: Vec<String>,
    /// The request headers that pages may send, in addition to the CORS-safelisted ones. `*` for all except `authorization`,
    /// which excludes `credentials`.
    #[serde(default)]
    allow_headers: Vec<String>,
    /// The response headers that scripts may read, in addition to the CORS-safelisted ones. Headers that other plugins and
    /// resources of the configuration expose are added.
    #[serde(default)]
    expose_headers: Vec<String>,
    /// Whether browsers may send cookies and client certificates.
    #[serde(default)]
    credentials: bool,
    /// How long a browser may cache the response to a preflight request.
    #[serde(default = "ten_minutes")]
    max_age: HumanDuration,
}

fn simple_methods() -> Vec<String> {
    ["GET", "HEAD", "POST"].map(str::to_owned).to_vec()
}

fn ten_minutes() -> HumanDuration {
    HumanDuration::from_secs(600)
}

impl Cors {
    /// The policy for every place, except for fields that the rest of the configuration exposes.
    fn policy(&self) -> Result<Policy, Vec<Fault>> {
        let mut faults = Vec::new();
        if self.allow_origins.is_empty() {
            faults.push(
                Fault::new("allow_origins", "`allow_origins` is empty")
                    .code(Code::NOTHING_TO_DO)
                    .help("write `allow_origins: [\"https://app.example.com\"]`, or remove the plugin"),
            );
        }
        let origins = Origins::compile("allow_origins", &self.allow_origins, &mut faults);
        if self.credentials && origins.any {
            faults.push(
                Fault::new("allow_origins", "`*` cannot be combined with `credentials: true`")
                    .code(Code::WILDCARD_WITH_CREDENTIALS)
                    .help("list the origins that may send credentials"),
            );
        }
        for (index, method) in self.allow_methods.iter().enumerate() {
            let path = format!("allow_methods[{index}]");
            if Method::from_bytes(method.as_bytes()).is_err() {
                faults.push(Fault::new(path, format!("`{method}` is not a valid method")).code(Code::INVALID_METHOD));
            } else if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
                let upper = method.to_ascii_uppercase();
                faults.push(
                    Fault::new(path, format!("`{method}` must be uppercase"))
                        .code(Code::INVALID_METHOD)
                        .help(format!("write `{upper}`")),
                );
            }
        }
        for (path, names) in [("allow_headers", &self.allow_headers), ("expose_headers", &self.expose_headers)] {
            for (index, name) in names.iter().enumerate() {
                if HeaderName::from_bytes(name.as_bytes()).is_err() {
                    let fault = Fault::new(format!("{path}[{index}]"), format!("`{name}` is not a valid header name"));
                    faults.push(fault.code(Code::INVALID_HEADER_NAME).help("use letters, digits and `-`"));
                }
            }
        }
        let lists = [
            ("allow_methods", &self.allow_methods),
            ("allow_headers", &self.allow_headers),
            ("expose_headers", &self.expose_headers),
        ];
        for (path, names) in lists {
            if self.credentials && names.iter().any(|name| name == "*") {
                let message = "with `credentials: true`, browsers treat `*` as a name, not as a wildcard";
                faults.push(Fault::new(path, message).code(Code::WILDCARD_WITH_CREDENTIALS).help("list each name"));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut preflight = HeaderMap::new();
        insert_list(&mut preflight, ACCESS_CONTROL_ALLOW_METHODS, &self.allow_methods);
        insert_list(&mut preflight, ACCESS_CONTROL_ALLOW_HEADERS, &self.allow_headers);
        preflight.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(self.max_age.get().as_secs()));
        preflight.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        Ok(Policy { origins, credentials: self.credentials, preflight })
    }
}

/// The value of `Access-Control-Expose-Headers`, including fields that the rest of the configuration exposes.
fn expose_headers(own: &[String], exposed: &[String]) -> Option<HeaderValue> {
    let mut names: Vec<String> = own.iter().chain(exposed).map(|name| name.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    let mut headers = HeaderMap::new();
    insert_list(&mut headers, ACCESS_CONTROL_EXPOSE_HEADERS, &names);
    headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS)
}

/// Inserts a comma-separated list of names that have been validated.
fn insert_list(headers: &mut HeaderMap, name: HeaderName, members: &[String]) {
    if !members.is_empty()
        && let Ok(value) = HeaderValue::from_str(&members.join(", "))
    {
        headers.insert(name, value);
    }
}

impl Plugin for Cors {
    const NAME: &'static str = "cors";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let names = self.allow_headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        let script_headers = ScriptHeaders { path: "allow_headers", names };
        let compiled = match self.policy() {
            Err(faults) => faults.into(),
            Ok(policy) => {
                let policy = Arc::new(policy);
                Compiled::filter_at(move |place| Gate {
                    policy: Arc::clone(&policy),
                    exposed: expose_headers(&self.expose_headers, place.exposed),
                })
            }
        };
        compiled.traits(Traits {
            stands_before: &[IDENTITY, PERMISSION],
            owns: OWN.to_vec(),
            answers_preflights: true,
            script_headers: Some(script_headers),
            ..Traits::default()
        })
    }
}

/// The fields that this plugin alone sets, whatever comes from further inside.
const OWN: [HeaderName; 3] =
    [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS];

/// The settings, with every header that can be prepared.
struct Policy {
    origins: Origins,
    credentials: bool,
    preflight: HeaderMap,
}

/// The policy at one place.
struct Gate {
    policy: Arc<Policy>,
    exposed: Option<HeaderValue>,
}

impl Policy {
    /// The value of `Access-Control-Allow-Origin` for this request; `None` if the origin is missing or not allowed.
    fn allowed(&self, request: &Request) -> Option<HeaderValue> {
        let mut origins = request.headers().get_all(ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else { return None };
        if self.origins.any {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.contains(origin.as_bytes()).then(|| origin.clone())
    }

    /// Marks every response, including those to other origins, because caches must know that it depends on the origin.
    fn mark(&self, headers: &mut HeaderMap, allowed: Option<HeaderValue>) {
        if !self.origins.any {
            vary::add(headers, "origin");
        }
        if let Some(origin) = allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            if self.credentials {
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
    }
}

impl Filter for Gate {
    type Ticket = Option<HeaderValue>;

    fn decide(&self, request: &Request) -> Verdict<Self::Ticket> {
        let allowed = self.policy.allowed(request);
        let headers = request.headers();
        let preflight = *request.method() == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !preflight {
            return Verdict::Continue(allowed);
        }
        let mut response = match allowed {
            Some(_) => {
                let mut response = Response::new(Body::empty());
                response.headers_mut().clone_from(&self.policy.preflight);
                response
            }
            None => Problem::forbidden().log_reason("origin").into(),
        };
        self.policy.mark(response.headers_mut(), allowed);
        Verdict::Break(response)
    }

    fn response(&self, allowed: Self::Ticket, response: &mut Response) {
        let headers = response.headers_mut();
        // Only one policy applies: an upstream's own CORS headers are not forwarded.
        if headers.keys().any(|name| name.as_str().starts_with("access-control-")) {
            for name in OWN {
                headers.remove(name);
            }
        }
        if let (Some(_), Some(exposed)) = (&allowed, &self.exposed) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
        self.policy.mark(headers, allowed);
    }
}
