//! The `OTEL_*` variables of the process, read as OpenTelemetry says: a value that is not valid is ignored, with a warning.

use std::cell::RefCell;

/// How an environment variable is looked up; tests give their own.
pub(in crate::telemetry) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The longest value that a warning shows, in characters.
const LONGEST: usize = 80;

/// A variable whose value is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::telemetry) struct Ignored {
    pub variable: String,
    pub reason: String,
}

/// The variables, and which of them are ignored.
pub(in crate::telemetry) struct Variables<'a> {
    lookup: Lookup<'a>,
    ignored: RefCell<Vec<Ignored>>,
}

impl<'a> Variables<'a> {
    pub(in crate::telemetry) const fn new(lookup: Lookup<'a>) -> Self {
        Self { lookup, ignored: RefCell::new(Vec::new()) }
    }

    /// The value of a variable. An empty one counts as not set, as OpenTelemetry says.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = (self.lookup)(name)?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// What `read` makes of a variable; what it cannot read is ignored as not `expected`.
    pub(super) fn read<T>(&self, name: &str, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let value = read(&text);
        if value.is_none() {
            let shown: String = text.chars().take(LONGEST).collect();
            self.ignore(name, format!("`{}` is not {expected}", shown.escape_debug()));
        }
        value
    }

    /// One of the words of a list, in whatever case it is written.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        self.read(name, &format!("one of {}", known.join(", ")), |text| word(text, words))
    }

    /// A whole number, `least` or more.
    pub(in crate::telemetry) fn number(&self, name: &str, least: u32) -> Option<u32> {
        self.read(name, &format!("a whole number from {least} on"), |text| {
            text.parse().ok().filter(|number| *number >= least)
        })
    }

    /// Notes that a variable is ignored, or a part of it. Once for each, however often it is asked for.
    pub(super) fn ignore(&self, name: &str, reason: impl Into<String>) {
        let mut ignored = self.ignored.borrow_mut();
        if !ignored.iter().any(|known| known.variable == name) {
            ignored.push(Ignored { variable: name.to_owned(), reason: reason.into() });
        }
    }

    /// What was ignored so far.
    pub(in crate::telemetry) fn ignored(self) -> Vec<Ignored> {
        self.ignored.into_inner()
    }
}

impl Ignored {
    /// Tells the operator.
    pub(in crate::telemetry) fn warn(&self) {
        let (variable, reason) = (&self.variable, &self.reason);
        tracing::warn!(target: "gatewright::telemetry", variable, reason, "an environment variable is ignored");
    }
}

/// The value of a word, in whatever case it is written.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    words.iter().find(|(known, _)| known.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
}
