//! Keys that are items of a resource, and stand for whatever their callers choose.

use crate::config::document::resource::Operation;
use crate::engine::compile::Compiled;
use crate::engine::faults::Faults;
use crate::engine::open;
use crate::resource::model::Model;
use crate::resource::{Deciding, Setter};
use gatewright_sdk::items::{Becomes, LookedUp, Lookup};
use gatewright_sdk::{Code, Fault};

pub(super) fn check(compiled: &Compiled, deciding: &Deciding, faults: &mut Faults<'_>) {
    let document = &compiled.plan.document;
    let open = open::served(document, &compiled.parts.plugins);
    let mut all: Vec<_> = compiled.parts.plugins.all().collect();
    all.sort_unstable_by_key(|(_, _, path)| *path);
    for (_, traits, path) in all {
        let Some(lookup) = &traits.lookup else { continue };
        let name = &*lookup.resource.name;
        let model = compiled.parts.models.iter().find(|(known, _)| known == name).map(|(_, model)| &**model);
        let Some((model, spec)) = model.zip(document.resources.get(name)) else { continue };
        let is_served = |operation: Operation| open.takes((name, spec), operation);
        let keys = Keys { model, deciding, is_served: &is_served };
        let found = lookup.reads.iter().filter_map(|read| keys.chosen(read));
        found.chain(keys.taken(lookup)).for_each(|warning| faults.warn(path, warning));
    }
}

/// The resource with the keys.
struct Keys<'a> {
    model: &'a Model,
    deciding: &'a Deciding,
    is_served: &'a dyn Fn(Operation) -> bool,
}

impl Keys<'_> {
    /// A part of the identity that callers choose.
    fn chosen(&self, read: &LookedUp) -> Option<Fault> {
        let (field, becomes) = (&read.setting.name, read.becomes.as_ref()?);
        let who = match self.model.setter(field, self.is_served)? {
            Setter::Anyone => "anyone".to_owned(),
            Setter::Authenticated => "any authenticated caller".to_owned(),
            Setter::Changer => format!("callers who may change an item of `{}`", self.model.name),
        };
        let resource = &self.model.name;
        let by_role = format!("let the rules for `create` and `update` of `{resource}` ask for a role");
        let (effect, help) = match becomes {
            Becomes::Subject => (
                "have keys that act as any other caller".to_owned(),
                format!("add `set: $claims.sub` to the field `{field}` of `{resource}`, or {by_role}"),
            ),
            Becomes::Claim(claim) => (
                format!("choose the claim `{claim}` of their keys{}", self.deciding.end_of(claim)?),
                format!("add `hidden: true` or `read_only: true` to the field `{field}` of `{resource}`, or {by_role}"),
            ),
        };
        let message = format!("{who} can set `{field}`, and so {effect}");
        Some(Fault::new(&*read.setting.path, message).code(Code::CHOSEN_CLAIM).help(help))
    }

    /// Keys of others that callers can replace by their own.
    fn taken(&self, lookup: &Lookup) -> Option<Fault> {
        let (field, resource) = (&lookup.key.setting.name, &self.model.name);
        if !self.model.is_changed_by_all(field, self.is_served) {
            return None;
        }
        let message = format!(
            "callers can set `{field}` of any item, also of those that are not theirs, and so have keys that act as any other caller"
        );
        let help = format!(
            "add `accept_on: [create]` to the field `{field}` of `{resource}`, or let the rule for `update` ask for a role or the \
             owner: `{{ where: {{ FIELD: $claims.sub }} }}`"
        );
        Some(Fault::new(&*lookup.key.setting.path, message).code(Code::CHOSEN_CLAIM).help(help))
    }
}
