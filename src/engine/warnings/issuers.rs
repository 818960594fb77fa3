//! Rules and conditions that take the subjects of one issuer for those of another: each issuer chooses the subjects of its tokens.

use super::Way;
use super::access::{OPERATIONS, takes};
use crate::config::document::route::SignIn;
use crate::engine::chain::{Plugins, Step};
use crate::engine::compile::Compiled;
use crate::engine::faults::Faults;
use crate::resource::model::Model;
use gatewright_sdk::{Code, Condition, Fault};
use std::collections::HashSet;

pub(super) fn check(compiled: &Compiled, ways: &[Way<'_>], faults: &mut Faults<'_>) {
    let search = Search::new(compiled);
    search.sign_ins.iter().for_each(|sign_in| search.of_users(sign_in, ways, faults));
    for (name, model) in &compiled.parts.models {
        if !search.sign_ins.iter().any(|sign_in| sign_in.resource == *name) {
            search.of_resource(name, model, ways, faults);
        }
    }
    search.of_conditions(ways, faults);
}

/// An issuer whose callers reach a place, and the plugin that accepts its tokens.
#[derive(Clone, Copy)]
struct Accepted<'a> {
    issuer: &'a str,
    plugin: &'a str,
    /// The path of the plugin.
    path: &'a str,
}

/// Two issuers with the same subjects.
type Clash<'a> = (Accepted<'a>, Accepted<'a>);

struct Search<'a> {
    compiled: &'a Compiled,
    /// Each resource with accounts once.
    sign_ins: Vec<&'a SignIn>,
    /// The issuers of sign-ins.
    signed: HashSet<&'a str>,
    /// Those among them whose subjects no other of them has.
    distinct: HashSet<&'a str>,
}

impl<'a> Search<'a> {
    fn new(compiled: &'a Compiled) -> Self {
        let all = compiled.plan.document.routes.iter().filter_map(|(_, route)| route.sign_in.as_deref());
        let mut sign_ins: Vec<&SignIn> = Vec::new();
        for sign_in in all {
            if !sign_ins.iter().any(|known| known.resource == sign_in.resource) {
                sign_ins.push(sign_in);
            }
        }
        let issuers = || sign_ins.iter().filter_map(|one| Some((one, issuer(compiled, one)?)));
        let is_distinct = |one: &SignIn| model(compiled, one).is_some_and(Model::has_unique_ids);
        let distinct = issuers().filter(|(one, _)| is_distinct(one)).map(|(_, issuer)| issuer).collect();
        let signed = issuers().map(|(_, issuer)| issuer).collect();
        Self { compiled, sign_ins, signed, distinct }
    }

