//! What is said of a panic: where it was, never what it carried.

use crate::telemetry::instruments::PANICS;
use gatewright_sdk::metrics::counter;
use std::panic;

/// Replaces the standard message of a panic, which would print its payload, by one log line with the place. The
/// payload may hold what a client sent. Each is counted.
pub fn install() {
    let panics = counter(&PANICS, []);
    panic::set_hook(Box::new(move |info| {
        panics.add(1);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_counted() {
        let count = counter(&PANICS, []);
        let before = panic::take_hook();
        install();
        let caught = panic::catch_unwind(|| panic!("of a test"));
        panic::set_hook(before);
        // Other tests may panic meanwhile.
        assert!(caught.is_err() && count.total() >= 1, "{count:?}");
    }
}
