//! What log lines are written to: a terminal, which people read, or something that programs read.

use crate::config::document::telemetry::{AccessLog, LogFormat, Logs};
use anstream::{AutoStream, ColorChoice};
use std::borrow::Cow;
use std::io::IsTerminal;

/// What log lines are written to. It decides what the file leaves open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Console {
    pub terminal: bool,
    /// Whether it shows colors. `--color` decides, then `NO_COLOR`, `CLICOLOR_FORCE` and `TERM`.
    pub color: bool,
}

impl Console {
    /// The standard output of this process.
    pub fn stdout() -> Self {
        let stdout = std::io::stdout();
        let color = AutoStream::choice(&stdout) != ColorChoice::Never;
        Self { terminal: stdout.is_terminal(), color }
    }

    /// Whether lines are written for people.
    pub fn is_human(self, logs: &Logs) -> bool {
        match logs.format {
            LogFormat::Auto => self.terminal,
            LogFormat::Human => true,
            LogFormat::Json => false,
        }
    }

    /// The settings of the access log, if there is one. On a terminal there is.
    pub(super) fn access(self, logs: &Logs) -> Option<Cow<'_, AccessLog>> {
        match &logs.access {
            Some(access) => Some(Cow::Borrowed(access)),
            None => self.terminal.then(Cow::default),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_decides_and_else_the_terminal() {
        let (terminal, pipe) = (Console { terminal: true, color: true }, Console::default());
        let (auto, json) = (Logs::default(), Logs { format: LogFormat::Json, ..Logs::default() });
        assert!(terminal.is_human(&auto) && !pipe.is_human(&auto) && !terminal.is_human(&json));
        assert!(pipe.is_human(&Logs { format: LogFormat::Human, ..Logs::default() }));
        assert!(terminal.access(&auto).is_some() && pipe.access(&auto).is_none());
        let sampled = Logs { access: Some(AccessLog { sample: 0.0, ..AccessLog::default() }), ..Logs::default() };
        assert_eq!(terminal.access(&sampled).map(|access| access.sample), Some(0.0));
    }
}
