//! Mistakes in the indentation: tabs, lines that fit no line above them, items and entries that are mixed.

use super::scan::{self, Scan, above, indent, line};
use super::{Slip, Text, is_name, slip};
use std::ops::Range;

impl Text<'_> {
    pub(super) fn tab(self, at: usize) -> Slip {
        let own = line(self.0, at);
        let next = line(self.0, (own.end + 1).min(self.0.len()));
        let indented = |line: &Range<usize>| {
            let written = self.get(line.clone());
            let leading = written.len() - written.trim_start().len();
            Some(line.start + self.get(line.start..line.start + leading).find('\t')?)
        };
        // The parser may stop at the end of the line before it.
        match indented(&own).or_else(|| indented(&next)) {
            Some(tab) => {
                slip(tab..tab + 1, "indentation contains a tab", "indent with spaces; YAML does not allow tabs")
            }
            None => {
                let tab = self.get(own.clone()).find('\t').map_or(at, |tab| own.start + tab);
                slip(tab..tab + 1, "tabs are not allowed here", "use spaces")
            }
        }
    }

    /// A line whose indentation fits no line above it, or text after the bracket that closes a value.
    pub(super) fn misindented(self, at: usize) -> Option<Slip> {
        let own = line(self.0, at);
        if let Some(item) = self.item_of_map(&own) {
            return Some(item);
        }
        if !self.get(own.start..at).trim().is_empty() {
            let scan = scan::scan(self.0, own.start);
            let value = self.get(own.clone()).find(": ").map(|colon| own.start + colon + 2)?;
            let key = own.start + indent(self.get(own.clone()))..value - 2;
            let scan = Scan { key: Some(key), ..scan };
            return Some(self.quote(&scan, value, "a value starting with a bracket must be quoted"));
        }
        let deep = indent(self.get(own.clone()));
        if let Some(dedented) = above(self.0, at).next().and_then(|above| self.dedented(&above, deep)) {
            return Some(dedented);
        }
        let ways = |wanted: fn(usize, usize) -> bool| {
            let found = above(self.0, at).find(|above| wanted(indent(self.get(above.clone())), deep))?;
            let spaces = indent(self.get(found.clone()));
            Some(format!("by {spaces} to match `{}` on line {}", self.first_word(&found), self.number(found.start)))
        };
        let (more, less) = (ways(|other, deep| other > deep), ways(|other, deep| other < deep));
        let help = [more, less].into_iter().flatten().collect::<Vec<_>>().join(", or ");
        let word = self.first_word(&own);
        let spaces = if deep == 1 { "space" } else { "spaces" };
        let message = format!("`{word}` is indented by {deep} {spaces}, which matches no key above it");
        Some(slip(at..at + word.len().max(1), message, format!("indent it {help}; or add the missing parent key")))
    }

    /// An entry that is indented less than the entries around it, which are indented by `deep`.
    pub(super) fn dedented(self, entry: &Range<usize>, deep: usize) -> Option<Slip> {
        let less = indent(self.get(entry.clone()));
        let before = above(self.0, entry.start).next()?;
        let opens = self.get(before.clone()).trim_end().ends_with(':');
        let around = indent(self.get(before.clone()));
        // After `key:` on the same level, or between entries that are indented more.
        if less >= deep || !(opens && around == less || !opens && around == deep) {
            return None;
        }
        let word = self.first_word(entry);
        // Without a key above that it is the value of, it may be right, and a key may be missing after it: what decides is
        // where else the same key is written.
        if !is_name(word) || !opens && !self.is_written_at(word, deep, entry) {
            return None;
        }
        let start = entry.start + self.get(entry.clone()).find(word)?;
        let (of, spaces) = (self.first_word(&before), if less == 1 { "space" } else { "spaces" });
        let message = format!("`{word}` is indented by {less} {spaces}, which is too little");
        let help = if opens {
            format!("indent it by {deep} spaces, as a key of `{of}` on line {}", self.number(before.start))
        } else {
            format!("indent it by {deep} spaces, like `{of}` on line {}", self.number(before.start))
        };
        Some(slip(start..start + word.len(), message, help))
    }

    /// Whether a line other than this one begins with this key, indented by `deep`.
    fn is_written_at(self, key: &str, deep: usize, but: &Range<usize>) -> bool {
        let mut start = 0;
        self.0.split_inclusive('\n').any(|line| {
            let own = start;
            start += line.len();
            let rest = line.trim_start().strip_prefix(key);
            own != but.start && indent(line) == deep && rest.is_some_and(|rest| rest.starts_with(':'))
        })
    }

    /// `- name: …` in a map.
    fn item_of_map(self, own: &Range<usize>) -> Option<Slip> {
        let written = self.get(own.clone());
        let word = self.first_word(own);
        let deep = indent(written);
        let above = above(self.0, own.start).find(|above| indent(self.get(above.clone())) <= deep)?;
        let line_above = self.get(above.clone());
        if !written.trim_start().starts_with("- ") || !is_name(word) || line_above.trim_start().starts_with('-') {
            return None;
        }
        let start = own.start + deep;
        let message =
            format!("`- {word}` is an item of a list, but `{}` above it is a key of a map", self.first_word(&above));
        Some(slip(
            start..start + 2 + word.len(),
            message,
            format!("remove the `-`: write `{word}:`, indented like the keys above it"),
        ))
    }

    /// An entry of a map in a list.
    pub(super) fn mixed(self, at: usize) -> Option<Slip> {
        let own = line(self.0, at);
        let deep = indent(self.get(own.clone()));
        let item = |line: &Range<usize>| {
            let line = self.get(line.clone());
            indent(line) == deep && line.trim_start().starts_with("- ")
        };
        let first = above(self.0, at).find(item)?;
        let word = self.first_word(&own);
        let message = format!("`{word}` is not an item of the list that starts on line {}", self.number(first.start));
        let help = "start each item with `- `, or none if this is a map";
        Some(slip(at..at + word.len().max(1), message, help))
    }
}
