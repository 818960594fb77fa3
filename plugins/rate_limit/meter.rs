//! Decides about requests: in the buckets of this process, or in those of a store that several gateways share.

use super::measure::Measures;
use super::near::{Near, is_near};
use super::quota::{Cost, Overrides, Quota};
use super::ratelimit_headers::{RATELIMIT, RATELIMIT_POLICY, RateLimitHeaders};
use super::table::{Limit, Now, SHARED, Table, View, nanos};
use crate::key::{By, Key};
use gatewright_sdk::{
    Counters, Fallback, Filter, HumanDuration, Place, Problem, Request, Response, Scope, Take, Taken, Verdict,
};
use governor::RateLimiter;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tower_governor::key_extractor::KeyExtractor;

/// What is the same at all places of a rate limit.
pub struct Rules {
    pub key: Key,
    pub ipv6_prefix: u8,
    pub max_keys: u32,
    pub cost: Cost,
    pub scope: Scope,
    pub overrides: Overrides,
    /// The quota, and those of the overrides.
    pub quotas: Vec<Quota>,
    pub store: Option<String>,
}

/// governor's limiter over a table of ours.
pub type Limiter = RateLimiter<u128, View, Now, StateInformationMiddleware>;

/// The state of a rate limit at one place. It survives reloads that do not change what is counted.
struct Counted {
    by: By,
    table: Arc<Table>,
    near: Near,
    /// The store that counts as well, or did last.
    store: Mutex<Option<Weak<dyn Counters>>>,
}

impl Counted {
    /// Goes on with this store. One that replaces another learns what was counted so far; without a store before, all buckets are marked.
    fn count_in(&self, store: Option<&Arc<dyn Counters>>) {
        let Some(store) = store.map(Arc::downgrade) else { return };
        let before = self.store.lock().replace(Weak::clone(&store));
        if before.is_some_and(|before| !before.ptr_eq(&store)) {
            self.table.mark_alone();
        }
    }
}

/// One quota at one place.
struct Terms {
    quota: Quota,
    limit: Limit,
    limiter: Limiter,
    headers: Arc<RateLimitHeaders>,
}

/// The store in which the requests of one place are counted.
struct Shared {
    counters: Arc<dyn Counters>,
    name: String,
    /// The beginning of the names of its buckets.
    prefix: String,
}

/// The filter at one place.
pub struct Meter(Arc<At>);

struct At {
    rules: Arc<Rules>,
    counted: Arc<Counted>,
    terms: Vec<Terms>,
    store: Option<Shared>,
    measures: Measures,
}

/// The request of one decision.
#[derive(Clone, Copy)]
struct Asked {
    key: u128,
    cost: NonZeroU32,
    /// Which of the terms apply.
    terms: usize,
}

/// How many requests remain, or how long to wait.
type Decision = Result<u32, Duration>;

/// What a request that continues takes along: its terms, and how many requests remain.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    terms: usize,
    left: u32,
}

/// A store responds much faster, or reports that it did not: this is never reached.
const WITHIN: Duration = Duration::from_secs(2);

impl Meter {
    pub fn new(rules: &Arc<Rules>, place: &Place<'_>) -> Self {
        let shape = format!("{:?} prefix {}", rules.key, rules.ipv6_prefix);
        let counted = place.keep(rules.scope, shape, || Counted {
            by: By::new(rules.key.clone(), rules.ipv6_prefix),
            table: Arc::default(),
            near: Near::default(),
            store: Mutex::default(),
        });
        let store = rules.store.as_ref().and_then(|name| {
            let counted = if rules.scope == Scope::Plugin { place.plugin } else { place.name };
            let prefix = format!("gatewright:{counted}:");
            place.counters(name).map(|counters| Shared { counters, name: name.clone(), prefix })
        });
        counted.count_in(store.as_ref().map(|shared| &shared.counters));
        let terms = |(index, quota): (usize, &Quota)| Terms::new(*quota, index, (rules, &counted), place);
        let terms: Vec<_> = rules.quotas.iter().enumerate().map(terms).collect();
        let measures = Measures::new(place, &counted.table, store.is_some());
        let at = Arc::new(At { rules: Arc::clone(rules), counted, terms, store, measures });
        let reported = Arc::clone(&at);
        place.report_usage(&at.counted, move || reported.usage());
        Self(at)
    }
}

