//! Requires a request to meet conditions: a role, a scope, claims, a method, or an expression.

mod admits;

use gatewright_sdk::{
    CheckContext, Code, Compiled, Condition, Contract, Facts, Fault, Filter, IDENTITY, Identity, Plugin, Problem,
    Request, RequestMethod, Traits, Verdict,
};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Method};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// Lets a request pass only if it meets every condition here. If an identity could help and there is none, the response
/// is 401, otherwise 403.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Authorize {
    /// A role, or a list of roles; any one is enough. Roles are looked up in the claims `role` and `roles`.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<OneOrMany>,
    /// A scope, or a list of scopes; any one is enough. Scopes are looked up in the claims `scope` and `scp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<OneOrMany>,
    /// Claims that the identity must have, with exactly these values: `{ plan: pro }`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    claims: Map<String, Value>,
    /// The methods that are allowed. GET includes HEAD.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    methods: Vec<RequestMethod>,
    /// A condition in CEL: `auth.claims.plan in ['pro', 'team']`. A condition that cannot be evaluated, for example
    /// because the claim is missing, does not hold. See docs/expressions.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    cel: Option<Condition>,
    /// At least one of these holds: `[{ role: admin }, { role: reader, methods: [GET] }]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    any: Vec<Authorize>,
    /// All of these hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    all: Vec<Authorize>,
}

impl Plugin for Authorize {
    const NAME: &'static str = "authorize";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let mut faults = Vec::new();
        self.check("", &mut faults);
        let asks = self.asks_for_identity();
        let refuses_strangers = asks.then_some("remove it from this chain");
        let requires: &[_] = if asks { &[IDENTITY] } else { &[] };
        let contract = Contract::rejects(&[401, 403]);
        let mut decides_by = Vec::new();
        self.add_claims(&mut decides_by);
        let traits = Traits {
            requires,
            decides_by,
            restricts: true,
            refuses_strangers,
            admits_issuers: self.issuers(),
            compares_subject: self.compares_subject(),
            open_methods: self.open_methods(),
            contract,
            ..Traits::default()
        };
        Compiled::filter(self.gate()).traits(traits).faults(faults)
    }
}

impl Authorize {
    /// Adds the faults of the settings at `at`, a path that ends with a dot unless it is empty.
    fn check(&self, at: &str, faults: &mut Vec<Fault>) {
        for (path, names) in [("role", &self.role), ("scope", &self.scope)] {
            if names
                .as_ref()
                .is_some_and(|names| names.0.is_empty() || names.0.iter().any(|name| name.trim().is_empty()))
            {
                let fault = Fault::new(format!("{at}{path}"), format!("`{path}` must not be empty"));
                faults.push(fault.code(Code::WRONG_LENGTH).help(format!("write a name, or remove `{path}`")));
            }
        }
        for (name, inner) in [("any", &self.any), ("all", &self.all)] {
            for (index, inner) in inner.iter().enumerate() {
                inner.check(&format!("{at}{name}[{index}]."), faults);
            }
        }
        let own = self.role.is_some() || self.scope.is_some() || !self.claims.is_empty() || self.cel.is_some();
        if !own && self.methods.is_empty() && self.any.is_empty() && self.all.is_empty() {
            faults.push(
                Fault::new(at.trim_end_matches('.'), "sets no requirement")
                    .code(Code::NOTHING_TO_DO)
                    .help("add `role: admin`, `scope: read`, `claims: { plan: pro }`, `methods: [GET]` or `cel`"),
            );
        }
    }

    /// Whether any of it depends on the identity.
    fn asks_for_identity(&self) -> bool {
        let own = self.role.is_some() || self.scope.is_some() || !self.claims.is_empty();
        own || self.cel.as_ref().is_some_and(Condition::uses_identity)
            || self.any.iter().chain(&self.all).any(Self::asks_for_identity)
    }

    /// Adds the claims that any of it compares, apart from roles and scopes.
    fn add_claims(&self, names: &mut Vec<String>) {
        names.extend(self.claims.keys().cloned());
        names.extend(self.cel.iter().flat_map(Condition::claims));
        self.any.iter().chain(&self.all).for_each(|inner| inner.add_claims(names));
    }

