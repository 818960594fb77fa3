//! Requires a verified identity to have a role, a scope or a claim.

use gatewright_sdk::{
    CheckContext, Code, Compiled, Facts, Fault, Filter, IDENTITY, Identity, Plugin, Problem, Request, Traits, Verdict,
};
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// Lets a request pass only if the identity from an earlier plugin has everything listed here: one of the roles, one of
/// the scopes, and every claim. Without an identity the response is 401, otherwise 403.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Authorize {
    /// A role, or a list of roles; any one is enough. Roles are looked up in the claims `role` and `roles`.
    role: Option<OneOrMany>,
    /// A scope, or a list of scopes; any one is enough. Scopes are looked up in the claims `scope` and `scp`.
    scope: Option<OneOrMany>,
    /// Claims that the identity must have, with exactly these values: `{ plan: pro }`.
    claims: Map<String, Value>,
    /// A condition on the request and the claims, in CEL.
    #[schemars(extend("x-pending" = true))]
    cel: Option<String>,
}

impl Plugin for Authorize {
    const NAME: &'static str = "authorize";

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let faults = self.faults();
        let names = |given: Option<OneOrMany>| given.map_or_else(Vec::new, |given| given.0);
        let gate = Gate { roles: names(self.role), scopes: names(self.scope), claims: self.claims };
        let refuses_strangers = Some("remove it from this chain");
        let traits = Traits { requires: &[IDENTITY], refuses_strangers, ..Traits::default() };
        Compiled::filter(gate).traits(traits).faults(faults)
    }
}

impl Authorize {
    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (path, names) in [("role", &self.role), ("scope", &self.scope)] {
            if names
                .as_ref()
                .is_some_and(|names| names.0.is_empty() || names.0.iter().any(|name| name.trim().is_empty()))
            {
                let fault = Fault::new(path, format!("`{path}` must not be empty")).code(Code::WRONG_LENGTH);
                faults.push(fault.help(format!("write a name, or remove `{path}`")));
            }
        }
        if self.cel.is_some() {
            faults.push(Fault::pending("cel").help("until then, use `role`, `scope` or `claims`"));
        }
        if self.role.is_none() && self.scope.is_none() && self.claims.is_empty() && self.cel.is_none() {
            faults.push(
                Fault::new("", "sets no requirement")
                    .code(Code::NOTHING_TO_DO)
                    .help("add `role: admin`, `scope: read` or `claims: { plan: pro }`"),
            );
        }
        faults
    }
}

struct Gate {
    roles: Vec<String>,
    scopes: Vec<String>,
    claims: Map<String, Value>,
}

impl Gate {
    /// What `identity` lacks, as a word for the operator.
    fn lacking(&self, identity: &Identity) -> Option<&'static str> {
        if !self.roles.is_empty() && !self.roles.iter().any(|role| identity.has_role(role)) {
            return Some("role");
        }
        if !self.scopes.is_empty() && !self.scopes.iter().any(|scope| identity.has_scope(scope)) {
            return Some("scope");
        }
        self.claims.iter().any(|(name, value)| identity.claims.get(name) != Some(value)).then_some("claim")
    }
}

impl Filter for Gate {
    type Ticket = ();
    const RESPONDS: bool = false;

    fn decide(&self, request: &Request) -> Verdict<()> {
        let Some(identity) = &Facts::of(request).identity else {
            return Verdict::refuse(Problem::unauthorized(false).log_reason("missing"));
        };
        let Some(lacking) = self.lacking(identity) else { return Verdict::Continue(()) };
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
    async fn verdict(settings: Value, claims: Option<Value>) -> (u16, String) {
        let service = install::<Authorize>(settings, answers(|_| "in"));
        let mut request = request("GET", &[]);
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
            assert_eq!(verdict(settings.clone(), claims.clone()).await, expected, "{settings} {claims:?}");
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
            (json!({ "cel": "true" }), "cel: `cel` is not implemented yet"),
        ] {
            let found = faults::<Authorize>(settings.clone(), false);
            assert!(found.len() == 1 && found[0].starts_with(start), "{settings}: {found:?}");
        }
    }
}
