//! What the engine and earlier plugins know about a request.

use crate::client::{Client, Peer, Scheme};
use crate::{Derived, HttpService, RouteLimits};
use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Facts about one request, stored in its extensions as a single value.
#[derive(Debug, Clone)]
pub struct Facts {
    pub client: Client,
    /// The verified certificate of the peer, if the listener requests one.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The listener that accepted the connection.
    pub listener: Arc<str>,
    /// The matching route, if any. Known before the listener's chain runs.
    pub route: Option<Arc<str>>,
    /// The generation of the configuration that serves this request.
    pub generation: u64,
    /// The id of this request, once a plugin has set it. It is sent to upstreams in its header field.
    pub request_id: Option<RequestId>,
    /// The identity, once a plugin has verified it.
    pub identity: Option<Arc<Identity>>,
    /// The challenges of plugins that found no credentials and let the request continue.
    pub challenges: Option<Arc<[HeaderValue]>>,
    /// Path parameters of the matched template, in order.
    pub parameters: Vec<(Arc<str>, Box<str>)>,
    /// What the access log wants to know, if it has a line for the request.
    pub logged: Option<Logged>,
    /// The limits with which the route replaces those around it, if any.
    pub limits: Option<Arc<RouteLimits>>,
    /// How the route changes the path for its upstream, if it does.
    pub rewrite: Option<Arc<dyn Rewrite>>,
    /// How long the chain waits for the response, from the end of the request. Targets that need longer have failed.
    pub request_timeout: Option<Duration>,
    /// What runs after the listener's chain: the route's own chain and target, or the 404 or 405 for requests that no
    /// route accepts.
    pub answering: Option<HttpService>,
}

/// How a route changes the path of requests for its upstream.
pub trait Rewrite: Debug + Send + Sync {
    /// The path that the upstream sees, if it is another one. `None` if the request cannot be forwarded.
    fn rewritten<'a>(&self, path: &'a str, parameters: &[(Arc<str>, Box<str>)]) -> Option<Cow<'a, str>>;

    /// Whether it only moves what is below a prefix, and `path` is below that prefix: then it is a path of clients.
    fn strips(&self, path: &str) -> bool;
}

/// What the access log wants to know about a request.
#[derive(Debug, Clone, Default)]
pub struct Logged {
    /// Receives the identity, if its subject is logged.
    pub identity: Option<Arc<Mutex<Option<Arc<Identity>>>>>,
}

/// The id of a request, and its header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId {
    pub header: HeaderName,
    pub value: HeaderValue,
}

/// The verified certificate that a client presented in its TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its subject as RFC 4514 writes it: `CN=billing,O=Example`.
    pub subject: String,
    /// Its subject alternative names, in order.
    pub names: Vec<CertificateName>,
    /// The SHA-256 of the certificate, in lowercase hex.
    pub fingerprint: String,
    /// What plugins have made of it.
    pub derived: Derived,
}

/// A subject alternative name (RFC 5280, section 4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    Dns(String),
    Email(String),
    Uri(String),
    Ip(IpAddr),
}

/// A verified identity. It looks the same however it was proven: roles and scopes are always found in the claims.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Who it is: the `sub` claim of a token, the owner of an API key, the name of a user.
    pub subject: String,
    /// How it was proven: the type of the plugin, such as `jwt`, `api_key` or `basic`.
    pub method: &'static str,
    /// Everything that is known about it, as a JSON object: the claims of a token, or what a plugin wrote there.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

impl Identity {
    /// An identity that was not proven by a token. It has the claim `sub` too, unless `claims` contain one, so that
    /// access rules need not know how it was proven.
    pub fn of(method: &'static str, subject: &str, mut claims: serde_json::Map<String, serde_json::Value>) -> Self {
        claims.entry("sub").or_insert_with(|| subject.into());
        Self { subject: subject.to_owned(), method, claims }
    }

