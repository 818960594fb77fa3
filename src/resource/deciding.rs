//! The claims by which a configuration decides what callers may do.

use std::collections::BTreeMap;

/// Claims that usually give permissions, whoever reads them.
const POWERFUL: [&str; 8] = ["role", "roles", "scope", "scp", "permissions", "groups", "admin", "is_admin"];

/// The claims that rules, plugins and conditions compare, each with the first place that does.
#[derive(Debug, Default)]
pub struct Deciding(BTreeMap<String, String>);

impl Deciding {
    /// Adds a claim that `place` compares.
    pub fn add(&mut self, claim: &str, place: &str) {
        self.0.entry(claim.to_owned()).or_insert_with(|| place.to_owned());
    }

    /// If callers must not choose this claim: the end of a sentence that says so.
    pub fn end_of(&self, claim: &str) -> Option<String> {
        if POWERFUL.contains(&claim.to_ascii_lowercase().as_str()) {
            return Some(String::new());
        }
        self.0.get(claim).map(|place| format!(", by which `{place}` decides"))
    }
}
