//! Tells operators when an upstream begins and ceases to use all of its targets, because too few are healthy, and when an ejection ends.

use super::health::Outcomes;
use crate::telemetry::ProxyTarget;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;

/// Whether all targets of an upstream get requests. Kept across reloads, so that an edit does not log it again.
#[derive(Default)]
pub(super) struct Panic(AtomicBool);

impl Panic {
    /// Logs it if `panics` is new: so many of all targets of `upstream` are healthy. It is noticed by the next request.
    pub fn turns(&self, panics: bool, upstream: &str, (healthy, all): (usize, usize)) {
        // Read first: a store would take the cache line from the other workers each time.
        if self.0.load(Relaxed) != panics && self.0.swap(panics, Relaxed) != panics {
            log(panics, upstream, (healthy, all));
        }
    }
}

#[cold]
fn log(panics: bool, upstream: &str, (healthy, all): (usize, usize)) {
    let of = format!("upstream {upstream}: {healthy} of {all} targets are healthy");
    if panics {
        tracing::warn!(
            target: "gatewright::upstream",
            upstream,
            healthy,
            targets = all,
            human = format!("{of}, below `panic_threshold`: all get requests"),
            "too few targets are healthy, so all get requests"
        );
    } else {
        tracing::info!(
            target: "gatewright::upstream",
            upstream,
            healthy,
            targets = all,
            human = format!("{of}: only those get requests again"),
            "only healthy targets get requests again"
        );
    }
}

/// Logs the end of an ejection of `target`, which lasts for `time`, unless the target was removed meanwhile.
pub(super) fn announce_end(outcomes: &Arc<Outcomes>, target: &Arc<ProxyTarget>, time: Duration) {
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(end(Arc::downgrade(outcomes), Arc::clone(target), time));
}

async fn end(outcomes: Weak<Outcomes>, target: Arc<ProxyTarget>, time: Duration) {
    tokio::time::sleep(time).await;
    if outcomes.strong_count() == 0 {
        return;
    }
    let ProxyTarget { upstream, address, peer } = &*target;
    tracing::info!(
        target: "gatewright::upstream",
        upstream = &**upstream,
        upstream_target = &**address,
        peer = peer.as_deref(),
        human = format!("upstream {upstream}: the ejection of {target} has ended"),
        "ejection ended"
    );
}
