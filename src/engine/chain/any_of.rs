//! Plugins in whose place one of several others decides.

use super::{InstallContext, Plugins};
use crate::engine::faults::Faults;
use gatewright_sdk::{Act, Authenticate, Code, Fault, IDENTITY, Traits};
use std::sync::Arc;

impl Plugins {
    /// Checks the members of these plugins, and gives each the traits of its members.
    pub(super) fn join_members(&mut self, faults: &mut Faults<'_>) {
        let mut names: Vec<String> = self.configured.keys().cloned().collect();
        names.sort_unstable();
        for name in names {
            let Some(configured) = self.configured.get(&name) else { continue };
            let Some(members) = &configured.members else { continue };
            let mut joined = configured.traits.clone();
            let (path, last) = (configured.path.clone(), members.len().saturating_sub(1));
            for (index, member) in members.iter().enumerate() {
                // An unknown name was reported when the file was checked.
                let Some(found) = self.configured.get(member) else { continue };
                if let Some(fault) = self.unsuitable(member, index < last) {
                    faults.add(&path, Fault { path: format!("[{index}]"), ..fault });
                    continue;
                }
                join(&mut joined, &found.traits, index == 0);
            }
            if let Some(configured) = self.configured.get_mut(&name) {
                configured.traits = joined;
            }
        }
    }

    /// Why `member` cannot be one of several plugins that are asked in turn.
    fn unsuitable(&self, member: &str, is_followed: bool) -> Option<Fault> {
        let found = self.configured.get(member)?;
        let fault = |message: String| Fault::new("", message).code(Code::ANY_OF);
        if found.members.is_some() {
            let fault = fault(format!("`{member}` is itself an `{}`", found.kind));
            return Some(fault.help("list its members here"));
        }
        if found.unknown {
            return None;
        }
        if !found.traits.provides.contains(&IDENTITY) {
            let fault = fault(format!("`{member}` does not prove an identity"));
            return Some(if found.traits.decides_always {
                fault.help("add `subject`, the header in `take` that contains the caller")
            } else {
                fault.help("list only plugins that authenticate, such as `jwt`, `api_key` or `basic`")
            });
        }
        if found.traits.decides_always && is_followed {
            let fault = fault(format!("no plugin after `{member}` is ever asked: it decides about every request"));
            return Some(fault.help(format!("move `{member}` to the end")));
        }
        None
    }

    /// The plugins that an [`Act::AnyOf`] names, each at its own place.
    pub(super) fn members(
        &self,
        names: &[String],
        place_name: &str,
        context: &InstallContext<'_>,
    ) -> Vec<(Arc<str>, Arc<dyn Authenticate>)> {
        let member = |plugin: &String| {
            let Some(Act::Identity(make)) = &self.configured.get(plugin)?.act else { return None };
            let name = format!("{place_name}/{plugin}");
            let made = make(&context.place(&name, plugin));
            Some((Arc::from(name), made))
        };
        names.iter().filter_map(member).collect()
    }
}

/// Adds the traits of a member.
fn join(joined: &mut Traits, member: &Traits, is_first: bool) {
    joined.issuers.extend(member.issuers.iter().cloned());
    joined.reads_certificates |= member.reads_certificates;
    joined.refuses_strangers = joined.refuses_strangers.or(member.refuses_strangers);
    joined.admits_strangers = member.admits_strangers && (is_first || joined.admits_strangers);
    joined.credentials =
        if is_first || joined.credentials == member.credentials { member.credentials.clone() } else { None };
}
