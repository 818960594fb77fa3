//! Versions of rows. Each write gives the row one that it never had before.

use uuid::Uuid;

/// A version for a row that is written now: 62 random bits. A number that was counted up would come back after the row
/// was deleted and made again, and after a file was put back from a backup.
pub fn fresh() -> i64 {
    let (_, low) = Uuid::new_v4().as_u64_pair();
    (low & (u64::MAX >> 2)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_do_not_repeat_and_are_never_negative() {
        let versions: std::collections::HashSet<_> = (0..10_000).map(|_| fresh()).collect();
        assert_eq!(versions.len(), 10_000);
        assert!(versions.iter().all(|version| *version >= 0));
    }
}
