//! The set of listeners that a route serves.

/// A set of listeners, by their index in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Listeners(u64);

impl Listeners {
    pub const ALL: Self = Self(u64::MAX);

    pub fn has(self, index: usize) -> bool {
        u32::try_from(index).ok().and_then(|index| self.0.checked_shr(index)).unwrap_or(self.0) & 1 == 1
    }

    /// Whether the sets have a listener in common.
    pub const fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl FromIterator<usize> for Listeners {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        let bit = |index| u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or_default();
        Self(indices.into_iter().map(bit).fold(0, |set, bit| set | bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::listener::MOST_LISTENERS;

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let set: Listeners = [0, 3, 63].into_iter().collect();
        let has: Vec<_> = (0..MOST_LISTENERS).filter(|index| set.has(*index)).collect();
        assert_eq!(has, [0, 3, 63]);
        assert!(Listeners::ALL.has(0) && Listeners::ALL.has(63) && Listeners::ALL.has(1000));
        assert!(set.meet([3].into_iter().collect()) && !set.meet([4].into_iter().collect()));
    }
}
