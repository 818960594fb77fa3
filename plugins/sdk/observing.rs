//! Plugins that only observe: what they would refuse is counted and shown in logs and traces, and passes.

use crate::filter::Wait;
use crate::held::{HeldByUpgrade, hold};
use crate::metrics::{self, Counter, Instrument, Measure};
use crate::service::Call;
use crate::{
    ByteSize, Filter, HttpService, Note, Problem, Refusal, Reply, Request, Response, Verdict, WholeBody, whole_body,
};
use http::header::UPGRADE;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::Semaphore;

pub static OBSERVED: Instrument = Instrument {
    name: "gateway.plugin.observed",
    measure: Measure::Counter,
    unit: "{request}",
    help: "Requests that a plugin with `mode: observe` would have rejected",
    attributes: &["gateway.plugin", "gateway.reason"],
};

/// In the extensions of a response: what plugins that only observe would have refused.
#[derive(Debug, Clone, Default)]
pub struct WouldRefuse(pub Vec<Refusal>);

impl WouldRefuse {
    pub fn add(response: &mut Response, refusal: Refusal) {
        response.extensions_mut().get_or_insert_default::<Self>().0.push(refusal);
    }
}

/// Counts what one use of a plugin would refuse, by reason. Kept across reloads.
#[derive(Clone)]
pub struct Observed {
    place: Arc<str>,
    counters: Arc<Counters>,
}

/// The series of one place. Reasons that are not fixed, such as `claim_missing:team`, come from the configuration.
pub type Counters = Mutex<HashMap<Cow<'static, str>, Arc<Counter>>>;

impl Observed {
    pub fn new(place: Arc<str>, counters: Arc<Counters>) -> Self {
        Self { place, counters }
    }

    /// Counts a request that would have been refused.
    pub fn refusal(&self, reason: Cow<'static, str>) -> Refusal {
        let make = || {
            let place = self.place.to_string();
            metrics::counter(
                &OBSERVED,
                [("gateway.plugin", place.into()), ("gateway.reason", reason.clone().into_owned().into())],
            )
        };
        self.counters.lock().entry(reason.clone()).or_insert_with(make).add(1);
        Refusal { plugin: Some(Arc::clone(&self.place)), reason }
    }

    /// The same for a response with which the plugin would have answered.
    fn of(&self, response: &Response) -> Refusal {
        let reason = response.extensions().get::<Refusal>().map(|refusal| refusal.reason.clone());
        self.refusal(reason.unwrap_or(Cow::Borrowed("answered")))
    }
}

/// A filter whose verdict is only observed: it changes neither the request nor the response.
pub struct Observes<F> {
    pub filter: Arc<F>,
    pub observed: Observed,
    pub next: HttpService,
    /// Bounds the decisions that run beside their requests: nothing else does, because the requests go on.
    pub beside: Arc<Semaphore>,
}

/// How many decisions of one plugin may run beside their requests. Beyond that, they are counted as `undecided`.
pub const BESIDE: usize = 128;

/// A decision that takes longer than the request goes on without it.
enum Late {
    Deciding,
    Decided(Option<Refusal>),
    /// The response has passed.
    Missed,
}

impl<F: Filter> Call for Observes<F> {
    fn call(&self, passed: &mut Option<Request>) -> Reply {
        let Some(request) = passed else { return Reply::ready(Problem::internal()) };
        let mut note = None;
        match WholeBody::wanted(&*self.filter, request, &mut note) {
            Some(limit) => self.read_first((limit, note), passed),
            None => self.decide(note, passed),
        }
    }
}

impl<F: Filter> Observes<F> {
    fn decide(&self, note: Note, passed: &mut Option<Request>) -> Reply {
        let Some(request) = passed else { return Reply::ready(Problem::internal()) };
        // A panic would change the response.
        let verdict = catch_unwind(AssertUnwindSafe(|| self.filter.decide_with(request, note)));
        let refusal = match verdict {
            Ok(Verdict::Continue(ticket)) => {
                let Some(held) = F::held(&ticket) else { return self.next.pass(passed) };
                if request.headers().contains_key(UPGRADE) {
                    HeldByUpgrade::of(request).push(Arc::clone(&held));
                }
                return self.next.pass(passed).map(move |response| *response = hold(std::mem::take(response), held));
            }
            Ok(Verdict::Break(response)) => self.observed.of(&response),
            Ok(Verdict::Later(wait)) => return self.decide_beside(wait, passed),
            Err(_) => self.observed.refusal("panicked".into()),
        };
        self.next.pass(passed).map(move |response| WouldRefuse::add(response, refusal))
    }

