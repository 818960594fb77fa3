//! A request refused: what is wrong with each field or parameter, said at once.

use gatewright_sdk::{Detail, Problem};

/// More faults than these are not listed.
const FAULTS: usize = 16;

/// What is wrong with a query, by parameter.
#[derive(Default)]
pub struct Faults(Vec<Detail>);

impl Faults {
    /// Notes one more.
    pub fn push(&mut self, parameter: &str, code: &'static str, message: impl Into<String>) {
        if self.0.len() < FAULTS {
            self.0.push(Detail::new(cut(parameter), code, message));
        }
    }

    /// `good` where nothing is wrong, else all that is.
    pub fn refuse<T>(self, good: T) -> Result<T, Problem> {
        if self.0.is_empty() { Ok(good) } else { Err(refusal(self.0)) }
    }
}

/// The 400 of several faults: `field: message` joined by `, `, and the same as details.
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

/// A text of the client, cut to what a message can hold.
pub fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}
