//! What the program prints. Whoever reads it may go before the end: that is no reason to panic.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Writes what was asked for to standard output, and says whether that can be relied on.
pub fn write(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // `gatewright schema | head` has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("cannot write to standard output: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Tells a person something on standard error. Where that is closed, nobody listens.
pub fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
