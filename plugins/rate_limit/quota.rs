//! How much is allowed, and for which keys it differs: quotas, overrides and costs.

use super::table::{Limit, nanos};
use crate::key::{Key, KeyPart, Part};
use gatewright_sdk::{ClientNetwork, Code, Fault, HumanDuration, Scope};
use http::Method;
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// What counts together when a plugin is used more than once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "LimitScope")]
pub enum LimitScope {
    /// Each route or listener that uses the plugin counts on its own.
    #[default]
    Place,
    /// All routes and listeners that use the plugin count together.
    Plugin,
}

impl From<LimitScope> for Scope {
    fn from(scope: LimitScope) -> Self {
        match scope {
            LimitScope::Place => Self::Place,
            LimitScope::Plugin => Self::Plugin,
        }
    }
}

/// A quota for one key.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RateLimitOverride")]
pub struct Override {
    /// How many requests are allowed per `window`, on average. Default: as without the override.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<u32>,
    /// The time in which `quota` requests are allowed. Default: as without the override.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<HumanDuration>,
    /// How many requests may arrive at once after a pause. Default: the `quota` of the override if it has one, otherwise
    /// as without the override.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

/// One quota with everything resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub quota: u32,
    pub window: Duration,
    pub burst: u32,
}

impl Quota {
    pub fn of(quota: u32, window: HumanDuration, burst: Option<u32>) -> Self {
        Self { quota, window: window.get(), burst: burst.unwrap_or(quota) }
    }

    /// The same with the values that `other` sets.
    pub fn overridden(self, other: &Override) -> Self {
        Self {
            quota: other.quota.unwrap_or(self.quota),
            window: other.window.map_or(self.window, HumanDuration::get),
            burst: other.burst.or(other.quota).unwrap_or(self.burst),
        }
    }

    /// The time in which one request is refilled; zero if the quota is invalid.
    pub fn period(self) -> Duration {
        self.window.checked_div(self.quota).unwrap_or_default()
    }

    pub fn limit(self) -> Limit {
        Limit { period: nanos(self.period()), burst: self.burst }
    }

    /// What is wrong with it, each with the setting.
    pub fn faults(self, has_burst: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut must = |code: Code, holds: bool, path: &str, message: &str, help: &str| {
            if !holds {
                faults.push(Fault::new(path, message).code(code).help(help));
            }
        };
        must(Code::ZERO, self.quota > 0, "quota", "a quota of zero rejects every request", "use at least 1");
        let window = !self.window.is_zero();
        must(Code::ZERO, window, "window", "`window` must not be zero", "use a time such as `1s`");
        let help = "remove `burst`, or use at least 1";
        must(Code::ZERO, !has_burst || self.burst > 0, "burst", "a burst of zero rejects every request", help);
        if self.quota > 0 && window {
            let (period, help) = (!self.period().is_zero(), "use a smaller `quota` or a longer `window`");
            must(Code::RATE_LIMIT, period, "quota", "the rate exceeds one request per nanosecond", help);
            // The limiter counts in nanoseconds that fit 64 bits: this is far below.
            let refill = self.period().checked_mul(self.burst);
            let sane = refill.is_some_and(|refill| refill <= Duration::from_secs(100 * 366 * 24 * 3600));
            let message = "this burst would take more than a century to refill";
            must(Code::RATE_LIMIT, sane, "burst", message, "use a smaller `burst`");
        }
        faults
    }
}

/// Which keys have a quota of their own. Indexes are those of the overrides in the order of their names.
#[derive(Default)]
pub struct Overrides {
    /// By the value of a header, or the user.
    names: HashMap<Box<[u8]>, usize>,
    /// By address, the longest prefix first.
    networks: Vec<(IpNet, usize)>,
}

