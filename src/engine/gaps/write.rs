//! Bypasses through a method that writes, which another route names for the same path.

use super::listed::listed;
use super::{Search, TRIED, Way};
use http::Method;

impl Search<'_> {
    /// Through a route for the same path that names methods which write, while this one guards even reading. A file may state that
    /// reading needs no guard; that only writing needs none is hardly meant.
    pub(super) fn by_write(&self) -> Way {
        if !self.protected.contains(&&Method::GET) {
            return None;
        }
        let taken = TRIED.iter().filter(|method| self.route.takes(method) && !self.protected.contains(method));
        let open = taken.filter(|method| !method.is_safe()).filter_map(|method| {
            let open = self.on_own_hosts(self.asked(None, &self.path, method))?;
            let rule = self.router.routes().get(open.index)?;
            (rule.pattern == self.route.pattern && !rule.methods.is_empty()).then_some((method, open))
        });
        let open: Vec<_> = open.collect();
        let (_, first) = *open.first()?;
        let methods = open.iter().filter(|(_, open)| open.index == first.index).map(|(method, _)| *method);
        self.way(first, self.path_key(), &format!("requests with {} reach", listed(methods)), first.help())
    }
}