    fn gate(self) -> Gate {
        let asks_for_identity = self.asks_for_identity();
        let names = |given: Option<OneOrMany>| given.map_or_else(Vec::new, |given| given.0);
        Gate {
            asks_for_identity,
            roles: names(self.role),
            scopes: names(self.scope),
            claims: self.claims,
            methods: self.methods.iter().map(|method| Method::clone(method)).collect(),
            condition: self.cel,
            any: self.any.into_iter().map(Self::gate).collect(),
            all: self.all.into_iter().map(Self::gate).collect(),
        }
    }
}

struct Gate {
    asks_for_identity: bool,
    roles: Vec<String>,
    scopes: Vec<String>,
    claims: Map<String, Value>,
    methods: Vec<Method>,
    condition: Option<Condition>,
    any: Vec<Gate>,
    all: Vec<Gate>,
}

impl Gate {
    /// What `request` lacks, as a word for the operator.
    fn lacking(&self, request: &Request, identity: Option<&Identity>) -> Option<&'static str> {
        let is = |holds: &dyn Fn(&Identity) -> bool| identity.is_some_and(holds);
        if !self.roles.is_empty() && !is(&|identity| self.roles.iter().any(|role| identity.has_role(role))) {
            return Some("role");
        }
        if !self.scopes.is_empty() && !is(&|identity| self.scopes.iter().any(|scope| identity.has_scope(scope))) {
            return Some("scope");
        }
        let has =
            |identity: &Identity| self.claims.iter().all(|(name, value)| identity.claims.get(name) == Some(value));
        if !self.claims.is_empty() && !is(&has) {
            return Some("claim");
        }
        let method = if *request.method() == Method::HEAD { &Method::GET } else { request.method() };
        if !self.methods.is_empty() && !self.methods.contains(method) && !self.methods.contains(request.method()) {
            return Some("method");
        }
        if let Some(condition) = &self.condition {
            match condition.holds(request) {
                Ok(true) => {}
                Ok(false) => return Some("cel"),
                Err(why) => {
                    tracing::debug!(expression = %condition, %why, "a condition cannot be evaluated");
                    return Some("cel_error");
                }
            }
        }
        if let Some(lacking) = self.all.iter().find_map(|gate| gate.lacking(request, identity)) {
            return Some(lacking);
        }
        let any = self.any.is_empty() || self.any.iter().any(|gate| gate.lacking(request, identity).is_none());
        (!any).then_some("any")
    }
}

impl Filter for Gate {
    type Ticket = ();
    const RESPONDS: bool = false;

    fn decide(&self, request: &Request) -> Verdict<()> {
        let identity = Facts::of(request).identity.as_deref();
        let Some(lacking) = self.lacking(request, identity) else { return Verdict::Continue(()) };
        if identity.is_none() && self.asks_for_identity {
            return Verdict::refuse(Problem::without_identity(Facts::of(request), false).log_reason("missing"));
        }
        let mut problem = Problem::forbidden().log_reason(lacking);
        if lacking == "scope" {
            // RFC 6750 section 3.1: another token might work.
            problem = problem.header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"insufficient_scope\""));
        }
        Verdict::refuse(problem)
    }
}

/// A string, or a list of strings.
struct OneOrMany(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a list of names")
            }

            fn visit_str<E: Error>(self, one: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![one.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut many: A) -> Result<OneOrMany, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = many.next_element()? {
                    names.push(name);
                }
                Ok(OneOrMany(names))
            }
        }
        deserializer.deserialize_any(Names)
    }
}

