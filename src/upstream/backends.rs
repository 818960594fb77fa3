//! The backends of an upstream: one for each target, or for each address of a target's name.

use super::Settings;
use super::backend::{Backend, Place};
use super::balance::Balance;
use super::dns::{Addresses, Lookups};
use super::health::Outcome;
use super::measure::EjectionReason;
use super::panic::{self, Panic};
use crate::config::document::dns::Dns;
use crate::config::document::server_url::ServerUrl;
use crate::config::document::upstream::PassiveCheck;
use crate::telemetry::ProxyTarget;
use arc_swap::ArcSwap;
use gatewright_sdk::{Keep, Services, WithTask};
use parking_lot::Mutex;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The backends of an upstream, and how requests are distributed among them. The list changes with the addresses of names.
pub(super) struct Backends {
    settings: Arc<Settings>,
    targets: Box<[Target]>,
    keep: Keep,
    slow_start: Option<Duration>,
    current: ArcSwap<Group>,
    /// Held while the list is replaced.
    replacing: Mutex<()>,
    panic: Arc<Panic>,
}

/// A target as configured.
struct Target {
    url: ServerUrl,
    weight: u32,
    /// `None` if its address needs no lookup.
    lookups: Option<Arc<WithTask<Lookups>>>,
}

/// The backends at one time.
#[derive(Default)]
pub(super) struct Group {
    pub list: Box<[Arc<Backend>]>,
    balance: Option<Balance>,
}

impl Backends {
    /// Those of `settings`, with the addresses that are known already. Opens no connection.
    pub fn new(settings: &Arc<Settings>, folder: &Path, dns: &Dns, keep: &Keep) -> Arc<Self> {
        let target = |target: &crate::config::document::upstream::Target| {
            let url = target.url.below(folder);
            let lookups = is_looked_up(&url).then(|| Lookups::of(&url.name, dns, keep));
            Target { url, weight: target.weight, lookups }
        };
        let this = Arc::new(Self {
            settings: Arc::clone(settings),
            targets: settings.spec.targets.iter().map(target).collect(),
            keep: keep.clone(),
            slow_start: settings.spec.load_balancing.slow_start.map(|time| time.get()),
            current: ArcSwap::default(),
            replacing: Mutex::new(()),
            panic: keep.get_or_make(&format!("panic {}", settings.name), Panic::default),
        });
        for lookups in this.targets.iter().filter_map(|target| target.lookups.as_ref()) {
            let this = Arc::downgrade(&this);
            lookups.addresses.notify(move |services| {
                let Some(this) = this.upgrade() else { return false };
                if services.is_some() {
                    this.update(services);
                }
                true
            });
        }
        this.update(None);
        this
    }

    /// The backends now.
    pub fn now(&self) -> Arc<Group> {
        self.current.load_full()
    }

    /// Replaces the list if addresses were added or removed. Backends whose address remains are the same as before.
    fn update(&self, services: Option<&Arc<dyn Services>>) {
        let _one = self.replacing.lock();
        let before = self.current.load_full();
        let mut list = Vec::with_capacity(before.list.len().max(self.targets.len()));
        let mut weights = Vec::with_capacity(list.capacity());
        for (index, target) in self.targets.iter().enumerate() {
            let known = |place: &Place| before.list.iter().find(|backend| backend.is_at(index, place)).cloned();
            // An address that was added later may be a server that has just started.
            let added = before.list.iter().any(|backend| backend.target == index && backend.place.ip().is_some());
            for place in target.places() {
                let new = || {
                    let since = added.then(Instant::now);
                    Arc::new(Backend::new(&self.settings, (index, &target.url), place.clone(), since, &self.keep))
                };
                list.push(known(&place).unwrap_or_else(new));
                weights.push(target.weight);
            }
        }
        let is_same = |(one, other): (&Arc<Backend>, &Arc<Backend>)| Arc::ptr_eq(one, other);
        if list.len() == before.list.len() && list.iter().zip(&before.list).all(is_same) {
            return;
        }
        let keys: Vec<String> = list.iter().map(|backend| backend.hashed()).collect();
        let named: Vec<_> = keys.iter().map(String::as_str).zip(weights).collect();
        let balance = Balance::new(self.settings.spec.load_balancing.policy, &named);
        self.current.store(Arc::new(Group { list: list.into(), balance: Some(balance) }));
        if let Some(services) = services {
            self.current.load().list.iter().for_each(|backend| backend.begin(services));
            drop(before);
            self.keep.sweep();
        }
    }

    /// The backend for a request that `tried` have not served. `None` if no other can.
    pub fn pick(&self, tried: &[Arc<Backend>], hash: Option<u64>) -> Option<Arc<Backend>> {
        let group = self.current.load();
        let is = |index: usize, holds: &dyn Fn(&Arc<Backend>) -> bool| group.list.get(index).is_some_and(holds);
        let fresh =
            |index| tried.is_empty() || is(index, &|backend| !tried.iter().any(|tried| Arc::ptr_eq(tried, backend)));
        let checks = self.settings.spec.health_checks.as_ref();
        if checks.map_or(self.slow_start.is_none(), |_| self.panics_in(&group)) {
            return group.choose(&fresh, hash);
        }
        let healthy = |index| fresh(index) && (checks.is_none() || is(index, &|backend| backend.is_available()));
        let warm = self.slow_start.and_then(|slow_start| {
            group.choose(&|index| healthy(index) && is(index, &|backend| backend.is_warm(slow_start)), hash)
        });
        warm.or_else(|| group.choose(&healthy, hash))
    }

