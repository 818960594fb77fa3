//! Renders diagnostics: for people with the line and a caret, for programs as JSON or SARIF.

mod human;
mod machine;

use crate::config::diagnostic::Diagnostics;
use crate::config::sources::SourceFiles;

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// For people, with or without color.
    Human { colour: bool },
    /// A JSON array.
    Json,
    /// SARIF 2.1.0, for code scanners.
    Sarif,
}

impl SourceFiles {
    /// Renders the diagnostics. Lines of the files are shown with their secrets masked.
    pub fn render(&self, diagnostics: &Diagnostics, format: Rendering) -> String {
        match format {
            Rendering::Human { colour } => human::render(self, diagnostics, colour),
            Rendering::Json => machine::json(diagnostics),
            Rendering::Sarif => machine::sarif(diagnostics),
        }
    }
}

/// Renders diagnostics of no file: for programs, the same as with files.
pub fn without_files(diagnostics: &Diagnostics, format: Rendering) -> String {
    SourceFiles::none().render(diagnostics, format)
}
