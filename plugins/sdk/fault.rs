//! Faults in a plugin's settings, reported to the operator.

use crate::Code;
use std::fmt;

/// One fault in the settings of a plugin. The engine turns it into a diagnostic at the line it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kind of mistake.
    pub code: Code,
    /// Where, relative to the plugin's settings: `allow_origins[0]`; empty for the settings as a whole.
    pub path: String,
    /// What is wrong: lowercase, no full stop, never the value of a secret.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
    /// Another place that belongs to it, relative to the same settings, and its label.
    pub related: Option<Box<(String, String)>>,
}

impl Fault {
    /// A fault with the general code of plugins, [`Code::PLUGIN_SETTING`].
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: Code::PLUGIN_SETTING, path: path.into(), message: message.into(), help: None, related: None }
    }

    /// For a setting that the format allows and this version does not implement; `path` as in [`Fault::path`].
    pub fn pending(path: &str) -> Self {
        Self::new(path, format!("`{path}` is not implemented yet")).code(Code::NOT_IMPLEMENTED).help("remove it")
    }

    /// Sets the code.
    #[must_use]
    pub fn code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    /// Adds the help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds another place and its label.
    #[must_use]
    pub fn related(mut self, path: impl Into<String>, label: impl Into<String>) -> Self {
        self.related = Some(Box::new((path.into(), label.into())));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}