impl Terms {
    fn new(quota: Quota, index: usize, (rules, counted): (&Rules, &Counted), place: &Place<'_>) -> Self {
        let limit = quota.limit();
        let max_keys = usize::try_from(rules.max_keys).unwrap_or(usize::MAX);
        let view = View { table: Arc::clone(&counted.table), limit, max_keys };
        let burst = NonZeroU32::new(quota.burst).unwrap_or(NonZeroU32::MIN);
        let governed = governor::Quota::with_period(quota.period()).expect("quotas and windows of zero are faults");
        let limiter = Limiter::new(governed.allow_burst(burst), view, Now);
        let name: String = place.plugin.chars().filter(|c| in_text(*c)).collect();
        let window = quota.window.as_secs_f64().ceil().max(1.0);
        let policy = format!("\"{name}\";q={};w={window}", quota.quota);
        // The same for every route with this limit, so that a thousand routes share the formatted headers.
        let shape = format!("{policy} {quota:?} {}", index == 0);
        let made = || RateLimitHeaders::new(&name, policy.clone(), quota.burst, quota.period(), index == 0);
        let headers = place.keep(Scope::Plugin, shape, made);
        Self { quota, limit, limiter, headers }
    }
}

/// Characters allowed in a quoted string of a structured header (RFC 9651 section 3.3.3).
fn in_text(c: char) -> bool {
    matches!(c, ' '..='~') && c != '"' && c != '\\'
}

impl At {
    /// What the limits say about `request`, or `None` if it is not limited. The name of its key is for the store, if there is
    /// one.
    fn asked(&self, request: &Request) -> Option<(Asked, &Terms, Option<String>)> {
        let cost = NonZeroU32::new(self.rules.cost.of(request.method()))?;
        let by = &self.counted.by;
        if self.rules.overrides.is_empty() && self.store.is_none() {
            let key = by.extract(request).unwrap_or(SHARED);
            return Some((Asked { key, cost, terms: 0 }, self.terms.first()?, None));
        }
        let parts = by.parts(request);
        let terms = self.rules.overrides.find(&parts).map_or(0, |index| index + 1);
        let name = self.store.is_some().then(|| by.name(&parts));
        Some((Asked { key: by.number(&parts), cost, terms }, self.terms.get(terms)?, name))
    }

    /// Takes from the bucket in this process.
    fn take(&self, asked: Asked, terms: &Terms) -> Decision {
        self.measures.fell_back();
        match terms.limiter.check_key_n(&asked.key, asked.cost) {
            Ok(Ok(state)) => Ok(state.remaining_burst_capacity()),
            Ok(Err(until)) => Err(until.wait_time_from(Nanos::new(0))),
            // `check` rejects costs that exceed the burst.
            Err(_) => Err(terms.quota.window),
        }
    }

    /// The question to a store.
    fn question(&self, shared: &Shared, asked: Asked, terms: &Terms, name: &str) -> Take {
        let alone = self.counted.table.look(asked.key, terms.limit).filter(|(_, alone)| *alone);
        Take {
            bucket: format!("{}{name}", shared.prefix),
            cost: asked.cost.get(),
            burst: terms.quota.burst,
            period: terms.quota.period(),
            owed: Duration::from_nanos(alone.map_or(0, |(owed, _)| owed)),
        }
    }

    /// Records the response of a store, from which this process goes on if the store becomes unreachable.
    fn settle(&self, asked: Asked, terms: &Terms, taken: Taken) -> Decision {
        let owed = nanos(taken.owed);
        let max_keys = usize::try_from(self.rules.max_keys).unwrap_or(usize::MAX);
        self.counted.table.record(asked.key, owed, terms.limit, max_keys);
        if taken.admitted {
            return Ok(terms.limit.left(owed));
        }
        let cost = terms.limit.period.saturating_mul(asked.cost.get().into());
        Err(Duration::from_nanos(owed.saturating_add(cost).saturating_sub(terms.limit.capacity())))
    }

    /// Counts the decision, and makes it the fate of the request.
    fn conclude(
        &self,
        asked: Asked,
        terms: &Terms,
        decision: Decision,
        name: impl FnOnce() -> String,
    ) -> ControlFlow<Response, Option<Left>> {
        if is_near(decision.unwrap_or(0), terms.quota.burst) {
            self.counted.near.note(asked.key, terms.limit, name, |key, limit| self.used(key, limit).is_some());
        }
        match decision {
            Ok(left) => {
                self.measures.allowed(left, terms.quota.burst);
                ControlFlow::Continue(Some(Left { terms: asked.terms, left }))
            }
            Err(wait) => {
                self.measures.limited();
                // Rounded up, so that a client that retries after it is admitted.
                let seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
                let refusal = Problem::too_many_requests(seconds)
                    .header(RATELIMIT_POLICY, terms.headers.policy.clone())
                    .header(RATELIMIT, terms.headers.write(0, Duration::from_secs(seconds)))
                    .reason("quota");
                ControlFlow::Break(refusal.into())
            }
        }
    }