impl Overrides {
    /// Reads the names, which are values of `key`.
    pub fn new<'a>(names: impl Iterator<Item = &'a String>, key: &Key) -> Result<Self, Vec<Fault>> {
        let addresses = key.has(&KeyPart::Client);
        let others = !addresses || key.written().len() > 1;
        let (mut overrides, mut faults) = (Self::default(), Vec::new());
        for (index, name) in names.enumerate() {
            let network = if addresses { name.parse::<ClientNetwork>() } else { Err(Fault::new("", "")) };
            match network {
                Ok(network) => overrides.networks.extend(network.network().map(|network| (network, index))),
                Err(fault) if !others => {
                    faults.push(Fault { path: format!("overrides.{name}"), ..fault });
                }
                Err(_) => drop(overrides.names.insert(name.as_bytes().into(), index)),
            }
        }
        overrides.networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        if faults.is_empty() { Ok(overrides) } else { Err(faults) }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.networks.is_empty()
    }

    /// The override of the first part that has one.
    pub fn find(&self, parts: &[Part<'_>]) -> Option<usize> {
        parts.iter().find_map(|part| match part {
            Part::Address(client) => {
                let ip = client.ip()?;
                self.networks.iter().find(|(network, _)| network.contains(&ip)).map(|(_, index)| *index)
            }
            Part::Subject(name) => self.names.get(name.as_bytes()).copied(),
            Part::Header(_, value) => self.names.get(*value).copied(),
            Part::Value(_, text) => self.names.get(text.as_bytes()).copied(),
        })
    }
}

/// How many requests a request counts as: the same for all, or by method.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Cost {
    Same(u32),
    ByMethod(BTreeMap<String, u32>),
}

impl Default for Cost {
    fn default() -> Self {
        Self::Same(1)
    }
}

impl Cost {
    pub fn of(&self, method: &Method) -> u32 {
        match self {
            Self::Same(cost) => *cost,
            Self::ByMethod(costs) => costs.get(method.as_str()).copied().unwrap_or(1),
        }
    }

    /// What is wrong with it if the smallest burst is `burst`.
    pub fn faults(&self, burst: u32) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut check = |path: String, cost: u32| {
            if cost > burst {
                let message = format!("a request that costs {cost} never passes: the smallest burst is {burst}");
                faults.push(
                    Fault::new(path, message).code(Code::RATE_LIMIT).help("use a smaller `cost` or a larger `burst`"),
                );
            }
        };
        match self {
            Self::Same(0) => {
                let fault = Fault::new("cost", "a cost of zero limits nothing").code(Code::ZERO);
                faults.push(fault.help("use at least 1; with a cost by method, single methods may cost 0"));
            }
            Self::Same(cost) => check("cost".to_owned(), *cost),
            Self::ByMethod(costs) => {
                for (method, cost) in costs {
                    check(format!("cost.{method}"), *cost);
                }
                for method in costs.keys() {
                    let known = Method::from_bytes(method.as_bytes()).is_ok() && *method == method.to_ascii_uppercase();
                    if !known {
                        let fault = Fault::new(format!("cost.{method}"), format!("`{method}` is not a method"));
                        faults.push(fault.code(Code::UNKNOWN_WORD).help("write methods in capitals, such as `POST`"));
                    }
                }
            }
        }
        faults
    }
}

impl JsonSchema for Cost {
    fn schema_name() -> Cow<'static, str> {
        "RateLimitCost".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let cost = json_schema!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": u32::MAX },
                { "type": "object", "additionalProperties": cost, "minProperties": 1, "examples": [{ "POST": 10 }] },
            ]
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn an_override_replaces_what_it_sets() {
        let base = Quota { quota: 20, window: Duration::from_secs(1), burst: 40 };
        let with = |quota, burst| base.overridden(&Override { quota, window: None, burst });
        assert_eq!(with(Some(200), None), Quota { quota: 200, burst: 200, ..base });
        assert_eq!(with(None, Some(80)), Quota { burst: 80, ..base });
        assert_eq!(with(Some(5), Some(80)), Quota { quota: 5, burst: 80, ..base });
        let window = Override { quota: None, window: Some(HumanDuration::from_secs(60)), burst: None };
        assert_eq!(base.overridden(&window), Quota { window: Duration::from_secs(60), ..base });
    }

    fn key(key: Value) -> Key {
        serde_json::from_value(key).unwrap()
    }

    #[test]
    fn the_longest_network_wins_and_names_are_exact() {
        let names = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "acme"].map(str::to_owned);
        let overrides = Overrides::new(names.iter(), &key(json!(["client.ip", "auth.subject"]))).unwrap();
        let of = |part: Part<'_>| overrides.find(&[part]);
        for (ip, index) in [("10.9.9.9", Some(0)), ("10.1.9.9", Some(1)), ("10.1.2.3", Some(2)), ("192.0.2.1", None)] {
            assert_eq!(of(Part::Address(ip.parse().unwrap())), index, "{ip}");
        }
        assert_eq!((of(Part::Subject("acme")), of(Part::Subject("Acme"))), (Some(3), None));
        let faults = Overrides::new(names.iter(), &key(json!("client.ip"))).err().unwrap();
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].to_string(), "overrides.acme: `acme` is not a valid address or network");
    }
}
