//! The output of commands. A reader that leaves early, such as `head`, is not an error.

use clap::ValueEnum;
use serde::Serialize;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// The exit code for an invalid command line, the same as clap's.
const USAGE: u8 = 2;

/// How a command prints its result.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Readable text.
    Human,
    /// JSON.
    Json,
}

/// Writes the result of a command to standard output. Fails if it cannot be written.
pub fn write(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // `gatewright schema | head` has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot write to standard output: {error}")),
    }
}

/// Writes `value` as JSON to standard output.
pub fn write_json(value: &impl Serialize) -> ExitCode {
    match serde_json::to_string_pretty(value) {
        Ok(text) => write(&(text + "\n")),
        Err(error) => fail(&error.to_string()),
    }
}

/// Writes text to standard error, if that is open.
pub fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Prints why the command failed, and returns exit code 1.
pub fn fail(message: &str) -> ExitCode {
    say(&format!("error: {message}\n"));
    ExitCode::FAILURE
}

/// Prints why the command line is invalid, and returns exit code 2.
pub fn usage(message: &str) -> ExitCode {
    say(&format!("error: {message}\n"));
    ExitCode::from(USAGE)
}
