//! Reads the `OTEL_*` variables by the rules of OpenTelemetry: invalid values are ignored with a warning.

use std::cell::RefCell;

/// Looks up an environment variable; tests pass their own.
pub(in crate::telemetry) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The maximum length of a value in a warning, in characters.
const LONGEST: usize = 80;

/// A variable whose value is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::telemetry) struct Ignored {
    pub variable: String,
    pub reason: String,
}

/// The variables, and which of them were ignored.
pub(in crate::telemetry) struct Variables<'a> {
    lookup: Lookup<'a>,
    ignored: RefCell<Vec<Ignored>>,
}

impl<'a> Variables<'a> {
    pub(in crate::telemetry) const fn new(lookup: Lookup<'a>) -> Self {
        Self { lookup, ignored: RefCell::new(Vec::new()) }
    }

    /// The value of a variable. An empty one counts as not set, as OpenTelemetry requires.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = (self.lookup)(name)?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Parses a variable with `read`; an invalid value is ignored as not `expected`.
    pub(super) fn read<T>(&self, name: &str, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let value = read(&text);
        if value.is_none() {
            let shown: String = text.chars().take(LONGEST).collect();
            self.ignore(name, format!("`{}` is not {expected}", shown.escape_debug()));
        }
        value
    }

    /// Parses one of several words, case-insensitively.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        self.read(name, &format!("one of {}", known.join(", ")), |text| word(text, words))
    }

    /// Parses an integer of at least `least`.
    pub(in crate::telemetry) fn number(&self, name: &str, least: u32) -> Option<u32> {
        self.read(name, &format!("an integer of at least {least}"), |text| {
            text.parse().ok().filter(|number| *number >= least)
        })
    }

    /// Records that a variable, or part of it, is ignored. Recorded only once for each.
    pub(super) fn ignore(&self, name: &str, reason: impl Into<String>) {
        let mut ignored = self.ignored.borrow_mut();
        if !ignored.iter().any(|known| known.variable == name) {
            ignored.push(Ignored { variable: name.to_owned(), reason: reason.into() });
        }
    }

    /// The variables ignored so far.
    pub(in crate::telemetry) fn ignored(self) -> Vec<Ignored> {
        self.ignored.into_inner()
    }
}

impl Ignored {
    /// Logs warnings.
    pub(in crate::telemetry) fn warn(&self) {
        let (variable, reason) = (&self.variable, &self.reason);
        tracing::warn!(target: "gatewright::telemetry", variable, reason, "environment variable ignored");
    }
}

/// The value of a word, compared case-insensitively.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(known, _)| known.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
}
