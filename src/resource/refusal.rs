//! A rejected request: what is wrong with each field or parameter, reported at once.

use gatewright_sdk::{Detail, Problem};
use std::fmt::Write;

/// Faults after these are not listed.
const FAULTS: usize = 16;

/// What is wrong with a query, by parameter.
#[derive(Default)]
pub struct Faults(Vec<Detail>);

impl Faults {
    /// Adds one.
    pub fn push(&mut self, parameter: &str, code: &'static str, message: impl Into<String>) {
        if self.0.len() < FAULTS {
            self.0.push(Detail::parameter(cut(parameter), code, message));
        }
    }

    /// Adds one, with what to send instead. The same help is given once.
    pub fn teach(
        &mut self,
        parameter: &str,
        code: &'static str,
        message: impl Into<String>,
        help: impl FnOnce() -> String,
    ) {
        // A hostile query has hundreds of faults: no help is made for those that are not listed.
        if self.0.len() >= FAULTS {
            return;
        }
        let help = help();
        let known = self.0.iter().any(|detail| detail.help.as_deref() == Some(&*help));
        self.push(parameter, code, message);
        if let (false, Some(detail)) = (known, self.0.last_mut()) {
            detail.help.get_or_insert(help.into());
        }
    }

    /// `good` if nothing is wrong, otherwise everything that is.
    pub fn refuse<T>(self, good: T) -> Result<T, Problem> {
        if self.0.is_empty() { Ok(good) } else { Err(refusal(self.0)) }
    }
}

/// The 400 for several faults: `field: message` joined by `, `, and the same as details.
pub fn refusal(details: Vec<Detail>) -> Problem {
    Problem::validation(texts(&details)).details(details)
}

/// `field: message` joined by `, `, with the index before the field in a list.
pub fn texts(details: &[Detail]) -> String {
    let mut message = String::new();
    for detail in details {
        if !message.is_empty() {
            message.push_str(", ");
        }
        if let Some(index) = detail.index {
            let dot = if detail.field.is_empty() { "" } else { "." };
            let _ = write!(message, "[{index}]{dot}");
        }
        message.push_str(&detail.field);
        if !message.is_empty() && !message.ends_with(", ") {
            message.push_str(": ");
        }
        message.push_str(&detail.message);
    }
    message
}

/// What is wrong with the items of a list. The first faults are listed.
#[derive(Default)]
pub struct ListFaults(Vec<Detail>);

impl ListFaults {
    /// Notes why the item at `index` is rejected.
    pub fn push(&mut self, index: usize, details: impl IntoIterator<Item = Detail>) {
        let left = FAULTS.saturating_sub(self.0.len());
        let index = u32::try_from(index).ok();
        self.0.extend(details.into_iter().take(left).map(|detail| Detail { index, ..detail }));
    }

    /// `good` if nothing is wrong, otherwise the faults, as `problem` makes of them.
    pub fn refuse<T>(self, good: T, problem: impl FnOnce(Vec<Detail>) -> Problem) -> Result<T, Problem> {
        if self.0.is_empty() { Ok(good) } else { Err(problem(self.0)) }
    }
}

/// A text from the client, cut to a length that fits a message.
pub fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}
