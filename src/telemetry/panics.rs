//! What is said of a panic: where it was, never what it carried.

use std::panic;

/// Replaces the standard message of a panic, which would print its payload, by one log line with the place. The
/// payload may hold what a client sent.
pub fn install() {
    panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        let place = info.location();
        tracing::error!(
            target: "gatewright::panic",
            file = place.map(panic::Location::file),
            line = place.map(panic::Location::line),
            thread = thread.name(),
            "a panic was caught"
        );
    }));
}
