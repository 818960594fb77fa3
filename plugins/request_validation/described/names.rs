//! Names in the query: servers take `limit[]` and `limit[0]` for `limit`, too.

use gatewright_sdk::Detail;
use std::collections::HashMap;

/// The names that the parameters of an operation have in the query, or fields in a form, by their first part.
#[derive(Default)]
pub struct Names(HashMap<Box<str>, Vec<Name>>);

struct Name {
    text: Box<str>,
    /// Whether it is written `name[member]`.
    deep: bool,
}

/// The member in `name[member]`.
pub fn member<'a>(name: &str, given: &'a str) -> Option<&'a str> {
    let member = given.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
    (!member.is_empty() && !member.contains(['[', ']', '\0'])).then_some(member)
}

/// The parts of a name: `a`, `b` and an empty one in `a[b][]`. Some servers ignore spaces in front of a name and what follows a NUL, and
/// read `[a]` as `a`.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let text = text.trim_start();
    let text = text.strip_prefix('[').unwrap_or(text);
    text.split(['[', '\0']).map(|part| part.split(']').next().unwrap_or_default())
}

fn first(text: &str) -> &str {
    parts(text).next().unwrap_or_default()
}

impl Names {
    pub fn add(&mut self, text: &str, deep: bool) {
        self.0.entry(first(text).into()).or_default().push(Name { text: text.into(), deep });
    }

    /// What is wrong with a name that is another spelling of a described one.
    pub fn misspelled(&self, given: &str) -> Option<Detail> {
        let is_described =
            |name: &Name| if name.deep { member(&name.text, given).is_some() } else { *name.text == *given };
        let alike = self.0.get(first(given))?;
        if alike.iter().any(is_described) {
            return None;
        }
        // An empty part can be any element of a list.
        let same = |(one, other): (&str, &str)| one == other || one.is_empty() || other.is_empty();
        let meant = alike.iter().find(|name| parts(&name.text).zip(parts(given)).all(same))?;
        let member = if meant.deep { "[member]" } else { "" };
        Some(Detail::parameter(&*meant.text, "spelling", format!("must be written as `{}{member}`", meant.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_of_described_names_are_found() {
        let mut names = Names::default();
        for (name, deep) in [("limit", false), ("f", true), ("ids[]", false), ("by[a]", false)] {
            names.add(name, deep);
        }
        for (given, meant) in [
            ("limit[]", "limit"),
            ("limit[0]", "limit"),
            ("limit[", "limit"),
            ("limit[a][b]", "limit"),
            ("[limit]", "limit"),
            (" limit", "limit"),
            ("limit\0x", "limit"),
            ("f", "f"),
            ("f[]", "f"),
            ("f[min]x", "f"),
            ("f[min][x]", "f"),
            ("f[min", "f"),
            ("ids", "ids[]"),
            ("ids[0]", "ids[]"),
            ("by", "by[a]"),
            ("by[a][]", "by[a]"),
            ("by[]", "by[a]"),
        ] {
            assert_eq!(names.misspelled(given).map(|detail| detail.field), Some(meant.to_owned()), "{given}");
        }
        for given in
            ["limit", "f[min]", "f[max]", "ids[]", "by[a]", "by[b]", "limits", "limits[]", "other", "x[limit]", ""]
        {
            assert!(names.misspelled(given).is_none(), "{given}");
        }
    }
}
