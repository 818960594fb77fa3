//! Whom the conditions let pass, as far as that is known without a request. `check` compares it with the plugins in front.

use super::Authorize;
use gatewright_sdk::Condition;
use http::Method;
use std::collections::BTreeSet;

impl Authorize {
    /// The issuers whose callers can pass, if any of it names them.
    pub(super) fn issuers(&self) -> Option<BTreeSet<String>> {
        let own = self.claims.get("iss").map(|name| name.as_str().map(str::to_owned).into_iter().collect());
        let cel = self.cel.as_ref().and_then(Condition::issuers);
        let any: Option<Vec<_>> = self.any.iter().map(Self::issuers).collect();
        let any = any.filter(|each| !each.is_empty()).map(|each| each.into_iter().flatten().collect());
        let all = self.all.iter().map(Self::issuers);
        [own, cel, any].into_iter().chain(all).flatten().reduce(|one: BTreeSet<_>, other| &one & &other)
    }

    /// Whether any of it compares the subject, and nothing beside it the issuer.
    pub(super) fn compares_subject(&self) -> bool {
        let cel = self.cel.as_ref();
        if self.issuers().is_some() || cel.is_some_and(|cel| cel.claims().contains("iss")) {
            return false;
        }
        let own = self.claims.contains_key("sub") || cel.is_some_and(Condition::reads_subject);
        own || self.any.iter().chain(&self.all).any(Self::compares_subject)
    }

    /// The methods with which callers pass who have no role, scope or claim that others lack; `None` if those are all methods.
    pub(super) fn open_methods(&self) -> Option<Vec<Method>> {
        // All callers of an issuer have these.
        let is_own = |name: &String| !matches!(&**name, "iss" | "aud");
        if self.role.is_some() || self.scope.is_some() || self.claims.keys().any(is_own) {
            return Some(Vec::new());
        }
        let own: Vec<Method> = self.methods.iter().map(|method| Method::clone(method)).collect();
        let own = (!own.is_empty()).then(|| {
            let head = own.contains(&Method::GET).then_some(Method::HEAD);
            own.into_iter().chain(head).collect()
        });
        let any: Option<Vec<_>> = self.any.iter().map(Self::open_methods).collect();
        let any = any.filter(|each| !each.is_empty()).map(|each| each.concat());
        let all = self.all.iter().map(Self::open_methods);
        [own, any].into_iter().chain(all).flatten().reduce(|mut one: Vec<_>, other| {
            one.retain(|method| other.contains(method));
            one
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_knows_with_which_methods_callers_without_a_permission_pass() {
        for (settings, methods) in [
            (json!({ "role": "admin" }), Some("")),
            (json!({ "claims": { "plan": "pro" } }), Some("")),
            (json!({ "claims": { "iss": "a", "aud": "b" } }), None),
            (json!({ "cel": "auth.subject == 'a'" }), None),
            (json!({ "methods": ["GET", "POST"] }), Some("GET POST HEAD")),
            (json!({ "any": [{ "role": "admin" }, { "role": "reader", "methods": ["GET"] }] }), Some("")),
            (json!({ "any": [{ "role": "admin" }, { "methods": ["GET"] }] }), Some("GET HEAD")),
            (json!({ "any": [{ "role": "admin" }, { "cel": "true" }] }), None),
            (json!({ "all": [{ "methods": ["GET", "PUT"] }, { "methods": ["PUT"] }] }), Some("PUT")),
            (json!({ "all": [{ "cel": "true" }, { "any": [{ "scope": "write" }] }] }), Some("")),
        ] {
            let plugin: Authorize = serde_json::from_value(settings.clone()).unwrap();
            let open = plugin.open_methods();
            let open = open.map(|all| all.iter().map(Method::as_str).collect::<Vec<_>>().join(" "));
            assert_eq!(open.as_deref(), methods, "{settings}");
        }
    }
}
