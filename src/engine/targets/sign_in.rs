//! Sign-in for the users of a resource, as a target.

use super::{Act, Reached, RouteTarget, TargetContext};
use crate::config::document::Document;
use crate::config::document::route::{Route, SignIn};
use crate::engine::chain::{self, Step};
use crate::engine::plan::{Below, Described, PlannedTarget};
use crate::engine::reach::Reach;
use crate::resource::sign_in::{self, ADDRESSES};
use gatewright_sdk::{Code, Fault, IDENTITY, TokenSigner};
use http::header::AUTHORIZATION;
use std::sync::Arc;

pub(super) struct Target<'a> {
    pub at: &'a str,
    pub settings: &'a SignIn,
    pub route: &'a Route,
}

impl RouteTarget for Target<'_> {
    fn compile(&self, with: &TargetContext<'_>) -> Result<Option<Act>, Vec<Fault>> {
        let mut faults: Vec<Fault> = self.blocked(with).into_iter().collect();
        let signer = self.signer(with).map_err(|fault| faults.extend(fault)).ok();
        let model = with.models.iter().find(|(name, _)| *name == self.settings.resource).map(|(_, model)| model);
        // Without the resource or the plugin, which was reported, their own faults are found in the next round.
        let required = signer.map(|signer| signer.required());
        let accounts = model.map(|model| sign_in::compile(self.settings, model, required.unwrap_or_default()));
        let accounts = accounts.transpose().map_err(|found| faults.extend(found)).ok().flatten();
        if faults.is_empty() {
            faults.extend(self.rival(with));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let (Some(signer), Some(accounts)) = (signer, accounts) else { return Ok(None) };
        let (signer, accounts, at) = (Arc::clone(signer), Arc::new(accounts), self.at.to_owned());
        let (resource, plugin) = (self.settings.resource.clone(), self.settings.token.plugin.clone());
        Ok(Some(Act::With(Box::new(move |installed| {
            let api = installed.resources.get(&resource)?;
            let parts = (Arc::clone(api), Arc::clone(&accounts), Arc::clone(&signer));
            let store = accounts.counts_in.as_ref().and_then(|name| installed.counting.get(name)).map(Arc::clone);
            let behind = |service| (installed.behind)(&plugin, &at, service);
            Some(sign_in::service(parts, store, (installed.keep, installed.usages, &at), behind))
        }))))
    }

    fn warnings(&self, with: &TargetContext<'_>) -> Vec<Fault> {
        let model = with.models.iter().find(|(name, _)| *name == self.settings.resource).map(|(_, model)| model);
        let resource = with.document.resources.get(&self.settings.resource);
        let written = resource.and_then(|resource| resource.fields.get(&self.settings.password));
        let settable = model.zip(resource).map(|(model, resource)| {
            let is_served = |operation| with.open.takes((&self.settings.resource, resource), operation);
            sign_in::warnings(self.settings, model, (written, with.deciding), &is_served)
        });
        settable.unwrap_or_default().into_iter().chain(self.hindered(with)).collect()
    }

    fn plan(&self, _: &Document) -> PlannedTarget {
        let described = Described::SignIn(Box::new(self.settings.clone()));
        PlannedTarget {
            name: Some(self.settings.resource.as_str().into()),
            counts_in: self.settings.wrong_passwords.store.clone(),
            described,
            ..PlannedTarget::of("sign_in")
        }
    }

    fn reach(&self, reached: &mut Reached<'_>) -> Arc<Reach> {
        reached.nothing()
    }

    fn below(&self, _: &Document) -> Below {
        Below::Addresses(ADDRESSES)
    }
}

