//! The choice of a target for each request.

use crate::config::document::upstream::Policy;
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The maximum number of turns after which the order repeats; shares are exact to a thousandth.
const LONGEST: u64 = 1024;

/// A load balancing policy and its state.
pub(super) enum Balance {
    RoundRobin(Turns),
    Random(Turns),
    /// With the weights.
    LeastRequest(Box<[u32]>),
    Hash(Rendezvous),
}

impl Balance {
    /// `targets` are the names of the targets and their weights. A target with weight 0 is never picked.
    pub fn new(policy: Policy, targets: &[(&str, u32)]) -> Self {
        let weights: Vec<u32> = targets.iter().map(|(_, weight)| *weight).collect();
        match policy {
            Policy::RoundRobin => Self::RoundRobin(Turns::new(&weights)),
            Policy::Random => Self::Random(Turns::new(&weights)),
            Policy::LeastRequest => Self::LeastRequest(weights.into()),
            Policy::RingHash => Self::Hash(Rendezvous::new(targets)),
        }
    }

    /// The index of the target for the next request, among those that are `eligible`. `load` is the number of requests a
    /// target is busy with, `hash` that of the request's key.
    pub fn pick(
        &self,
        eligible: &dyn Fn(usize) -> bool,
        load: &dyn Fn(usize) -> u64,
        hash: Option<u64>,
    ) -> Option<usize> {
        match self {
            Self::RoundRobin(turns) => turns.pick(eligible),
            Self::Random(turns) => turns.pick_at_random(eligible),
            Self::LeastRequest(weights) => least(weights, eligible, load),
            Self::Hash(rendezvous) => rendezvous.pick(eligible, hash.unwrap_or_else(|| fastrand::u64(..))),
        }
    }
}

/// Of two different random targets, the one with fewer requests for its weight ("the power of two choices", M.
/// Mitzenmacher, 2001).
fn least(weights: &[u32], eligible: &dyn Fn(usize) -> bool, load: &dyn Fn(usize) -> u64) -> Option<usize> {
    let fits = |index: &usize| weights.get(*index).is_some_and(|weight| *weight > 0) && eligible(*index);
    let count = (0..weights.len()).filter(fits).count();
    let nth = |n: usize| (0..weights.len()).filter(fits).nth(n);
    if count < 2 {
        return nth(0);
    }
    let first = fastrand::usize(..count);
    let second = (first + 1 + fastrand::usize(..count - 1)) % count;
    // Between the two looks a target may have become ineligible.
    let (Some(first), Some(second)) = (nth(first), nth(second)) else { return nth(0) };
    let weight = |index: usize| weights.get(index).map_or(1, |weight| u64::from(*weight));
    let busier = (load(first) + 1) * weight(second) > (load(second) + 1) * weight(first);
    Some(if busier { second } else { first })
}

/// The target with the best score for a key ("highest random weight", D. Thaler and C. Ravishankar, 1998). A target that
/// comes or goes moves only its own share of the keys, and the others keep theirs.
pub(super) struct Rendezvous(Box<[(u64, f64)]>);

impl Rendezvous {
    fn new(targets: &[(&str, u32)]) -> Self {
        Self(targets.iter().map(|(name, weight)| (hash(name.as_bytes()), f64::from(*weight))).collect())
    }