    /// How many requests of `key` are used, if it is near or over its limit, and when one more is allowed.
    fn used(&self, key: u128, limit: Limit) -> Option<(u32, Duration)> {
        let (owed, _) = self.counted.table.look(key, limit)?;
        let left = limit.left(owed);
        let next = Duration::from_nanos(owed.saturating_add(limit.period).saturating_sub(limit.capacity()));
        is_near(left, limit.burst).then_some((limit.burst.saturating_sub(left), next))
    }

    /// For the admin API.
    fn usage(&self) -> Value {
        let Some(base) = self.terms.first() else { return Value::Null };
        let near = self.counted.near.list(|key, limit| self.used(key, limit).is_some());
        let mut near: Vec<_> =
            near.into_iter().filter_map(|(key, name)| Some((self.used(key, name.limit)?, name))).collect();
        // Those that wait longest come first.
        near.sort_by(|((used, next), name), ((others, other), theirs)| {
            (other, others, &name.text).cmp(&(next, used, &theirs.text))
        });
        let listed = near.iter().map(|((used, next), name)| {
            json!({
                "key": name.text, "used": used, "burst": name.limit.burst, "limited": !next.is_zero(),
                "next_in": HumanDuration(Duration::from_millis(nanos(*next).div_ceil(1_000_000))),
            })
        });
        let listed: Vec<_> = listed.collect();
        let mut usage = json!({
            "type": "rate_limit", "key": self.rules.key.written(), "quota": base.quota.quota,
            "window": HumanDuration(base.quota.window), "burst": base.quota.burst,
            "overrides": self.terms.len() - 1, "keys": self.counted.table.len(), "near": listed,
        });
        if let (Some(shared), Some(object)) = (&self.store, usage.as_object_mut()) {
            object.insert("store".to_owned(), json!(shared.name));
            let counted = if shared.counters.is_reachable() { "store" } else { "local" };
            object.insert("counted".to_owned(), json!(counted));
        }
        usage
    }
}

impl Filter for Meter {
    /// `None` if the request is not limited.
    type Ticket = Option<Left>;

    fn decide(&self, request: &Request) -> Verdict<Option<Left>> {
        let Some((asked, terms, name)) = self.0.asked(request) else { return Verdict::Continue(None) };
        let by = &self.0.counted.by;
        if let (Some(shared), Some(name)) = (&self.0.store, name) {
            if let Some(taking) = shared.counters.take(self.0.question(shared, asked, terms, &name)) {
                let at = Arc::clone(&self.0);
                let late = Problem::unavailable(1).log_reason("store");
                return Verdict::later(WITHIN, late, async move {
                    let taken = taking.await;
                    let Some(terms) = at.terms.get(asked.terms) else { return ControlFlow::Continue(None) };
                    let decision = match (taken, at.refuses()) {
                        (Some(taken), _) => at.settle(asked, terms, taken),
                        (None, true) => {
                            at.measures.fell_back();
                            return ControlFlow::Break(unreachable_store().into());
                        }
                        (None, false) => at.take(asked, terms),
                    };
                    at.conclude(asked, terms, decision, || name)
                });
            }
            if self.0.refuses() {
                self.0.measures.fell_back();
                return Verdict::refuse(unreachable_store());
            }
        }
        let decision = self.0.take(asked, terms);
        match self.0.conclude(asked, terms, decision, || by.name(&by.parts(request))) {
            ControlFlow::Continue(left) => Verdict::Continue(left),
            ControlFlow::Break(response) => Verdict::Break(response),
        }
    }

    fn response(&self, left: Option<Left>, response: &mut Response) {
        let Some(Left { terms, left }) = left else { return };
        let Some(terms) = self.0.terms.get(terms) else { return };
        // Several limits in one chain each append their own.
        response.headers_mut().append(RATELIMIT_POLICY, terms.headers.policy.clone());
        response.headers_mut().append(RATELIMIT, terms.headers.value(left));
    }
}

impl At {
    /// Whether requests are rejected while the store is unreachable.
    fn refuses(&self) -> bool {
        self.store.as_ref().is_some_and(|shared| shared.counters.fallback() == Fallback::Refuse)
    }
}

fn unreachable_store() -> Problem {
    Problem::unavailable(1).log_reason("store")
}
