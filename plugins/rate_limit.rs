//! Limits how often one client, user or API key may call.

mod buckets;
mod key;
mod measure;
mod ratelimit_headers;
#[cfg(test)]
mod tests;

use buckets::Buckets;
use gatewright_sdk::fields::{self, NamedField, Use};
use gatewright_sdk::metrics::Instrument;
use gatewright_sdk::{
    CheckContext, Code, Compiled, Fault, Filter, HumanDuration, IDENTITY, Place, Plugin, Problem, Request, Response,
    Scope, Traits, Verdict,
};
use key::{By, RateLimitKey};
use measure::Measures;
use ratelimit_headers::{RATELIMIT, RATELIMIT_POLICY, RateLimitHeaders};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::KeyExtractor;

/// Limits how often a client, user or API key may call. Requests over the limit are rejected with 429. Every response
/// shows what is left (`RateLimit`, `RateLimit-Policy`). The counters survive reloads, until these settings change.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// What to count by: `client.ip`; `auth.subject`, the user that an earlier plugin has authenticated; or
    /// `header.NAME`, such as `header.x-api-key`. Requests without that user or header are counted by client address.
    /// Headers that do not arrive as sent (`host`, names with an underscore) or that repeat the client address are not
    /// allowed.
    key: RateLimitKey,
    /// How many requests are allowed per `window`, on average.
    quota: u32,
    /// The time in which `quota` requests are allowed.
    window: HumanDuration,
    /// How many requests may arrive at once after a pause. Default: `quota`.
    #[serde(default)]
    burst: Option<u32>,
    /// How many leading bits of an IPv6 address identify a client. A subscriber usually has a whole network.
    #[serde(default = "one_subscriber")]
    #[schemars(range(max = 128))]
    ipv6_prefix: u8,
    /// How many keys are counted separately; at most 500000. Beyond that, new keys share one counter.
    #[serde(default = "many_keys")]
    max_keys: u32,
    /// A store in which several gateways count together.
    #[serde(default)]
    #[schemars(extend("x-pending" = true))]
    store: Option<String>,
}

const fn one_subscriber() -> u8 {
    64
}

const fn many_keys() -> u32 {
    200_000
}

/// With more keys, a sweep would delay the request that runs it by more than 20 ms.
const MOST_KEYS: u32 = 500_000;

impl RateLimit {
    fn burst(&self) -> u32 {
        self.burst.unwrap_or(self.quota)
    }

    /// The header field used as the key, if any, or why it cannot be used.
    fn field(&self) -> Option<Result<NamedField, Fault>> {
        let RateLimitKey::Header(name) = &self.key else { return None };
        Some(fields::named(name.as_str(), Use::Read, "key"))
    }

    /// The time in which one more request is allowed; zero if the quota is invalid.
    fn period(&self) -> Duration {
        self.window.get().checked_div(self.quota).unwrap_or_default()
    }
}

impl Plugin for RateLimit {
    const NAME: &'static str = "rate_limit";
    const INSTRUMENTS: &'static [&'static Instrument] = measure::ALL;

    fn compile(self, _: &CheckContext<'_>) -> Compiled {
        let traits = Traits {
            requires: if self.key == RateLimitKey::Subject { &[IDENTITY] } else { &[] },
            limits: true,
            fields: self.field().and_then(Result::ok).into_iter().collect(),
            exposes: ["ratelimit", "ratelimit-policy", "retry-after"].map(str::to_owned).to_vec(),
            ..Traits::default()
        };
        let faults = self.faults();
        let compiled =
            if faults.is_empty() { Compiled::filter_at(move |place| self.meter(place)) } else { faults.into() };
        compiled.traits(traits)
    }
}

