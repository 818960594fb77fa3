//! Limits how many requests of one client, user or API key are in progress at once.

use crate::key::{By, Key};
use crate::rate_limit::{LimitScope, Overrides, is_near};
use gatewright_sdk::metrics::{Counter, Instrument, Measure, Observed, number};
use gatewright_sdk::{
    CheckContext, Code, Compiled, Contract, Fault, Filter, HeldByUpgrade, Place, Plugin, Problem, Request, Response,
    Scope, Traits, Verdict, hold,
};
use http::header::UPGRADE;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Limits how many requests of one client, user or API key are in progress at once. Requests beyond that are rejected
/// with 429. A request is in progress until the last byte of its response was sent, the client has left, or the WebSocket
/// that it opened is closed.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcurrencyLimit {
    /// What to count by, as in `rate_limit`: `client.ip`, `auth.subject`, `header.NAME`, `{ cel: … }`, or a list of them.
    key: Key,
    /// How many requests may be in progress at once.
    max: u32,
    /// Other limits for single keys, by the value of the key, as in `rate_limit`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    overrides: BTreeMap<String, Override>,
    /// Whether each use of the plugin counts on its own, or all together.
    #[serde(default)]
    scope: LimitScope,
    /// How many leading bits of an IPv6 address identify a client. IPv4 clients behind a translator (NAT64, `64:ff9b::/96`) always
    /// count one by one.
    #[serde(default = "crate::rate_limit::one_subscriber")]
    #[schemars(range(max = 128))]
    ipv6_prefix: u8,
}

/// A limit for one key.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConcurrencyOverride")]
struct Override {
    /// How many requests may be in progress at once.
    max: u32,
}

static ACTIVE: Instrument = Instrument {
    name: "gateway.concurrency_limit.active_requests",
    measure: Measure::UpDownCounter,
    unit: "{request}",
    help: "Requests in progress that a concurrency limit counts",
    attributes: &["gateway.plugin"],
};

static REJECTED: Instrument = Instrument {
    name: "gateway.concurrency_limit.rejected",
    measure: Measure::Counter,
    unit: "{request}",
    help: "Requests that a concurrency limit rejected",
    attributes: &["gateway.plugin"],
};

impl Plugin for ConcurrencyLimit {
    const NAME: &'static str = "concurrency_limit";
    const INSTRUMENTS: &'static [&'static Instrument] = &[&ACTIVE, &REJECTED];

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let (fields, mut faults) = self.key.fields();
        let traits = Traits {
            requires: self.key.requires(),
            limits: true,
            fields,
            exposes: vec!["retry-after".to_owned()],
            contract: Contract::rejects(&[429]),
            ..Traits::default()
        };
        let named = self.overrides.iter().map(|(name, other)| (format!("overrides.{name}.max"), other.max));
        for (path, _) in std::iter::once(("max".to_owned(), self.max)).chain(named).filter(|(_, max)| *max == 0) {
            let fault = Fault::new(path, "a maximum of zero rejects every request").code(Code::ZERO);
            faults.push(fault.help("use at least 1"));
        }
        if self.ipv6_prefix > 128 {
            let fault = Fault::new("ipv6_prefix", "an IPv6 address has 128 bits").code(Code::OUT_OF_RANGE);
            faults.push(fault.help("use at most 128"));
        }
        let compiled = match Overrides::new(self.overrides.keys(), &self.key) {
            Ok(overrides) if faults.is_empty() => {
                let limits = std::iter::once(self.max).chain(self.overrides.values().map(|other| other.max)).collect();
                let rules = Arc::new(Rules {
                    key: self.key,
                    ipv6_prefix: self.ipv6_prefix,
                    scope: self.scope.into(),
                    overrides,
                    limits,
                });
                Compiled::filter_at(move |place| Gate::new(&rules, place))
            }
            Ok(_) => faults.into(),
            Err(more) => {
                faults.extend(more);
                faults.into()
            }
        };
        compiled.traits(traits)
    }
}

struct Rules {
    key: Key,
    ipv6_prefix: u8,
    scope: Scope,
    overrides: Overrides,
    /// The limit, and those of the overrides.
    limits: Vec<u32>,
}

/// The requests in progress at one place. It survives reloads.
struct Slots {
    by: By,
    taken: Mutex<HashMap<u128, Taken>>,
    active: AtomicUsize,
}

