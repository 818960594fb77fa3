//! "Did you mean": finds the word that was probably meant.

/// Whether two names are equal apart from case, `-` and `_`.
pub fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && plain(a).eq(plain(b))
}

fn plain(word: &str) -> impl Iterator<Item = char> {
    word.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() })
}

/// The known word nearest to `word`, if one is near enough.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let lower: String = plain(word).collect();
    let distance = |candidate: &&'a str| {
        let other: String = plain(candidate).collect();
        let parts = |whole: &str, part: &str| {
            part.len() > 2 && (whole.ends_with(&format!("_{part}")) || whole.starts_with(&format!("{part}_")))
        };
        let distance = strsim::damerau_levenshtein(&lower, &other);
        let near =
            distance <= 1.max(lower.chars().count().max(other.chars().count()) / 3) && distance < lower.chars().count();
        match () {
            () if lower == other => Some(0),
            () if near => Some(distance),
            () if parts(&lower, &other) || parts(&other, &lower) => Some(100),
            () => None,
        }
    };
    known
        .iter()
        .filter_map(|word| Some((distance(word)?, *word)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// The help for an unknown word.
pub fn way_out(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "none are available".to_owned(),
        None => format!("available: {}", list(known)),
    }
}

/// The words as a list for people, truncated.
pub fn list(words: &[&str]) -> String {
    const MOST: usize = 24;
    let shown: Vec<String> = words.iter().take(MOST).map(|word| format!("`{word}`")).collect();
    let more = if words.len() > MOST { format!(" and {} more", words.len() - MOST) } else { String::new() };
    shown.join(", ") + &more
}

/// The words as a phrase: `a, b and c`.
pub fn and<W: AsRef<str>>(words: &[W]) -> String {
    joined(words, "and")
}

/// The words as alternatives: `a, b or c`.
pub fn or<W: AsRef<str>>(words: &[W]) -> String {
    joined(words, "or")
}

fn joined<W: AsRef<str>>(words: &[W], by: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{} {by} {last}", all.join(", ")),
        words => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found() {
        let known = ["connections", "connections_per_client", "headers", "body_bytes", "address"];
        for (word, near) in [
            ("conections", Some("connections")),
            ("max_connections", Some("connections")),
            ("Connections", Some("connections")),
            ("body-bytes", Some("body_bytes")),
            ("adress", Some("address")),
            ("zzzzzzzz", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, &known), near, "{word}");
        }
    }

    #[test]
    fn names_are_the_same_but_for_case_and_dashes() {
        assert!(same("per-ip", "PER_IP"));
        assert!(!same("per-ip", "perip"));
    }
}