impl RateLimit {
    /// The meter at `place`.
    fn meter(&self, place: &Place<'_>) -> Meter {
        let (period, burst) = (self.period(), self.burst());
        let shape = format!(
            "{:?} {}/{} burst {burst} prefix {} keys {}",
            self.key, self.quota, self.window, self.ipv6_prefix, self.max_keys
        );
        let buckets = place.keep(Scope::Place, shape, || {
            let by = By::new(self.key.clone(), self.ipv6_prefix);
            let mut builder = GovernorConfigBuilder::default();
            let config = builder.period(period).burst_size(burst).key_extractor(by.clone()).use_headers().finish();
            let max_keys = usize::try_from(self.max_keys).unwrap_or(usize::MAX);
            Buckets::new(by, config.expect("quotas and bursts of zero are faults"), burst, max_keys)
        });
        let name: String = place.plugin.chars().filter(|c| in_text(*c)).collect();
        let window = self.window.get().as_secs_f64().ceil().max(1.0);
        let policy = format!("\"{name}\";q={};w={window}", self.quota);
        // The same for every route with this limit, so that a thousand routes share the formatted headers.
        let shape = format!("{policy} burst {burst} every {period:?}");
        let headers = place.keep(Scope::Plugin, shape, || RateLimitHeaders::new(&name, policy.clone(), burst, period));
        let measures = Measures::new(place, &buckets, burst);
        Meter { buckets, headers, measures }
    }

    fn faults(&self) -> Vec<Fault> {
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
        must(Code::ZERO, self.burst != Some(0), "burst", "a burst of zero rejects every request", help);
        let prefix = self.ipv6_prefix <= 128;
        must(Code::OUT_OF_RANGE, prefix, "ipv6_prefix", "an IPv6 address has 128 bits", "use at most 128");
        let keys = (1..=MOST_KEYS).contains(&self.max_keys);
        must(Code::OUT_OF_RANGE, keys, "max_keys", "`max_keys` is out of range", "use a number from 1 to 500000");
        if self.quota > 0 && !self.window.is_zero() {
            let (period, help) = (!self.period().is_zero(), "use a smaller `quota` or a longer `window`");
            must(Code::RATE_LIMIT, period, "quota", "the rate exceeds one request per nanosecond", help);
            // The limiter counts in nanoseconds that fit 64 bits: this is far below.
            let refill = self.period().checked_mul(self.burst());
            let sane = refill.is_some_and(|refill| refill <= Duration::from_secs(100 * 366 * 24 * 3600));
            let message = "this burst would take more than a century to refill";
            must(Code::RATE_LIMIT, sane, "burst", message, "use a smaller `burst`");
        }
        faults.extend(self.field().and_then(Result::err));
        if let Some(store) = &self.store {
            let fault =
                Fault::new("store", format!("`store: {store}` is not implemented yet")).code(Code::NOT_IMPLEMENTED);
            faults.push(fault.help("remove it; for now, each process counts separately"));
        }
        faults
    }
}

/// Characters allowed in a quoted string of a structured header (RFC 9651 section 3.3.3).
fn in_text(c: char) -> bool {
    matches!(c, ' '..='~') && c != '"' && c != '\\'
}

struct Meter {
    buckets: Arc<Buckets>,
    headers: Arc<RateLimitHeaders>,
    measures: Measures,
}

impl Filter for Meter {
    /// The number of requests left.
    type Ticket = u32;

    fn decide(&self, request: &Request) -> Verdict<u32> {
        let key = self.buckets.by.extract(request);
        match self.buckets.take(key.unwrap_or(buckets::SHARED)) {
            Ok(left) => {
                self.measures.allowed(left);
                Verdict::Continue(left)
            }
            Err(wait) => {
                self.measures.limited();
                // Rounded up, so that a client that retries after it is admitted.
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let refusal = Problem::too_many_requests(seconds)
                    .header(RATELIMIT_POLICY, self.headers.policy.clone())
                    .header(RATELIMIT, self.headers.write(0, Duration::from_secs(seconds.max(1))))
                    .reason("quota");
                Verdict::refuse(refusal)
            }
        }
    }

    fn response(&self, left: u32, response: &mut Response) {
        // Several limits in one chain each append their own.
        response.headers_mut().append(RATELIMIT_POLICY, self.headers.policy.clone());
        response.headers_mut().append(RATELIMIT, self.headers.value(left));
    }
}
