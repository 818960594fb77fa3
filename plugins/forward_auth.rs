//! Asks another server whether a request may pass.

mod cache;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use cache::{Grant, Granted};
use gatewright_sdk::fields::{self, NamedField, Use};
use gatewright_sdk::{
    Authenticate, Body, CheckContext, Code, Compiled, Contract, Facts, Fault, FetchError, HumanDuration, IDENTITY,
    Identity, PERMISSION, Plugin, Problem, Proof, Refusal, Request, Response, Scope, Services, Traits, Verdict,
};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// Asks another server whether a request may pass, with a GET request. It contains the headers listed in `send`, and
/// describes the original request in `x-forwarded-method`, `x-forwarded-proto`, `x-forwarded-host`, `x-forwarded-uri` and
/// `x-forwarded-for`.
///
/// If the status is 2xx, the request passes. 401, 403, 429 and redirects are returned to the client: status, body, and
/// the headers `location`, `set-cookie`, `www-authenticate`, `content-type`, `cache-control` and `retry-after`. Any other
/// response, or none in time, becomes 503: nothing passes without a decision.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardAuth {
    /// The URL of the authorization server: `http://auth.internal/verify`.
    url: String,
    /// The request headers to send to it.
    #[serde(default = "credentials")]
    send: Vec<String>,
    /// The headers of its response that are copied to the request, for the rest of the chain and the target. Headers of
    /// these names that the client sends are removed.
    #[serde(default)]
    take: Vec<String>,
    /// The header in `take` that contains the caller: the subject of the identity that `authorize`, rate limits and
    /// access rules use. Its claims are all the headers in `take`.
    #[serde(default)]
    subject: Option<String>,
    /// The header in `take` that contains the roles of the caller, separated by commas: `x-groups`. They become the claim
    /// `roles`.
    #[serde(default)]
    roles: Option<String>,
    /// The header in `take` that contains the scopes of the caller, separated by spaces or commas. They become the claim
    /// `scope`.
    #[serde(default)]
    scopes: Option<String>,
    /// How long the authorization server may take; at most 30s.
    #[serde(default = "one_second")]
    timeout: HumanDuration,
    /// How long the server need not be asked again about a request that it let pass, if everything that it would receive
    /// is the same; at most 1h. Denials are not cached, and neither are responses with `cache-control: no-store`. By default, the
    /// server is asked about every request.
    #[serde(default)]
    cache: Option<HumanDuration>,
}

fn credentials() -> Vec<String> {
    ["authorization", "cookie"].map(str::to_owned).to_vec()
}

fn one_second() -> HumanDuration {
    HumanDuration::from_secs(1)
}

impl Plugin for ForwardAuth {
    const NAME: &'static str = "forward_auth";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let mut faults = Vec::new();
        let url = address(&self.url).map_err(|fault| faults.push(fault)).unwrap_or_default();
        let mut names = |key: &str, names: &[String], used: Use| -> Vec<NamedField> {
            let named =
                names.iter().enumerate().map(|(index, name)| fields::named(name, used, format!("{key}[{index}]")));
            named.filter_map(|field| field.map_err(|fault| faults.push(fault)).ok()).collect()
        };
        let send = names("send", &self.send, Use::Read);
        let take = names("take", &self.take, Use::Request);
        let mut taken = |key: &str, name: &Option<String>| {
            let name = name.as_ref()?;
            let found = take.iter().find(|taken| taken.name.as_str().eq_ignore_ascii_case(name));
            if found.is_none() {
                let fault = Fault::new(key, format!("`{name}` is not listed in `take`"));
                faults.push(fault.help(format!("write `take: [{name}]`")));
            }
            found.map(|taken| taken.name.clone())
        };
        let subject = taken("subject", &self.subject);
        let (roles, scopes) = (taken("roles", &self.roles), taken("scopes", &self.scopes));
        for (key, set) in [("roles", self.roles.is_some()), ("scopes", self.scopes.is_some())] {
            if set && self.subject.is_none() {
                let fault = Fault::new(key, format!("`{key}` without `subject`: there is no identity that has them"));
                faults.push(fault.help("add `subject`, the header in `take` that contains the caller"));
            }
        }
        if self.timeout.is_zero() || self.timeout > HumanDuration::from_secs(30) {
            faults.push(
                Fault::new("timeout", "`timeout` is out of range").code(Code::OUT_OF_RANGE).help("use at most 30s"),
            );
        }
        if self.cache.is_some_and(|cache| cache.is_zero() || cache > HumanDuration::from_secs(3600)) {
            let fault = Fault::new("cache", "`cache` is out of range").code(Code::OUT_OF_RANGE);
            faults.push(fault.help("use at most 1h, or remove it"));
        }
        let traits = Traits {
            provides: if subject.is_some() { &[PERMISSION, IDENTITY] } else { &[PERMISSION] },
            fields: send.iter().chain(&take).cloned().collect(),
            decides_always: true,
            contract: Contract { is_foreign: true, ..Contract::rejects(&[401, 403]) },
            asserts: take.iter().map(|field| field.name.clone()).collect(),
            ..Traits::default()
        };
        let name = |field: NamedField| field.name;
        let asked = Arc::new(Asked {
            url: url.clone(),
            send: send.into_iter().map(name).collect(),
            take: take.into_iter().map(name).collect(),
            subject,
            roles,
            scopes,
        });
        let (within, cache) = (self.timeout.get(), self.cache.map(HumanDuration::get));
        let shape = serde_json::to_string(&self).unwrap_or_default();
        let asks = Compiled::identity(move |place| {
            let known = |keep: Duration| place.keep(Scope::Plugin, format!("granted {shape}"), || cache::granted(keep));
            Arc::new(Asks {
                asked: Arc::clone(&asked),
                within,
                services: Arc::clone(place.services),
                granted: cache.map(known),
            })
        });
        asks.traits(traits).faults(faults)
    }
}