    /// Users whose items another issuer can name.
    fn of_users(&self, sign_in: &'a SignIn, ways: &[Way<'a>], faults: &mut Faults<'_>) {
        let (resource, plugin) = (&*sign_in.resource, &*sign_in.token.plugin);
        let Some((own, model)) = issuer(self.compiled, sign_in).zip(model(self.compiled, sign_in)) else { return };
        let others = self.reaching(resource, model, ways);
        // Its items are compared even if only others reach them.
        let own = others.iter().find(|known| known.issuer == own).copied().unwrap_or(Accepted {
            issuer: own,
            plugin,
            path: "",
        });
        let is_foreign = |other: &Accepted<'_>| other.issuer != own.issuer && !self.distinct.contains(other.issuer);
        let Some(other) = others.into_iter().find(is_foreign) else { return };
        let message = format!(
            "a token of `{}` whose `sub` is the id of an item of `{resource}` counts as one of that user: {}, and the rules compare only \
             `sub`",
            other.issuer,
            accepts((own, other))
        );
        self.warn_of_rules(resource, message, (own, other), faults);
    }

    /// Items whose owner another issuer can name.
    fn of_resource(&self, name: &str, model: &Model, ways: &[Way<'a>], faults: &mut Faults<'_>) {
        let Some(clash) = self.clash(&self.reaching(name, model, ways)) else { return };
        let message = format!("{}, and the rules compare only `sub`", self.same_subject(clash));
        self.warn_of_rules(name, message, clash, faults);
    }

    fn warn_of_rules(&self, resource: &str, message: String, (own, other): Clash<'_>, faults: &mut Faults<'_>) {
        let (issuer, foreign) = (own.issuer, other.issuer);
        let spec = self.compiled.plan.document.resources.get(resource);
        let add = if spec.is_some_and(|spec| spec.access.preset.is_some() && spec.access.default.is_none()) {
            format!("add the issuer beside the preset: `default: {{ claims: {{ iss: {issuer:?} }} }}`")
        } else {
            format!(
                "add the issuer to the rules that compare `sub`: `{{ claims: {{ iss: {issuer:?} }}, where: {{ … }} }}`"
            )
        };
        let same = if self.signed.contains(issuer) {
            String::new()
        } else {
            format!(
                "; if both mean the same callers, name both: `any: [{{ claims: {{ iss: {issuer:?} }} }}, {{ claims: {{ iss: {foreign:?} }} }}]`"
            )
        };
        let help = format!("{add}, or accept `{foreign}` on other routes only{same}");
        let fault = Fault::new("access", message).code(Code::OTHER_ISSUER).help(help);
        let related = Some((other.path, format!("`{}` is defined here", other.plugin)));
        faults.warn_related(&format!("resources.{resource}"), fault, related);
    }

    /// The issuers whose callers reach an operation for which the rules compare any subject.
    fn reaching(&self, resource: &str, model: &Model, ways: &[Way<'a>]) -> Vec<Accepted<'a>> {
        let compares = |way: &&Way<'_>| {
            way.route.resource.as_deref() == Some(resource)
                && OPERATIONS
                    .iter()
                    .any(|(operation, _, methods)| takes(**way, methods) && model.compares_any_subject(*operation))
        };
        let leads = ways.iter().filter(compares);
        leads.flat_map(|way| accepted(&self.compiled.parts.plugins, *way, |_, _| {})).collect()
    }

    /// Plugins, and conditions of chains, that compare subjects.
    fn of_conditions(&self, ways: &[Way<'a>], faults: &mut Faults<'_>) {
        let plugins = &self.compiled.parts.plugins;
        let mut said = HashSet::new();
        for way in ways {
            accepted(plugins, *way, |step, known| {
                let Some(clash) = self.clash(known) else { return };
                let traits = plugins.traits(step).filter(|(traits, _)| traits.compares_subject);
                let when =
                    step.when.as_ref().filter(|when| compares_subject(when)).map(|_| format!("{}.when", step.path));
                for (path, what) in [(traits.map(|(_, path)| path.to_owned()), "this plugin"), (when, "this condition")]
                {
                    let Some(path) = path.filter(|path| said.insert(path.clone())) else { continue };
                    let message = format!("{}, and {what} compares only the subject", self.same_subject(clash));
                    let (own, other) = clash;
                    let issuer = own.issuer;
                    let help = match what {
                        "this plugin" => format!("compare the issuer too: `claims: {{ iss: {issuer:?} }}`"),
                        _ => format!("compare the issuer too: `auth.claims.iss == {issuer:?}`"),
                    };
                    let help = format!("{help}, or accept `{}` on other routes only", other.issuer);
                    let fault = Fault::new("", message).code(Code::OTHER_ISSUER).help(help);
                    let related = Some((other.path, format!("`{}` is defined here", other.plugin)));
                    faults.warn_related(&path, fault, related);
                }
            });
        }
    }

    /// The first two issuers that may have given the same subject to different callers; that of a sign-in comes first.
    fn clash(&self, accepted: &[Accepted<'a>]) -> Option<Clash<'a>> {
        accepted.iter().enumerate().find_map(|(index, one)| {
            let both_distinct =
                |other: &Accepted<'_>| [one, other].iter().all(|each| self.distinct.contains(each.issuer));
            let mut others = accepted.iter().skip(index + 1);
            let other = others.find(|other| other.issuer != one.issuer && !both_distinct(other))?;
            let is_user = |each: &Accepted<'_>| self.signed.contains(each.issuer);
            Some(if is_user(other) && !is_user(one) { (*other, *one) } else { (*one, *other) })
        })
    }

    /// What it means that both have the same subjects.
    fn same_subject(&self, clash: Clash<'_>) -> String {
        let (own, other) = clash;
        let (issuer, foreign) = (own.issuer, other.issuer);
        let which = if self.signed.contains(issuer) {
            format!("a token of `{foreign}` whose `sub` is the id of a user of `{issuer}` counts as one of that user")
        } else {
            format!("tokens of `{issuer}` and `{foreign}` with the same `sub` count as those of one caller")
        };
        format!("{which}: {}", accepts(clash))
    }
}

/// Which plugin accepts which of them.
fn accepts((own, other): Clash<'_>) -> String {
    if own.plugin == other.plugin {
        return format!("`{}` accepts both issuers", own.plugin);
    }
    format!("`{}` accepts the one and `{}` the other", own.plugin, other.plugin)
}

/// The issuers whose callers pass all steps of a way, in the order of the plugins that accept them. `see` gets each step with those
/// that reach it.
fn accepted<'a>(
    plugins: &'a Plugins,
    way: Way<'a>,
    mut see: impl FnMut(&'a Step, &[Accepted<'a>]),
) -> Vec<Accepted<'a>> {
    let mut known: Vec<Accepted<'a>> = Vec::new();
    for step in way.steps() {
        see(step, &known);
        let Some((traits, path)) = plugins.traits(step) else { continue };
        if let Some(admitted) = traits.admits_issuers.as_ref().filter(|_| step.always_decides()) {
            known.retain(|accepted| admitted.contains(accepted.issuer));
        }
        known.extend(traits.issuers.iter().map(|issuer| Accepted { issuer, plugin: &step.plugin, path }));
    }
    known
}

fn compares_subject(condition: &Condition) -> bool {
    condition.reads_subject() && !condition.claims().contains("iss")
}

/// The `iss` claim of the tokens of a sign-in.
fn issuer<'a>(compiled: &'a Compiled, sign_in: &SignIn) -> Option<&'a str> {
    compiled.parts.plugins.signer(&sign_in.token.plugin).map(|signer| signer.issuer())
}

/// The resource with the accounts of a sign-in.
fn model<'a>(compiled: &'a Compiled, sign_in: &SignIn) -> Option<&'a Model> {
    compiled.parts.models.iter().find(|(name, _)| *name == sign_in.resource).map(|(_, model)| &**model)
}