impl Target<'_> {
    /// The signer of the plugin, or what is wrong with the plugin unless it was reported.
    fn signer<'a>(&self, with: &'a TargetContext<'_>) -> Result<&'a Arc<TokenSigner>, Option<Fault>> {
        let name = self.settings.token.plugin.as_str();
        let wrong = |message: String, help: String| {
            Some(Fault::new("token.plugin", message).code(Code::SIGN_IN_TOKEN).help(help))
        };
        let Some(spec) = with.document.plugins.get(name) else { return Err(None) };
        match with.plugins.signer(name) {
            _ if !with.plugins.is_usable(name) => Err(None),
            Some(signer) => Ok(signer),
            None if spec.kind != "jwt" => {
                let message = format!("`{name}` is a `{}` plugin, which cannot sign tokens", spec.kind);
                Err(wrong(message, "use the name of a `jwt` plugin with a `secret` or `private_key_files`".into()))
            }
            None => {
                let message = format!("`{name}` has only public keys, which cannot sign tokens");
                let help = "replace them with `private_key_files`, or use another `jwt` plugin for this sign-in; \
                            `issuers` lets one plugin accept both";
                Err(wrong(message, help.into()))
            }
        }
    }

    /// Another sign-in whose tokens would be valid here: for accounts with other settings, or for other accounts.
    fn rival(&self, with: &TargetContext<'_>) -> Option<Fault> {
        let table = |name: &str| {
            let model = with.models.iter().find(|(known, _)| known == name).map(|(_, model)| model)?;
            Some((model.store.as_str(), model.table.name.as_str()))
        };
        let issuer = |plugin: &str| with.plugins.signer(plugin).map(|signer| signer.issuer());
        let (own_table, own_issuer) = (table(&self.settings.resource)?, issuer(&self.settings.token.plugin)?);
        let others = with.document.routes.iter().filter_map(|(name, route)| Some((name, route.sign_in.as_deref()?)));
        // Each pair is reported once, at the later one.
        let mut earlier = others.take_while(|(_, other)| !std::ptr::eq(*other, self.settings));
        earlier.find_map(|(name, other)| {
            if table(&other.resource) == Some(own_table) {
                let message = format!(
                    "the sign-in of `routes.{name}` has the same accounts and other settings, and refresh tokens of one are \
                     valid for both"
                );
                let help = "use the same settings for both, or one sign-in";
                return (other != self.settings).then(|| Fault::new("", message).code(Code::SIGN_IN).help(help));
            }
            // One whose resource does not exist was reported.
            if table(&other.resource).is_none() || issuer(&other.token.plugin) != Some(own_issuer) {
                return None;
            }
            let message = format!(
                "the tokens of `routes.{name}`, which are for items of `{}`, have the same issuer, and would be valid for \
                 items of `{}`",
                other.resource, self.settings.resource
            );
            let help = "use a `jwt` plugin with another `issuer`";
            Some(Fault::new("token.plugin", message).code(Code::SIGN_IN_TOKEN).help(help))
        })
    }

    /// The plugins that every request passes before it reaches the target, on any listener.
    fn steps(&self, with: &TargetContext<'_>) -> Vec<Step> {
        let on = &self.route.listeners;
        let serving = with.document.listeners.iter().filter(|(name, _)| on.is_empty() || on.iter().any(|n| n == name));
        let outer =
            serving.flat_map(|(name, spec)| with.plugins.of_listener(with.document, name, spec.chain.as_deref()));
        let all = outer.chain(chain::of_route(with.document, self.at, self.route));
        all.filter(Step::always_decides).collect()
    }

    /// A plugin that rejects invalid tokens: clients tend to send an expired one along when they refresh it.
    fn hindered(&self, with: &TargetContext<'_>) -> Option<Fault> {
        self.steps(with).into_iter().find_map(|step| {
            let (traits, _) = with.plugins.traits(&step)?;
            if !traits.provides.contains(&IDENTITY) || traits.credentials != Some(AUTHORIZATION) {
                return None;
            }
            let message = format!(
                "`{}` ({}) rejects expired tokens, also when a client sends one while it refreshes it",
                step.plugin, step.path
            );
            let help = "remove it from the chains of this route: the sign-in checks tokens itself where it needs them";
            Some(Fault::new("", message).code(Code::SIGN_IN_BLOCKED).help(help))
        })
    }

    /// A plugin that rejects requests without a token: no one could sign in.
    fn blocked(&self, with: &TargetContext<'_>) -> Option<Fault> {
        self.steps(with).into_iter().find_map(|step| {
            let way_out = with.plugins.traits(&step)?.0.refuses_strangers?;
            let message = format!(
                "no one can sign in here: `{}` ({}) rejects requests without credentials",
                step.plugin, step.path
            );
            let help = format!("remove `{}` from the chains of this route, or {way_out}", step.plugin);
            Some(Fault::new("", message).code(Code::SIGN_IN_BLOCKED).help(help))
        })
    }
}
