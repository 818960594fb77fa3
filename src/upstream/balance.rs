//! The choice of a target for each request.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The maximum number of turns after which the order repeats; shares are exact to a thousandth.
const LONGEST: u64 = 1024;

/// A load balancing policy and its state.
pub(super) enum Balance {
    RoundRobin(Turns),
}

impl Balance {
    /// The index of the target for the next request, among those that are `eligible`.
    pub fn pick(&self, eligible: &dyn Fn(usize) -> bool) -> Option<usize> {
        match self {
            Self::RoundRobin(turns) => turns.pick(eligible),
        }
    }
}

/// Turns by weight, evenly mixed. The order is computed once; all workers share one counter.
pub(super) struct Turns {
    order: Box<[usize]>,
    next: AtomicUsize,
}

impl Turns {
    /// An order for targets with these weights, each at least 1.
    pub fn new(weights: &[u32]) -> Self {
        Self { order: order(&shares(weights)), next: AtomicUsize::new(0) }
    }

    /// The next target that is `eligible`. One that is not loses its turn, so the others keep their shares.
    fn pick(&self, eligible: &dyn Fn(usize) -> bool) -> Option<usize> {
        if let [only] = *self.order {
            return eligible(only).then_some(only);
        }
        // Other workers take turns meanwhile, so these may miss a target; then the first that is eligible is taken.
        let turns = (0..self.order.len()).map(|_| self.next());
        turns.chain(self.order.iter().copied()).find(|index| eligible(*index))
    }

    fn next(&self) -> usize {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.order.len().max(1);
        self.order.get(turn).copied().unwrap_or(0)
    }
}

/// The weights in lowest terms, scaled down if the order would become too long.
fn shares(weights: &[u32]) -> Vec<u64> {
    let divisor = weights.iter().fold(0, |sum, weight| gcd(sum, u64::from(*weight))).max(1);
    let lowest: Vec<u64> = weights.iter().map(|weight| (u64::from(*weight) / divisor).max(1)).collect();
    let total: u64 = lowest.iter().sum();
    if total <= LONGEST { lowest } else { lowest.iter().map(|share| (share * LONGEST / total).max(1)).collect() }
}

const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Smooth weighted round robin: every turn each target gains its share; the one with the most credit is chosen and pays
/// the total.
fn order(shares: &[u64]) -> Box<[usize]> {
    let total: u64 = shares.iter().sum();
    let mut credit = vec![0_i128; shares.len()];
    let turn = |_| {
        for (have, share) in credit.iter_mut().zip(shares) {
            *have += i128::from(*share);
        }
        // The first of equals wins: `max_by_key` returns the last, hence the reversal.
        let richest = credit.iter().enumerate().rev().max_by_key(|(_, have)| **have).map_or(0, |(index, _)| index);
        if let Some(have) = credit.get_mut(richest) {
            *have -= i128::from(total);
        }
        richest
    };
    (0..total).map(turn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_the_weights_and_are_evenly_mixed() {
        assert_eq!(*order(&shares(&[1])), [0]);
        assert_eq!(*order(&shares(&[1, 1])), [0, 1]);
        assert_eq!(*order(&shares(&[5, 1, 1])), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*order(&shares(&[10, 20])), [1, 0, 1]);
    }

    #[test]
    fn large_weights_keep_their_ratio_in_a_short_order() {
        let order = order(&shares(&[65535, 1, 32768]));
        assert!(order.len() <= 1026);
        let turns = |target| order.iter().filter(|index| **index == target).count();
        assert_eq!(turns(1), 1, "the smallest is never left out");
        assert!(turns(0).abs_diff(2 * turns(2)) <= 2);
    }

    #[test]
    fn the_counter_wraps_around() {
        let turns = Turns::new(&[2, 1]);
        let seen: Vec<_> = (0..6).map(|_| turns.next()).collect();
        assert_eq!(seen, [0, 1, 0, 0, 1, 0]);
    }

    #[test]
    fn the_turns_of_a_target_that_is_not_eligible_are_shared_by_the_others() {
        let turns = Turns::new(&[1, 1, 1]);
        let seen: Vec<_> = (0..6).filter_map(|_| turns.pick(&|index| index != 1)).collect();
        assert_eq!(seen, [0, 2, 0, 2, 0, 2]);
        assert_eq!(turns.pick(&|_| false), None);
        assert_eq!(Turns::new(&[]).pick(&|_| true), None);
    }
}
