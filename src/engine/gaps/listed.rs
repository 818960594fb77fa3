//! Lists of words in messages.

use std::fmt::Display;

/// "`GET`, `HEAD` and `POST`".
pub(super) fn listed<W: Display>(words: impl Iterator<Item = W>) -> String {
    let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [before @ .., last] if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        words => words.concat(),
    }
}
