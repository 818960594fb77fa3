//! The page of each code: what it means, and an invalid and a valid example. Compiled into the program.

use gatewright_sdk::Code;

/// A page of `docs/diagnostics`.
#[derive(Debug)]
pub struct Page {
    pub code: Code,
    /// Markdown.
    pub text: &'static str,
}

macro_rules! pages {
    ($($name:ident $id:literal),* $(,)?) => {
        &[$(Page { code: Code::$name, text: include_str!(concat!("../../docs/diagnostics/", $id, ".md")) }),*]
    };
}

/// All of them, in the order of [`Code::ALL`].
pub static ALL: &[Page] = pages![];

/// The page of a code, if it is one of the gateway's.
pub fn page(id: &str) -> Option<&'static Page> {
    ALL.iter().find(|page| page.code.id() == id)
}

impl Page {
    /// What the code means: the text before the first example, on one line.
    pub fn meaning(&self) -> String {
        let (_, text) = self.text.split_once('\n').unwrap_or_default();
        let text = text.split("\n```").next().unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
