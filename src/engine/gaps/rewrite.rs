//! Bypasses through a `replace` or `regex` rewrite of one of the two routes.

use super::{Asked, Open, Search, TRIED, Way};
use crate::engine::guarded::{Guarded, missing};
use crate::engine::reach::{Meeting, SAMPLE};
use crate::engine::router::Match;

impl<'a> Search<'a> {
    /// Through a path that a `replace` or `regex` rewrite of one of the routes turns into one that the target sees
    /// through both. Skips routes already in `told`.
    pub(super) fn by_rewrite(&self, told: &[usize]) -> Way {
        let mut others = self.rules(&self.others.rewritten).filter(|(index, ..)| !told.contains(index));
        others.find_map(|(index, other, rule)| {
            match self.guarded.reach.meeting(&self.route.pattern, &other.reach, &rule.pattern) {
                Meeting::Never => None,
                Meeting::At { seen, paths } => self.through(&seen, paths, (index, rule)),
                Meeting::Unknown => self.perhaps((index, other, rule)),
            }
        })
    }

    /// Through the path of another route that the target sees as `seen`, as it sees `own` of this one.
    fn through(&self, seen: &str, (own, path): (String, String), (index, rule): (usize, &'a Match)) -> Way {
        let (headers, hosts) = (self.headers_beside(rule), self.route.hosts.samples(SAMPLE));
        let taken = TRIED.iter().filter(|method| {
            let mut takers = hosts.iter().map(|host| self.taker(host.as_deref(), &own, method, &self.headers));
            takers.any(|taker| taker == Some(self.index))
        });
        let asked = |method| Asked { headers: &headers, seen: Some(seen), ..self.asked(None, &path, method) };
        let mut open = taken.filter_map(|method| self.on_own_hosts(asked(method)));
        let open = open.find(|open| open.index == index)?;
        self.way(open, self.path_key(), &format!("requests for `{path}` reach"), open.help())
    }

    /// Through `other`, if its expression makes such a path: that cannot be decided.
    fn perhaps(&self, (index, other, rule): (usize, &'a Guarded<'a>, &'a Match)) -> Way {
        let missing = missing(self.guarded, other)?;
        let is_open = |method| self.route.takes(method) && rule.takes(method) && other.unasked.contains(method);
        let meets = |host: &Option<String>| host.as_ref().is_none_or(|host| rule.hosts.cover(host));
        if !TRIED.iter().any(is_open) || !self.route.hosts.samples(SAMPLE).iter().any(meets) {
            return None;
        }
        let open = Open { index, name: other.name, missing };
        let help = "the paths that `regex` makes cannot be compared; use `strip_prefix`, `add_prefix` or `replace`";
        self.way(open, self.path_key(), "some requests may reach", format!("{help}, or {}", open.help()))
    }
}
