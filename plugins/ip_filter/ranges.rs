//! Ranges of addresses, merged and sorted, so that a long list is looked up as quickly as a short one.

/// Ranges that neither overlap nor touch, in order. Each is its first and last address.
pub struct Ranges<T>(Vec<(T, T)>);

impl<T: Copy + Ord + Into<u128>> Ranges<T> {
    pub fn new(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first.into() <= (*end).into().saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// Whether all addresses from `first` to `last` are in it.
    pub fn contains(&self, first: T, last: T) -> bool {
        let after = self.0.partition_point(|(start, _)| *start <= first);
        let before = after.checked_sub(1).and_then(|index| self.0.get(index));
        before.is_some_and(|(_, end)| last <= *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_overlap_or_touch_are_one() {
        let ranges = Ranges::<u32>::new(vec![(30, 39), (10, 19), (20, 25), (12, 14), (22, 23), (u32::MAX, u32::MAX)]);
        assert_eq!(ranges.0, [(10, 25), (30, 39), (u32::MAX, u32::MAX)]);
        for (first, last, inside) in [
            (9, 9, false),
            (10, 25, true),
            (10, 26, false),
            (26, 29, false),
            (35, 39, true),
            (u32::MAX, u32::MAX, true),
        ] {
            assert_eq!(ranges.contains(first, last), inside, "{first}-{last}");
        }
        assert!(!Ranges::<u128>::new(Vec::new()).contains(0, 0));
        assert!(Ranges::<u128>::new(vec![(0, u128::MAX)]).contains(1, u128::MAX));
    }
}
