//! A plugin that runs only for requests that meet a condition.

use crate::observing::{Observed, WouldRefuse};
use crate::service::Call;
use crate::{Answered, Condition, HttpService, Problem, Reply, Request};
use std::sync::Arc;

/// The reason for a condition that cannot be evaluated.
const CANNOT: &str = "condition_failed";

/// Calls `then` if `condition` holds, and `otherwise` if it does not.
pub struct Conditional {
    pub condition: Condition,
    pub place: Arc<str>,
    pub then: HttpService,
    pub otherwise: HttpService,
    /// Set if the plugin only observes.
    pub observed: Option<Observed>,
}

impl Conditional {
    pub fn into_service(self) -> HttpService {
        HttpService::from_calls(self)
    }
}

impl Call for Conditional {
    fn call(&self, passed: &mut Option<Request>) -> Reply {
        let Some(request) = passed else { return Reply::ready(Problem::internal()) };
        let why = match self.condition.holds(request) {
            Ok(true) => return self.then.pass(passed),
            Ok(false) => return self.otherwise.pass(passed),
            Err(why) => why,
        };
        tracing::debug!(plugin = &*self.place, condition = %self.condition, %why, "a condition cannot be evaluated");
        if let Some(observed) = &self.observed {
            let refusal = observed.refusal(CANNOT.into());
            return self.otherwise.pass(passed).map(move |response| WouldRefuse::add(response, refusal));
        }
        // Whether the plugin should run is unknown: neither running it nor leaving it out is safe.
        let mut response = Problem::forbidden().log_reason(CANNOT).into();
        Answered::sign(&mut response, &self.place);
        Reply::Ready(Some(Box::new(response)))
    }
}