fn address(url: &str) -> Result<Uri, Fault> {
    let uri: Uri = url.parse().unwrap_or_default();
    let fault = |message: &str| {
        Fault::new("url", message)
            .code(Code::INVALID_URL)
            .help("write scheme, host and path, such as `http://auth.internal/verify`")
    };
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            Err(fault("the URL must not contain a username or password"))
        }
        (Some("http" | "https"), Some(authority))
            if authority.as_str().len() > authority.host().len()
                && authority.port_u16().is_none_or(|port| port == 0) =>
        {
            Err(fault("not a valid port"))
        }
        (Some("http" | "https"), Some(authority)) if !authority.host().is_empty() => Ok(uri),
        _ => Err(fault("not an http or https URL")),
    }
}

/// The maximum size of a response, in bytes: enough for a login page.
const LARGEST: usize = 256 * 1024;

/// The fields of a denial that the client receives.
const DENIAL: [HeaderName; 6] = [WWW_AUTHENTICATE, LOCATION, SET_COOKIE, CONTENT_TYPE, CACHE_CONTROL, RETRY_AFTER];

const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The authorization server, and the fields exchanged with it.
struct Asked {
    url: Uri,
    send: Vec<HeaderName>,
    take: Vec<HeaderName>,
    subject: Option<HeaderName>,
    roles: Option<HeaderName>,
    scopes: Option<HeaderName>,
}

struct Asks {
    asked: Arc<Asked>,
    within: Duration,
    services: Arc<dyn Services>,
    /// Requests that may pass, if that is cached.
    granted: Option<Arc<Granted>>,
}

impl Authenticate for Asks {
    fn identify(&self, request: &Request) -> Verdict<Option<Proof>> {
        if request.headers().get_all(AUTHORIZATION).iter().nth(1).is_some() {
            // The server might judge one of them, and an upstream use the other.
            let problem = Problem::validation("Authorization: must be sent once");
            return Verdict::refuse(problem.log_reason("several_credentials"));
        }
        let mut question = self.asked.question(request);
        let known = self.granted.as_ref().map(|granted| (Arc::clone(granted), cache::key(&question)));
        if let Some(grant) = known.as_ref().and_then(|(granted, key)| granted.get(key)) {
            return Verdict::Continue(Some(grant.proof()));
        }
        if let Some(id) = &Facts::of(request).request_id {
            question.headers_mut().insert(id.header.clone(), id.value.clone());
        }
        let response = self.services.fetch(question, LARGEST);
        let asked = Arc::clone(&self.asked);
        let late = Problem::unavailable(1).log_reason("auth_timeout");
        Verdict::later(self.within, late, async move {
            let response = response.await;
            let may_keep = response.as_ref().is_ok_and(|response| cache::may_keep(response.headers()));
            let decided = asked.judge(response);
            if let (Some((granted, key)), true, ControlFlow::Continue(Some(proof))) = (known, may_keep, &decided) {
                granted.insert(key, Grant::of(proof));
            }
            decided
        })
    }

    /// The server decides about every request.
    fn missing(&self) -> Option<Problem> {
        Some(Problem::unavailable(1).log_reason("auth_failed"))
    }

    fn reads(&self) -> &str {
        "forward_auth"
    }

