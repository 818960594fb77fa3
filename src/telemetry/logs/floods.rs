//! Rate-limits warnings per callsite: what a client causes repeatedly is logged a few times and then only counted.

use super::{ACCESS, AUDIT};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::{Level, Metadata};

/// How many warnings and errors one callsite may log within [`WINDOW`].
const LINES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);

/// Targets without a limit: the access log, which is configured explicitly; the audit log, in which nothing may be
/// missing; and what an operator triggers, such as the faults of a file.
const UNBOUNDED: [&str; 3] = [ACCESS, AUDIT, "gatewright::cli"];

/// Counts per callsite. Clones share their counts.
#[derive(Clone, Default)]
pub(in crate::telemetry) struct Floods(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Bounded by the number of callsites in the program.
    places: Mutex<HashMap<Identifier, Callsite>>,
    suppressed: AtomicU64,
}

struct Callsite {
    since: Instant,
    written: u32,
    suppressed: u64,
}

impl Floods {
    /// Whether an event at this callsite is logged, and how many were suppressed since the last one that was.
    pub(super) fn admit(&self, metadata: &Metadata<'_>, now: Instant) -> Option<u64> {
        // Lower levels are logged at startup and shutdown, or were enabled explicitly.
        if *metadata.level() > Level::WARN || UNBOUNDED.iter().any(|target| metadata.target().starts_with(target)) {
            return Some(0);
        }
        let mut places = self.0.places.lock();
        let fresh = Callsite { since: now, written: 0, suppressed: 0 };
        let place = places.entry(metadata.callsite()).or_insert(fresh);
        if now.saturating_duration_since(place.since) >= WINDOW {
            (place.since, place.written) = (now, 0);
        }
        if place.written >= LINES {
            place.suppressed += 1;
            self.count();
            return None;
        }
        place.written += 1;
        Some(std::mem::take(&mut place.suppressed))
    }

    /// Counts a suppressed line.
    pub(super) fn count(&self) {
        self.0.suppressed.fetch_add(1, Relaxed);
    }

    /// Lines suppressed since the start.
    pub(in crate::telemetry) fn suppressed(&self) -> u64 {
        self.0.suppressed.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Callsite;

    #[test]
    fn the_first_line_of_the_next_minute_counts_the_suppressed_ones() {
        static PLACE: tracing::callsite::DefaultCallsite = tracing::callsite::DefaultCallsite::new(&METADATA);
        static METADATA: Metadata<'static> = tracing::metadata! { name: "x", target: "x", level: Level::WARN, fields: &[], callsite: &PLACE, kind: tracing::metadata::Kind::EVENT };
        let (floods, start) = (Floods::default(), Instant::now());
        let admit = |seconds| floods.admit(PLACE.metadata(), start + Duration::from_secs(seconds));
        assert!((0..LINES).all(|_| admit(0) == Some(0)));
        assert_eq!((admit(1), admit(59)), (None, None));
        assert_eq!((admit(60), admit(61)), (Some(2), Some(0)));
        assert_eq!(floods.suppressed(), 2);
    }
}
