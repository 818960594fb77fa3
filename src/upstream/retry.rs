//! When a request is sent again, and after which pause.

use super::failure::Failure;
use crate::config::document::route::{self, RetryMethods, RetryOn};
use gatewright_sdk::Response;
use http::header::RETRY_AFTER;
use http::{Method, StatusCode};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use tower::retry::budget::{Budget as _, TpsBudget};

/// The time over which the budget counts requests, and the retries per second that are always allowed.
const BUDGET_TIME: Duration = Duration::from_secs(10);
const LEAST_RETRIES: u32 = 10;

/// The retry policy of a route.
pub(super) struct Retry {
    settings: route::Retry,
    budget: Arc<TpsBudget>,
}

/// The budgets of the routes to one upstream. Kept across reloads, so that an edit grants no new retries.
#[derive(Default)]
pub(super) struct Budgets(Mutex<HashMap<BudgetKey, Weak<TpsBudget>>>);

/// The route, and the size in percent.
type BudgetKey = (Box<str>, u8);

impl Budgets {
    /// The budget of `route` with this size.
    fn of(&self, route: &str, percent: u8) -> Arc<TpsBudget> {
        let mut budgets = self.0.lock();
        budgets.retain(|_, budget| budget.strong_count() > 0);
        let key = (route.into(), percent);
        budgets.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
            let budget = TpsBudget::new(BUDGET_TIME, LEAST_RETRIES, f32::from(percent) / 100.0);
            let budget = Arc::new(budget);
            budgets.insert(key, Arc::downgrade(&budget));
            budget
        })
    }
}

impl Retry {
    pub fn new(settings: &route::Retry, budgets: &Budgets, route: &str) -> Self {
        Self { settings: settings.clone(), budget: budgets.of(route, settings.budget.get()) }
    }

    /// Whether requests with `method` are retried.
    pub fn applies(&self, method: &Method) -> bool {
        self.settings.methods == RetryMethods::All || method.is_idempotent()
    }

    /// The maximum length of a body that is kept, in bytes.
    pub fn body(&self) -> usize {
        self.settings.body.get()
    }

    /// How often a request may be sent again.
    pub fn attempts(&self) -> u32 {
        self.settings.attempts
    }

    pub fn per_try_timeout(&self) -> Option<Duration> {
        self.settings.per_try_timeout.map(|timeout| timeout.get())
    }

    /// Counts a request.
    pub fn deposit(&self) {
        self.budget.deposit();
    }

    /// Whether `outcome` is a reason to retry.
    pub fn wants(&self, outcome: Result<StatusCode, &Failure>) -> bool {
        self.settings.retry_on.iter().any(|reason| match (reason, outcome) {
            (RetryOn::Status(wanted), Ok(status)) => status.as_u16() == *wanted,
            (RetryOn::ConnectFailure, Err(failure)) => failure.is_connect(),
            (RetryOn::Reset, Err(failure)) => matches!(failure, Failure::Reset(_)),
            (RetryOn::Timeout, Err(failure)) => matches!(failure, Failure::Timeout),
            _ => false,
        })
    }

    /// The pause before retry number `retry`, from 0, or `None` if there must be none: too many were made, the budget is
    /// spent, or the upstream asks for a longer pause.
    pub fn pause(&self, retry: u32, after: Option<Duration>) -> Option<Duration> {
        let route::Backoff { base, max } = &self.settings.backoff;
        if retry >= self.settings.attempts || after.is_some_and(|after| after > max.get()) || !self.budget.withdraw() {
            return None;
        }
        let limit = base.get().saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX)).min(max.get());
        Some(limit.mul_f32(fastrand::f32()).max(after.unwrap_or_default()))
    }
}

/// The pause that a response asks for (RFC 9110 section 10.2.3).
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = httpdate::parse_http_date(text).ok()?;
    Some(time.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(json: serde_json::Value) -> Retry {
        Retry::new(&serde_json::from_value(json).unwrap(), &Budgets::default(), "route")
    }

    fn reset() -> Failure {
        Failure::Reset("connection closed".into())
    }

    #[test]
    fn only_named_reasons_and_idempotent_methods_are_retried() {
        let usual = retry(serde_json::json!({}));
        assert!(usual.wants(Ok(StatusCode::BAD_GATEWAY)) && usual.wants(Err(&reset())));
        assert!(!usual.wants(Ok(StatusCode::INTERNAL_SERVER_ERROR)) && !usual.wants(Err(&Failure::Timeout)));
        assert!(usual.applies(&Method::PUT) && !usual.applies(&Method::POST) && !usual.applies(&Method::PATCH));
        let all = retry(serde_json::json!({ "methods": "all", "retry_on": ["timeout", "500"] }));
        assert!(all.applies(&Method::POST) && all.wants(Err(&Failure::Timeout)) && !all.wants(Err(&reset())));
        assert!(all.wants(Ok(StatusCode::INTERNAL_SERVER_ERROR)));
    }

    #[tokio::test]
    async fn pauses_are_random_below_a_limit_and_end() {
        let retry = retry(serde_json::json!({ "attempts": 3, "backoff": { "base": "10ms", "max": "30ms" } }));
        for (number, limit) in [(0, 10), (1, 20), (2, 30)] {
            assert!(retry.pause(number, None).unwrap() <= Duration::from_millis(limit));
        }
        assert_eq!(retry.pause(3, None), None);
        assert_eq!(retry.pause(0, Some(Duration::from_millis(30))), Some(Duration::from_millis(30)));
        assert_eq!(retry.pause(0, Some(Duration::from_secs(1))), None);
    }

    #[tokio::test]
    async fn a_spent_budget_ends_retries() {
        let retry = retry(serde_json::json!({ "budget": "10%" }));
        let granted = (0..1000).filter(|_| retry.pause(0, None).is_some()).count();
        assert!((90..=110).contains(&granted), "{granted}: ten per second for ten seconds");
        (0..100).for_each(|_| retry.deposit());
        assert!(retry.pause(0, None).is_some());
    }

    #[tokio::test]
    async fn a_budget_is_that_of_one_route_and_size_while_it_is_used() {
        let budgets = Budgets::default();
        let retry = |route: &str, budget: &str| {
            let settings = serde_json::from_value(serde_json::json!({ "budget": budget, "attempts": 10 })).unwrap();
            Retry::new(&settings, &budgets, route)
        };
        let old = retry("a", "10%");
        while old.pause(0, None).is_some() {}
        let new = retry("a", "10%");
        assert_eq!(new.pause(0, None), None, "it is spent already");
        assert!(retry("b", "10%").pause(0, None).is_some() && retry("a", "20%").pause(0, None).is_some());
        drop((old, new));
        assert!(retry("a", "10%").pause(0, None).is_some());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after = |text: &str| {
            let response = http::Response::builder().header(RETRY_AFTER, text).body(gatewright_sdk::Body::empty());
            retry_after(&response.unwrap())
        };
        assert_eq!(after("2"), Some(Duration::from_secs(2)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!((after("soon"), after("-1")), (None, None));
    }
}
