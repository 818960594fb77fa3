//! The known word that was probably meant.

/// The one of `known` that differs from `word` by a typo, if there is one.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_ascii_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&lower, &other.to_ascii_lowercase());
    let most = (word.chars().count() / 3).max(1);
    known.map(|known| (distance(known), known)).filter(|(distance, _)| *distance <= most).min().map(|(_, known)| known)
}
