//! Checks the targets of upstreams, and limits on requests in progress.

use super::Lint;
use gatewright_sdk::Code;

impl Lint<'_> {
    pub(super) fn upstreams(&mut self) {
        for (name, listener) in self.document.listeners.iter() {
            let limits = &listener.limits;
            let given = [limits.queue.is_some(), limits.queue_timeout.is_some()];
            self.queue(&format!("listeners.{name}"), limits.concurrency, given);
        }
        for (name, upstream) in self.document.upstreams.iter() {
            for (index, target) in upstream.targets.iter().enumerate() {
                let path = format!("upstreams.{name}.targets[{index}].url");
                if upstream.targets.iter().take(index).any(|other| other.url.is_same(&target.url)) {
                    let help = "use `weight` to give it a larger share";
                    self.warning(Code::DUPLICATE_TARGET, &path, "this target is listed twice", help);
                }
            }
        }
    }

    /// Checks that what waits, waits for something.
    pub(super) fn queue(&mut self, at: &str, concurrency: Option<u32>, given: [bool; 2]) {
        let keys = ["queue", "queue_timeout"].into_iter().zip(given);
        for (key, _) in keys.filter(|(_, given)| *given && concurrency.is_none()) {
            let message = format!("`{key}` works only with `concurrency`");
            let help = "add the number of requests that may be in progress, such as `concurrency: 512`";
            self.error(Code::QUEUE, &format!("{at}.limits.{key}"), message, help);
        }
    }
}