#[derive(Default)]
struct Taken {
    requests: u32,
    /// The limit that applied last.
    max: u32,
    /// Its name, once it is near its limit.
    name: Option<Box<str>>,
}

impl Taken {
    fn is_near(&self) -> bool {
        is_near(self.max.saturating_sub(self.requests), self.max)
    }
}

/// One request in progress.
struct Slot {
    slots: Arc<Slots>,
    key: u128,
}

impl Slots {
    /// A slot for a request, unless `max` are in progress.
    fn enter(self: &Arc<Self>, key: u128, max: u32, name: impl FnOnce() -> String) -> Option<Slot> {
        let mut all = self.taken.lock();
        let taken = all.entry(key).or_default();
        taken.max = max;
        let admitted = taken.requests < max;
        if admitted {
            taken.requests += 1;
            self.active.fetch_add(1, Relaxed);
        }
        if taken.is_near() && taken.name.is_none() {
            taken.name = Some(name().into());
        }
        admitted.then(|| Slot { slots: Arc::clone(self), key })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.active.fetch_sub(1, Relaxed);
        let mut all = self.slots.taken.lock();
        if let Some(taken) = all.get_mut(&self.key) {
            taken.requests = taken.requests.saturating_sub(1);
            if taken.requests == 0 {
                all.remove(&self.key);
            }
        }
    }
}

struct Gate {
    rules: Arc<Rules>,
    slots: Arc<Slots>,
    rejected: Arc<Counter>,
    _active: Arc<Observed>,
}

impl Gate {
    fn new(rules: &Arc<Rules>, place: &Place<'_>) -> Self {
        let shape = format!("{:?} prefix {}", rules.key, rules.ipv6_prefix);
        let make = || Slots {
            by: By::new(rules.key.clone(), rules.ipv6_prefix),
            taken: Mutex::default(),
            active: AtomicUsize::new(0),
        };
        let slots = place.keep(rules.scope, shape, make);
        let (counted, reported, reported_rules) = (Arc::clone(&slots), Arc::clone(&slots), Arc::clone(rules));
        place.report_usage(&slots, move || usage(&reported_rules, &reported));
        Self {
            rules: Arc::clone(rules),
            slots,
            rejected: place.counter(&REJECTED, []),
            _active: place.observe(&ACTIVE, [], move || number(counted.active.load(Relaxed))),
        }
    }
}

/// For the admin API.
fn usage(rules: &Rules, slots: &Slots) -> Value {
    let all = slots.taken.lock();
    let mut near: Vec<_> = all.values().filter(|taken| taken.is_near()).collect();
    near.sort_by(|one, other| (other.requests, &one.name).cmp(&(one.requests, &other.name)));
    let listed = near.iter().take(1000).map(|taken| {
        json!({ "key": taken.name, "used": taken.requests, "max": taken.max, "limited": taken.requests >= taken.max })
    });
    json!({
        "type": "concurrency_limit", "key": rules.key.written(), "max": rules.limits.first(),
        "overrides": rules.limits.len() - 1, "active": slots.active.load(Relaxed), "keys": all.len(),
        "near": listed.collect::<Vec<_>>(),
    })
}

impl Filter for Gate {
    /// Shared with the connection that the request may upgrade.
    type Ticket = Arc<Slot>;

    fn decide(&self, request: &Request) -> Verdict<Arc<Slot>> {
        let by = &self.slots.by;
        let parts = by.parts(request);
        let terms = self.rules.overrides.find(&parts).map_or(0, |index| index + 1);
        let max = self.rules.limits.get(terms).copied().unwrap_or_default();
        match self.slots.enter(by.number(&parts), max, || by.name(&parts)) {
            Some(slot) => Verdict::Continue(Arc::new(slot)),
            None => {
                self.rejected.add(1);
                Verdict::refuse(Problem::too_many_requests(1).reason("concurrency"))
            }
        }
    }

    fn held(slot: &Arc<Slot>) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(slot.clone())
    }

    fn admit(&self, slot: &mut Arc<Slot>, request: &mut Request) {
        if request.headers().contains_key(UPGRADE) {
            HeldByUpgrade::of(request).push(slot.clone());
        }
    }

    fn response(&self, slot: Arc<Slot>, response: &mut Response) {
        *response = hold(std::mem::take(response), slot);
    }
}

#[cfg(test)]
mod tests;
