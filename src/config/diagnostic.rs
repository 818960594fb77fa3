//! Diagnostics: what is wrong with a configuration and where. All faults are collected, not just the first.

use gatewright_sdk::{Code, Fault};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// A location in a configuration file. Lines and columns count from 1, columns in characters; the end is exclusive. Line
/// 0 is the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    pub file: Arc<Path>,
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    pub end_column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => self.file.display().fmt(f),
            line => write!(f, "{}:{line}:{}", self.file.display(), self.column),
        }
    }
}

impl Location {
    /// A file as a whole, for what has no place in it.
    pub fn whole(file: &Path) -> Self {
        Self { file: file.into(), line: 0, column: 0, end_line: 0, end_column: 0 }
    }
}

/// The severity of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is rejected.
    Error,
    /// The configuration is accepted, but should be reviewed.
    Warning,
}

/// A single problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// The kind of mistake.
    pub code: Code,
    /// The path in the document: `routes.users.path`, `chains.edge[0]`.
    pub path: String,
    /// What is wrong: lowercase, no full stop, never the value of a secret.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
    /// The location in the files, if known.
    pub at: Option<Location>,
    /// Related locations, each with a label.
    pub related: Vec<(Location, String)>,
}

impl Diagnostic {
    /// A problem for which the configuration is rejected.
    pub fn error(code: Code, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            path: path.into(),
            message: message.into(),
            help: None,
            at: None,
            related: Vec::new(),
        }
    }

    /// A fault of a plugin or another part, whose path is relative to `place`.
    pub fn fault(place: &str, fault: Fault) -> Self {
        let path = match fault.path.as_str() {
            "" => place.to_owned(),
            inner if inner.starts_with('[') => format!("{place}{inner}"),
            inner => format!("{place}.{inner}"),
        };
        Self { help: fault.help, ..Self::error(fault.code, path, fault.message) }
    }

    /// A problem that should be reviewed.
    pub fn warning(code: Code, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, path, message) }
    }

    /// Adds the help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets the location in the files.
    #[must_use]
    pub fn at(mut self, at: Location) -> Self {
        self.at = Some(at);
        self
    }

    /// Adds a related location, if known.
    #[must_use]
    pub fn related(mut self, at: Option<Location>, word: impl Into<String>) -> Self {
        self.related.extend(at.map(|at| (at, word.into())));
        self
    }
}

/// All diagnostics, in the order in which they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

/// The maximum number of each severity. No one reads more, and a hostile file could exhaust memory.
pub const MOST: usize = 1000;

impl Diagnostics {
    /// Adds one, unless the same fault is already there. Beyond the maximum, diagnostics are dropped, separately for
    /// errors and warnings, so that many warnings cannot hide an error.
    pub fn push(&mut self, mut diagnostic: Diagnostic) {
        diagnostic.message = without_secrets(diagnostic.message);
        diagnostic.help = diagnostic.help.map(without_secrets);
        let alike = self.0.iter().filter(|known| known.severity == diagnostic.severity).count();
        if alike < MOST && !self.0.iter().rev().take(16).any(|known| *known == diagnostic) {
            self.0.push(diagnostic);
        }
    }

    pub fn extend(&mut self, others: Self) {
        for diagnostic in others.0 {
            self.push(diagnostic);
        }
    }

    /// Adds the results of a later check, except for values that are already rejected and for what follows from that:
    /// settings with a misspelled key lack the correct one. Nothing follows where `stood_in` is true: another value is
    /// used there.
    pub fn complete(&mut self, later: Self, stood_in: impl Fn(&str) -> bool) {
        let refused = |later: &Diagnostic| {
            let same = |known: &Diagnostic| known.path == later.path;
            let follows = |known: &Diagnostic| {
                let inside = known.path.strip_prefix(&later.path).is_some_and(|rest| rest.starts_with(['.', '[']));
                inside && later.path.contains('.') && later.related.is_empty() && !stood_in(&known.path)
            };
            self.0.iter().any(|known| known.severity == Severity::Error && (same(known) || follows(known)))
        };
        let new: Vec<_> = later.0.into_iter().filter(|later| !refused(later)).collect();
        new.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// Those that are not in `others`, regardless of their locations.
    pub fn but_for(&self, others: &Self) -> Self {
        let said = |one: &&Diagnostic| !others.0.iter().any(|o| o.path == one.path && o.message == one.message);
        Self(self.0.iter().filter(said).cloned().collect())
    }

    /// For a running gateway, which does not need to be told how to name a main file that is gone.
    pub fn while_serving(mut self) -> Self {
        let lost = |found: &&mut Diagnostic| found.code == Code::FILE_UNREADABLE && found.path.is_empty();
        for found in self.0.iter_mut().filter(lost).filter(|found| found.message.ends_with("does not exist")) {
            found.help = Some("restore the file; the running configuration stays in effect until then".to_owned());
        }
        self
    }

    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The number of errors.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// The errors alone.
    #[must_use]
    pub fn without_warnings(&self) -> Self {
        Self(self.0.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).cloned().collect())
    }

