//! A rejected request: what is wrong with each field or parameter, reported at once.

use gatewright_sdk::{Detail, Problem};

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
    let mut message = String::new();
    for detail in &details {
        if !message.is_empty() {
            message.push_str(", ");
        }
        message.push_str(&detail.field);
        message.push_str(": ");
        message.push_str(&detail.message);
    }
    Problem::validation(message).details(details)
}

/// A text from the client, cut to a length that fits a message.
pub fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}
