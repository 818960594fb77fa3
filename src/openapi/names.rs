//! Names of schemas and operations, made from the names in the configuration.

use std::collections::{HashMap, HashSet};

/// `blog_posts` as `BlogPosts`.
pub fn pascal(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect()
}

/// `users` as `user`, `categories` as `category`; a name that is not a plural stays.
pub fn singular(name: &str) -> String {
    let cut = |suffix: &str, instead: &str| name.strip_suffix(suffix).map(|stem| format!("{stem}{instead}"));
    if name.len() <= 3 || name.ends_with("ss") || name.ends_with("us") || name.ends_with("is") || name.ends_with("news")
    {
        return name.to_owned();
    }
    cut("ies", "y")
        .or_else(|| ["sses", "xes", "ches", "shes", "zzes"].iter().find_map(|end| cut(end, end.strip_suffix("es")?)))
        .or_else(|| cut("s", ""))
        .unwrap_or_else(|| name.to_owned())
}

/// Names that are given once.
#[derive(Debug, Default)]
pub struct Unique {
    /// In lower case.
    taken: HashSet<String>,
    /// The number that was last given to a name: looking for a free one from the start takes longer each time.
    last: HashMap<String, u32>,
}

impl Unique {
    /// `name`, or `name2` if it is taken. Names that differ only in case are one: files of generated clients are called
    /// by them.
    pub fn take(&mut self, name: &str) -> String {
        let lower = name.to_ascii_lowercase();
        if self.taken.insert(lower.clone()) {
            return name.to_owned();
        }
        let last = self.last.entry(lower).or_insert(1);
        loop {
            *last = last.saturating_add(1);
            let candidate = format!("{name}{last}");
            if self.taken.insert(candidate.to_ascii_lowercase()) {
                return candidate;
            }
        }
    }

    /// A name that was given otherwise.
    pub fn note(&mut self, name: &str) {
        self.taken.insert(name.to_ascii_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plural_has_a_singular() {
        let pairs = [
            ("users", "user"),
            ("categories", "category"),
            ("boxes", "box"),
            ("addresses", "address"),
            ("news", "news"),
            ("status", "status"),
            ("movies_seen", "movies_seen"),
            ("houses", "house"),
            ("bus", "bus"),
        ];
        for (plural, one) in pairs {
            assert_eq!(singular(plural), one);
        }
    }

    #[test]
    fn names_are_words_with_capitals_and_each_is_given_once() {
        assert_eq!(pascal("blog_posts"), "BlogPosts");
        assert_eq!(pascal("a-b.c2"), "ABC2");
        let mut names = Unique::default();
        assert_eq!([names.take("User"), names.take("user"), names.take("User")], ["User", "user2", "User3"]);
    }
}
