//! What the program prints. The reader may go before the end: that is not a reason to panic.

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

/// Writes a line for people to standard error, if that is open.
pub fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