    /// The server sends its own.
    fn challenge(&self) -> Option<HeaderValue> {
        None
    }

    fn owns(&self) -> &[HeaderName] {
        &self.asked.take
    }
}

impl Asked {
    fn question(&self, request: &Request) -> http::Request<Bytes> {
        let mut question = http::Request::new(Bytes::new());
        *question.uri_mut() = self.url.clone();
        let (facts, from) = (Facts::of(request), request.headers());
        // A trusted proxy knows by which host the client reached it.
        let told = from.get(FORWARDED_HOST).filter(|_| facts.client.trusted).map(HeaderValue::as_bytes);
        let host = told.or_else(|| request.uri().authority().map(|authority| authority.as_str().as_bytes()));
        let host = host.or_else(|| from.get(HOST).map(HeaderValue::as_bytes)).unwrap_or_default();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let (client, has_address) = (facts.client.ip.to_string(), facts.client.ip.ip().is_some());
        let about = [
            (METHOD, request.method().as_str().as_bytes()),
            (PROTO, facts.client.scheme.as_str().as_bytes()),
            (FORWARDED_HOST, host),
            (FORWARDED_URI, path.as_bytes()),
            (FOR, client.as_bytes()),
        ]
        .map(|(name, value)| (name, HeaderValue::from_bytes(value)));
        let headers = question.headers_mut();
        for name in &self.send {
            headers.extend(from.get_all(name).iter().map(|value| (name.clone(), value.clone())));
        }
        // Last, so that no client can set them.
        for (name, value) in about {
            // A value that is not valid in a header is omitted, and so is the address of a client that has none.
            let _ = match value {
                Ok(value) if name != FOR || has_address => headers.insert(name, value),
                _ => headers.remove(name),
            };
        }
        question
    }

    fn judge(&self, response: Result<http::Response<Bytes>, FetchError>) -> ControlFlow<Response, Option<Proof>> {
        let refuse = |reason: &'static str| ControlFlow::Break(Problem::unavailable(1).log_reason(reason).into());
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                tracing::warn!(url = %self.url, %error, "cannot reach the authorization server");
                return refuse("auth_unreachable");
            }
        };
        match response.status() {
            status if status.is_success() => {
                self.grant(response.headers()).map_or_else(refuse, |proof| ControlFlow::Continue(Some(proof)))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                ControlFlow::Break(denial(response))
            }
            status if status.is_redirection() && response.headers().contains_key(LOCATION) => {
                ControlFlow::Break(denial(response))
            }
            status => {
                tracing::warn!(url = %self.url, status = status.as_u16(), "unexpected status from the authorization server");
                refuse("auth_failed")
            }
        }
    }

    fn grant(&self, headers: &HeaderMap) -> Result<Proof, &'static str> {
        let mut fields = Vec::new();
        for name in &self.take {
            fields.extend(headers.get_all(name).iter().map(|value| (name.clone(), value.clone())));
        }
        let Some(subject) = &self.subject else { return Ok(Proof { fields, ..Proof::default() }) };
        let text = |name: &HeaderName| {
            let values = headers.get_all(name).iter().map(HeaderValue::to_str).collect::<Result<Vec<_>, _>>().ok()?;
            (!values.is_empty()).then(|| values.join(", "))
        };
        let once = headers.get_all(subject).iter().count() == 1;
        let subject = text(subject).filter(|subject| once && !subject.is_empty()).ok_or("auth_no_subject")?;
        let claims = self.take.iter().filter_map(|name| Some((name.as_str().to_owned(), Value::String(text(name)?))));
        let mut claims: Map<String, Value> = claims.collect();
        let words = |name: &HeaderName, split: &[char]| -> Vec<String> {
            let text = text(name).unwrap_or_default();
            text.split(split).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        claims.extend(self.roles.as_ref().map(|name| ("roles".to_owned(), words(name, &[',']).into())));
        claims.extend(self.scopes.as_ref().map(|name| ("scope".to_owned(), words(name, &[',', ' ']).join(" ").into())));
        let identity = Arc::new(Identity::of(ForwardAuth::NAME, &subject, claims));
        Ok(Proof { fields, ..identity.into() })
    }
}

/// Turns the server's response into the response for the client.
fn denial(response: http::Response<Bytes>) -> Response {
    let (head, body) = response.into_parts();
    let mut denial = Response::new(Body::from(body));
    *denial.status_mut() = head.status;
    for name in DENIAL {
        denial.headers_mut().extend(head.headers.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
    }
    denial.extensions_mut().insert(Refusal { plugin: None, reason: "auth_denied".into() });
    denial
}
