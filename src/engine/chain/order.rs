//! Checks the order of plugins in a chain: what must run before a step, and what must run after it.

use super::{Configured, Plugins, Step};
use crate::engine::faults::Faults;
use gatewright_sdk::{Act, Code, Condition, Fault, IDENTITY};
use std::collections::HashSet;

/// Steps in the order in which a request passes them.
pub(super) struct Order<'a> {
    /// They have already run.
    pub outer: &'a [Step],
    pub inner: &'a [Step],
    /// The steps that a route excludes from its chain.
    pub removed: &'a [Step],
}

impl<'a> Order<'a> {
    /// These steps alone.
    pub fn of(steps: &'a [Step]) -> Self {
        Self { outer: &[], inner: steps, removed: &[] }
    }

    fn steps(&self) -> impl Iterator<Item = &'a Step> {
        self.outer.iter().chain(self.inner)
    }
}

impl Plugins {
    /// Reports, for each step, what must run before it and does not, and what must run after it and comes earlier.
    pub(super) fn check_order(&self, order: &Order<'_>, reported: &mut HashSet<String>, faults: &mut Faults<'_>) {
        let mut earlier: Vec<(&Step, &Configured)> = Vec::new();
        // A plugin with faults may provide anything.
        let mut unknown = false;
        for step in order.steps() {
            let Some(configured) = self.get(step) else {
                unknown = true;
                continue;
            };
            unknown |= configured.unknown;
            let provided = |what: &&str| {
                let provides = |(step, configured): &(&Step, &Configured)| {
                    step.always_decides() && configured.traits.provides.contains(what)
                };
                unknown || earlier.iter().any(provides)
            };
            let needed = configured.traits.requires.iter().chain(configured.traits.uses);
            for missing in needed.filter(|what| !provided(what)) {
                self.lacks(step, missing, &format!("`{}`", step.plugin), &step.path, order, reported, faults);
            }
            if step.when.as_ref().is_some_and(Condition::uses_identity) && !provided(&IDENTITY) {
                let path = format!("{}.when", step.path);
                self.lacks(step, IDENTITY, "this condition", &path, order, reported, faults);
            }
            let decides = configured.act.as_ref().is_none_or(Act::decides) && configured.traits.guard();
            if step.observes && !decides && !configured.unknown && reported.insert(format!("{}.mode", step.path)) {
                let message = format!("`{}` rejects nothing, so there is nothing to observe", step.plugin);
                let fault = Fault::new("", message).code(Code::NOTHING_TO_OBSERVE);
                faults.add(&format!("{}.mode", step.path), fault.help("remove `mode`"));
            }
            for late in configured.traits.stands_before {
                let provides =
                    |(step, other): &&(&Step, &Configured)| !step.observes && other.traits.provides.contains(late);
                if let Some((earlier, _)) = earlier.iter().find(provides)
                    && reported.insert(step.path.clone())
                {
                    let message = format!("`{}` must come before `{}`", step.plugin, earlier.plugin);
                    let help = format!("move `{}` before it; preflight requests carry no token", step.plugin);
                    let fault = Fault::new("", message).code(Code::PLUGIN_ORDER).help(help);
                    faults.add_related(&step.path, fault, earlier.here());
                }
            }
            earlier.push((step, configured));
        }
    }

    /// Reports at `path` that `who` of `step` requires `what`, which nothing before it provides.
    #[expect(clippy::too_many_arguments, reason = "all of it is shown")]
    fn lacks(
        &self,
        step: &Step,
        what: &str,
        who: &str,
        path: &str,
        order: &Order<'_>,
        reported: &mut HashSet<String>,
        faults: &mut Faults<'_>,
    ) {
        let provides = |other: &&Step| self.get(other).is_some_and(|other| other.traits.provides.contains(&what));
        if let Some(gone) = order.removed.iter().find(provides) {
            if reported.insert(format!("{} {}", gone.path, step.path)) {
                let message = format!("{who} requires {}, but `without` removes `{}`", need(what), gone.plugin);
                let help = format!("remove `{}` too, or keep `{}`", step.plugin, gone.plugin);
                let fault = Fault::new("", message).code(Code::WITHOUT_NEEDED).help(help);
                faults.add_related(&gone.path, fault, step.here());
            }
            return;
        }
        if !reported.insert(path.to_owned()) {
            return;
        }
        let fault = Fault::new("", format!("{who} requires {}, which no earlier plugin provides", need(what)))
            .code(Code::MISSING_PLUGIN);
        let before = order.steps().take_while(|other| other.path != step.path).find(provides);
        let later = order.steps().skip_while(|other| other.path != step.path).skip(1).find(provides);
        let plugin = &step.plugin;
        let fault = match (before, later, self.provider(what)) {
            (Some(unsure), ..) if unsure.observes => {
                fault.help(format!("remove `mode: observe` from `{}`: it only observes", unsure.plugin))
            }
            (Some(unsure), ..) => {
                fault.help(format!("remove `when` from `{}`: it does not run for every request", unsure.plugin))
            }
            (None, Some(later), _) => {
                fault.code(Code::PLUGIN_ORDER).help(format!("move `{plugin}` after `{}`", later.plugin))
            }
            (None, None, Some(provider)) => fault.help(format!("add `{provider}` before it")),
            (None, None, None) => fault.help("define a `jwt` plugin and add it before this one"),
        };
        faults.add_related(path, fault, before.or(later).and_then(Step::here));
    }
}

fn need(what: &str) -> &str {
    if what == IDENTITY { "a verified identity" } else { what }
}