    /// Whether all backends get requests, because too few are available.
    pub fn panics(&self) -> bool {
        self.panics_in(&self.current.load())
    }

    fn panics_in(&self, group: &Group) -> bool {
        let Some(checks) = &self.settings.spec.health_checks else { return false };
        let (available, all) = (group.available(), group.list.len());
        let panics = available * 100 < all * checks.panic_threshold as usize;
        self.panic.turns(panics, &self.settings.name, (available, all));
        panics
    }

    /// Whether `backend` may get requests. `panics` is what [`Self::panics`] said.
    pub fn uses(&self, backend: &Backend, panics: bool) -> bool {
        let drained = self.targets.get(backend.target).is_none_or(|target| target.weight == 0);
        let checked = self.settings.spec.health_checks.is_some();
        !drained && (!checked || backend.is_available() || panics)
    }

    /// Records what became of a request to `backend`, and ejects it if it failed too often.
    pub fn report(&self, backend: &Backend, outcome: Outcome) {
        let checks = self.settings.spec.health_checks.as_ref();
        let Some(passive) = checks.and_then(|checks| checks.passive.as_ref()) else { return };
        if let Some(reason) = backend.outcomes.count(outcome, passive) {
            self.eject(backend, passive, reason);
        }
    }

    #[cold]
    fn eject(&self, backend: &Backend, passive: &PassiveCheck, reason: EjectionReason) {
        let group = self.current.load();
        let ejected = group.list.iter().filter(|other| other.outcomes.is_ejected()).count();
        let most = (group.list.len() * passive.max_ejection_percent as usize / 100).max(1);
        if ejected >= most {
            return;
        }
        let Some(time) = backend.outcomes.eject(passive) else { return };
        if let Some(ejections) = &backend.ejections {
            ejections.count(reason);
        }
        let (ProxyTarget { upstream, address, peer }, reason) = (&*backend.label, reason.text());
        tracing::warn!(
            target: "gatewright::upstream",
            upstream = &**upstream,
            upstream_target = &**address,
            peer = peer.as_deref(),
            reason,
            ejection_time = ?time,
            human = format!("upstream {upstream}: {} is ejected for {time:?}: {reason}", backend.label),
            "target was ejected"
        );
        panic::announce_end(&backend.outcomes, &backend.label, time);
        // It may have been one too many.
        self.panics_in(&group);
    }

    /// Why the last lookup of the name of target `index` failed.
    pub fn lookup_error(&self, index: usize) -> Option<Arc<str>> {
        self.targets.get(index)?.lookups.as_ref()?.addresses.error()
    }

    /// The configured targets.
    pub fn targets(&self) -> impl Iterator<Item = &ServerUrl> {
        self.targets.iter().map(|target| &target.url)
    }
}

impl Group {
    /// How many backends no check speaks against.
    fn available(&self) -> usize {
        self.list.iter().filter(|backend| backend.is_available()).count()
    }

    /// The backends of target `index`.
    pub fn of(&self, index: usize) -> impl Iterator<Item = &Backend> {
        self.list.iter().map(|backend| &**backend).filter(move |backend| backend.target == index)
    }

    fn choose(&self, eligible: &dyn Fn(usize) -> bool, hash: Option<u64>) -> Option<Arc<Backend>> {
        let load = |index: usize| self.list.get(index).map_or(0, |backend| backend.load.active());
        self.list.get(self.balance.as_ref()?.pick(eligible, &load, hash)?).cloned()
    }
}

impl Target {
    /// Where its servers are now.
    fn places(&self) -> Vec<Place> {
        let Some(lookups) = &self.lookups else { return vec![Place::of(&self.url)] };
        let addresses: &Arc<Addresses> = &lookups.addresses;
        let found = addresses.current();
        if found.is_empty() {
            return vec![Place::Unknown(Arc::clone(addresses))];
        }
        found.iter().map(|ip: &IpAddr| Place::OneOf(*ip, Arc::clone(addresses))).collect()
    }
}

/// Whether DNS is asked for the host of `url`: not for `localhost` and for numbers, which only the system understands.
fn is_looked_up(url: &ServerUrl) -> bool {
    let host = url.name.trim_end_matches('.').to_ascii_lowercase();
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    url.socket.is_none() && url.ip.is_none() && last != "localhost" && !is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_looked_up_in_dns() {
        let is_looked_up = |url: &str| is_looked_up(&url.parse().unwrap());
        for name in ["http://orders", "http://orders.internal.:80", "http://3scale", "https://my_orders", "http://0xen"]
        {
            assert!(is_looked_up(name), "{name}");
        }
        for other in [
            "http://10.0.0.1",
            "http://[::1]",
            "unix:/run/app.sock",
            "http://localhost",
            "http://LocalHost.:80",
            "http://app.localhost",
            "http://127.1",
            "http://2130706433",
            "http://0x7f.1",
            "http://0x7f000001",
        ] {
            assert!(!is_looked_up(other), "{other}");
        }
    }
}
