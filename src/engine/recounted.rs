//! Logs which limits count anew after a reload: those whose counters belong to another key, scope or name than before.

use crate::config::words;
use crate::engine::plan::PlannedPath;
use crate::engine::snapshot::Snapshot;
use gatewright_sdk::Counting;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The settings on which it depends what is counted together.
const SETTINGS: [&str; 3] = ["key", "ipv6_prefix", "scope"];

/// How many places a line names. The rest is counted.
const NAMED: usize = 5;

/// Logs one line for each plugin that counts anew in `next`, and why.
pub(super) fn log(next: &Snapshot, serving: &Snapshot) {
    let (before, after) = (serving.usages.counting(), next.usages.counting());
    let former = Former::new(&before, &after);
    let mut anew: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for counting in after.iter().filter(|counting| !former.has(counting)) {
        if let Some(why) = former.why(counting, next, serving) {
            anew.entry((&counting.plugin, why)).or_default().push(site(counting));
        }
    }
    for ((plugin, why), sites) in anew {
        let named: Vec<_> = sites.iter().take(NAMED).map(|site| format!("`{site}`")).collect();
        let more = sites.len().saturating_sub(NAMED);
        let places = if more > 0 { format!("{} and {more} more", named.join(", ")) } else { words::and(&named) };
        let human = format!("`{plugin}` on {places} counts anew, with full buckets: {why}");
        tracing::info!(plugin, places, why, human, "limit counts anew");
    }
}

/// The route or listener of a place.
fn site(counting: &Counting) -> &str {
    counting.place.strip_suffix(&*counting.plugin).map_or("", |site| site.trim_end_matches('/'))
}

fn pointer(counting: &Counting) -> *const () {
    Arc::as_ptr(&counting.counted).cast()
}

/// What was counted before.
struct Former<'a> {
    by_place: HashMap<&'a str, &'a Counting>,
    states: HashSet<*const ()>,
    /// Places that are gone.
    gone: Vec<&'a Counting>,
}

impl<'a> Former<'a> {
    fn new(before: &'a [Counting], after: &[Counting]) -> Self {
        let kept: HashSet<&str> = after.iter().map(|counting| &*counting.place).collect();
        Self {
            by_place: before.iter().map(|counting| (&*counting.place, counting)).collect(),
            states: before.iter().map(pointer).collect(),
            gone: before.iter().filter(|counting| !kept.contains(&*counting.place)).collect(),
        }
    }

    /// Whether these counters go on.
    fn has(&self, counting: &Counting) -> bool {
        self.states.contains(&pointer(counting))
    }

    /// Why a limit that was there before does not go on; `None` for a new one.
    fn why(&self, now: &Counting, next: &Snapshot, serving: &Snapshot) -> Option<String> {
        let after = next.plan.plugins.get(&now.plugin)?;
        let spec = |old: &Counting| serving.plan.plugins.get(&old.plugin).filter(|before| before.kind == after.kind);
        if let Some(before) = self.by_place.get(&*now.place) {
            let before = &spec(before)?.settings;
            let changed = SETTINGS.iter().filter(|name| before.get(name) != after.settings.get(name));
            let changed: Vec<_> = changed.map(|name| format!("`{name}`")).collect();
            return Some(if changed.is_empty() {
                "its settings changed".to_owned()
            } else {
                format!("{} changed", words::and(&changed))
            });
        }
        let mut gone = self.gone.iter().filter(|old| spec(old).is_some());
        if let Some(old) = gone.clone().find(|old| site(old) == site(now)) {
            return Some(format!("it was `{}` before", old.plugin));
        }
        let has_moved = |old: &&&Counting| {
            let path = path(serving, site(old));
            let same_path = path.is_some() && path == self::path(next, site(now));
            old.plugin == now.plugin && (same_path || !self.stays(&now.plugin))
        };
        gone.find(has_moved).map(|old| format!("it was on `{}` before", site(old)))
    }

    /// Whether the plugin is still at one of the places where it was.
    fn stays(&self, plugin: &str) -> bool {
        let here = self.by_place.values().filter(|old| old.plugin == plugin).count();
        here > self.gone.iter().filter(|old| old.plugin == plugin).count()
    }
}

/// The paths of the route with this name.
fn path<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a PlannedPath> {
    snapshot.plan.routes.iter().find(|route| route.name == name).map(|route| &route.path)
}
