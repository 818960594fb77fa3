//! Notices that the database keeps sessions which have expired.

use super::SWEPT;
use crate::resource::contract::prevented;
use crate::resource::store::{Done, Param};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The sweeps of one store.
#[derive(Default)]
pub struct Sweeps {
    /// The session that has been expired for the longest time, after the last sweep.
    left: Mutex<Option<String>>,
    told: AtomicBool,
}

impl Sweeps {
    /// The session that the next sweep should remove first.
    pub fn left(&self) -> Option<String> {
        self.left.lock().clone()
    }

    /// Looks at what the statements of [`start`](super::start) did, and warns, once, if they should have removed the session that was
    /// `left` before them. There may be more than one sweep removes, or another one may be removing them at the same time; so only a
    /// session counts that was left by a sweep which had ended before.
    pub fn ended(&self, store: &str, left: Option<&str>, done: &[Done]) {
        let (Some(swept), Some(Done { first, .. })) = (done.first(), done.last()) else { return };
        let now = match first {
            Param::Text(id) => Some(id.clone()),
            _ => None,
        };
        let is_kept = now.is_some() && now.as_deref() == left && swept.changed < SWEPT.unsigned_abs();
        *self.left.lock() = now;
        if is_kept && !self.told.swap(true, Ordering::Relaxed) {
            let error = prevented("expired rows of `_gw_sessions` are not deleted");
            let human = format!("expired sessions stay in the store `{store}`: {error}");
            tracing::warn!(store, error, human, "cannot remove expired sessions");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_session_that_a_sweep_should_have_removed_counts() {
        let done = |swept, left: Option<&str>| {
            let left = left.map_or(Param::Null, |id| Param::Text(id.to_owned()));
            [Done { changed: swept, first: Param::Null }, Done { changed: 0, first: left }]
        };
        let sweeps = Sweeps::default();
        let told = |before: Option<&str>, done: [Done; 2]| {
            sweeps.ended("main", before, &done);
            sweeps.told.swap(false, Ordering::Relaxed)
        };
        assert!(!told(None, done(0, Some("a"))), "another sweep may be at work");
        assert_eq!(sweeps.left().as_deref(), Some("a"));
        assert!(!told(Some("a"), done(100, Some("a"))), "there are more");
        assert!(!told(Some("a"), done(3, Some("b"))));
        assert!(!told(Some("b"), done(1, None)));
        assert!(told(Some("a"), done(0, Some("a"))));
        assert!(told(Some("a"), done(7, Some("a"))), "some are kept");
    }
}
