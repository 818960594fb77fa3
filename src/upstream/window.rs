//! The share of failures among recent requests.

use crate::config::document::upstream::FailureRatio;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Counts the requests of a time window, and how many failed. Half a window is forgotten at a time.
#[derive(Default)]
pub(super) struct Window(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    /// When the newer half began.
    since: Option<Instant>,
    /// The older half, and the newer one: requests and failures.
    halves: [(u32, u32); 2],
}

impl Counts {
    /// Forgets what is older than `window`.
    fn advance(&mut self, window: Duration, now: Instant) {
        let half = window / 2;
        let age = self.since.map_or(Duration::MAX, |since| now.saturating_duration_since(since));
        if age >= half {
            let newer = if age < window { self.halves[1] } else { (0, 0) };
            self.halves = [newer, (0, 0)];
            self.since = Some(now);
        }
    }
}

impl Window {
    /// Counts a request. Returns whether the share of failures exceeds `limit` now.
    pub fn count(&self, failed: bool, limit: &FailureRatio) -> bool {
        let mut counts = self.0.lock();
        counts.advance(limit.window.get(), Instant::now());
        let [older, newer] = &mut counts.halves;
        newer.0 += 1;
        newer.1 += u32::from(failed);
        let (requests, failures) = (u64::from(older.0 + newer.0), u64::from(older.1 + newer.1));
        failed && requests >= u64::from(limit.min_requests) && failures * 100 > requests * u64::from(limit.over.get())
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.0.lock() = Counts::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_count_within_the_window_and_once_there_are_enough_requests() {
        let limit: FailureRatio =
            serde_json::from_value(serde_json::json!({ "over": "50%", "window": "10s", "min_requests": 4 })).unwrap();
        let window = Window::default();
        assert!(!window.count(true, &limit) && !window.count(true, &limit) && !window.count(true, &limit));
        assert!(window.count(true, &limit));
        assert!(!window.count(false, &limit), "a success never trips it");
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(window.count(true, &limit), "the older half still counts");
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(!window.count(true, &limit), "all is forgotten");
        window.clear();
        for _ in 0..4 {
            assert!(!window.count(false, &limit));
        }
        assert!(!window.count(true, &limit));
    }
}
