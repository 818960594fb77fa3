//! Users of a sign-in whose rules also take the subjects of another issuer for theirs.

use super::Way;
use crate::config::document::route::SignIn;
use crate::engine::compile::Compiled;
use crate::engine::faults::Faults;
use crate::resource::model::Model;
use gatewright_sdk::{Code, Fault};
use std::collections::HashSet;

pub(super) fn check(compiled: &Compiled, ways: &[Way<'_>], faults: &mut Faults<'_>) {
    let sign_ins: Vec<_> =
        compiled.plan.document.routes.iter().filter_map(|(_, route)| route.sign_in.as_deref()).collect();
    // Ids of different resources are never equal there.
    let distinct = |sign_in: &&&SignIn| model(compiled, sign_in).is_some_and(Model::has_unique_ids);
    let distinct: HashSet<_> = sign_ins.iter().filter(distinct).filter_map(|one| issuer(compiled, one)).collect();
    let mut seen = HashSet::new();
    for sign_in in &sign_ins {
        let own = issuer(compiled, sign_in);
        let Some((own, model)) = own.zip(model(compiled, sign_in)) else { continue };
        let resource = &*sign_in.resource;
        if !model.compares_any_subject() || !seen.insert(resource) {
            continue;
        }
        let leads = ways.iter().filter(|way| way.route.resource.as_deref() == Some(resource));
        let foreign = |issuer: &&String| **issuer != own && !distinct.contains(issuer.as_str());
        let found = leads.flat_map(|way| way.steps()).find_map(|step| {
            let (traits, path) = compiled.parts.plugins.traits(step)?;
            Some((&*step.plugin, path, traits.issuers.iter().find(foreign)?))
        });
        let Some((plugin, path, other)) = found else { continue };
        let message = format!(
            "a token of `{other}` whose `sub` is the id of an item of `{resource}` counts as one of that user: `{plugin}` accepts both \
             issuers, and the rules compare only `sub`"
        );
        let help = format!(
            "add the issuer to the rules that compare `sub`: `{{ claims: {{ iss: {own:?} }}, where: {{ … }} }}`, or accept `{other}` on \
             other routes only"
        );
        let fault = Fault::new("access", message).code(Code::OTHER_ISSUER).help(help);
        let related = Some((path, format!("`{plugin}` is defined here")));
        faults.warn_related(&format!("resources.{resource}"), fault, related);
    }
}

/// The `iss` claim of the tokens of a sign-in.
fn issuer<'a>(compiled: &'a Compiled, sign_in: &SignIn) -> Option<&'a str> {
    compiled.parts.plugins.signer(&sign_in.token.plugin).map(|signer| signer.issuer())
}

/// The resource with the accounts of a sign-in.
fn model<'a>(compiled: &'a Compiled, sign_in: &SignIn) -> Option<&'a Model> {
    compiled.parts.models.iter().find(|(name, _)| *name == sign_in.resource).map(|(_, model)| &**model)
}
