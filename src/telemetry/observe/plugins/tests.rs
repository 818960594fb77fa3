//! What counts as a plugin's own time, and what is recorded for requests that share a response.

use super::super::plugin_timings::probe;
use super::*;
use gatewright_sdk::{Body, HttpService, Reply, Request, Response};
use std::future::Future;
use std::sync::LazyLock;

static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A timing in milliseconds.
fn timing(name: &str, entered: u64, left: Option<u64>) -> PluginTiming {
    let at = |millis| *BEGIN + Duration::from_millis(millis);
    let label = (!name.is_empty()).then(|| Arc::new(PluginLabel::new(name, "kind", &format!("web/{name}"))));
    PluginTiming { label, entered: at(entered), left: left.map(at) }
}

/// The request and response phases of the first of `timings`, in milliseconds, at 100.
fn phases(timings: &[PluginTiming], decided: bool) -> (u128, u128) {
    let now = *BEGIN + Duration::from_millis(100);
    let label = timings[0].label.as_ref().unwrap();
    let part = part(&timings[0], label, &timings[1..], decided, now);
    ((part.end - part.start).as_millis(), part.response.as_millis())
}

#[test]
fn a_plugins_own_time_is_before_and_after_what_is_behind_it() {
    let passed = [timing("a", 0, Some(90)), timing("b", 3, Some(80)), timing("", 40, Some(70))];
    assert_eq!(phases(&passed, false), (3, 10));
    assert_eq!(phases(&passed[1..], false), (37, 10));
    let refused = [timing("a", 0, Some(20)), timing("b", 3, Some(18))];
    assert_eq!(phases(&refused[1..], true), (15, 0));
    assert_eq!(phases(&refused, false), (3, 2));
}

#[test]
fn an_abandoned_timing_ends_with_its_parent_or_the_request() {
    let timed_out = [timing("deadline", 0, Some(50)), timing("b", 1, None), timing("", 2, None)];
    assert_eq!(phases(&timed_out, true), (50, 0));
    assert_eq!(phases(&timed_out[1..], false), (1, 0));
    let client_left = [timing("a", 10, None)];
    assert_eq!(phases(&client_left, false), (90, 0));
}

#[test]
fn repeated_inner_calls_count_as_inner_time_and_later_ones_do_not() {
    let twice = [timing("retry", 0, Some(30)), timing("", 1, Some(10)), timing("", 15, Some(29))];
    assert_eq!(phases(&twice, false), (1, 1));
    let outer_retries = [timing("a", 0, Some(10)), timing("a", 20, Some(90)), timing("", 21, Some(89))];
    assert_eq!(phases(&outer_retries, false), (10, 0));
}

fn chain(target: HttpService) -> HttpService {
    let inner = probe(None, target);
    probe(Some(PluginLabel::new("a", "kind", "web/a")), HttpService::from_call(move |request| inner.call(request)))
}

/// Which timings exist, and which of them have an end.
fn ends(timings: &PluginTimings) -> Vec<(bool, bool)> {
    timings.0.iter().map(|timing| (timing.label.is_some(), timing.left.is_some())).collect()
}

#[tokio::test]
async fn probes_record_only_traced_requests() {
    let later = chain(HttpService::from_fn(|_| async {
        tokio::task::yield_now().await;
        "later"
    }));
    let at_once = chain(HttpService::from_call(|_| Reply::ready("at once")));
    let mut timings = PluginTimings::default();
    drop(at_once.call(Request::new(Body::empty())).await);
    drop(timings.record());
    assert!(timings.0.is_empty());
    let recording = timings.record();
    let reply = at_once.call(Request::new(Body::empty()));
    drop(recording);
    assert_eq!(ends(&timings), [(true, true), (false, true)]);
    drop(reply);

    let mut timings = PluginTimings::default();
    let recording = timings.record();
    let mut reply = later.call(Request::new(Body::empty()));
    drop(recording);
    assert_eq!(ends(&timings), [(true, false), (false, false)]);
    let answered: Response = std::future::poll_fn(|cx| {
        let _recording = timings.record();
        std::pin::Pin::new(&mut reply).poll(cx)
    })
    .await;
    assert_eq!((answered.status(), ends(&timings)), (http::StatusCode::OK, vec![(true, true), (false, true)]));

    // A response polled on behalf of another request ends nothing there.
    let (mut ours, mut theirs) = (PluginTimings::default(), PluginTimings::default());
    let recording = ours.record();
    let reply = later.call(Request::new(Body::empty()));
    drop(recording);
    let recording = theirs.record();
    let other = later.call(Request::new(Body::empty()));
    drop(recording);
    let mut reply = reply;
    std::future::poll_fn(|cx| {
        let _recording = theirs.record();
        std::pin::Pin::new(&mut reply).poll(cx)
    })
    .await;
    drop(other);
    assert_eq!(
        (ends(&ours), ends(&theirs)),
        (vec![(true, false), (false, false)], vec![(true, false), (false, false)])
    );
}
