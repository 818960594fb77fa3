//! Reports panics: their location, never their payload.

use crate::telemetry::instruments::PANICS;
use gatewright_sdk::metrics::{Counter, counter};
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;

/// Replaces the standard panic message, which would print the payload, by one log line with the location. The payload
/// may contain data from a client. Panics are also counted.
pub fn install() {
    panic::set_hook(Box::new(hook(counter(&PANICS, []))));
}

fn hook(panics: Arc<Counter>) -> impl Fn(&PanicHookInfo<'_>) {
    move |info| {
        panics.add(1);
        let thread = std::thread::current();
        let place = info.location();
        tracing::error!(
            target: "gatewright::panic",
            file = place.map(panic::Location::file),
            line = place.map(panic::Location::line),
            thread = thread.name(),
            "caught a panic"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewright_sdk::metrics::Meters;

    #[test]
    fn a_panic_is_counted() {
        let count = Meters::default().counter(&PANICS, Vec::new());
        let (counted, here) = (hook(Arc::clone(&count)), std::thread::current().id());
        let before = Arc::new(panic::take_hook());
        let others = Arc::clone(&before);
        // Other tests may panic at the same time.
        panic::set_hook(Box::new(move |info| match std::thread::current().id() == here {
            true => counted(info),
            false => others(info),
        }));
        let caught = panic::catch_unwind(|| panic!("of a test"));
        panic::set_hook(Box::new(move |info| before(info)));
        assert!(caught.is_err());
        assert_eq!(count.total(), 1);
    }
}