impl Serialize for OneOrMany {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl JsonSchema for OneOrMany {
    fn schema_name() -> Cow<'static, str> {
        "OneOrMany".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 },
            ]
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewright_sdk::Refusal;
    use gatewright_sdk::testing::{answers, faults, header, install, request};
    use serde_json::json;
    use std::sync::Arc;

    /// The status for a caller with these claims, and the reason.
    async fn verdict(settings: Value, method: &str, claims: Option<Value>) -> (u16, String) {
        let service = install::<Authorize>(settings, answers(|_| "in"));
        let mut request = request(method, &[]);
        Facts::of_mut(&mut request).identity = claims.map(|claims| {
            let Value::Object(claims) = claims else { panic!("claims are an object") };
            Arc::new(Identity { subject: "u1".into(), claims, ..Identity::default() })
        });
        let response = service.call(request).await;
        let reason = response.extensions().get::<Refusal>().map_or(String::new(), |refusal| refusal.reason.to_string());
        assert_eq!(reason == "missing" || reason == "scope", !header(&response, "www-authenticate").is_empty());
        (response.status().as_u16(), reason)
    }

    #[tokio::test]
    async fn only_a_matching_identity_passes() {
        let one = json!({ "role": "admin" });
        let all = json!({ "role": ["admin", "root"], "scope": "write", "claims": { "plan": "pro", "level": 3 } });
        let full = json!({ "roles": ["x", "root"], "scope": "read write", "plan": "pro", "level": 3 });
        let cases = [
            (&one, None, 401, "missing"),
            (&one, Some(json!({ "role": "admin" })), 200, ""),
            (&one, Some(json!({ "roles": ["a", "admin"] })), 200, ""),
            (&one, Some(json!({ "role": "administrator" })), 403, "role"),
            (&one, Some(json!({ "role": true })), 403, "role"),
            (&all, Some(full), 200, ""),
            (&all, Some(json!({ "role": "root", "scope": "rewrite" })), 403, "scope"),
            (&all, Some(json!({ "role": "root", "scp": ["write"], "plan": "pro", "level": "3" })), 403, "claim"),
        ];
        for (settings, claims, status, reason) in cases {
            let expected = (status, reason.to_owned());
            assert_eq!(verdict(settings.clone(), "GET", claims.clone()).await, expected, "{settings} {claims:?}");
        }
    }

    #[tokio::test]
    async fn methods_conditions_and_alternatives_decide_together() {
        let readers = json!({ "any": [{ "role": "admin" }, { "role": "reader", "methods": ["GET"] }] });
        let cel = json!({ "cel": "auth.claims.plan in ['pro'] && request.method != 'DELETE'" });
        let open = json!({ "cel": "request.method == 'GET' || has(auth.subject)" });
        let all = json!({ "all": [{ "role": "a" }, { "scope": "s" }] });
        let only = json!({ "methods": ["GET"] });
        let claims = |value: Value| Some(value);
        for (settings, method, claims, status, reason) in [
            (&readers, "DELETE", claims(json!({ "role": "admin" })), 200, ""),
            (&readers, "GET", claims(json!({ "role": "reader" })), 200, ""),
            (&readers, "HEAD", claims(json!({ "role": "reader" })), 200, ""),
            (&readers, "POST", claims(json!({ "role": "reader" })), 403, "any"),
            (&readers, "GET", None, 401, "missing"),
            (&cel, "GET", claims(json!({ "plan": "pro" })), 200, ""),
            (&cel, "GET", claims(json!({ "plan": "free" })), 403, "cel"),
            (&cel, "DELETE", claims(json!({ "plan": "pro" })), 403, "cel"),
            (&cel, "GET", claims(json!({})), 403, "cel_error"),
            (&cel, "GET", None, 401, "missing"),
            (&open, "GET", None, 200, ""),
            (&open, "POST", None, 401, "missing"),
            (&open, "POST", claims(json!({})), 200, ""),
            (&all, "GET", claims(json!({ "role": "a", "scope": "s" })), 200, ""),
            (&all, "GET", claims(json!({ "role": "a" })), 403, "scope"),
            (&only, "GET", None, 200, ""),
            (&only, "POST", None, 403, "method"),
        ] {
            let expected = (status, reason.to_owned());
            assert_eq!(
                verdict(settings.clone(), method, claims.clone()).await,
                expected,
                "{settings} {method} {claims:?}"
            );
        }
    }

    #[test]
    fn a_plugin_without_requirements_is_a_fault() {
        for (settings, start) in [
            (json!({}), "sets no requirement"),
            (json!({ "role": "" }), "role: "),
            (json!({ "role": [] }), "role: "),
            (json!({ "scope": ["a", " "] }), "scope: "),
            (json!({ "role": 1 }), "role: "),
            (json!({ "any": [{}] }), "any[0]: sets no requirement"),
            (json!({ "all": [{ "any": [{ "scope": "" }] }] }), "all[0].any[0].scope: "),
            (json!({ "cel": "auth.rolls == []" }), "cel: unknown name `auth.rolls`"),
            (json!({ "methods": ["get"] }), "methods[0]: `get` is not a valid method"),
        ] {
            let found = faults::<Authorize>(settings.clone(), false);
            assert!(found.len() == 1 && found[0].starts_with(start), "{settings}: {found:?}");
        }
    }
}
