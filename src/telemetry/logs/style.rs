//! How a line looks: JSON for programs, or text for people, on a terminal shorter and with colors.

use std::fmt::{self, Write};
use tracing::Level;

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Json,
    Human {
        /// Whether the line is kept short for a terminal.
        terminal: bool,
        color: bool,
    },
}

impl Style {
    pub(super) const fn is_human(self) -> bool {
        matches!(self, Self::Human { .. })
    }

    pub(super) const fn is_terminal(self) -> bool {
        matches!(self, Self::Human { terminal: true, .. })
    }

    /// Writes `text` in this color, if there are colors.
    pub(super) fn paint(self, out: &mut String, paint: Paint, text: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Human { color: true, .. } => write!(out, "\u{1b}[{}m{text}\u{1b}[0m", paint.code()),
            _ => out.write_fmt(text),
        };
    }
}

/// The colors of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Dim,
    Green,
    Cyan,
    Yellow,
    Red,
}

impl Paint {
    const fn code(self) -> u8 {
        match self {
            Self::Dim => 2,
            Self::Green => 32,
            Self::Cyan => 36,
            Self::Yellow => 33,
            Self::Red => 31,
        }
    }

    pub(super) const fn of_status(status: u64) -> Self {
        match status {
            500.. => Self::Red,
            400..=499 => Self::Yellow,
            300..=399 => Self::Cyan,
            _ => Self::Green,
        }
    }

    pub(super) const fn of_level(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Red,
            Level::WARN => Self::Yellow,
            Level::INFO => Self::Green,
            Level::DEBUG | Level::TRACE => Self::Dim,
        }
    }
}