    /// Reads the body, and then decides. A body that is too large or broken passes as it is.
    fn read_first(&self, (limit, note): (ByteSize, Note), passed: &mut Option<Request>) -> Reply {
        let Some(mut request) = passed.take() else { return Reply::ready(Problem::internal()) };
        let (filter, observed, next) = (Arc::clone(&self.filter), self.observed.clone(), self.next.clone());
        let beside = Arc::clone(&self.beside);
        let limit = whole_body::limit(&request, limit);
        Reply::pending(async move {
            match whole_body::read_or_pass(&mut request, limit).await {
                Ok(()) => Self { filter, observed, next, beside }.decide(note, &mut Some(request)).await,
                Err(why) => {
                    let refusal = observed.refusal(why.into());
                    let mut response = next.call(request).await;
                    WouldRefuse::add(&mut response, refusal);
                    response
                }
            }
        })
    }

    /// Lets the request go on while the plugin decides.
    fn decide_beside(&self, wait: Wait<F::Ticket>, passed: &mut Option<Request>) -> Reply {
        let Ok(slot) = Arc::clone(&self.beside).try_acquire_owned() else {
            let refusal = self.observed.refusal("undecided".into());
            return self.next.pass(passed).map(move |response| WouldRefuse::add(response, refusal));
        };
        let late = Arc::new(Mutex::new(Late::Deciding));
        let (told, observed) = (Arc::clone(&late), self.observed.clone());
        tokio::spawn(async move {
            let refusal = match wait.decide(&observed.place).await {
                ControlFlow::Continue(_) => None,
                ControlFlow::Break(response) => Some(observed.of(&response)),
            };
            drop(slot);
            let mut late = told.lock();
            if let (Late::Missed, Some(Refusal { plugin, reason })) = (&*late, &refusal) {
                let plugin = plugin.as_deref().unwrap_or_default();
                tracing::info!(plugin, %reason, "a plugin that only observes would have rejected a request");
            }
            *late = Late::Decided(refusal);
        });
        self.next.pass(passed).map(move |response| {
            let mut late = late.lock();
            if let Late::Decided(refusal) = std::mem::replace(&mut *late, Late::Missed) {
                refusal.into_iter().for_each(|refusal| WouldRefuse::add(response, refusal));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DynFilter;
    use crate::testing::{answers, request};
    use std::time::Duration;

    /// Never decides, panics, or rejects, as the header `do` says.
    struct Odd;

    impl Filter for Odd {
        type Ticket = ();

        fn decide(&self, request: &Request) -> Verdict<()> {
            match request.headers().get("do").map(http::HeaderValue::as_bytes) {
                Some(b"hang") => Verdict::later(Duration::from_secs(60), Problem::internal(), std::future::pending()),
                Some(b"panic") => panic!("asked to"),
                Some(_) => Verdict::refuse(Problem::forbidden().log_reason("no")),
                None => Verdict::Continue(()),
            }
        }

        fn admit(&self, (): &mut (), _: &mut Request) {
            panic!("it only observes");
        }

        fn response(&self, (): (), _: &mut Response) {
            panic!("it only observes");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_changed_and_decisions_that_hang_are_bounded() {
        let observed = Observed::new("web/odd".into(), Arc::default());
        let service = Arc::new(Odd).observe(observed, answers(|_| "in"));
        let ask = async |what: Option<&'static str>| {
            let headers: Vec<_> = what.map(|what| ("do", what)).into_iter().collect();
            let response = service.call(request("GET", &headers)).await;
            assert_eq!(response.status(), 200, "{what:?}");
            let seen = response.extensions().get::<WouldRefuse>().cloned().unwrap_or_default();
            seen.0.into_iter().map(|refusal| refusal.reason.into_owned()).collect::<Vec<_>>().join(",")
        };
        assert_eq!((ask(None).await, ask(Some("no")).await), (String::new(), "no".to_owned()));
        assert_eq!(ask(Some("panic")).await, "panicked");
        for _ in 0..BESIDE {
            assert_eq!(ask(Some("hang")).await, "");
        }
        assert_eq!(ask(Some("hang")).await, "undecided");
        assert_eq!(ask(Some("no")).await, "no", "decisions that do not wait are not affected");
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(ask(Some("hang")).await, "", "a slot is free again");
    }
}
