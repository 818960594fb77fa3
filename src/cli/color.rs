//! Which output has colors: `--color` decides, then `NO_COLOR`, `CLICOLOR_FORCE`, `TERM` and whether it is a terminal.

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;

/// When to use colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`. `CLICOLOR_FORCE` turns them on.
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
