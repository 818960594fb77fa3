//! Whether rows are read by key on the caller's thread: only while such reads are fast.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A read that takes longer blocks every connection of its worker for longer than a switch to another thread and back.
pub const FAST: Duration = Duration::from_millis(1);
/// This many fast reads in a row on reader threads end a period of slow ones.
const PROOF: u32 = 16;
/// The maximum number required, if slow reads return soon after a period of fast ones.
const MOST_PROOF: u32 = 4096;
/// Soon means within this many reads on one connection.
const SOON: u32 = 256;

/// The pace of a store. A read that waits for the disk cannot be interrupted, so a worker gets at most one slow read: after
/// that, another thread waits until the disk is fast again.
#[derive(Debug, Default)]
pub struct Pace {
    /// The number of fast reads still required; 0 if reads run on the caller's thread.
    missing: AtomicU32,
    /// How many are required the next time.
    asked: AtomicU32,
}

impl Pace {
    /// Whether a read may be tried on the caller's thread.
    pub fn is_fast(&self) -> bool {
        self.missing.load(Ordering::Relaxed) == 0
    }

    /// Records a read on the caller's thread after `before` fast ones on its connection; returns their new number.
    pub fn here(&self, took: Duration, before: u32) -> u32 {
        if took < FAST {
            return before.saturating_add(1);
        }
        let last = self.asked.load(Ordering::Relaxed);
        let proof = if before < SOON { last.saturating_mul(4).clamp(PROOF, MOST_PROOF) } else { PROOF };
        self.asked.store(proof, Ordering::Relaxed);
        self.missing.store(proof, Ordering::Relaxed);
        0
    }

    /// Records a read on another thread, without the wait for the thread.
    pub fn there(&self, took: Duration) {
        if self.is_fast() {
            return;
        }
        let asked = self.asked.load(Ordering::Relaxed);
        let step = |missing: u32| Some(if took < FAST { missing.saturating_sub(1) } else { asked.max(PROOF) });
        // The closure always returns a new value.
        let _ = self.missing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_millis(20);
    const QUICK: Duration = Duration::from_micros(5);

    /// How many fast reads elsewhere are required before reads run on the caller's thread again.
    fn proof(pace: &Pace) -> u32 {
        (0..).take_while(|_| !pace.is_fast()).inspect(|_| pace.there(QUICK)).count().try_into().unwrap_or(0)
    }

    #[test]
    fn one_slow_read_sends_the_next_elsewhere_until_enough_were_fast() {
        let pace = Pace::default();
        assert!(pace.is_fast());
        assert_eq!(pace.here(QUICK, 6), 7);
        assert_eq!(pace.here(SLOW, 1000), 0);
        assert!(!pace.is_fast());
        for _ in 1..PROOF {
            pace.there(QUICK);
        }
        pace.there(SLOW);
        assert_eq!(proof(&pace), PROOF, "a slow one begins it anew");
    }

    #[test]
    fn a_disk_that_is_slow_again_soon_has_more_to_show() {
        let pace = Pace::default();
        let mut asked = Vec::new();
        for before in [1000, 10, 10, 10, 10, 10, 1000] {
            pace.here(SLOW, before);
            asked.push(proof(&pace));
        }
        assert_eq!(asked, [16, 64, 256, 1024, 4096, 4096, 16]);
    }
}