    /// The number of warnings.
    pub fn warnings(&self) -> usize {
        self.0.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning).count()
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sorts them by location, so that they read from top to bottom.
    pub fn sort(&mut self) {
        let mut files: Vec<Arc<Path>> = Vec::new();
        for at in self.0.iter().filter_map(|diagnostic| diagnostic.at.as_ref()) {
            if !files.contains(&at.file) {
                files.push(at.file.clone());
            }
        }
        self.0.sort_by_key(|diagnostic| {
            let at = diagnostic.at.as_ref();
            at.map(|at| (files.iter().position(|file| *file == at.file), at.line, at.column))
        });
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }
}

/// The user names and passwords in URLs within a text: `u:p` in `http://u:p@host`. A password may contain invalid
/// characters, so everything before an `@` counts.
pub fn credentials(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.match_indices("://").filter_map(|(at, separator)| {
        let start = at + separator.len();
        let authority = text.get(start..)?.split(['"', '\'', '`', ' ', ',']).next()?;
        Some(start..start + authority.rfind('@')?)
    })
}

/// The values in the queries of URLs within a text: `v` in `https://host/path?k=v`.
pub fn query_values(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let (before, rest) = text.split_at_checked(at).unwrap_or_default();
        let quote =
            before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "+-.".contains(c)).chars().next_back();
        let url = match quote.filter(|quote| matches!(quote, '"' | '\'' | '`')) {
            Some(quote) => rest.split(quote).next(),
            // Brackets of YAML may follow.
            None => rest.split(char::is_whitespace).next().map(|url| url.trim_end_matches(['}', ']', ',', '"', '`'])),
        };
        let Some((before, query)) = url.and_then(|url| url.split_once('?')) else { continue };
        let mut start = at + before.len() + 1;
        for part in query.split('&') {
            let value = part.find('=').map_or(0, |equals| equals + 1);
            if value < part.len() && !part.starts_with(OPEN_PARAMETER) {
                found.push(start + value..start + part.len());
            }
            start += part.len() + 1;
        }
    }
    found
}

/// The parameter of a URL that is shown with its value: how a connection to PostgreSQL is encrypted.
const OPEN_PARAMETER: &str = "sslmode=";
/// What a help writes in front of the `@` of a URL.
const PLACEHOLDER: &str = "USER:PASSWORD";

/// Masks the secrets that URLs in a text may contain.
fn without_secrets(mut text: String) -> String {
    if !text.contains("://") {
        return text;
    }
    for range in query_values(&text).into_iter().rev() {
        text.replace_range(range, "***");
    }
    let found: Vec<_> = credentials(&text).filter(|range| text.get(range.clone()) != Some(PLACEHOLDER)).collect();
    for range in found.into_iter().rev() {
        text.replace_range(range, "***");
    }
    text
}

/// Text of a file as a terminal may get it: on one line, and without characters that control it or the direction of text.
pub fn printable(text: &str) -> Cow<'_, str> {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if steers(c) { c.escape_debug().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// Several lines of text, as [`printable`] shows each of them.
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_in_messages_show_neither_passwords_nor_values_of_queries() {
        for (text, expected) in [
            ("a query (`https://h:4318/?api-key=SECRET`)", "a query (`https://h:4318/?api-key=***`)"),
            ("`https://u:SECRET@h/?a=SECRET&b=&SECRET&c=SECRET=SECRET`", "`https://***@h/?a=***&b=&***&c=***`"),
            ("\"http://h/?SECRET\" and http://h/x?y=SECRET no", "\"http://h/?***\" and http://h/x?y=*** no"),
            ("`http://h/?` and `/x?y=z`", "`http://h/?` and `/x?y=z`"),
            ("{ url: 'http://h/?a=S E \"C\"' }", "{ url: 'http://h/?a=***' }"),
            ("[{ url: http://h/?a=SECRET}]", "[{ url: http://h/?a=***}]"),
            (
                "`postgres://USER:PASSWORD@HOST/D?sslmode=verify-full&password=SECRET`",
                "`postgres://USER:PASSWORD@HOST/D?sslmode=verify-full&password=***`",
            ),
        ] {
            assert_eq!(without_secrets(text.to_owned()), expected);
        }
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        assert_eq!(printable("a\u{1b}[31m\nb\u{9b}\u{202e}"), "a\\u{1b}[31m\\nb\\u{9b}\\u{202e}");
        assert_eq!(printable("größe"), "größe");
    }

    #[test]
    fn many_warnings_leave_room_for_an_error() {
        let mut all = Diagnostics::default();
        (0..2 * MOST)
            .for_each(|index| all.push(Diagnostic::warning(Code::UNUSED, format!("routes.r{index}"), "is odd")));
        assert_eq!((all.iter().count(), all.has_errors()), (MOST, false));
        (0..2 * MOST)
            .for_each(|index| all.push(Diagnostic::error(Code::NO_TARGET, format!("routes.r{index}"), "is wrong")));
        assert_eq!((all.warnings(), all.iter().count(), all.has_errors()), (MOST, 2 * MOST, true));
    }
}