    /// Its roles: the claims `role` and `roles`, each a string or a list of strings.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        ["role", "roles"].into_iter().flat_map(|claim| self.words(claim))
    }

    /// Its scopes: the claims `scope` (RFC 8693) and `scp`, each a list of strings or one string with spaces between
    /// the scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let words = ["scope", "scp"].into_iter().flat_map(|claim| self.words(claim));
        words.flat_map(|words| words.split(' ')).filter(|scope| !scope.is_empty())
    }

    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|known| known == role)
    }

    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|known| known == scope)
    }

    /// The texts of a claim that is a string or a list of strings.
    fn words(&self, claim: &str) -> impl Iterator<Item = &str> {
        let (one, many) = match self.claims.get(claim) {
            Some(serde_json::Value::String(one)) => (Some(one.as_str()), &[][..]),
            Some(serde_json::Value::Array(many)) => (None, many.as_slice()),
            _ => (None, &[][..]),
        };
        one.into_iter().chain(many.iter().filter_map(serde_json::Value::as_str))
    }
}

static NOTHING_KNOWN: LazyLock<Facts> = LazyLock::new(Facts::default);

impl Default for Facts {
    fn default() -> Self {
        let ip = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            client: Client {
                ip: ip.into(),
                peer: Peer::Tcp(SocketAddr::new(ip, 0)),
                scheme: Scheme::Http,
                trusted: false,
            },
            certificate: None,
            listener: "".into(),
            route: None,
            generation: 0,
            request_id: None,
            identity: None,
            challenges: None,
            parameters: Vec::new(),
            logged: None,
            limits: None,
            rewrite: None,
            request_timeout: None,
            answering: None,
        }
    }
}

impl Facts {
    /// The facts of `request`; the engine adds them before any plugin runs.
    pub fn of<B>(request: &http::Request<B>) -> &Self {
        request.extensions().get::<Self>().unwrap_or_else(|| &NOTHING_KNOWN)
    }

    /// The facts of `request`, mutably.
    pub fn of_mut<B>(request: &mut http::Request<B>) -> &mut Self {
        request.extensions_mut().get_or_insert_default::<Self>()
    }

    /// Sets the verified identity.
    pub fn identify(&mut self, identity: Arc<Identity>) {
        if let Some(logged) = self.logged.as_ref().and_then(|logged| logged.identity.as_ref()) {
            *logged.lock() = Some(Arc::clone(&identity));
        }
        self.identity = Some(identity);
    }

    /// Adds challenges for a rejection by a later plugin or the target.
    pub(crate) fn may_ask_for(&mut self, challenges: &Arc<[HeaderValue]>) {
        self.challenges = Some(match &self.challenges {
            None => Arc::clone(challenges),
            Some(earlier) => earlier.iter().chain(challenges.iter()).cloned().collect(),
        });
    }

    /// The path that the upstream sees when the client sends `path`. `None` if the request cannot be forwarded.
    pub fn upstream_path<'a>(&self, path: &'a str) -> Option<Cow<'a, str>> {
        match &self.rewrite {
            None => Some(path.into()),
            Some(rewrite) => rewrite.rewritten(path, &self.parameters),
        }
    }

    /// The path parameter with this name in the route's template.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn identity(claims: Value) -> Identity {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        Identity { claims, ..Identity::default() }
    }

    #[test]
    fn roles_and_scopes_are_found_in_each_form() {
        for (claims, roles, scopes) in [
            (json!({}), &[][..], &[][..]),
            (json!({ "role": "admin", "scope": "read write" }), &["admin"], &["read", "write"]),
            (json!({ "roles": ["a b", "c"], "scope": ["read", "write"] }), &["a b", "c"], &["read", "write"]),
            (json!({ "role": "x", "roles": "y", "scp": "read  write " }), &["x", "y"], &["read", "write"]),
            (json!({ "roles": [1, null, "z"], "scope": 7, "scp": ["a"] }), &["z"], &["a"]),
        ] {
            let identity = identity(claims.clone());
            assert_eq!(identity.roles().collect::<Vec<_>>(), roles, "{claims}");
            assert_eq!(identity.scopes().collect::<Vec<_>>(), scopes, "{claims}");
            assert!(roles.iter().all(|role| identity.has_role(role)) && !identity.has_role("a"), "{claims}");
            assert!(scopes.iter().all(|scope| identity.has_scope(scope)) && !identity.has_scope(""), "{claims}");
        }
    }
}