    fn pick(&self, eligible: &dyn Fn(usize) -> bool, key: u64) -> Option<usize> {
        let fits = |(index, (_, weight)): &(usize, &(u64, f64))| *weight > 0.0 && eligible(*index);
        let scored = self.0.iter().enumerate().filter(fits).map(|(index, (seed, weight))| {
            // A uniform number in (0, 1), and from it an exponential one whose rate is the weight: the lowest wins.
            #[expect(clippy::cast_precision_loss, reason = "53 bits are random enough")]
            let uniform = ((mixed(key ^ seed) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
            (index, -uniform.ln() / weight)
        });
        scored.min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(index, _)| index)
    }
}

/// The hash of a name or key: the same in every process, so that the gateways of a fleet agree.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// A bijection that changes about half of the bits for each changed bit (the finalizer of SplitMix64).
const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Turns by weight, evenly mixed. The order is computed once; all workers share one counter.
pub(super) struct Turns {
    order: Box<[usize]>,
    next: AtomicUsize,
}

impl Turns {
    /// An order for targets with these weights.
    fn new(weights: &[u32]) -> Self {
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

    fn pick_at_random(&self, eligible: &dyn Fn(usize) -> bool) -> Option<usize> {
        let fits = |index: &usize| eligible(*index);
        let count = self.order.iter().copied().filter(fits).count();
        if count == 0 {
            return None;
        }
        self.order.iter().copied().filter(fits).nth(fastrand::usize(..count))
    }

    fn next(&self) -> usize {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.order.len().max(1);
        self.order.get(turn).copied().unwrap_or(0)
    }
}

/// The weights in lowest terms, scaled down if the order would become too long.
fn shares(weights: &[u32]) -> Vec<u64> {
    let divisor = weights.iter().fold(0, |sum, weight| gcd(sum, u64::from(*weight))).max(1);
    let lowest: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) / divisor).collect();
    let total: u64 = lowest.iter().sum();
    if total <= LONGEST {
        return lowest;
    }
    lowest.iter().map(|share| if *share == 0 { 0 } else { (share * LONGEST / total).max(1) }).collect()
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

    #[test]
    fn a_target_without_weight_is_never_picked() {
        let targets = [("a:1", 0), ("b:1", 1)];
        for policy in [Policy::RoundRobin, Policy::Random, Policy::LeastRequest, Policy::RingHash] {
            let balance = Balance::new(policy, &targets);
            let picked = |_| balance.pick(&|_| true, &|_| 0, None);
            assert!((0..50).map(picked).all(|index| index == Some(1)), "{policy:?}");
            assert_eq!(Balance::new(policy, &targets[..1]).pick(&|_| true, &|_| 0, None), None, "{policy:?}");
        }
    }

    #[test]
    fn random_targets_follow_the_weights() {
        let balance = Balance::new(Policy::Random, &[("a:1", 1), ("b:1", 3)]);
        let second = (0..4000).filter(|_| balance.pick(&|_| true, &|_| 0, None) == Some(1)).count();
        assert!((2700..3300).contains(&second), "{second}");
    }

    #[test]
    fn the_busiest_target_is_not_picked() {
        let balance = Balance::new(Policy::LeastRequest, &[("a:1", 1), ("b:1", 1), ("c:1", 1)]);
        let load = |index: usize| [5, 1, 1][index];
        assert!((0..200).all(|_| balance.pick(&|_| true, &load, None) != Some(0)));
        let balance = Balance::new(Policy::LeastRequest, &[("a:1", 4), ("b:1", 1)]);
        assert_eq!(
            balance.pick(&|_| true, &|index| [2, 0][index], None),
            Some(0),
            "three of four is less than one of one"
        );
    }

    #[test]
    fn a_new_target_takes_only_its_share_of_the_keys() {
        let names = ["a:1", "b:1", "c:1", "d:1"];
        let balance = |weights: &[u32]| {
            let targets: Vec<_> = names.into_iter().zip(weights.iter().copied()).collect();
            Balance::new(Policy::RingHash, &targets)
        };
        let (before, after) = (balance(&[1, 1, 1]), balance(&[1, 1, 1, 1]));
        let keys: Vec<u64> = (0..4000_u32).map(|key| hash(&key.to_be_bytes())).collect();
        let of = |balance: &Balance, key| balance.pick(&|_| true, &|_| 0, Some(key)).unwrap();
        let moved = keys.iter().filter(|key| of(&before, **key) != of(&after, **key)).count();
        let gained = keys.iter().filter(|key| of(&after, **key) == 3).count();
        assert_eq!(moved, gained, "no key moves between the others");
        assert!((850..1150).contains(&gained), "{gained}");
        let heavy = balance(&[2, 1, 1]);
        let heaviest = keys.iter().filter(|key| of(&heavy, **key) == 0).count();
        assert!((1850..2150).contains(&heaviest), "{heaviest}");
        // The keys of a target that is not eligible are spread over the others.
        let without = |key| before.pick(&|index| index != 0, &|_| 0, Some(key)).unwrap();
        assert!(keys.iter().all(|key| of(&before, *key) == 0 || of(&before, *key) == without(*key)));
    }
}
