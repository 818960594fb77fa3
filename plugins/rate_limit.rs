//! Limits how often one client, user or API key may call.

mod measure;
mod meter;
mod near;
mod quota;
mod ratelimit_headers;
mod table;
#[cfg(test)]
mod tests;

use crate::key::Key;
use gatewright_sdk::metrics::Instrument;
use gatewright_sdk::{CheckContext, Code, Compiled, Fault, HumanDuration, Plugin, StoreUse, Traits};
use meter::{Meter, Rules};
pub use near::is_near;
pub use quota::LimitScope;
pub use quota::Overrides;
use quota::{Cost, Override, Quota};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Limits how often a client, user or API key may call. Requests over the limit are rejected with 429. Every response
/// shows what is left (`RateLimit`, `RateLimit-Policy`). The counters survive reloads; if an edit changes the quota, what
/// was used counts against the new one. They start anew if it changes the key, the scope or the name of the plugin.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// What to count by: `client.ip`; `auth.subject`, the user that an earlier plugin has authenticated; or
    /// `header.NAME`, such as `header.x-api-key`; or `{ cel: auth.claims.tenant }`, the value of an expression (see
    /// docs/expressions.md). A list of up to four counts by their combination: `[client.ip, header.x-api-key]`. Requests
    /// that have no such value are counted by client address. Headers that do not arrive as sent (`host`, names with an
    /// underscore) or that repeat the client address are not allowed.
    key: Key,
    /// How many requests are allowed per `window`, on average.
    quota: u32,
    /// The time in which `quota` requests are allowed.
    window: HumanDuration,
    /// How many requests may arrive at once after a pause. Default: `quota`.
    #[serde(default)]
    burst: Option<u32>,
    /// How many requests a request counts as: a number, or a number for each method, such as `{ GET: 1, POST: 10 }`.
    /// Methods that are not listed count as 1, and a method with 0 is not limited.
    #[serde(default)]
    cost: Cost,
    /// Other limits for single keys, by the value of the key: a user, the value of a header, or for `client.ip` an
    /// address or a network. With several keys, the first one with an override decides. These values are shown in the
    /// running configuration, so use none that are secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    overrides: BTreeMap<String, Override>,
    /// How many leading bits of an IPv6 address identify a client. A subscriber usually has a whole network. IPv4 clients behind a
    /// translator (NAT64, `64:ff9b::/96`) always count one by one.
    #[serde(default = "one_subscriber")]
    #[schemars(range(max = 128))]
    ipv6_prefix: u8,
    /// How many keys are counted separately; at most 500000. Beyond that, new keys share one counter.
    #[serde(default = "many_keys")]
    max_keys: u32,
    /// Whether each use of the plugin counts on its own, or all together.
    #[serde(default)]
    scope: LimitScope,
    /// The Redis store in which several gateways count together. Without it, each gateway counts separately.
    #[serde(default)]
    store: Option<String>,
}

pub const fn one_subscriber() -> u8 {
    64
}

const fn many_keys() -> u32 {
    200_000
}

/// More would take more than 32 MiB.
const MOST_KEYS: u32 = 500_000;

impl Plugin for RateLimit {
    const NAME: &'static str = "rate_limit";
    const INSTRUMENTS: &'static [&'static Instrument] = measure::ALL;

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let (fields, mut faults) = self.key.fields();
        let traits = Traits {
            requires: self.key.requires(),
            limits: true,
            counts_in: self.store.clone().map(|name| StoreUse { path: "store", name }),
            fields,
            exposes: ["ratelimit", "ratelimit-policy", "retry-after"].map(str::to_owned).to_vec(),
            contract: ratelimit_headers::contract(),
            ..Traits::default()
        };
        faults.extend(self.faults());
        let compiled = match self.rules() {
            Ok(rules) if faults.is_empty() => {
                let rules = Arc::new(rules);
                Compiled::filter_at(move |place| Meter::new(&rules, place))
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

impl RateLimit {
    fn quota(&self) -> Quota {
        Quota::of(self.quota, self.window, self.burst)
    }

    /// Everything that is the same at all places.
    fn rules(&self) -> Result<Rules, Vec<Fault>> {
        let base = self.quota();
        let overridden = self.overrides.values().map(|other| base.overridden(other));
        Ok(Rules {
            key: self.key.clone(),
            ipv6_prefix: self.ipv6_prefix,
            max_keys: self.max_keys,
            cost: self.cost.clone(),
            scope: self.scope.into(),
            overrides: Overrides::new(self.overrides.keys(), &self.key)?,
            quotas: std::iter::once(base).chain(overridden).collect(),
            store: self.store.clone(),
        })
    }

    fn faults(&self) -> Vec<Fault> {
        let base = self.quota();
        let mut faults = base.faults(self.burst.is_some());
        let mut smallest = base.burst;
        for (name, other) in &self.overrides {
            let quota = base.overridden(other);
            smallest = smallest.min(quota.burst);
            if other.quota.is_none() && other.window.is_none() && other.burst.is_none() {
                let fault = Fault::new(format!("overrides.{name}"), "the override changes nothing");
                faults.push(fault.help("set `quota`, `window` or `burst`, or remove it"));
            } else if faults.is_empty() {
                let found = quota.faults(other.burst.is_some());
                let inner = |fault: Fault| Fault { path: format!("overrides.{name}.{}", fault.path), ..fault };
                faults.extend(found.into_iter().map(inner));
            }
        }
        let mut must = |holds: bool, path: &str, message: &str, help: &str| {
            if !holds {
                faults.push(Fault::new(path, message).code(Code::OUT_OF_RANGE).help(help));
            }
        };
        must(self.ipv6_prefix <= 128, "ipv6_prefix", "an IPv6 address has 128 bits", "use at most 128");
        let keys = (1..=MOST_KEYS).contains(&self.max_keys);
        must(keys, "max_keys", "`max_keys` is out of range", "use a number from 1 to 500000");
        if faults.is_empty() {
            faults.extend(self.cost.faults(smallest));
        }
        faults
    }
}
