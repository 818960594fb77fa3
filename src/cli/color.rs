//! Which output has colors: `--color` decides, then `NO_COLOR`, `CLICOLOR_FORCE`, `TERM` and whether it is a terminal.

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use std::ffi::OsString;

/// When to use colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`; everywhere with `CLICOLOR_FORCE`.
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// Decides for all output of the process.
    pub fn apply(self) {
        match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        }
        .write_global();
    }
}

/// Whether `output` gets colors.
pub fn has_color(output: &impl RawStream) -> bool {
    AutoStream::choice(output) != ColorChoice::Never
}

/// Moves a leading `--color` to the end: in front of a command, clap takes other options only for those of `run`.
pub fn behind_command(mut words: Vec<OsString>) -> Vec<OsString> {
    let length = match words.get(1).and_then(|word| word.to_str()) {
        Some("--color") => 2,
        Some(word) if word.starts_with("--color=") => 1,
        _ => return words,
    };
    if words.len() > length + 1 {
        let option: Vec<_> = words.drain(1..=length).collect();
        let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
        words.splice(end..end, option);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::behind_command;
    use std::ffi::OsString;

    #[test]
    fn the_option_may_come_before_the_command() {
        let moved = |line: &str| {
            let words = line.split(' ').map(OsString::from).collect();
            behind_command(words).join(&OsString::from(" ")).into_string().unwrap()
        };
        assert_eq!(moved("gatewright --color never check a.yaml"), "gatewright check a.yaml --color never");
        assert_eq!(moved("gatewright --color=never check -- a.yaml"), "gatewright check --color=never -- a.yaml");
        assert_eq!(moved("gatewright --color"), "gatewright --color");
        assert_eq!(moved("gatewright check a.yaml"), "gatewright check a.yaml");
    }
}
